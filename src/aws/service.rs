//! Which of the services a request is for. Pure.

use actix_http::RequestHead;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use crate::s3::auth::signing::{ALGORITHM, Scope};
use crate::s3::request_head::query_pairs;

/// A service of AWS that is spoken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Identity and Access Management.
    Iam,
    /// Security Token Service.
    Sts,
    /// Key Management Service.
    Kms,
}

impl Service {
    /// The service that a credential scope names.
    pub fn of_scope(scope: &Scope) -> Option<Self> {
        match scope.service() {
            "iam" => Some(Self::Iam),
            "sts" => Some(Self::Sts),
            "kms" => Some(Self::Kms),
            _ => None,
        }
    }

    /// Its version of the API, which every request of the Query protocol names.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
            Self::Kms => "2014-11-01",
        }
    }

    /// Namespace of its XML answers.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Iam => "https://iam.amazonaws.com/doc/2010-05-08/",
            Self::Sts | Self::Kms => "https://sts.amazonaws.com/doc/2011-06-15/",
        }
    }

    /// Its name, as credential scopes have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iam => "iam",
            Self::Sts => "sts",
            Self::Kms => "kms",
        }
    }
}

/// The credential scope that a request claims, in its `Authorization` header or its query.
pub fn claimed_scope(head: &RequestHead) -> Option<Scope> {
    match header(&head.headers, "authorization") {
        Some(authorization) => {
            let (scheme, rest) = authorization.split_once(char::is_whitespace)?;
            let parts = || rest.split(',').map(str::trim);
            let credential = parts().find_map(|part| part.strip_prefix("Credential="))?;
            (scheme == ALGORITHM).then_some(Scope::parse_credential(credential)?.1)
        }
        None => {
            let mut pairs = query_pairs(head.uri.query().unwrap_or_default());
            let (_, credential) = pairs.find(|(name, _)| name == "X-Amz-Credential")?;
            Some(Scope::parse_credential(&credential)?.1)
        }
    }
}

/// Whether a request that addresses the node as a whole is for one of these services rather than for S3, which has no `POST /`:
/// signed for one, or, where no signature tells, a form or a JSON target.
pub fn is_meant(head: &RequestHead) -> bool {
    let signed_for_one = || claimed_scope(head).is_some_and(|scope| Service::of_scope(&scope).is_some());
    match head.method {
        Method::POST if is_unsigned(head) => is_form(&head.headers) || head.headers.contains_key(TARGET),
        Method::POST => signed_for_one(),
        Method::GET => {
            let names_action = query_pairs(head.uri.query().unwrap_or_default()).any(|(name, _)| name == "Action");
            names_action && signed_for_one()
        }
        _ => false,
    }
}

/// Header that names the operation in the JSON protocol.
pub const TARGET: &str = "x-amz-target";

/// Whether the request has no signature.
fn is_unsigned(head: &RequestHead) -> bool {
    let by_query = |name: &str| matches!(name, "X-Amz-Credential" | "X-Amz-Signature" | "Signature" | "AWSAccessKeyId");
    !head.headers.contains_key("authorization")
        && !query_pairs(head.uri.query().unwrap_or_default()).any(|(name, _)| by_query(&name))
}

/// Whether the body is a form, as the Query protocol has it.
pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = header(headers, "content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");

    fn head(method: Method, target: &str, headers: &[(&'static str, &str)]) -> RequestHead {
        let mut head = RequestHead::default();
        (head.method, head.uri) = (method, target.parse().unwrap());
        for (name, value) in headers {
            head.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        head
    }

    fn signed_for(service: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
        )
    }

    #[test]
    fn the_scope_tells_the_service() {
        for (service, expected) in [("iam", true), ("sts", true), ("kms", true), ("s3", false), ("ec2", false)] {
            let signed = signed_for(service);
            let head = head(Method::POST, "/", &[FORM, ("authorization", &signed)]);
            assert_eq!(is_meant(&head), expected, "{service}");
            assert_eq!(claimed_scope(&head).unwrap().service(), service);
        }
        let version_2 = head(Method::POST, "/", &[FORM, ("authorization", "AWS AKID:c2ln")]);
        assert!(!is_meant(&version_2) && claimed_scope(&version_2).is_none());
    }

    #[test]
    fn without_a_signature_a_form_tells() {
        assert!(is_meant(&head(Method::POST, "/", &[FORM])));
        assert!(is_meant(&head(Method::POST, "/", &[(TARGET, "TrentService.ListKeys")])));
        assert!(!is_meant(&head(Method::POST, "/", &[])));
        assert!(!is_meant(&head(Method::POST, "/", &[("content-type", "multipart/form-data; boundary=x")])));
        assert!(!is_meant(&head(Method::GET, "/", &[FORM])));
    }

    #[test]
    fn presigned_queries() {
        let credential = "X-Amz-Credential=AKID%2F20260101%2Fus-east-1%2Fsts%2Faws4_request";
        assert!(is_meant(&head(Method::GET, &format!("/?Action=GetCallerIdentity&{credential}"), &[])));
        assert!(!is_meant(&head(Method::GET, &format!("/?{credential}"), &[])));
        assert!(!is_meant(&head(Method::GET, "/?Action=GetCallerIdentity", &[])));
    }
}
