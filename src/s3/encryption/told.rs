//! What answers tell of encryption: the method, the KMS key's ARN, whether there is a bucket key; of a customer's key the
//! algorithm and the MD5 that the request itself sent (S3 API Reference, "Response Elements" of each operation).

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use myfsio_actors::encryption::{Encryption, Method};
use myfsio_actors::kms::{KmsClient, KmsError};
use myfsio_actors::names::UploadId;

use super::asked::{BUCKET_KEY, CONTEXT, KMS_KEY, METHOD, single};
use super::customer::{ALGORITHM, OF_OBJECT};
use crate::node::Node;
use crate::s3::authorize::Primary;
use crate::s3::operation::Operation;

/// Response headers.
pub type Told = Vec<(&'static str, String)>;

/// The word of a method; none for a customer's key, which has headers of its own.
pub fn method_name(method: &Method) -> Option<&'static str> {
    match method {
        Method::Managed { .. } => Some("AES256"),
        Method::Kms { .. } => Some("aws:kms"),
        Method::Customer(_) => None,
    }
}

/// What is told of an object or a part to a request with these headers.
pub fn of_object(node: &Node, headers: &HeaderMap, encryption: Option<&Encryption>) -> Told {
    let Some(Encryption { method, .. }) = encryption else { return Told::new() };
    let mut told: Told = method_name(method).map(|name| (METHOD, name.to_owned())).into_iter().collect();
    match method {
        Method::Managed { .. } => {}
        Method::Kms { key_id, bucket_key, .. } => {
            told.push((KMS_KEY, arn_of(&node.kms, key_id)));
            if *bucket_key {
                told.push((BUCKET_KEY, "true".to_owned()));
            }
        }
        Method::Customer(_) => {
            if let Some(md5) = single(headers, OF_OBJECT.key_md5) {
                told.push((OF_OBJECT.algorithm, ALGORITHM.to_owned()));
                told.push((OF_OBJECT.key_md5, md5));
            }
        }
    }
    told
}

/// The same of an object or upload that the request makes, whose encryption context is told as well.
pub fn of_new_object(node: &Node, headers: &HeaderMap, encryption: Option<&Encryption>) -> Told {
    let mut told = of_object(node, headers, encryption);
    if let Some(Encryption { method: Method::Kms { context, .. }, .. }) = encryption
        && !context.is_empty()
        && let Ok(json) = serde_json::to_vec(context)
    {
        told.push((CONTEXT, STANDARD.encode(json)));
    }
    told
}

/// How the upload is encrypted that a request goes on with, in the headers that said so when it was begun: a policy that demands
/// them of objects would refuse every part otherwise. A customer's key comes with each request.
pub fn of_upload(node: &Node, request: &Primary<'_>) -> Told {
    let goes_on = matches!(
        request.operation,
        Operation::UploadPart | Operation::UploadPartCopy | Operation::CompleteMultipartUpload
    );
    let (Some(bucket), Some(key)) = (request.bucket.filter(|_| goes_on), request.key) else { return Told::new() };
    let upload = request.facts.query.get("uploadId").and_then(|id| UploadId::parse(id).ok());
    match upload.map(|id| node.storage.upload(bucket, key, id)) {
        Some(Ok(upload)) => of_object(node, request.facts.headers, upload.encryption.as_ref()),
        Some(Err(_)) | None => Told::new(),
    }
}

/// The ARN of a KMS key, also of one that was deleted; its id while the keys cannot be read.
fn arn_of(kms: &KmsClient, key_id: &str) -> String {
    match kms.find(key_id) {
        Ok(key) => key.arn.clone(),
        Err(KmsError::Destroyed { arn, .. }) => arn,
        Err(_) => key_id.to_owned(),
    }
}

/// Puts what is told on a response.
pub fn put(response: &mut HttpResponse, told: Told) {
    for (name, value) in told {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}
