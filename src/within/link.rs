//! Whether the node would accept a presigned URL, without doing what it is for.

use actix_http::RequestHead;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use myfsio_actors::names::{BucketName, ObjectKey};

use super::{Asker, KEPT_HEADERS, Refusal};
use crate::s3::auth::query_signs;
use crate::s3::operation::Operation;
use crate::s3::preflight;
use crate::s3::route::{self, Address, Route};

impl Asker {
    /// Asks whether the URL would be accepted now if it came from this browser: its signature, its time, and the permission of whoever
    /// signed it. Nothing is read or changed, whatever it is for. Errs: InvalidArgument unless it is a presigned URL of this object; else
    /// as its request would be refused.
    pub async fn try_link(
        &self,
        method: &Method,
        url: &str,
        (bucket, key): (&BucketName, &ObjectKey),
    ) -> Result<(), Refusal> {
        let wrong = || Refusal::invalid("This is no presigned link of this object.");
        let operation = match *method {
            Method::GET => Operation::GetObject,
            Method::PUT => Operation::PutObject,
            Method::DELETE => Operation::DeleteObject,
            _ => return Err(wrong()),
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let host = HeaderValue::from_str(authority).map_err(|_| wrong())?;
        let target = uri.path_and_query().map(|target| target.as_str()).unwrap_or_default();
        let query = uri.query().unwrap_or_default();
        let is_signed = query.split('&').any(|pair| pair.starts_with("X-Amz-Signature="));
        let mut head = RequestHead::default();
        head.uri = target.parse().map_err(|_| wrong())?;
        match route::find(None, head.uri.path(), &[]) {
            Ok(Route::S3(Address::Object(of, named))) if is_signed && of == *bucket && named == *key => {}
            _ => return Err(wrong()),
        }
        head.method = method.clone();
        head.peer_addr = self.peer;
        // Who asks, and from where, is the browser; which host is asked, the URL says.
        for name in KEPT_HEADERS.map(HeaderName::from_static) {
            if !matches!(name.as_str(), "host" | "x-forwarded-host") {
                self.headers.get_all(&name).for_each(|value| head.headers.append(name.clone(), value.clone()));
            }
        }
        head.headers.insert(HeaderName::from_static("host"), host);
        query_signs::adopt_headers(query, &mut head.headers);
        let caller = preflight::identify(&self.node, &head).await?;
        Ok(caller.ask_presigned(&self.node, operation, bucket, key).await?)
    }
}
