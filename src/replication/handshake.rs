//! Who is at the other end of a connection, and what may be done in the target bucket.
//!
//! A node says so itself. Of other services it is found out as far as it shows without writing anything.

use myfsio_actors::names::{NodeId, Stamp};
use myfsio_actors::replication_worker::{Handshake, PeerBucket, PeerNode, PeerRights};
use myfsio_actors::storage::Versioning;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::client::{Ask, Failure, Place, Remote, Reply, S3Client};
use super::content::Payload;
use crate::s3::replica::{NODE, named_node};
use crate::s3::xml::client as documents;

/// The route of a node that answers.
pub const ROUTE: &str = "/_myfsio/replication/peer";

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its id: 16 hexadecimal digits.
    pub node_id: String,
    /// What its clock shows, in nanoseconds since the Unix epoch.
    pub time: u64,
    /// Its version.
    pub version: String,
    /// The bucket that was asked for; none when none was.
    pub bucket: Option<AnsweredBucket>,
    /// What the caller may do in it.
    pub rights: Rights,
    /// Whether it takes small objects together ([`super::together`]); earlier versions do not say.
    #[serde(default)]
    pub together: bool,
    /// Whether an upload can be completed as an object of a single request ([`crate::s3::replica::ETAG`]); earlier versions do not say.
    #[serde(default)]
    pub whole: bool,
}

/// What a node says of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AnsweredBucket {
    /// Whether it is there.
    pub exists: bool,
    /// `Enabled`, `Suspended` or `Off`.
    pub versioning: String,
    /// Whether objects can be locked.
    pub object_lock: bool,
}

/// What a node says of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the rights by their names")]
pub struct Rights {
    pub read: bool,
    pub write: bool,
    pub delete: bool,
    pub replicate: bool,
}

/// How a state of versioning is told.
pub fn versioning_name(versioning: Versioning) -> &'static str {
    match versioning {
        Versioning::Off => "Off",
        Versioning::Enabled => "Enabled",
        Versioning::Suspended => "Suspended",
    }
}

fn versioning(name: &str) -> Versioning {
    match name {
        "Enabled" => Versioning::Enabled,
        "Suspended" => Versioning::Suspended,
        _ => Versioning::Off,
    }
}

/// Asks a target. Errs only where nobody could be asked.
pub async fn ask(client: &S3Client, remote: &Remote, bucket: Option<&str>) -> Result<Handshake, Failure> {
    let query: Vec<_> = bucket.iter().map(|bucket| ("bucket", *bucket)).collect();
    match get(client, remote, Place::Route(ROUTE), &query).await {
        Ok(reply) => match serde_json::from_slice::<Answer>(&reply.body) {
            Ok(answer) => of_node(answer),
            // Something that says yes to everything.
            Err(_) => of_service(client, remote, bucket).await,
        },
        Err(failure) => match credentials_problem(&failure) {
            Some(problem) => Ok(Handshake { problem: Some(problem), ..Handshake::default() }),
            None if passes(&failure) => Err(failure),
            None => of_service(client, remote, bucket).await,
        },
    }
}

async fn get(client: &S3Client, remote: &Remote, place: Place<'_>, query: &[(&str, &str)]) -> Result<Reply, Failure> {
    let ask = || Ask { method: Method::GET, place, query, headers: Vec::new(), payload: Payload::Empty };
    match client.send(remote, ask()).await {
        // The time there is known by now.
        Err(failure) if failure.code() == "RequestTimeTooSkewed" => client.send(remote, ask()).await,
        answered => answered,
    }
}

/// Whether it says nothing of what is there: nobody answered, or somebody who cannot now.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::Refused { status, refusal, .. } => {
            *status == 429 || (*status >= 500 && *status != 501) || refusal.code == "RequestTimeTooSkewed"
        }
        Failure::Unreachable(_) | Failure::Nonsense(_) | Failure::Ours(_) | Failure::Impossible(_) => true,
    }
}

/// What is wrong with the credentials, if that is what a refusal is about.
fn credentials_problem(failure: &Failure) -> Option<String> {
    let codes = [
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "AuthorizationHeaderMalformed",
        "InvalidClientTokenId",
    ];
    codes.contains(&failure.code()).then(|| format!("the credentials are refused: {failure}"))
}

