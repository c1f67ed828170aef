//! Documents of requests. A field that is not known is refused: it would seem to be obeyed.

use myfsio_actors::replication_worker::{ConnectionDraft, Mode, RuleDocument};
use myfsio_actors::seal::SecretKey;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::s3::error::{ErrorCode, S3Error};

/// Reads a JSON document; an empty body is an empty document. Errs: InvalidArgument.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, S3Error> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| S3Error::with_message(ErrorCode::InvalidArgument, error.to_string()))
}

/// A connection; on a change, what is left out stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConnectionBody {
    id: Option<String>,
    name: Option<String>,
    endpoint_url: Option<String>,
    access_key: Option<String>,
    secret_key: Option<String>,
    region: Option<String>,
    concurrency: Option<u16>,
    bytes_per_second: Option<u64>,
}

impl ConnectionBody {
    /// What is wanted of the connection of this id, or of a new one.
    pub(super) fn draft(self, id: Option<&str>) -> Result<ConnectionDraft, S3Error> {
        if let (Some(id), Some(asked)) = (id, &self.id)
            && id != asked
        {
            return Err(S3Error::invalid_argument("id", asked, "The id of a connection never changes."));
        }
        if id.is_none() && self.id.is_some() {
            let message = "The node chooses the ids of connections.";
            return Err(S3Error::invalid_argument("id", &self.id.unwrap_or_default(), message));
        }
        Ok(ConnectionDraft {
            id: id.map(str::to_owned),
            name: self.name,
            endpoint_url: self.endpoint_url,
            access_key: self.access_key,
            secret_key: self.secret_key.as_deref().map(SecretKey::new),
            region: self.region,
            concurrency: self.concurrency,
            bytes_per_second: self.bytes_per_second,
        })
    }
}

/// What a test asks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestBody {
    /// The target bucket.
    pub bucket: Option<String>,
}

/// How a bucket is to be replicated.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleBody {
    /// Id or name of the connection.
    pub target_connection_id: String,
    /// The bucket there.
    pub target_bucket: String,
    /// Whether it is sent.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// What is replicated.
    #[serde(default = "new_only")]
    pub mode: Mode,
    /// Its id.
    pub id: Option<String>,
    /// Whether deletes are.
    #[serde(default = "yes")]
    pub replicate_deletes: bool,
    /// Whether deletes of versions are.
    #[serde(default)]
    pub delete_versions: bool,
    /// More than that.
    pub rules: Option<Vec<RuleDocument>>,
}

fn yes() -> bool {
    true
}

fn new_only() -> Mode {
    Mode::NewOnly
}

/// Which failures are meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhichBody {
    /// Only this key; none is all of them.
    pub key: Option<String>,
    /// Only this version of it.
    pub version_id: Option<String>,
}

/// Which side of a conflict is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// The key.
    pub key: String,
    /// The version id of the side that lost.
    pub version_id: String,
    /// Which side.
    pub keep: Keep,
}

/// A side of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Keep {
    /// What is there.
    Current,
    /// What lost.
    Copy,
}
