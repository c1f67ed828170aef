//! From a request to its row of the table.

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;

use super::Mark::{Query as Q, With};
use super::{Operation, Row, Scope};
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::query::Query;

/// Finds the operation that a request asks for. Errs: MethodNotAllowed when the resource or sub-resource has no such
/// method, InvalidArgument when two sub-resources contradict each other or an upload parameter is missing, NotImplemented for a
/// write to a sub-resource that nobody knows.
pub fn resolve(method: &Method, scope: Scope, query: &Query, headers: &HeaderMap) -> Result<Operation, S3Error> {
    let fits =
        |row: &&Row| row.method == method.as_str() && row.marks.iter().all(|mark| mark.is_present(query, headers));
    let Some(row) = rows().filter(|row| row.scope == scope).filter(fits).max_by_key(|row| row.marks.len()) else {
        return Err(method_not_allowed(method, scope, query));
    };
    for name in claiming(method, scope, query) {
        if !row.marks.contains(&Q(name)) {
            return Err(unclaimed(row, name, method, scope, query));
        }
    }
    if matches!(method.as_str(), "PUT" | "POST") && query.has("partNumber") && !row.marks.contains(&With("partNumber"))
    {
        return Err(S3Error::invalid_argument(
            "uploadId",
            query.get("uploadId").unwrap_or_default(),
            "This operation takes partNumber and uploadId together.",
        ));
    }
    match unknown_sub_resource(row, query) {
        Some(name) => Err(S3Error::with_message(
            ErrorCode::NotImplemented,
            format!("A query parameter you provided implies functionality that is not implemented: {name}"),
        )
        .field("Parameter", name)),
        None => Ok(row.operation),
    }
}

/// Whether a parameter of this name selects an operation.
pub fn is_sub_resource(name: &str) -> bool {
    rows().flat_map(|row| row.marks).any(|mark| matches!(mark, Q(marked) if *marked == name))
}

fn rows() -> impl Iterator<Item = &'static Row> {
    Operation::ALL.iter().map(|operation| operation.row())
}

/// Names in the query that must be marks of the row that was chosen: those that mark a row of any scope, so that a slip in the
/// path never turns a configuration into an object, nor a look at one into a listing. Reads of objects are free of those of
/// other scopes, since pages link to objects with parameters of their own.
fn claiming<'a>(method: &Method, scope: Scope, query: &'a Query) -> impl Iterator<Item = &'static str> + 'a {
    let is_free = scope == Scope::Object && matches!(method.as_str(), "GET" | "HEAD");
    rows()
        .filter(move |row| !is_free || row.scope == scope)
        .flat_map(|row| row.marks)
        .filter_map(|mark| if let Q(name) = mark { Some(*name) } else { None })
        .filter(|name| query.has(name))
}

/// A parameter without a value, as those that select an operation are, of a write that none is known to select. S3 would know it,
/// or will one day: an object must not be overwritten or deleted by a request about something of the object. `x-` parameters are
/// the client's own (S3 User Guide, "Amazon S3 server access log format"), and an empty version id is refused by whoever reads it.
fn unknown_sub_resource<'a>(row: &Row, query: &'a Query) -> Option<&'a str> {
    let is_plain_write = !matches!(row.method, "GET" | "HEAD")
        && matches!(row.scope, Scope::Bucket | Scope::Object)
        && !row.marks.iter().any(|mark| matches!(mark, Q(_)));
    let is_own =
        |name: &str| name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-")) || name == "versionId";
    let mut unknown = query.iter().filter(|(name, value)| value.is_empty() && !name.is_empty() && !is_own(name));
    unknown.next().filter(|_| is_plain_write).map(|(name, _)| name)
}

fn unclaimed(row: &Row, name: &'static str, method: &Method, scope: Scope, query: &Query) -> S3Error {
    let claimed = row.marks.iter().find_map(|mark| if let Q(claimed) = mark { Some(*claimed) } else { None });
    match claimed {
        Some(claimed) => S3Error::with_message(
            ErrorCode::InvalidArgument,
            format!("Conflicting query string parameters: {claimed}, {name}"),
        )
        .field("ArgumentName", "ResourceType")
        .field("ArgumentValue", claimed),
        // UploadPart without its part number.
        None if name == "uploadId" && scope == Scope::Object => {
            S3Error::invalid_argument("partNumber", "", "This operation takes partNumber and uploadId together.")
        }
        None => method_not_allowed(method, scope, query),
    }
}

