//! The fuzz target of identity tokens: who signs with a key of the provider is believed, as far as the token is in force and for
//! the node, and nobody else.
#![allow(clippy::expect_used, reason = "what does not hold ends the run")]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::jwks::KeySet;
use super::jwt::{InvalidToken, Token};
use crate::iam::directory::Directory;
use crate::iam::sessions::fuzzing::directory;
use crate::iam::sessions::{OpenSessions, SessionRequest, check_token, federate, find_provider};
use crate::names::Stamp;
use crate::policy_engine::RequestContext;
use crate::seal::{Sealer, SecretKey};

const NOW_SECONDS: u64 = 1_700_000_000;
const ROLE: &str = "arn:aws:iam::111122223333:role/reader";
/// What is made once.
struct World {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    directory: Arc<Directory>,
    sealer: Sealer,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(signing, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(signing, document.as_ref()).expect("a key");
    let sealer = Sealer::new(&SecretKey::new("fuzzing"), &[]).expect("a sealer");
    World { pair, random, directory: Arc::new(directory()), sealer }
});

impl World {
    /// A token of these parts.
    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The public key, under a name.
    fn key(&self, id: Option<&String>) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        json!({"kty": "EC", "crv": "P-256", "kid": id, "x": coordinate(1), "y": coordinate(33)})
    }
}

/// Header, claims and key set as JSON, each behind a line `---`; without such a line, a whole token.
pub fn identity_token(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut parts = text.splitn(3, "\n---\n");
    match (parts.next(), parts.next(), parts.next()) {
        (Some(header), Some(claims), keys) => signed(&WORLD, header, claims, keys.unwrap_or("{\"keys\": []}")),
        _ => Token::parse(text.trim_end()).is_ok_and(|token| {
            assert!(token.signed.len() + token.signature.len() < text.len());
            true
        }),
    }
}

fn signed(world: &World, header: &str, claims: &str, keys: &str) -> bool {
    let text = world.sign(header, claims);
    let (Ok(token), Ok(mut document)) = (Token::parse(&text), serde_json::from_str::<Value>(keys)) else {
        return false;
    };
    let Some(strangers) = KeySet::parse(&document) else { return false };
    assert!(!strangers.verifies(&token), "a key that nobody signed with verifies");
    let by_us = token.key.algorithm == "ES256";
    if let Some(keys) = document.get_mut("keys").and_then(Value::as_array_mut) {
        keys.insert(0, world.key(token.key.id.as_ref()));
    }
    let keys = KeySet::parse(&document).expect("a key set");
    assert_eq!(keys.verifies(&token), by_us, "by {:?}", token.key);
    assert!(!by_us || keys.may_verify(&token.key));
    is_protected(&text, &keys);
    let claims = match check_token(token, &keys, NOW_SECONDS) {
        Ok(claims) => claims,
        Err(error) => {
            assert!((1..1024).contains(&error.to_string().len()), "{error}");
            return false;
        }
    };
    assert!(by_us && !claims.subject.is_empty());
    let later = Token::parse(&text).map(|token| token.into_claims(u64::MAX));
    assert!(matches!(later, Ok(Err(InvalidToken::Expired { .. }))), "a token lasts for ever");
    let request = SessionRequest { role_arn: ROLE.to_owned(), session_name: "visit".to_owned(), ..Default::default() };
    let found = find_provider(&world.directory, ROLE, Some(&claims.issuer)).is_ok();
    let for_us = claims.audience.iter().chain(&claims.authorized_party).any(|client| client == "app");
    let context = RequestContext::new(Stamp::default().after(NOW_SECONDS), None, false);
    let issued = match federate(&world.directory, &world.sealer, &request, claims.clone(), &context) {
        Ok(issued) => issued,
        Err(error) => {
            assert!((1..=4096).contains(&error.to_string().chars().count()), "{error}");
            return false;
        }
    };
    assert!(found && for_us, "credentials for a stranger's token");
    let session = OpenSessions::new(world.sealer.clone()).find(issued.token.expose(), &world.directory);
    let session = session.expect("what was given is opened").credential.principal.session.clone().expect("a session");
    assert_eq!((&session.tags, &session.source_identity), (&claims.tags, &claims.source_identity));
    assert!(session.claims.contains(&("id.example/realm:sub".to_owned(), claims.subject)));
    true
}

/// Whatever is changed of a token, nobody signed that.
fn is_protected(text: &str, keys: &KeySet) {
    let (signed, signature) = text.rsplit_once('.').unwrap_or_default();
    let (header, claims) = signed.split_once('.').unwrap_or_default();
    let other = URL_SAFE_NO_PAD.encode([URL_SAFE_NO_PAD.decode(claims).unwrap_or_default(), b" ".to_vec()].concat());
    let shorter = signature.get(4..).unwrap_or_default();
    for changed in [
        format!("{header}.{other}.{signature}"),
        format!("{signed}.{shorter}"),
        format!("{signed}.{shorter}{}", signature.get(..4).unwrap_or_default()),
        format!("{signed}."),
    ] {
        let is_believed = Token::parse(&changed).is_ok_and(|token| keys.verifies(&token));
        assert!(!is_believed || changed == text, "{changed}");
    }
}
