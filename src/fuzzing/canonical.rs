//! The canonical request: what is the same there is the same request.

use actix_web::http::header::{HeaderMap, HeaderValue};
use percent_encoding::{percent_decode, percent_decode_str};

use super::input::Request;
use crate::s3::auth::canonical::{canonical_path, canonical_query, encode, folded_header, path_forms};
use crate::s3::query::Query;
use crate::s3::route;

/// Path, query and headers of a request: canonical forms are fixed points, do not depend on how a client wrote them, and name
/// the same key and parameters.
pub fn canonical_request(data: &[u8]) -> bool {
    let Some(request) = Request::parse(data) else { return false };
    let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
    for name in request.headers.keys() {
        header(&request.headers, name.as_str());
    }
    // Both, whether the first is taken or not.
    let taken = [is_same_path(path), is_same_query(query)];
    taken == [true, true]
}

/// Whether the path is one that the node routes.
fn is_same_path(path: &str) -> bool {
    let canonical = canonical_path(path.as_bytes());
    assert!(canonical.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b)), "{canonical}");
    assert_eq!(canonical_path(canonical.as_bytes()), canonical);
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    assert_eq!(decoded(&canonical), decoded(if path.is_empty() { "/" } else { path }));
    let found = |path: &str| route::find(Some("localhost"), path, &[]);
    let Ok(route) = found(path) else { return false };
    for form in path_forms(path.as_bytes()) {
        assert_eq!(found(&form).expect("the same path"), route, "{form}");
    }
    true
}

/// Whether the query is one that the node reads.
fn is_same_query(query: &str) -> bool {
    let canonical = canonical_query(query, None);
    assert!(canonical.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%=&".contains(&b)), "{canonical}");
    assert_eq!(canonical_query(&canonical, None), canonical);
    let mut pieces: Vec<&str> = query.split('&').collect();
    pieces.reverse();
    assert_eq!(canonical_query(&pieces.join("&"), None), canonical);
    let without = canonical_query(query, Some("a"));
    assert!(without.split('&').all(|pair| !pair.starts_with("a=")) && without.len() <= canonical.len());
    let Ok(parsed) = Query::parse(query) else { return false };
    let sorted = |query: &Query| {
        let mut pairs: Vec<(String, String)> = query.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        pairs.sort();
        pairs
    };
    let again = Query::parse(&canonical).expect("a canonical query can be read");
    assert_eq!(sorted(&again), sorted(&parsed));
    for (name, value) in parsed.iter() {
        assert_eq!(percent_decode(encode(name.as_bytes(), true).as_bytes()).collect::<Vec<u8>>(), name.as_bytes());
        assert!(canonical.contains(&encode(value.as_bytes(), false)));
    }
    true
}

fn header(headers: &HeaderMap, name: &str) {
    let folded = folded_header(headers, name);
    assert!(!folded.windows(2).any(|pair| pair == b"  ") && !folded.contains(&b'\n'));
    let mut single = HeaderMap::new();
    let value = HeaderValue::from_bytes(&folded).expect("a folded value is one");
    single.insert(name.parse().expect("a header's name"), value);
    assert_eq!(folded_header(&single, name), folded);
}
