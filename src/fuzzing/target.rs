//! What a request addresses and asks for: path, host, query, copy source.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use myfsio_actors::names::{KEY_BYTES_MAX, RESERVED_BUCKET_NAMES};
use percent_encoding::percent_decode_str;

use super::input::{Request, is_answered};
use crate::s3::handlers::listing::{PAGE_ENTRIES_MAX, Selection};
use crate::s3::handlers::object_copy::CopySource;
use crate::s3::listing_token::{ListingToken, TokenKind};
use crate::s3::operation::{Mark, is_sub_resource, resolve};
use crate::s3::query::Query;
use crate::s3::route::{self, Address, Route};
use crate::s3::xml::write::url_encode_into;
use crate::s3::xml::{XmlWriter, read};

/// A request finds the same key however its path is encoded and its bucket named, and no sub-resource is overlooked.
pub fn request_target(data: &[u8]) -> bool {
    let Some(request) = Request::parse(data) else { return false };
    let head = request.head();
    let domains = ["example.com".to_owned(), "s3.example.com".to_owned()];
    let address = match route::find(Some(head.host()), request.uri.path(), &domains) {
        Ok(Route::S3(Address::Control(_) | Address::ObjectLambda)) => return true,
        Ok(Route::S3(address)) => address,
        Ok(
            Route::Website(_)
            | Route::Health
            | Route::Aws
            | Route::Admin
            | Route::Kms
            | Route::Presign(..)
            | Route::Unbuilt,
        ) => return true,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    let (bucket, key) = address.clone().into_parts();
    let has_other_path = matches!(address, Address::Document(..));
    if let Some(bucket) = bucket.as_ref().filter(|_| !has_other_path) {
        assert!(!RESERVED_BUCKET_NAMES.contains(&bucket.as_str()));
        let key = key.as_ref().map_or(String::new(), |key| encoded(key.as_str()));
        let found = |host: &str, path: &str| route::find(Some(host), path, &domains).expect("the same address");
        assert_eq!(found("localhost", &format!("/{bucket}/{key}")), Route::S3(address.clone()));
        assert_eq!(found(&format!("{bucket}.s3.example.com:5000"), &format!("/{key}")), Route::S3(address.clone()));
    }
    let completed = Query::parse(head.query).and_then(|mut query| {
        if let Address::Document(document, _) = &address {
            document.complete(&mut query)?;
        }
        Ok(query)
    });
    let query = match completed {
        Ok(query) => query,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    match resolve(&request.method, address.scope(), &query, &request.headers) {
        Ok(operation) => {
            let row = operation.row();
            assert_eq!((row.method, row.scope), (request.method.as_str(), address.scope()));
            let reads = matches!(row.method, "GET" | "HEAD");
            for (name, _) in query.iter().filter(|(name, _)| !reads && is_sub_resource(name)) {
                assert!(row.marks.iter().any(|mark| matches!(mark, Mark::Query(marked) if *marked == name)), "{name}");
            }
            true
        }
        Err(error) => {
            is_answered(&error, data);
            false
        }
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    url_encode_into(&mut out, text);
    out
}

/// The query of a listing: limits hold, tokens are what the node made, and what is told reads as what was asked.
pub fn listing_query(data: &[u8]) -> bool {
    let Ok(raw) = std::str::from_utf8(data) else { return false };
    let query = match Query::parse(raw) {
        Ok(query) => query,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    for (_, text) in query.iter() {
        token(text);
    }
    let selection = match Selection::parse(&query, "max-keys") {
        Ok(selection) => selection,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    assert!(selection.limit <= PAGE_ENTRIES_MAX);
    let delimiter = selection.delimiter.as_deref();
    assert_ne!(delimiter, Some(""));
    let marker = query.get("marker").unwrap_or_default();
    if selection.is_common_prefix(marker) {
        assert!(marker.starts_with(&selection.prefix) && delimiter.is_some_and(|end| marker.ends_with(end)));
        assert!(!selection.is_common_prefix(&format!("{marker}a")) || delimiter.is_some_and(|end| end.contains('a')));
    }
    let mut document = XmlWriter::new("ListBucketResult");
    document.key("Prefix", &selection.prefix, selection.url);
    selection.write_delimiter(&mut document);
    selection.write_common_prefixes(&mut document, &[marker.to_owned()]);
    let root = read::parse(document.finish().as_bytes(), "ListBucketResult").expect("a listing is well-formed");
    let told = |text: &str| match selection.url {
        true => percent_decode_str(text).decode_utf8().expect("encoded UTF-8").into_owned(),
        false => text.to_owned(),
    };
    assert_eq!(told(&root.children[0].text), selection.prefix);
    let prefixes = root.children.last().expect("common prefixes");
    assert_eq!(told(&prefixes.children[0].text), marker);
    true
}

fn token(text: &str) {
    for (kind, other) in [(TokenKind::Objects, TokenKind::Buckets), (TokenKind::Buckets, TokenKind::Objects)] {
        if let Some(token) = ListingToken::decode(text, kind) {
            assert_eq!(token.encode(kind), text, "two texts of one token");
            assert_eq!(ListingToken::decode(text, other), None);
        }
        if text.len() <= KEY_BYTES_MAX {
            let token = ListingToken { after: text.to_owned(), after_is_prefix: kind == TokenKind::Objects };
            assert_eq!(ListingToken::decode(&token.encode(kind), kind), Some(token));
        }
    }
}

/// The value of `x-amz-copy-source`: names what a request for the same path would address.
pub fn copy_source(data: &[u8]) -> bool {
    let of = |value: &[u8]| {
        let value = HeaderValue::from_bytes(value).ok()?;
        let headers: HeaderMap = [(HeaderName::from_static("x-amz-copy-source"), value)].into_iter().collect();
        Some(CopySource::of(&headers))
    };
    let source = match of(data) {
        None => return false,
        Some(Err(error)) => {
            is_answered(&error, data);
            return false;
        }
        Some(Ok(source)) => source,
    };
    let path = format!("/{}/{}", source.bucket, encoded(source.key.as_str()));
    let address = Address::Object(source.bucket.clone(), source.key.clone());
    assert_eq!(route::find(Some("localhost"), &path, &[]).expect("the same address"), Route::S3(address));
    let version = source.version.map_or(String::new(), |version| format!("?versionId={version}"));
    for start in ["", "/"] {
        let value = format!("{start}{}{version}", &path[1..]);
        assert_eq!(of(value.as_bytes()).and_then(Result::ok), Some(source.clone()), "{value}");
    }
    true
}
