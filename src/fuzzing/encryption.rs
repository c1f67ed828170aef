//! What headers ask for of encryption.

use actix_web::http::header::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::input::{Request, is_answered};
use crate::s3::encryption::asked::{Asked, AskedMethod, CONTEXT, KMS_KEY, METHOD, refuse_all, refuse_on_read};
use crate::s3::encryption::choice::Choice;
use crate::s3::encryption::customer::{OF_COPY_SOURCE, OF_OBJECT, brings_key, key_for, key_of};
use crate::s3::encryption::parts::check_part;

/// The headers of a write: a method and a customer's key exclude each other, a context is the same when it is told and read
/// again, a key is the customer's only with its own MD5, and what asks for something is refused where nothing may be asked for.
pub fn encryption_headers(data: &[u8]) -> bool {
    let Some(request) = Request::parse(data) else { return false };
    let headers = &request.headers;
    for error in [key_of(headers, OF_COPY_SOURCE).err(), check_part(headers, None, None).err()].iter().flatten() {
        is_answered(error, data);
    }
    let asked = match Asked::of_write(headers) {
        Ok(asked) => asked,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    assert!(asked.is_default() || refuse_all(headers).is_err());
    let names_method = headers.contains_key(METHOD);
    assert_eq!(names_method, matches!(asked.method, AskedMethod::Managed | AskedMethod::Kms { .. }));
    assert!(!names_method || refuse_on_read(headers).is_err());
    assert!(!headers.contains_key(KMS_KEY) || matches!(asked.method, AskedMethod::Kms { .. }));
    let mut changed = headers.clone();
    match &asked.method {
        AskedMethod::Kms { context, .. } => {
            let told = STANDARD.encode(serde_json::to_vec(context).expect("pairs of text"));
            let told = HeaderValue::from_str(&told).expect("base64");
            changed.insert(HeaderName::from_static(CONTEXT), told);
            let AskedMethod::Kms { context: again, .. } = Asked::of_write(&changed).expect("the same").method else {
                return false;
            };
            assert_eq!(*context, again);
        }
        AskedMethod::Customer(_) => {
            assert!(brings_key(headers) && key_for(headers, OF_OBJECT, None).is_err());
            let md5 = HeaderValue::from_static("AAAAAAAAAAAAAAAAAAAAAA==");
            changed.insert(HeaderName::from_static(OF_OBJECT.key_md5), md5);
            assert!(Asked::of_write(&changed).is_err());
        }
        AskedMethod::ByDefault | AskedMethod::Managed => {}
    }
    let is_plain = matches!(Choice::of(asked.clone(), None), Ok(Choice::Plain));
    assert_eq!(is_plain, asked.is_default());
    true
}
