//! Reads JSON Web Tokens in their compact form (RFC 7515 §7.1, RFC 7519). Pure: verifying is `jwks`' work.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Longest token (STS API Reference, AssumeRoleWithWebIdentity), in bytes.
const TOKEN_BYTES_MAX: usize = 20_000;
/// How far a provider's clock may be ahead of the node's, in seconds.
const SKEW_SECONDS: u64 = 60;
/// Claim with session tags (IAM User Guide, "Passing session tags using AssumeRoleWithWebIdentity").
const TAGS_CLAIM: &str = "https://aws.amazon.com/tags";
/// Claim with the source identity (IAM User Guide, "Monitor and control actions taken with assumed roles").
const SOURCE_IDENTITY_CLAIM: &str = "https://aws.amazon.com/source_identity";

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is no such token.
    #[error("The ID Token provided is not a valid JWT: {0}.")]
    Malformed(&'static str),
    /// It is none yet, or says what cannot be.
    #[error("The web identity token was refused: {0}.")]
    Refused(&'static str),
    /// It has ended.
    #[error("Token expired: current date/time {now} must be before the expiration date/time {end}")]
    Expired {
        /// Seconds since the epoch.
        now: u64,
        /// Seconds since the epoch.
        end: u64,
    },
}

use InvalidToken::{Malformed, Refused};

/// By which key a token says that it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    /// `alg` of its header.
    pub algorithm: String,
    /// `kid` of its header.
    pub id: Option<String>,
}

/// A token that nobody has verified.
#[derive(Debug)]
pub struct Token<'a> {
    /// By which key it says that it was signed.
    pub key: KeyName,
    /// What the signature covers.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
    claims: Value,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub fn parse(text: &'a str) -> Result<Self, InvalidToken> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(Malformed("it is too long"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed("it has no three parts"))?;
        let (header, payload) = signed.split_once('.').ok_or(Malformed("it has no three parts"))?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed("a part is not base64"));
        let object = |part: &str| {
            let value: Value = serde_json::from_slice(&decode(part)?).map_err(|_| Malformed("a part is not JSON"))?;
            if value.is_object() { Ok(value) } else { Err(Malformed("a part is no JSON object")) }
        };
        let header = object(header)?;
        // Extensions that must be understood, and unencoded payloads, are nothing that identity providers use.
        if header.get("crit").is_some() || header.get("b64").is_some() {
            return Err(Malformed("its header asks for an extension"));
        }
        let text_of = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            key: KeyName {
                algorithm: text_of("alg").ok_or(Malformed("its header names no algorithm"))?,
                id: text_of("kid"),
            },
            signed: signed.as_bytes(),
            signature: decode(signature)?,
            claims: object(payload)?,
        })
    }

    /// Who claims to have issued it: to find the keys that it must be verified with.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    /// What it claims, for whoever has verified the signature. Errs: it has ended or does not hold yet, or a claim that it must
    /// have is missing or of another kind.
    pub fn into_claims(self, now_seconds: u64) -> Result<Claims, InvalidToken> {
        let claims = &self.claims;
        let text_of = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if (1..=1024).contains(&text.len()) => Ok(Some(text.clone())),
            Some(_) => Err(Refused("a claim is no text, or too long")),
        };
        let end = seconds(claims.get("exp")).ok_or(Refused("it has no expiration"))?;
        if end <= now_seconds {
            return Err(InvalidToken::Expired { now: now_seconds, end });
        }
        for name in ["nbf", "iat"] {
            let start = match claims.get(name) {
                None | Some(Value::Null) => 0,
                time => seconds(time).ok_or(Refused("a time is no number"))?,
            };
            if start > now_seconds.saturating_add(SKEW_SECONDS) {
                return Err(Refused("it is not valid yet"));
            }
        }
        let (tags, transitive_tag_keys) = tags(claims.get(TAGS_CLAIM))?;
        Ok(Claims {
            issuer: text_of("iss")?.ok_or(Refused("it names no issuer"))?,
            subject: text_of("sub")?.ok_or(Refused("it has no subject"))?,
            audience: texts(claims.get("aud"))?,
            authorized_party: text_of("azp")?,
            methods: texts(claims.get("amr"))?,
            source_identity: text_of(SOURCE_IDENTITY_CLAIM)?,
            tags,
            transitive_tag_keys,
        })
    }
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `aud`
    pub audience: Vec<String>,
    /// `azp`
    pub authorized_party: Option<String>,
    /// `amr`
    pub methods: Vec<String>,
    /// `https://aws.amazon.com/source_identity`
    pub source_identity: Option<String>,
    /// `principal_tags` of `https://aws.amazon.com/tags`
    pub tags: Vec<(String, String)>,
    /// `transitive_tag_keys` of the same
    pub transitive_tag_keys: Vec<String>,
}

