//! What a load needs before it can begin: the bucket, and the objects that are read, listed or deleted.

use std::sync::Arc;

use crate::connection::{Connection, Failure, Payload, Wanted};
use crate::keys::Keys;
use crate::progress::Progress;
use crate::round::{self, Outcome};
use crate::script::Script;
use crate::site::Site;
use crate::workload::{Operation, Stop, Workload};

/// Connections that put objects in place.
const CONNECTIONS: u32 = 64;

/// Puts every key of a load in place. Errs when one cannot be.
pub async fn put_keys(
    site: &Arc<Site>,
    workload: &Workload,
    keys: Keys,
    progress: &Arc<Progress>,
) -> Result<Outcome, String> {
    progress.begin(&format!("{}: putting objects in place", site.endpoint.name), Some(keys.count));
    let workload = Workload {
        operation: Operation::Put,
        connections: CONNECTIONS,
        stop: Stop::Count(keys.count),
        keys,
        fresh: false,
        ..workload.clone()
    };
    let told = |reason: String| format!("{}: cannot put objects in place: {reason}", site.endpoint.name);
    let outcome = round::run(site, &Arc::new(workload), 0, None, progress).await;
    let outcome = outcome.map_err(|failure| told(failure.to_string()))?;
    match outcome.errors.keys().next() {
        Some(error) => Err(told(error.clone())),
        None => Ok(outcome),
    }
}

/// Creates the site's bucket, if it is not there. Errs when it cannot be.
pub async fn create_bucket(site: &Site) -> Result<(), String> {
    let mut request = Vec::new();
    site.write_request(&mut request, "PUT", &site.path(""), "", Some(0));
    match Connection::new(site.address).exchange(&mut request, Payload::NONE, Wanted::default()).await {
        // That of its owner or of somebody else: what follows will tell.
        Ok(_) | Err(Failure::Status(409, _)) => Ok(()),
        Err(failure) => Err(format!("{}: cannot create {}: {failure}", site.endpoint.name, site.bucket)),
    }
}

/// Has the site's bucket keep versions (S3 API Reference, PutBucketVersioning). Errs when it does not.
pub async fn set_versioning(site: &Site) -> Result<(), String> {
    const STATUS: &[u8] = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    configure(site, "versioning=", STATUS).await
}

/// Has the site's bucket encrypt what is put into it, under the server's own key (S3 API Reference, PutBucketEncryption). Errs when
/// it does not.
pub async fn encrypt_bucket(site: &Site) -> Result<(), String> {
    const RULES: &[u8] = b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>\
        <SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
    configure(site, "encryption=", RULES).await
}

async fn configure(site: &Site, query: &str, document: &[u8]) -> Result<(), String> {
    let payload = Payload { pattern: document, length: document.len() as u64 };
    let mut request = Vec::new();
    site.write_request(&mut request, "PUT", &site.path(""), query, Some(payload.length));
    let answer = Connection::new(site.address).exchange(&mut request, payload, Wanted::default()).await;
    answer
        .map(drop)
        .map_err(|failure| format!("{}: cannot set {query} of {}: {failure}", site.endpoint.name, site.bucket))
}

/// How many keys and common prefixes the first listing of a load answers.
pub async fn count_entries(site: &Site, workload: &Workload) -> Result<usize, String> {
    let mut request = Vec::new();
    Script::new(site, Operation::List, workload, workload.keys.clone()).request(site, 0, &mut request);
    let wanted = Wanted { body: true, ..Wanted::default() };
    let answer = Connection::new(site.address).exchange(&mut request, Payload::NONE, wanted).await;
    let answer = answer.map_err(|failure| format!("{}: cannot list: {failure}", site.endpoint.name))?;
    Ok(answer.body.matches("<Contents>").count() + answer.body.matches("<CommonPrefixes>").count())
}