/// The refusal of a method that the sub-resource does not have, or that the resource does not have of it.
fn method_not_allowed(method: &Method, scope: Scope, query: &Query) -> S3Error {
    let asked = claiming(method, scope, query).next();
    let mut allowed: Vec<&str> = rows()
        .filter(|row| row.scope == scope)
        .filter(|row| asked.is_none_or(|name| row.marks.contains(&Q(name))))
        .map(|row| row.method)
        .collect();
    allowed.sort_unstable();
    allowed.dedup();
    let resource_type = asked.map_or_else(|| scope.name().to_owned(), str::to_ascii_uppercase);
    S3Error::new(ErrorCode::MethodNotAllowed)
        .field("Method", method.as_str())
        .field("ResourceType", resource_type)
        .header("allow", &allowed.join(", "))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::super::Mark::{Header as H, QueryIs};
    use super::*;

    fn request_of(row: &Row) -> (Method, Query, HeaderMap) {
        let mut headers = HeaderMap::new();
        let mut query = vec!["x-id=Anything".to_owned(), "versionId=null".to_owned()];
        for mark in row.marks {
            match mark {
                Q(name) | With(name) => query.push(format!("{name}=1")),
                QueryIs(name, value) => query.push(format!("{name}={value}")),
                H(name) => {
                    headers.insert(HeaderName::from_static(name), HeaderValue::from_static("/b/k"));
                }
            };
        }
        (row.method.parse().unwrap(), Query::parse(&query.join("&")).unwrap(), headers)
    }

    fn code(method: Method, scope: Scope, query: &str) -> Result<Operation, ErrorCode> {
        resolve(&method, scope, &Query::parse(query).unwrap(), &HeaderMap::new()).map_err(|e| e.code())
    }

    #[test]
    fn every_row_resolves_to_itself() {
        for row in rows() {
            let (method, query, headers) = request_of(row);
            assert_eq!(resolve(&method, row.scope, &query, &headers).unwrap(), row.operation);
            assert!(row.action.contains(':') && row.version_action.contains(':'), "{}", row.operation.name());
        }
    }

    #[test]
    fn nothing_falls_through() {
        let methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"];
        let mut names: Vec<_> = rows().flat_map(|row| row.marks).collect();
        names.dedup();
        for mark in names {
            let Q(name) = mark else { continue };
            for scope in [Scope::Service, Scope::Bucket, Scope::Object] {
                for method in methods {
                    let Ok(operation) = code(method.parse().unwrap(), scope, name) else { continue };
                    let row = operation.row();
                    assert_eq!((row.method, row.scope), (method, scope));
                    let ignorable = matches!(operation, Operation::GetObject | Operation::HeadObject)
                        && !rows().any(|row| row.scope == scope && row.marks.contains(mark));
                    assert!(row.marks.contains(mark) || ignorable, "{method} {scope:?} ?{name}: {}", operation.name());
                }
            }
        }
    }

    #[test]
    fn contradictions_are_refused() {
        assert_eq!(code(Method::GET, Scope::Bucket, "acl&policy"), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(Method::PUT, Scope::Object, "uploadId=1"), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(Method::PUT, Scope::Object, "partNumber=1"), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(Method::GET, Scope::Object, "partNumber=1"), Ok(Operation::GetObject));
        assert_eq!(code(Method::GET, Scope::Bucket, "list-type=2&prefix=a"), Ok(Operation::ListObjectsV2));
        assert_eq!(code(Method::GET, Scope::Bucket, "list-type=1"), Ok(Operation::ListObjects));
        assert_eq!(code(Method::DELETE, Scope::Object, "acl"), Err(ErrorCode::MethodNotAllowed));
        assert_eq!(code(Method::PATCH, Scope::Object, ""), Err(ErrorCode::MethodNotAllowed));
        assert_eq!(code(Method::PUT, Scope::Service, ""), Err(ErrorCode::MethodNotAllowed));
        assert_eq!(code(Method::PUT, Scope::Object, "versioning"), Err(ErrorCode::MethodNotAllowed));
    }

    #[test]
    fn sub_resources_of_other_scopes_are_no_listings() {
        for name in
            ["torrent", "restore", "select", "retention", "legal-hold", "attributes", "uploadId=1", "renameObject"]
        {
            assert_eq!(code(Method::GET, Scope::Bucket, name), Err(ErrorCode::MethodNotAllowed), "{name}");
        }
        assert_eq!(code(Method::GET, Scope::Service, "acl"), Err(ErrorCode::MethodNotAllowed));
        assert_eq!(code(Method::HEAD, Scope::Bucket, "torrent"), Err(ErrorCode::MethodNotAllowed));
        assert_eq!(code(Method::GET, Scope::Object, "location=here"), Ok(Operation::GetObject));
        let query = Query::parse("torrent").unwrap();
        let error = resolve(&Method::GET, Scope::Bucket, &query, &HeaderMap::new()).unwrap_err();
        assert!(error.fields().contains(&("ResourceType", "TORRENT".to_owned())));
    }

    #[test]
    fn writes_to_unknown_sub_resources_are_refused() {
        for query in ["newness", "newness=", "append&position=0", "position=0&append", "versionId=null&newness"] {
            for (method, scope) in [
                (Method::PUT, Scope::Object),
                (Method::DELETE, Scope::Object),
                (Method::PUT, Scope::Bucket),
                (Method::DELETE, Scope::Bucket),
                (Method::POST, Scope::Bucket),
            ] {
                assert_eq!(code(method, scope, query), Err(ErrorCode::NotImplemented), "{query}");
            }
            assert_eq!(code(Method::GET, Scope::Object, query), Ok(Operation::GetObject));
            assert_eq!(code(Method::GET, Scope::Bucket, query), Ok(Operation::ListObjects));
        }
        for query in ["", "x-id=PutObject", "whatever=1", "x-mine", "X-Mine=", "versionId="] {
            assert_eq!(code(Method::PUT, Scope::Object, query), Ok(Operation::PutObject), "{query}");
        }
        assert_eq!(code(Method::DELETE, Scope::Control, "tagKeys="), Ok(Operation::UntagResource));
        assert_eq!(code(Method::PUT, Scope::Object, "annotation&annotationName=a"), Ok(Operation::PutObjectAnnotation));
        assert_eq!(code(Method::GET, Scope::Object, "annotation&annotationName=a"), Ok(Operation::GetObjectAnnotation));
        assert_eq!(code(Method::GET, Scope::Object, "annotation"), Ok(Operation::ListObjectAnnotations));
    }
}
