//! Sessions: what is asked for, given, opened and bound.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::grant::{Federation, Grant, Holder, Terms};
use super::*;
use crate::iam::IamError;
use crate::iam::directory::Directory;
use crate::iam::oidc::{Claims, Token};
use crate::iam::principal::Principal;
use crate::names::{CanonicalId, Stamp};
use crate::policy_engine::RequestContext;
use crate::seal::{Sealer, SecretKey};

const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/app/reader";
const NOW: Stamp = Stamp(1_700_000_000_000_000_000);

fn sealer(current: &str, previous: &[&str]) -> Sealer {
    let previous: Vec<SecretKey> = previous.iter().map(|key| SecretKey::new(key)).collect();
    Sealer::new(&SecretKey::new(current), &previous).unwrap()
}

fn user(name: &str, more: Value) -> Value {
    let mut user = json!({"access_key": name, "secret_key": "s3cret-s3cret", "user_name": name, "account_id": ACCOUNT});
    for (name, value) in more.as_object().unwrap() {
        user[name] = value.clone();
    }
    user
}

fn allow(actions: &Value) -> Value {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    json!({"PolicyName": "own", "Version": "2012-10-17", "Statement": statement})
}

/// Two users and a role whose trust policy is `trust`.
fn document(trust: &Value) -> Value {
    json!({
        "users": [
            user("chief", json!({"root": true})),
            user("ann", json!({"policies": [allow(&json!("sts:*"))]})),
            user("bob", json!({})),
        ],
        "roles": [{
            "role_name": "reader", "path": "/app/", "account_id": ACCOUNT, "role_id": "AROAREADER",
            "canonical_id": "ab".repeat(32), "assume_role_policy": {"Version": "2012-10-17", "Statement": trust},
            "policies": [allow(&json!("s3:*"))], "max_session_duration": 7200, "tags": {"team": "red"},
        }],
        "managed_policies": [{"policy_name": "bounds", "account_id": ACCOUNT, "document": allow(&json!("s3:GetObject"))}],
        "oidc_providers": [{"url": "https://id.example/realm", "account_id": ACCOUNT, "client_ids": ["app"]}],
    })
}

fn trusting(principal: &Value, actions: &Value) -> Value {
    json!([{"Effect": "Allow", "Principal": principal, "Action": actions}])
}

fn ann_trusted(actions: &Value) -> Arc<Directory> {
    Arc::new(Directory::of(&document(&trusting(&json!({"AWS": "arn:aws:iam::111122223333:user/ann"}), actions))))
}

fn request() -> SessionRequest {
    SessionRequest { role_arn: ROLE.to_owned(), session_name: "visit".to_owned(), ..SessionRequest::default() }
}

fn context() -> RequestContext {
    RequestContext::new(NOW, None, false)
}

fn assume(directory: &Directory, caller: &Principal, request: &SessionRequest) -> Result<IssuedSession, SessionError> {
    assume_role(directory, &sealer("one", &[]), caller, request, &context())
}

fn message(result: Result<IssuedSession, SessionError>) -> String {
    result.expect_err("a refusal").to_string()
}

/// The caller that a session is.
fn principal_of(directory: &Arc<Directory>, issued: &IssuedSession) -> Arc<Principal> {
    let sessions = OpenSessions::new(sealer("one", &[]));
    Arc::clone(&sessions.find(issued.token.expose(), directory).unwrap().credential.principal)
}

