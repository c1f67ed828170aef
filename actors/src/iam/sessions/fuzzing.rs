//! The fuzz target of session tokens: nothing is one that was not sealed here, and what was sealed comes back as it was.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "what does not hold ends the run")]

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::bind::bind;
use super::grant::{GRANT_BYTES_MAX, Grant, Holder};
use super::token::{OpenToken, open, seal};
use super::{OpenSessions, SessionRequest, assume_role};
use crate::iam::IamError;
use crate::iam::directory::Directory;
use crate::names::{CanonicalId, Stamp};
use crate::policy_engine::RequestContext;
use crate::seal::{Sealer, SecretKey};

pub(in crate::iam) const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
const NOW: Stamp = Stamp(1_700_000_000_000_000_000);

/// Two users, one of them disabled, a role that everybody of the account and a provider's users may assume, and a policy.
static DIRECTORY: LazyLock<Arc<Directory>> = LazyLock::new(|| Arc::new(directory()));

static SEALER: LazyLock<Sealer> = LazyLock::new(|| sealer("fuzzing", &[]));

/// The directory of these targets.
pub(in crate::iam) fn directory() -> Directory {
    let document = |action: &str| json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}});
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:*"},
        {"Effect": "Allow", "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/id.example/realm")}, "Action": "sts:*"},
    ]});
    let user = |number: &str, more: Value| {
        let mut user = json!({
            "access_key": format!("KEY{number}"), "secret_key": "s3cret-s3cret", "user_name": format!("user-{number}"),
            "account_id": ACCOUNT, "user_id": number.repeat(64), "policies": [document("sts:*")],
        });
        more.as_object().into_iter().flatten().for_each(|(name, value)| user[name] = value.clone());
        user
    };
    Directory::of(&json!({
        "users": [user("1", json!({})), user("2", json!({"enabled": false}))],
        "roles": [{
            "role_name": "reader", "account_id": ACCOUNT, "role_id": "AROAREADER", "canonical_id": "a".repeat(64),
            "assume_role_policy": trust, "policies": [document("s3:*")], "max_session_duration": 7200,
        }],
        "managed_policies": [{"policy_name": "bounds", "account_id": ACCOUNT, "document": document("s3:GetObject")}],
        "oidc_providers": [{"url": "https://id.example/realm", "account_id": ACCOUNT, "client_ids": ["app"]}],
    }))
}

fn sealer(key: &str, previous: &[SecretKey]) -> Sealer {
    Sealer::new(&SecretKey::new(key), previous).expect("a sealer")
}

/// Behind `T` a text that claims to be a token, behind `G` what a token says, behind `R` lines of what is asked of a session.
pub fn session_token(data: &[u8]) -> bool {
    match data.split_first() {
        Some((b'T', text)) => {
            std::str::from_utf8(text).is_ok_and(|token| open(token, &SEALER).map(|_| is_whole(token)).is_ok())
        }
        Some((b'G', record)) => granted(record),
        Some((b'R', lines)) => std::str::from_utf8(lines).is_ok_and(asked),
        _ => false,
    }
}

/// A token that anything else is refused for.
fn is_whole(token: &str) {
    let bytes = URL_SAFE_NO_PAD.decode(token).expect("a token");
    for at in [0, 4, 19, 20, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(open(&URL_SAFE_NO_PAD.encode(damaged), &SEALER).is_err(), "byte {at} is not protected");
        assert!(open(&URL_SAFE_NO_PAD.encode(&bytes[..at]), &SEALER).is_err(), "{at} bytes are a token");
    }
    assert!(open(&format!("{token}A"), &SEALER).is_err() && open(&format!("{token}="), &SEALER).is_err());
    assert!(SEALER.open_token("another purpose", token).is_err());
    let rotated = sealer("another", &[SecretKey::new("fuzzing")]);
    assert!(open(token, &rotated).is_err(), "a token outlives its SECRET_KEY");
}

