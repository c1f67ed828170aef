//! The keys of an identity provider (RFC 7517) and the signatures that they verify (RFC 7518 §3). Pure.
//!
//! Only asymmetric algorithms, each with its own kind of key: a token that names `none`, or a shared secret, finds none.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::jwt::{KeyName, Token};

/// Most keys of a provider that are looked at.
const KEYS_MAX: usize = 100;
/// Longest part of a key: an RSA modulus of 8192 bits, with a leading zero.
const PART_BYTES_MAX: usize = 1025;

/// The two curves in use, by their name in keys, and the length of a coordinate.
const CURVES: [(&str, usize); 2] = [("P-256", 32), ("P-384", 48)];

/// A key.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    /// The only algorithm that it is for.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone, PartialEq, Eq)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point (SEC 1 §2.3.3).
    Curve {
        name: &'static str,
        point: Vec<u8>,
    },
}

enum Algorithm {
    Rsa(&'static RsaParameters),
    Curve(&'static str, &'static EcdsaVerificationAlgorithm),
}

fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "RS256" => Algorithm::Rsa(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Algorithm::Rsa(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Algorithm::Rsa(&RSA_PKCS1_2048_8192_SHA512),
        "ES256" => Algorithm::Curve("P-256", &ECDSA_P256_SHA256_FIXED),
        "ES384" => Algorithm::Curve("P-384", &ECDSA_P384_SHA384_FIXED),
        _ => return None,
    })
}

/// The keys that a provider signs with.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.0.len())
    }
}

impl KeySet {
    /// Reads a key set. Keys for other purposes or of other kinds are passed over. None when it is no key set.
    pub fn parse(document: &Value) -> Option<Self> {
        let keys = document.get("keys")?.as_array()?;
        Some(Self(keys.iter().take(KEYS_MAX).filter_map(Key::parse).collect()))
    }

    /// Whether there is such a key: it has this id and is of the kind that the algorithm takes.
    pub fn may_verify(&self, name: &KeyName) -> bool {
        self.fitting(name).next().is_some()
    }

    /// Whether a key of the set signed the token.
    pub fn verifies(&self, token: &Token<'_>) -> bool {
        self.fitting(&token.key).any(|(key, algorithm)| key.verifies(&algorithm, token))
    }

    fn fitting<'k>(&'k self, name: &'k KeyName) -> impl Iterator<Item = (&'k Key, Algorithm)> {
        self.0.iter().filter_map(|key| {
            let is_named = name.id.is_none() || key.id == name.id;
            let is_for_it = key.algorithm.as_ref().is_none_or(|only| *only == name.algorithm);
            let algorithm = algorithm(&name.algorithm).filter(|algorithm| key.is_of(algorithm))?;
            (is_named && is_for_it).then_some((key, algorithm))
        })
    }
}

impl Key {
    fn parse(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok()?;
            (bytes.len() <= PART_BYTES_MAX).then_some(bytes)
        };
        let is_for_signatures = text("use").is_none_or(|purpose| purpose == "sig");
        let verifies = value.get("key_ops").and_then(Value::as_array);
        let may_verify = verifies.is_none_or(|uses| uses.iter().any(|purpose| purpose == "verify"));
        if !(is_for_signatures && may_verify) {
            return None;
        }
        let material = match text("kty")? {
            "RSA" => Material::Rsa { n: unsigned(&bytes("n")?), e: unsigned(&bytes("e")?) },
            "EC" => {
                let (name, length) = CURVES.into_iter().find(|(name, _)| text("crv") == Some(name))?;
                let coordinate = |name| bytes(name).filter(|bytes| bytes.len() == length);
                Material::Curve { name, point: [vec![4], coordinate("x")?, coordinate("y")?].concat() }
            }
            _ => return None,
        };
        Some(Self { id: text("kid").map(str::to_owned), algorithm: text("alg").map(str::to_owned), material })
    }

    fn is_of(&self, algorithm: &Algorithm) -> bool {
        match (&self.material, algorithm) {
            (Material::Rsa { .. }, Algorithm::Rsa(_)) => true,
            (Material::Curve { name, .. }, Algorithm::Curve(curve, _)) => name == curve,
            (Material::Rsa { .. }, Algorithm::Curve(..)) | (Material::Curve { .. }, Algorithm::Rsa(_)) => false,
        }
    }

    fn verifies(&self, algorithm: &Algorithm, token: &Token<'_>) -> bool {
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rsa(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, token.signed, &token.signature).is_ok()
            }
            (Material::Curve { point, .. }, Algorithm::Curve(_, curve)) => {
                UnparsedPublicKey::new(*curve, point).verify(token.signed, &token.signature).is_ok()
            }
            (Material::Rsa { .. }, Algorithm::Curve(..)) | (Material::Curve { .. }, Algorithm::Rsa(_)) => false,
        }
    }
}

