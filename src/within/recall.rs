//! Asking again later in the name of somebody: what of their request is kept for that, and whether they may still ask.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_http::RequestHead;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::names::AccessKeyId;
use serde::{Deserialize, Serialize};

use super::{Asker, KEPT_HEADERS, Refusal, resume};
use crate::node::Node;

/// Where a request came from: what conditions of policies ask for, and nothing secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whence {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
}

impl Whence {
    /// Of a request that came to the API. A value that is no text is left out.
    pub fn of(head: &RequestHead) -> Self {
        let values = |name: &'static str| head.headers.get_all(name).map(move |value| (name, value));
        let kept = KEPT_HEADERS.into_iter().flat_map(values);
        let headers = kept.filter_map(|(name, value)| Some((name.to_owned(), value.to_str().ok()?.to_owned())));
        Self { headers: headers.collect(), peer: head.peer_addr }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        headers
    }
}

impl Asker {
    /// Whoever has this access key now, asking as from there. Errs: the key may not be used any more.
    pub async fn recall(node: &Arc<Node>, access_key: &AccessKeyId, whence: &Whence) -> Result<Self, Refusal> {
        let mut head = RequestHead::default();
        head.headers = whence.headers();
        head.peer_addr = whence.peer;
        let principal = resume(node, &head, access_key).await?.principal;
        Ok(Self { node: Arc::clone(node), principal, headers: head.headers, peer: whence.peer, expected: None })
    }
}
