//! Which route below `/_myfsio/iam` a request asks for. Pure.

use actix_web::http::Method;

use super::groups::GroupRoute;
use super::policies::PolicyRoute;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::percent_decode;

/// A route below `/_myfsio/iam`. A user goes by its id, one of its access keys, or a name that it alone has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IamRoute {
    /// `GET /_myfsio/iam/users`
    ListUsers,
    /// `POST /_myfsio/iam/users`
    CreateUser,
    /// `GET /_myfsio/iam/users/<user>`
    GetUser(String),
    /// `PATCH /_myfsio/iam/users/<user>`
    UpdateUser(String),
    /// `DELETE /_myfsio/iam/users/<user>`
    DeleteUser(String),
    /// `PUT /_myfsio/iam/users/<user>/policies`
    SetPolicies(String),
    /// `POST /_myfsio/iam/users/<user>/rotate`
    RotateKey(String),
    /// `POST /_myfsio/iam/users/<user>/access-keys`
    CreateKey(String),
    /// `PATCH /_myfsio/iam/users/<user>/access-keys/<key>`
    UpdateKey(String, String),
    /// `DELETE /_myfsio/iam/users/<user>/access-keys/<key>`
    DeleteKey(String, String),
    /// `PUT /_myfsio/iam/users/<user>/attached/<arn>`
    Attach(String, String),
    /// `DELETE /_myfsio/iam/users/<user>/attached/<arn>`
    Detach(String, String),
    /// `GET /_myfsio/iam/export`
    Export,
    /// `POST /_myfsio/iam/import`
    Import,
    /// Routes below `/_myfsio/iam/groups`.
    Groups(GroupRoute),
    /// Routes below `/_myfsio/iam/policies`.
    Policies(PolicyRoute),
}

/// A segment of a path, decoded. Errs: InvalidURI.
pub fn decoded(segment: &str) -> Result<String, S3Error> {
    let bytes = percent_decode(segment.as_bytes(), false).ok_or(ErrorCode::InvalidURI)?;
    let text = String::from_utf8(bytes.to_vec()).map_err(|_| ErrorCode::InvalidURI)?;
    match text.is_empty() {
        true => Err(ErrorCode::InvalidURI.into()),
        false => Ok(text),
    }
}

/// Finds the route of the segments behind `iam`. Errs: NotImplemented, MethodNotAllowed, InvalidURI.
pub fn find(method: &Method, segments: &[&str]) -> Result<IamRoute, S3Error> {
    let not_taken = |methods: &'static str| Err(S3Error::new(ErrorCode::MethodNotAllowed).header("allow", methods));
    match (segments, method.as_str()) {
        (["users"], "GET") => Ok(IamRoute::ListUsers),
        (["users"], "POST") => Ok(IamRoute::CreateUser),
        (["users"], _) => not_taken("GET, POST"),
        (["users", user], "GET") => Ok(IamRoute::GetUser(decoded(user)?)),
        (["users", user], "PATCH") => Ok(IamRoute::UpdateUser(decoded(user)?)),
        (["users", user], "DELETE") => Ok(IamRoute::DeleteUser(decoded(user)?)),
        (["users", _], _) => not_taken("GET, PATCH, DELETE"),
        (["users", user, "policies"], "PUT") => Ok(IamRoute::SetPolicies(decoded(user)?)),
        (["users", _, "policies"], _) => not_taken("PUT"),
        (["users", user, "rotate"], "POST") => Ok(IamRoute::RotateKey(decoded(user)?)),
        (["users", _, "rotate"], _) => not_taken("POST"),
        (["users", user, "access-keys"], "POST") => Ok(IamRoute::CreateKey(decoded(user)?)),
        (["users", _, "access-keys"], _) => not_taken("POST"),
        (["users", user, "access-keys", key], "PATCH") => Ok(IamRoute::UpdateKey(decoded(user)?, decoded(key)?)),
        (["users", user, "access-keys", key], "DELETE") => Ok(IamRoute::DeleteKey(decoded(user)?, decoded(key)?)),
        (["users", _, "access-keys", _], _) => not_taken("PATCH, DELETE"),
        (["users", user, "attached", arn], "PUT") => Ok(IamRoute::Attach(decoded(user)?, decoded(arn)?)),
        (["users", user, "attached", arn], "DELETE") => Ok(IamRoute::Detach(decoded(user)?, decoded(arn)?)),
        (["users", _, "attached", _], _) => not_taken("PUT, DELETE"),
        (["export"], "GET") => Ok(IamRoute::Export),
        (["export"], _) => not_taken("GET"),
        (["import"], "POST") => Ok(IamRoute::Import),
        (["import"], _) => not_taken("POST"),
        (["groups", rest @ ..], _) => super::groups::find(method, rest).map(IamRoute::Groups),
        (["policies", rest @ ..], _) => super::policies::find(method, rest).map(IamRoute::Policies),
        _ => Err(S3Error::with_message(ErrorCode::NotImplemented, "This route is not implemented.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let named = |method, segments: &[&str]| find(&method, segments).map_err(|error| error.code());
        assert_eq!(named(Method::GET, &["users"]), Ok(IamRoute::ListUsers));
        assert_eq!(named(Method::POST, &["users"]), Ok(IamRoute::CreateUser));
        let ann = || "Ann B".to_owned();
        assert_eq!(named(Method::GET, &["users", "Ann%20B"]), Ok(IamRoute::GetUser(ann())));
        assert_eq!(named(Method::PATCH, &["users", "Ann%20B"]), Ok(IamRoute::UpdateUser(ann())));
        assert_eq!(named(Method::DELETE, &["users", "Ann%20B"]), Ok(IamRoute::DeleteUser(ann())));
        assert_eq!(named(Method::PUT, &["users", "Ann%20B", "policies"]), Ok(IamRoute::SetPolicies(ann())));
        assert_eq!(named(Method::POST, &["users", "Ann%20B", "rotate"]), Ok(IamRoute::RotateKey(ann())));
        assert_eq!(named(Method::POST, &["users", "Ann%20B", "access-keys"]), Ok(IamRoute::CreateKey(ann())));
        let key = IamRoute::DeleteKey("a/b".to_owned(), "K".to_owned());
        assert_eq!(named(Method::DELETE, &["users", "a%2Fb", "access-keys", "K"]), Ok(key));
        let key = IamRoute::UpdateKey("a".to_owned(), "K".to_owned());
        assert_eq!(named(Method::PATCH, &["users", "a", "access-keys", "K"]), Ok(key));
        for segments in [
            &["users"][..],
            &["export"],
            &["import"],
            &["users", "a"],
            &["users", "a", "rotate"],
            &["users", "a", "access-keys", "k"],
        ] {
            assert_eq!(named(Method::TRACE, segments), Err(ErrorCode::MethodNotAllowed), "{segments:?}");
        }
        for segments in [&[][..], &["roles"], &["users", "a", "b"], &["users", "a", "rotate", "x"]] {
            assert_eq!(named(Method::GET, segments), Err(ErrorCode::NotImplemented), "{segments:?}");
        }
        for user in ["", "%zz", "%ff"] {
            assert_eq!(named(Method::GET, &["users", user]), Err(ErrorCode::InvalidURI), "{user}");
        }
    }
}