/// A number without the zeros in front that some providers write.
fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    use super::*;

    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

    /// RFC 7515, appendix A.2.
    fn rsa() -> (String, Value) {
        let signature = concat!(
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t",
            "1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j",
            "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ",
            "Ge77Rw"
        );
        let n = concat!(
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pC",
            "gNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg6",
            "65xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW",
            "yuXpoQ"
        );
        (format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}.{signature}"), json!({"kty": "RSA", "n": n, "e": "AQAB"}))
    }

    /// RFC 7515, appendix A.3.
    fn curve() -> (String, Value) {
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let key = json!({
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        (format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}.{signature}"), key)
    }

    fn verifies(keys: &[&Value], token: &str) -> bool {
        KeySet::parse(&json!({"keys": keys})).unwrap().verifies(&Token::parse(token).unwrap())
    }

    fn with(key: &Value, name: &str, value: Value) -> Value {
        let mut key = key.clone();
        key[name] = value;
        key
    }

    #[test]
    fn the_published_examples() {
        let ((rsa_token, rsa_key), (curve_token, curve_key)) = (rsa(), curve());
        assert!(verifies(&[&rsa_key], &rsa_token) && verifies(&[&curve_key], &curve_token));
        assert!(verifies(&[&curve_key, &rsa_key], &rsa_token) && !verifies(&[&curve_key], &rsa_token));
        assert!(!verifies(&[], &rsa_token) && !verifies(&[&rsa_key], &curve_token));
        for token in [&rsa_token, &curve_token] {
            let changed = token.replacen("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Uj", 1);
            let cut = &token[..token.len() - 4];
            for bad in [changed.as_str(), cut] {
                let Ok(bad) = Token::parse(bad) else { continue };
                assert!(!KeySet::parse(&json!({"keys": [rsa_key, curve_key]})).unwrap().verifies(&bad));
            }
        }
    }

    #[test]
    fn what_keys_are_for() {
        let (token, key) = rsa();
        for (name, value) in
            [("use", json!("enc")), ("key_ops", json!(["sign"])), ("alg", json!("RS512")), ("kty", json!("oct"))]
        {
            assert!(!verifies(&[&with(&key, name, value.clone())], &token), "{name} {value}");
        }
        for (name, value) in
            [("use", json!("sig")), ("key_ops", json!(["verify"])), ("alg", json!("RS256")), ("kid", json!("a"))]
        {
            assert!(verifies(&[&with(&key, name, value.clone())], &token), "{name} {value}");
        }
        let padded = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
        let padded = URL_SAFE_NO_PAD.encode([vec![0], padded].concat());
        assert!(verifies(&[&with(&key, "n", json!(padded))], &token));
        assert!(KeySet::parse(&json!({})).is_none() && KeySet::parse(&json!({"keys": 5})).is_none());
        assert!(!verifies(&[&json!("text"), &json!({"kty": "RSA"}), &with(&key, "n", json!("!"))], &token));
    }

    /// "none", and a shared secret that is the public key: the two ways in which tokens have chosen how they are verified.
    #[test]
    fn a_token_has_no_say() {
        let ((token, key), (_, curve_key)) = (rsa(), curve());
        let rest = token.split_once('.').unwrap().1;
        for algorithm in ["none", "None", "", "HS256", "HS512", "PS256", "ES256", "EdDSA", "rs256"] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": algorithm}).to_string());
            for token in [format!("{header}.{rest}"), format!("{header}.{PAYLOAD}.")] {
                assert!(!verifies(&[&key, &curve_key], &token), "{algorithm}");
            }
        }
    }

    #[test]
    fn the_key_is_the_one_that_is_named() {
        let random = SystemRandom::new();
        let signing = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(signing, document.as_ref()).unwrap();
        let point = pair.public_key().as_ref();
        let (x, y) = point[1..].split_at(48);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let key = json!({"kty": "EC", "crv": "P-384", "kid": "two", "x": x, "y": y});
        let signed = |kid: Value| {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": "ES384", "kid": kid}).to_string());
            let signature = pair.sign(&random, format!("{header}.{PAYLOAD}").as_bytes()).unwrap();
            format!("{header}.{PAYLOAD}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        assert!(verifies(&[&key], &signed(json!("two"))) && verifies(&[&key], &signed(Value::Null)));
        assert!(!verifies(&[&key], &signed(json!("one"))));
        assert!(!verifies(&[&with(&key, "crv", json!("P-256"))], &signed(json!("two"))));
    }
}