#[test]
fn a_role_is_assumed_by_whom_it_trusts() {
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let issued = assume(&directory, &directory.principal("ann"), &request()).unwrap();
    assert!(issued.access_key.as_str().starts_with("ASIA") && issued.access_key.as_str().len() == 20);
    assert_eq!(
        (issued.secret_key.expose().len(), issued.expires_at, issued.packed_percent),
        (40, NOW.after(3600), None)
    );
    let role = issued.role.as_ref().unwrap();
    assert_eq!(role.arn, "arn:aws:sts::111122223333:assumed-role/reader/visit");
    assert_eq!(role.id, "AROAREADER:visit");
    let refused = message(assume(&directory, &directory.principal("bob"), &request()));
    let expected = format!(
        "User: arn:aws:iam::{ACCOUNT}:user/bob is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    );
    assert_eq!(refused, expected);
    let absent = SessionRequest { role_arn: ROLE.replace("reader", "writer"), ..request() };
    assert!(message(assume(&directory, &directory.principal("ann"), &absent)).contains("not authorized"));
}

#[test]
fn how_long_it_may_last() {
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let ann = directory.principal("ann");
    let lasting = |seconds| assume(&directory, &ann, &SessionRequest { seconds: Some(seconds), ..request() });
    assert_eq!(lasting(900).unwrap().expires_at, NOW.after(900));
    assert_eq!(lasting(7200).unwrap().expires_at, NOW.after(7200));
    assert!(message(lasting(7201)).contains("MaxSessionDuration"));
    assert!(message(lasting(899)).contains("greater than or equal to 900"));
    let chained = trusting(&json!({"AWS": ROLE}), &json!("sts:AssumeRole"));
    let directory = Arc::new(Directory::of(&document(&chained)));
    let open = Arc::new(Directory::of(&document(&trusting(&json!("*"), &json!("sts:AssumeRole")))));
    let first = principal_of(&open, &assume(&open, &open.principal("chief"), &request()).unwrap());
    let again = |seconds| assume(&directory, &first, &SessionRequest { seconds: Some(seconds), ..request() });
    assert!(again(3600).is_ok());
    assert!(message(again(3601)).contains("role chaining"));
}

#[test]
fn tags_and_source_identities_need_rights_of_their_own() {
    let tagged = SessionRequest { tags: vec![("team".to_owned(), "blue".to_owned())], ..request() };
    let sourced = SessionRequest { source_identity: Some("ann".to_owned()), ..request() };
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let ann = directory.principal("ann");
    assert!(message(assume(&directory, &ann, &tagged)).contains("perform: sts:TagSession on"));
    assert!(message(assume(&directory, &ann, &sourced)).contains("perform: sts:SetSourceIdentity on"));
    let directory = ann_trusted(&json!(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]));
    let issued = assume(&directory, &ann, &SessionRequest { tags: tagged.tags.clone(), ..sourced }).unwrap();
    assert_eq!((issued.packed_percent, issued.source_identity.as_deref()), (Some(1), Some("ann")));
    let session = principal_of(&directory, &issued).session.clone().unwrap();
    assert_eq!((session.tags.as_slice(), session.source_identity.as_deref()), (tagged.tags.as_slice(), Some("ann")));
}

#[test]
fn conditions_of_trust_policies() {
    let trust = json!([{
        "Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"sts:ExternalId": "deal", "sts:RoleSessionName": "visit",
            "aws:RequestTag/team": "red", "iam:ResourceTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}},
    }]);
    let directory = Directory::of(&document(&trust));
    let ann = directory.principal("ann");
    let good = SessionRequest {
        external_id: Some("deal".to_owned()),
        tags: vec![("team".to_owned(), "red".to_owned())],
        ..request()
    };
    assert!(assume(&directory, &ann, &good).is_ok());
    type Change = fn(&mut SessionRequest);
    let changes: [Change; 4] = [
        |r| r.external_id = None,
        |r| r.external_id = Some("other".to_owned()),
        |r| r.session_name = "stay".to_owned(),
        |r| r.tags.push(("cost".to_owned(), "1".to_owned())),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut other = good.clone();
        change(&mut other);
        assert!(message(assume(&directory, &ann, &other)).contains("not authorized"), "{index}");
    }
    // The account is trusted, and gives the right on to who has a policy.
    assert!(message(assume(&directory, &directory.principal("bob"), &good)).contains("not authorized"));
}

#[test]
fn chains_keep_transitive_tags_and_source_identity() {
    let actions = json!(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]);
    let directory = Arc::new(Directory::of(&document(&trusting(&json!("*"), &actions))));
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let first = SessionRequest {
        tags: vec![pair("team", "red"), pair("cost", "1")],
        transitive_tag_keys: vec!["team".to_owned()],
        source_identity: Some("ann".to_owned()),
        ..request()
    };
    let caller = principal_of(&directory, &assume(&directory, &directory.principal("chief"), &first).unwrap());
    assert_eq!(caller.caller_arn(), "arn:aws:sts::111122223333:assumed-role/reader/visit");
    let second = principal_of(&directory, &assume(&directory, &caller, &request()).unwrap());
    let session = second.session.as_ref().unwrap();
    assert_eq!(session.tags, [pair("team", "red")]);
    assert_eq!(
        (session.transitive_tag_keys.as_slice(), session.source_identity.as_deref()),
        (&["team".to_owned()][..], Some("ann"))
    );
    let conflict = SessionRequest { tags: vec![pair("Team", "blue")], ..request() };
    assert!(message(assume(&directory, &caller, &conflict)).contains("conflicts with a transitive tag"));
    let other = SessionRequest { source_identity: Some("bob".to_owned()), ..request() };
    assert!(message(assume(&directory, &caller, &other)).contains("cannot be changed"));
    // What goes on needs its rights in each role of the chain.
    let silent = Arc::new(Directory::of(&document(&trusting(&json!("*"), &json!("sts:AssumeRole")))));
    assert!(message(assume(&silent, &caller, &request())).contains("sts:TagSession"));
}

