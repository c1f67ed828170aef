//! Who asks. The same checks as in S3, but with the service and the regions of these APIs, and over a body that is at hand.

use std::sync::Arc;

use actix_http::RequestHead as HttpHead;
use myfsio_actors::names::Stamp;

use crate::node::Node;
use crate::s3::auth::signing::{Scope, sha256_hex};
use crate::s3::auth::{self, AuthSettings, Mechanism, PayloadSigning};
use crate::s3::authorize::Authenticated;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::preflight::request_head;
use crate::s3::request_head::RequestHead;

/// Regions that clients of global services sign for: whatever they are configured with, the first, and none at all where they are
/// configured with none.
const GLOBAL_REGIONS: [&str; 2] = ["us-east-1", ""];

/// Authenticates a request that claims `scope`, or none, and counts it against its access key. Errs: as authentication in S3 does;
/// SlowDown; XAmzContentSHA256Mismatch.
pub async fn authenticate(
    node: &Arc<Node>,
    head: &HttpHead,
    scope: Option<&Scope>,
    body: &[u8],
    now: Stamp,
) -> Result<Authenticated, S3Error> {
    let digest = sha256_hex(body);
    let peer = head.peer_addr.map(|peer| peer.ip());
    let seen = RequestHead { body_sha256: Some(&digest), ..request_head(head, None, peer) };
    let settings = settings(&node.settings.auth, scope);
    let auth = auth::authenticate(&seen, &settings, &node.access, now).await;
    let auth = auth.map_err(S3Error::of_credentials)?;
    node.note_use(auth.access_key_id.as_ref(), (&settings.service, &settings.region), now);
    node.request_rates.count(auth.principal.as_deref(), now)?;
    match (&auth.payload, auth.mechanism) {
        (PayloadSigning::Sha256(claimed), _) if hex::encode(claimed) == digest => Ok(auth),
        (PayloadSigning::Unsigned, Mechanism::Anonymous | Mechanism::HeaderPair) => Ok(auth),
        // What a request of these APIs asks for stands in its body, so the signature has to cover it.
        _ => Err(ErrorCode::XAmzContentSHA256Mismatch.into()),
    }
}

/// The settings that the scope is checked against.
fn settings(of_s3: &AuthSettings, scope: Option<&Scope>) -> AuthSettings {
    let Some(scope) = scope else { return of_s3.clone() };
    let region = match GLOBAL_REGIONS.contains(&scope.region()) {
        true => scope.region().to_owned(),
        false => of_s3.region.clone(),
    };
    AuthSettings { region, service: scope.service().to_owned(), ..of_s3.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_global_regions_and_the_nodes_own_are_taken() {
        let of_s3 = AuthSettings { region: "eu-central-1".to_owned(), ..AuthSettings::default() };
        let scope = |region: &str| Scope::new("20260101", region, "iam");
        for (region, expected) in
            [("us-east-1", "us-east-1"), ("", ""), ("eu-central-1", "eu-central-1"), ("mars-1", "eu-central-1")]
        {
            let settings = settings(&of_s3, Some(&scope(region)));
            assert_eq!((settings.region.as_str(), settings.service.as_str()), (expected, "iam"), "{region}");
        }
        assert_eq!(settings(&of_s3, None).service, "s3");
    }
}