fn of_node(answer: Answer) -> Result<Handshake, Failure> {
    let id: NodeId = answer.node_id.parse().map_err(|_| Failure::Nonsense("the node has no id".to_owned()))?;
    let Rights { read, write, delete, replicate } = answer.rights;
    let bucket = answer
        .bucket
        .filter(|bucket| bucket.exists)
        .map(|bucket| PeerBucket { versioning: versioning(&bucket.versioning), object_lock: bucket.object_lock });
    Ok(Handshake {
        node: Some(PeerNode { id, time: Stamp(answer.time) }),
        bucket,
        rights: PeerRights { read, write, delete, replicate },
        version: format!("MyFSIO {}", answer.version),
        together: answer.together,
        whole: answer.whole,
        problem: None,
        is_hidden: false,
    })
}

/// The node that names itself in an answer of the S3 API: something in front of it keeps its own routes from us.
fn hidden(reply: &Reply) -> Option<PeerNode> {
    reply.header(NODE).and_then(named_node).map(|(id, time)| PeerNode { id, time })
}

async fn of_service(client: &S3Client, remote: &Remote, bucket: Option<&str>) -> Result<Handshake, Failure> {
    // What may be written shows when it is written.
    let mut found = Handshake {
        rights: PeerRights { read: true, write: true, delete: true, replicate: false },
        ..Handshake::default()
    };
    let listed = match bucket {
        Some(bucket) => {
            let query = [("list-type", "2"), ("max-keys", "1")];
            get(client, remote, Place::Bucket(bucket), &query).await
        }
        None => get(client, remote, Place::Route("/"), &[]).await,
    };
    match listed {
        Ok(reply) => {
            found.version = reply.header("server").unwrap_or("an S3 service").to_owned();
            found.node = hidden(&reply);
            if let Some(bucket) = bucket {
                found.bucket = Some(bucket_of(client, remote, bucket).await?);
            }
        }
        Err(failure) if credentials_problem(&failure).is_some() => found.problem = credentials_problem(&failure),
        Err(failure) if passes(&failure) => return Err(failure),
        Err(failure) => {
            found.rights.read = false;
            match (failure.code(), failure.status()) {
                ("NoSuchBucket", _) => {}
                // Whether it is there is not told.
                (_, 403) => {
                    found.bucket = bucket.map(|_| PeerBucket { versioning: Versioning::Off, object_lock: false })
                }
                _ => found.problem = Some(failure.to_string()),
            }
            // Whoever may not list the bucket may still ask which there are.
            if let Ok(reply) = get(client, remote, Place::Route("/"), &[]).await {
                found.node = hidden(&reply);
            }
        }
    }
    found.is_hidden = found.node.is_some();
    Ok(found)
}

async fn bucket_of(client: &S3Client, remote: &Remote, bucket: &str) -> Result<PeerBucket, Failure> {
    let versions = match get(client, remote, Place::Bucket(bucket), &[("versioning", "")]).await {
        Ok(reply) => documents::versioning(&reply.body).ok().flatten(),
        Err(failure) if passes(&failure) => return Err(failure),
        Err(_) => None,
    };
    let lock = match get(client, remote, Place::Bucket(bucket), &[("object-lock", "")]).await {
        Ok(_) => true,
        Err(failure) if passes(&failure) => return Err(failure),
        Err(_) => false,
    };
    Ok(PeerBucket { versioning: versioning(versions.as_deref().unwrap_or_default()), object_lock: lock })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_node_does_not_say_it_does_not_do() {
        let told = r#"{"node_id": "00000000000000ab", "time": 7, "version": "0.1.0", "bucket": null,
                       "rights": {"read": true, "write": true, "delete": true, "replicate": true}}"#;
        let earlier = of_node(serde_json::from_str(told).unwrap()).unwrap();
        assert!(earlier.takes_replicas() && !earlier.together && !earlier.whole);
        let now = told.replacen('{', r#"{"together": true, "whole": true, "#, 1);
        let now = of_node(serde_json::from_str(&now).unwrap()).unwrap();
        assert!(now.together && now.whole);
    }
}