#[test]
fn session_policies_bound_by_size_and_stay_when_they_are_gone() {
    let directory = ann_trusted(&json!(["sts:AssumeRole", "sts:TagSession"]));
    let ann = directory.principal("ann");
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/bounds");
    let bounded = SessionRequest {
        policy: Some(allow(&json!("s3:ListBucket")).to_string()),
        policy_arns: vec![arn.clone(), "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".to_owned()],
        ..request()
    };
    let issued = assume(&directory, &ann, &bounded).unwrap();
    let session = principal_of(&directory, &issued).session.clone().unwrap();
    assert_eq!(session.policies.len(), 3);
    assert!(session.policies.iter().all(|policy| policy.mistake().is_none()));
    let mut without = document(&trusting(&json!("*"), &json!("sts:AssumeRole")));
    without["managed_policies"] = json!([]);
    let without = Arc::new(Directory::of(&without));
    let session = principal_of(&without, &issued).session.clone().unwrap();
    assert_eq!(session.policies.iter().filter(|policy| policy.mistake().is_some()).count(), 1);
    let unknown = SessionRequest { policy_arns: vec![arn.replace("bounds", "nothing")], ..request() };
    assert!(message(assume(&directory, &ann, &unknown)).contains("does not exist"));
    let tags = (0..50).map(|number| (format!("{number:0128}"), "v".repeat(256))).collect();
    let large = SessionRequest { tags, ..request() };
    assert!(
        matches!(assume(&directory, &ann, &large), Err(SessionError::PackedPolicyTooLarge(percent)) if percent > 400)
    );
    let tags = (0..9).map(|number| (format!("{number:0128}"), "v".repeat(256))).collect();
    let largest = assume(&directory, &ann, &SessionRequest { tags, ..bounded }).unwrap();
    assert!(largest.packed_percent.unwrap() > 90 && largest.token.expose().len() < 6000);
}

#[test]
fn users_get_sessions_of_their_own() {
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let sealer = sealer("one", &[]);
    let ann = directory.principal("ann");
    let given = |caller: &Principal, seconds| session_token(&sealer, caller, seconds, NOW).unwrap().expires_at;
    assert_eq!((given(&ann, None), given(&ann, Some(129_600))), (NOW.after(43_200), NOW.after(129_600)));
    assert_eq!(given(&directory.principal("chief"), None), NOW.after(3600));
    for seconds in [0, 899, 129_601] {
        assert!(matches!(session_token(&sealer, &ann, Some(seconds), NOW), Err(SessionError::Validation(_))));
    }
    let issued = session_token(&sealer, &ann, None, NOW).unwrap();
    let caller = principal_of(&directory, &issued);
    assert_eq!(
        (caller.arn(), caller.user_id.clone(), caller.access_key.clone()),
        (ann.arn(), ann.user_id.clone(), issued.access_key)
    );
    assert!(matches!(session_token(&sealer, &caller, None, NOW), Err(SessionError::Denied { .. })));
}