fn granted(record: &[u8]) -> bool {
    let Ok(grant) = minicbor::decode::<Grant>(record) else { return false };
    let Ok(opened) = OpenToken::new(grant.clone()) else { return false };
    let Some(token) = seal(&grant, &SEALER).expect("a record can be sealed") else {
        assert!(minicbor::to_vec(&grant).expect("a record").len() >= GRANT_BYTES_MAX);
        return false;
    };
    is_whole(&token);
    let again = open(&token, &SEALER).expect("what was sealed is opened");
    assert_eq!((&again.grant, &again.access_key), (&grant, &opened.access_key));
    assert_eq!((again.secret.expose(), again.secret.expose().len()), (opened.secret.expose(), 40));
    match bind(&again, &DIRECTORY) {
        Ok(bound) => {
            let principal = &bound.credential.principal;
            let session = principal.session.as_ref().expect("a session");
            let terms = &grant.terms;
            assert_eq!(session.policies.len(), usize::from(terms.policy.is_some()) + terms.policy_arns.len());
            let known = |arn: &String| DIRECTORY.managed_for(arn, ACCOUNT).is_some();
            let broken = session.policies.iter().filter(|policy| policy.mistake().is_some()).count();
            assert_eq!(
                broken,
                terms.policy_arns.iter().filter(|arn| !known(arn)).count(),
                "what is gone bounds nothing"
            );
            assert_eq!((session.tags.len(), bound.expires_at), (terms.tags.len(), session.expires_at));
            let (id, is_role) = match &grant.holder {
                Holder::User(id) => (CanonicalId::from_bytes(**id), false),
                Holder::Role(id, _) => (CanonicalId::from_bytes(**id), true),
            };
            assert_eq!((&principal.user_id, principal.role.is_some()), (&id, is_role));
            assert_eq!(principal.access_key, again.access_key);
        }
        Err(error) => assert!(matches!(error, IamError::NoSuchAccessKey(_) | IamError::Disabled(_)), "{error}"),
    }
    true
}

/// Lines `name value`. What is given opens as what was asked for.
fn asked(lines: &str) -> bool {
    let mut request =
        SessionRequest { role_arn: ROLE.to_owned(), session_name: "visit".to_owned(), ..SessionRequest::default() };
    for line in lines.lines() {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let text = || value.to_owned();
        match name {
            "role" => request.role_arn = text(),
            "name" => request.session_name = text(),
            "seconds" => request.seconds = value.parse().ok(),
            "policy" => request.policy = Some(text()),
            "arn" => request.policy_arns.push(text()),
            "tag" => request.tags.extend(value.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))),
            "transitive" => request.transitive_tag_keys.push(text()),
            "source" => request.source_identity = Some(text()),
            "external" => request.external_id = Some(text()),
            _ => {}
        }
    }
    let caller = DIRECTORY.principal("KEY1");
    let context = RequestContext::new(NOW, None, false);
    let issued = match assume_role(&DIRECTORY, &SEALER, &caller, &request, &context) {
        Ok(issued) => issued,
        Err(error) => {
            let told = error.to_string();
            assert!(!told.is_empty() && told.len() <= 4096 + 8 * lines.len(), "{} bytes of {told:.200}", told.len());
            return false;
        }
    };
    let (first, last) = (NOW.after(900), NOW.after(7200));
    assert!((first..=last).contains(&issued.expires_at), "{:?}", issued.expires_at);
    assert!(issued.packed_percent.is_none_or(|percent| (1..=100).contains(&percent)), "{:?}", issued.packed_percent);
    let bound =
        OpenSessions::new(SEALER.clone()).find(issued.token.expose(), &DIRECTORY).expect("what was given is opened");
    assert_eq!(bound.credential.secret.expose(), issued.secret_key.expose());
    assert_eq!(bound.expires_at, issued.expires_at);
    let principal = &bound.credential.principal;
    assert_eq!(Some(principal.caller_arn()), issued.role.map(|role| role.arn));
    let session = principal.session.as_ref().expect("a session");
    assert_eq!((&session.tags, &session.source_identity), (&request.tags, &request.source_identity));
    assert_eq!(session.policies.len(), usize::from(request.policy.is_some()) + request.policy_arns.len());
    assert!(session.policies.iter().all(|policy| policy.mistake().is_none()));
    true
}
