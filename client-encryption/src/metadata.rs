//! The three values that travel with an object, under the names that the S3 encryption clients of AWS use.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::chunks::IV_BYTES;
use crate::key::{ALGORITHM, DataKey, Fresh, WRAPPED_BYTES};
use crate::{ClientKey, Error};

/// The data key, wrapped under the client's key.
pub const KEY: &str = "x-amz-key";
/// What the nonces of the chunks begin with.
pub const IV: &str = "x-amz-iv";
/// How the object was encrypted, as JSON.
pub const MATDESC: &str = "x-amz-matdesc";

/// What S3 puts in front of the names of user metadata (S3 API Reference, PutObject).
const PREFIX: &str = "x-amz-meta-";
const VERSION: u64 = 1;
/// S3 stores 2 KiB of user metadata with an object; what else there is needs some room, too.
const MATDESC_BYTES_MAX: usize = 1024;
/// Longer values are not looked at.
const VALUE_BYTES_MAX: usize = 2048;

/// What an object is said to be, in the words of whoever encrypts it: names and values of printable ASCII characters. Authenticated,
/// not hidden.
pub type Context = BTreeMap<String, String>;

/// The metadata of one encrypted object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    key: String,
    iv: String,
    matdesc: String,
}

/// What the metadata hold for whoever has the key.
pub(crate) struct Opened {
    pub(crate) data_key: DataKey,
    pub(crate) iv: [u8; IV_BYTES],
    pub(crate) context: Context,
}

/// The JSON of `x-amz-matdesc`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    v: u64,
    alg: String,
    key_id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    context: Context,
}

/// What is asked of a description before the rest is read.
#[derive(Deserialize)]
struct Kind {
    v: Option<u64>,
    alg: Option<String>,
}

impl Metadata {
    /// Finds the three values among an object's metadata: the user metadata as SDKs give them, or all headers of an answer. Case
    /// does not matter. Errs: Missing, Malformed.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, Error> {
        let mut found = [(KEY, None), (IV, None), (MATDESC, None)];
        for (name, value) in pairs {
            let name = name.as_ref().to_ascii_lowercase();
            let name = name.strip_prefix(PREFIX).unwrap_or(&name);
            for (wanted, slot) in &mut found {
                if *wanted == name {
                    *slot = Some(value.as_ref().trim().to_owned());
                }
            }
        }
        let [key, iv, matdesc] = found.map(|(name, value)| match value {
            None => Err(Error::Missing(name)),
            Some(value) if value.len() > VALUE_BYTES_MAX => Err(Error::Malformed(name, "it is too long".to_owned())),
            Some(value) => Ok(value),
        });
        Ok(Self { key: key?, iv: iv?, matdesc: matdesc? })
    }

    /// Names and values as SDKs take them for user metadata.
    pub fn pairs(&self) -> [(&'static str, &str); 3] {
        [(KEY, &self.key), (IV, &self.iv), (MATDESC, &self.matdesc)]
    }

    /// Names and values as headers of a request.
    pub fn headers(&self) -> [(String, &str); 3] {
        self.pairs().map(|(name, value)| (format!("{PREFIX}{name}"), value))
    }

    /// Errs: BadContext, TooLong.
    pub(crate) fn describe(fresh: &Fresh, key: &ClientKey, context: &Context) -> Result<Self, Error> {
        let printable = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if !context.iter().all(|(name, value)| printable(name) && printable(value)) {
            return Err(Error::BadContext("only printable ASCII characters can stand in it"));
        }
        let description =
            Description { v: VERSION, alg: ALGORITHM.to_owned(), key_id: key.id(), context: context.clone() };
        let matdesc = serde_json::to_string(&description).map_err(|_| Error::BadContext("it is no JSON"))?;
        if matdesc.len() > MATDESC_BYTES_MAX {
            return Err(Error::BadContext("it is longer than the metadata of an object can be"));
        }
        let wrapped = key.wrap(fresh.wrap_nonce, &fresh.data_key, &bound(fresh.iv, &matdesc))?;
        Ok(Self { key: STANDARD.encode(wrapped), iv: STANDARD.encode(fresh.iv), matdesc })
    }

    /// Errs: Malformed, Unsupported, WrongKey, DamagedMetadata.
    pub(crate) fn open(&self, key: &ClientKey) -> Result<Opened, Error> {
        // What it is comes first: values of other programs look otherwise, and nothing is wrong with them.
        let Description { key_id: wanted, context, .. } = describe(&self.matdesc)?;
        let iv = decode(IV, &self.iv, IV_BYTES)?;
        let iv: [u8; IV_BYTES] = iv.as_slice().try_into().map_err(|_| Error::DamagedMetadata)?;
        let wrapped = decode(KEY, &self.key, WRAPPED_BYTES)?;
        let given = key.id();
        if wanted != given {
            return Err(Error::WrongKey { wanted, given });
        }
        let data_key = key.unwrap_key(&wrapped, &bound(iv, &self.matdesc))?;
        Ok(Opened { data_key, iv, context })
    }
}

/// What the wrapping of the data key authenticates: whoever changes one of the three values gets none of it decrypted.
fn bound(iv: [u8; IV_BYTES], matdesc: &str) -> Vec<u8> {
    [iv.as_slice(), matdesc.as_bytes()].concat()
}

fn describe(matdesc: &str) -> Result<Description, Error> {
    let malformed = |error: serde_json::Error| Error::Malformed(MATDESC, error.to_string());
    let kind: Kind = serde_json::from_str(matdesc).map_err(malformed)?;
    match (kind.v, kind.alg) {
        (Some(VERSION), Some(alg)) if alg == ALGORITHM => {}
        (Some(v), Some(alg)) => return Err(Error::Unsupported(format!("version {v}, {}", alg.escape_debug()))),
        _ => return Err(Error::Unsupported("x-amz-meta-x-amz-matdesc names no version and algorithm".to_owned())),
    }
    let description: Description = serde_json::from_str(matdesc).map_err(malformed)?;
    let is_id = description.key_id.len() == 16 && description.key_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(Error::Malformed(MATDESC, "its key_id is not 16 hexadecimal digits".to_owned()));
    }
    Ok(description)
}

fn decode(name: &'static str, value: &str, bytes: usize) -> Result<Vec<u8>, Error> {
    match STANDARD.decode(value) {
        Ok(decoded) if decoded.len() == bytes => Ok(decoded),
        Ok(decoded) => Err(Error::Malformed(name, format!("it holds {} bytes, not {bytes}", decoded.len()))),
        Err(_) => Err(Error::Malformed(name, "it is not base64".to_owned())),
    }
}