#[test]
fn tokens_follow_who_they_stand_for() {
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let sealer = sealer("one", &[]);
    let of_user = session_token(&sealer, &directory.principal("ann"), None, NOW).unwrap();
    let of_role = assume(&directory, &directory.principal("ann"), &request()).unwrap();
    let sessions = OpenSessions::new(sealer);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = document(&trusting(&json!("*"), &json!("sts:AssumeRole")));
        // The ids of the first directory, which follow from access keys.
        change(&mut document);
        Arc::new(Directory::of(&document))
    };
    let find = |issued: &IssuedSession, directory: &Arc<Directory>| sessions.find(issued.token.expose(), directory);
    for _ in 0..2 {
        assert!(find(&of_user, &directory).is_ok() && find(&of_role, &directory).is_ok());
    }
    let disabled = changed(&|document| document["users"][1]["enabled"] = json!(false));
    assert!(matches!(find(&of_user, &disabled), Err(IamError::Disabled(_))) && find(&of_role, &disabled).is_ok());
    let gone = changed(&|document| {
        document["users"].as_array_mut().unwrap().remove(1);
        document["roles"] = json!([]);
    });
    assert!(matches!(find(&of_user, &gone), Err(IamError::NoSuchAccessKey(_))));
    assert!(matches!(find(&of_role, &gone), Err(IamError::NoSuchAccessKey(_))));
    let again = changed(&|document| document["roles"][0]["canonical_id"] = json!("cd".repeat(32)));
    assert!(matches!(find(&of_role, &again), Err(IamError::NoSuchAccessKey(_))), "another role of the same name");
    let ending = changed(&|document| document["users"][1]["expires_at"] = json!("2030-01-01"));
    assert!(find(&of_user, &ending).unwrap().holder_expires_at.0.is_some());
    let poorer = changed(&|document| document["roles"][0]["policies"] = json!([]));
    assert!(find(&of_role, &poorer).unwrap().credential.principal.policies.is_empty());
    assert!(find(&of_user, &directory).is_ok(), "back as it was");
}

#[test]
fn the_open_sessions_stay_bounded() {
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let sealer = sealer("one", &[]);
    let sessions = OpenSessions::new(sealer.clone());
    let ann = directory.principal("ann");
    let hot = session_token(&sealer, &ann, None, NOW).unwrap();
    let first = sessions.find(hot.token.expose(), &directory).unwrap();
    for _ in 0..OpenSessions::COUNT_MAX + 10 {
        let issued = session_token(&sealer, &ann, None, NOW).unwrap();
        sessions.find(issued.token.expose(), &directory).unwrap();
        assert!(
            Arc::ptr_eq(&first, &sessions.find(hot.token.expose(), &directory).unwrap()),
            "what is in use stays open"
        );
    }
    assert!(sessions.count() <= OpenSessions::COUNT_MAX);
    for bad in ["", "x", "AAAA"] {
        assert!(matches!(sessions.find(bad, &directory), Err(IamError::InvalidToken)));
    }
    assert!(sessions.count() <= OpenSessions::COUNT_MAX);
}

#[test]
fn keys_rotate() {
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let issued = session_token(&sealer("one", &[]), &directory.principal("ann"), None, NOW).unwrap();
    let find = |sealer| OpenSessions::new(sealer).find(issued.token.expose(), &directory).map(|_| ());
    assert!(find(sealer("one", &["two"])).is_ok());
    assert!(matches!(find(sealer("two", &["one"])), Err(IamError::InvalidToken)), "an earlier key may be somebody's");
    assert!(matches!(find(sealer("two", &[])), Err(IamError::InvalidToken)));
}

fn claims() -> Claims {
    Claims {
        issuer: "https://id.example/realm".to_owned(),
        subject: "5f2c".to_owned(),
        audience: vec!["app".to_owned()],
        authorized_party: None,
        methods: vec!["pwd".to_owned()],
        source_identity: None,
        tags: Vec::new(),
        transitive_tag_keys: Vec::new(),
    }
}

#[test]
fn web_identities() {
    let provider = json!({"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/id.example/realm")});
    let trust = json!([{
        "Effect": "Allow", "Principal": provider, "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
        "Condition": {"StringEquals": {"id.example/realm:aud": "app", "id.example/realm:sub": "5f2c"},
            "ForAnyValue:StringEquals": {"id.example/realm:amr": "pwd"},
            "StringEqualsIfExists": {"aws:RequestTag/team": "red"}},
    }]);
    let directory = Arc::new(Directory::of(&document(&trust)));
    let federated = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims();
        change(&mut claims);
        federate(&directory, &sealer("one", &[]), &request(), claims, &context())
    };
    let issued = federated(&|_| {}).unwrap();
    let identity = issued.identity.clone().unwrap();
    assert_eq!((identity.subject.as_str(), identity.audience.as_str()), ("5f2c", "app"));
    let session = principal_of(&directory, &issued).session.clone().unwrap();
    assert_eq!(session.provider.as_deref(), Some("arn:aws:iam::111122223333:oidc-provider/id.example/realm"));
    assert!(session.claims.contains(&("id.example/realm:sub".to_owned(), "5f2c".to_owned())));
    let tag = |claims: &mut Claims, value: &str| claims.tags = vec![("team".to_owned(), value.to_owned())];
    assert!(federated(&|claims| tag(claims, "red")).is_ok());
    assert!(matches!(federated(&|claims| tag(claims, "blue")), Err(SessionError::Denied { .. })));
    assert!(matches!(federated(&|claims| claims.subject = "other".to_owned()), Err(SessionError::Denied { .. })));
    assert!(matches!(
        federated(&|claims| claims.source_identity = Some("ann".to_owned())),
        Err(SessionError::Denied { .. })
    ));
    assert_eq!(message(federated(&|claims| claims.audience = vec!["other".to_owned()])), "Incorrect token audience");
    assert!(matches!(
        federated(&|claims| claims.authorized_party = Some("other".to_owned())),
        Err(SessionError::Denied { .. })
    ));
    assert!(
        message(federated(&|claims| claims.issuer = "https://id.example".to_owned()))
            .contains("No OpenIDConnect provider")
    );
    assert!(matches!(
        federated(&|claims| claims.methods = vec!["x".repeat(1024); 9]),
        Err(SessionError::RejectedClaim(_) | SessionError::Denied { .. })
    ));
}