impl Claims {
    /// The clients that the token was made for: the party that asked for it, where it names that, else its audience.
    pub fn clients(&self) -> &[String] {
        match &self.authorized_party {
            Some(party) => std::slice::from_ref(party),
            None => &self.audience,
        }
    }
}

/// A time, in seconds since the epoch; fractions are cut off (RFC 7519 §2, NumericDate).
fn seconds(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    let whole = |seconds: &f64| (0.0..1e15).contains(seconds);
    // In range, so nothing but the fraction is lost.
    value.as_u64().or_else(|| value.as_f64().filter(whole).map(|seconds| seconds as u64))
}

/// A text or a list of texts.
fn texts(value: Option<&Value>) -> Result<Vec<String>, InvalidToken> {
    const TEXTS_MAX: usize = 50;
    let list = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
    };
    let text = |value: &Value| value.as_str().filter(|text| text.len() <= 1024).map(str::to_owned);
    let texts: Option<Vec<String>> = list.iter().map(text).collect();
    texts.filter(|texts| texts.len() <= TEXTS_MAX).ok_or(Refused("a claim is no list of texts, or too long"))
}

type Tags = (Vec<(String, String)>, Vec<String>);

/// The session tags. A value stands alone or in a list of one.
fn tags(claim: Option<&Value>) -> Result<Tags, InvalidToken> {
    let refused = || Refused("its claim of tags is malformed");
    let claim = match claim {
        None | Some(Value::Null) => return Ok(Tags::default()),
        // Some providers can only claim texts.
        Some(Value::String(text)) => &serde_json::from_str::<Value>(text).map_err(|_| refused())?,
        Some(claim) => claim,
    };
    let pairs = claim.get("principal_tags").and_then(Value::as_object).ok_or_else(refused)?;
    let mut tags = Vec::with_capacity(pairs.len());
    for (key, values) in pairs {
        let values = texts(Some(values))?;
        let [value] = values.as_slice() else { return Err(Refused("a tag has no single value")) };
        tags.push((key.clone(), value.clone()));
    }
    Ok((tags, texts(claim.get("transitive_tag_keys"))?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn text(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    fn claims(more: Value) -> Result<Claims, InvalidToken> {
        let mut all = json!({"iss": "https://id.example", "sub": "ann", "aud": "app", "exp": NOW + 60});
        for (name, value) in more.as_object().unwrap() {
            all[name] = value.clone();
        }
        let text = text(&json!({"alg": "RS256"}), &all);
        Token::parse(&text)?.into_claims(NOW)
    }

    #[test]
    fn what_is_no_token() {
        let good = text(&json!({"alg": "RS256", "kid": "1"}), &json!({"iss": "x"}));
        let token = Token::parse(&good).unwrap();
        assert_eq!(
            (token.key.algorithm.as_str(), token.key.id.as_deref(), token.issuer()),
            ("RS256", Some("1"), Some("x"))
        );
        assert_eq!((token.signature.as_slice(), token.signed.len()), (&b"sig"[..], good.len() - 5));
        for bad in
            ["", "a", "a.b", "..", "a.b.c", "e30.e30.", "W10.e30.c2ln", &good.replace('.', "=."), &"a".repeat(20_001)]
        {
            assert!(matches!(Token::parse(bad), Err(Malformed(_))), "{bad}");
        }
        for header in
            [json!({"alg": "RS256", "crit": ["b64"]}), json!({"alg": "RS256", "b64": false}), json!({"alg": 1})]
        {
            assert!(Token::parse(&text(&header, &json!({}))).is_err(), "{header}");
        }
    }

    #[test]
    fn times() {
        let refused = |more| claims(more).unwrap_err();
        assert_eq!(refused(json!({"exp": NOW})), InvalidToken::Expired { now: NOW, end: NOW });
        assert!(claims(json!({"exp": NOW as f64 + 0.5})).is_err() && claims(json!({"exp": NOW as f64 + 1.5})).is_ok());
        for more in [
            json!({"exp": null}),
            json!({"exp": "9999999999"}),
            json!({"exp": -1}),
            json!({"exp": 1e300}),
            json!({"nbf": NOW + 61}),
            json!({"nbf": "1"}),
            json!({"iat": NOW + 61}),
        ] {
            assert!(matches!(refused(more.clone()), Refused(_)), "{more}");
        }
        assert!(claims(json!({"nbf": NOW + 60, "iat": NOW - 5})).is_ok());
    }

    #[test]
    fn who_and_for_whom() {
        let good = claims(json!({"aud": ["app", "web"], "amr": ["pwd"]})).unwrap();
        assert_eq!((good.subject.as_str(), good.clients(), good.methods.len()), ("ann", &good.audience[..], 1));
        assert_eq!(claims(json!({"azp": "cli"})).unwrap().clients(), ["cli"]);
        for more in [
            json!({"iss": null}),
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"sub": 5}),
            json!({"sub": "a".repeat(1025)}),
            json!({"aud": 5}),
            json!({"aud": [5]}),
            json!({"aud": vec!["a"; 51]}),
            json!({"azp": ["a"]}),
        ] {
            assert!(claims(more.clone()).is_err(), "{more}");
        }
    }

    proptest! {
        #[test]
        fn whatever_it_claims_is_judged(
            names in prop::collection::vec(prop::sample::select(vec![
                "iss", "sub", "aud", "azp", "exp", "nbf", "iat", "amr", TAGS_CLAIM, SOURCE_IDENTITY_CLAIM,
            ]), 0..10),
            values in prop::collection::vec(prop_oneof![
                Just(json!(null)), Just(json!(true)), Just(json!([[]])), Just(json!({"principal_tags": {"a": [1]}})),
                any::<f64>().prop_map(|number| json!(number)), any::<u64>().prop_map(|number| json!(number)),
                "\\PC{0,9}".prop_map(|text| json!(text)),
            ], 10),
        ) {
            let pairs = names.iter().zip(values).map(|(name, value)| ((*name).to_owned(), value));
            let text = text(&json!({"alg": "RS256"}), &Value::Object(pairs.collect()));
            if let Ok(claims) = Token::parse(&text).unwrap().into_claims(NOW) {
                prop_assert!(!claims.issuer.is_empty() && !claims.subject.is_empty());
            }
        }

        #[test]
        fn any_text_is_judged(text in "\\PC{0,60}", dots in "[a-zA-Z0-9_.-]{0,60}") {
            let _ = (Token::parse(&text).is_ok(), Token::parse(&dots).is_ok());
        }
    }

    #[test]
    fn session_tags() {
        let tagged = json!({"principal_tags": {"team": ["red"], "cost": "1"}, "transitive_tag_keys": ["team"]});
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for claim in [tagged.clone(), json!(tagged.to_string())] {
            let found = claims(json!({TAGS_CLAIM: claim, SOURCE_IDENTITY_CLAIM: "ann"})).unwrap();
            assert_eq!(found.tags, [pair("team", "red"), pair("cost", "1")]);
            assert_eq!(
                (found.transitive_tag_keys, found.source_identity),
                (vec!["team".to_owned()], Some("ann".to_owned()))
            );
        }
        for claim in [
            json!("text"),
            json!({}),
            json!({"principal_tags": []}),
            json!({"principal_tags": {"team": []}}),
            json!({"principal_tags": {"team": ["red", "blue"]}}),
            json!({"principal_tags": {"team": 5}}),
            json!({"principal_tags": {}, "transitive_tag_keys": {}}),
        ] {
            assert!(claims(json!({TAGS_CLAIM: claim})).is_err(), "{claim}");
        }
    }
}