#[test]
fn tokens_of_nobody_known() {
    let directory = ann_trusted(&json!("sts:AssumeRole"));
    let text = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UifQ.c2ln";
    let token = Token::parse(text).unwrap();
    assert!(matches!(find_provider(&directory, ROLE, token.issuer()), Err(SessionError::InvalidIdentityToken(_))));
    assert!(matches!(
        find_provider(&directory, "arn", Some("https://id.example/realm")),
        Err(SessionError::InvalidIdentityToken(_))
    ));
    assert!(find_provider(&directory, ROLE, Some("https://id.example/realm")).is_ok());
    assert!(find_provider(&directory, ROLE, Some("http://id.example/realm")).is_err());
    assert!(find_provider(&directory, ROLE, None).is_err());
}

fn grants() -> impl Strategy<Value = Grant> {
    let tag = ("[a-z]{1,8}", "\\PC{0,8}", any::<bool>()).prop_map(|(key, value, is_transitive)| SessionTag {
        key,
        value,
        is_transitive,
    });
    let holder = prop_oneof![
        any::<[u8; 32]>().prop_map(|id| Holder::user(&CanonicalId::from_bytes(id))),
        (any::<[u8; 32]>(), "[a-z]{2,64}").prop_map(|(id, name)| Holder::role(&CanonicalId::from_bytes(id), &name)),
    ];
    let federation = ("\\PC{0,20}", prop::collection::vec(("\\PC{0,9}", "\\PC{0,9}"), 0..4))
        .prop_map(|(provider, claims)| Federation { provider, claims });
    let terms = (
        prop::option::of(Just(allow(&json!("s3:*")).to_string())),
        prop::collection::vec("\\PC{0,20}", 0..4),
        prop::collection::vec(tag, 0..4),
        prop::option::of("\\PC{0,20}"),
        prop::option::of(federation),
    )
        .prop_map(|(policy, policy_arns, tags, source_identity, federation)| Terms {
            policy,
            policy_arns,
            tags,
            source_identity,
            federation,
        });
    (holder, terms, any::<u32>())
        .prop_map(|(holder, terms, seconds)| Grant::new(holder, terms, NOW, seconds.into()).unwrap())
}

proptest! {
    #[test]
    fn what_is_sealed_is_what_is_opened(grant in grants()) {
        let sealer = sealer("one", &[]);
        let token = token::seal(&grant, &sealer).unwrap().unwrap();
        prop_assert_eq!(&token::open(&token, &sealer).unwrap().grant, &grant);
        prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn nothing_else_opens(grant in grants(), at in any::<prop::sample::Index>(), with in "[A-Za-z0-9_-]", cut in any::<prop::sample::Index>()) {
        let sealer = sealer("one", &[]);
        let token = token::seal(&grant, &sealer).unwrap().unwrap();
        let at = at.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &with);
        prop_assert!(changed == token || token::open(&changed, &sealer).is_err());
        prop_assert!(token::open(&token[..cut.index(token.len())], &sealer).is_err());
        let longer = format!("{token}{with}");
        prop_assert!(token::open(&longer, &sealer).is_err());
    }

    #[test]
    fn no_text_is_taken_for_a_token(text in "\\PC{0,200}") {
        prop_assert!(token::open(&text, &sealer("one", &[])).is_err());
    }
}
