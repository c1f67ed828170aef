//! The fuzz target of the Query protocol: forms as IAM and STS read them.
#![allow(clippy::expect_used, clippy::panic, reason = "what does not hold ends the run")]

use std::collections::{BTreeMap, BTreeSet};

use super::error::{ApiError, ErrorCode};
use super::page::Page;
use super::parameters::Parameters;
use super::respond::error_document;
use super::service::Service;
use crate::fuzzing::input::is_legal;
use crate::s3::query::Query;
use crate::s3::respond::RequestId;
use crate::s3::xml::read;

/// Bytes of an error's document: an error repeats little of what was sent.
const ERROR_BYTES_MAX: usize = 4096;
/// Members of a list that are asked for.
const MEMBERS_MAX: usize = 3;

/// A form. It is the same in another order and spelling, no name stands twice in it, and lists have the order of their numbers.
pub fn query_protocol(data: &[u8]) -> bool {
    let Ok(raw) = std::str::from_utf8(data) else { return false };
    let parsed = Parameters::parse(raw);
    // Read by the reader of S3's queries, which keeps what stands twice.
    let pairs =
        Query::parse(raw).map(|query| query.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>());
    let by_name: Option<BTreeMap<String, String>> = pairs.as_ref().ok().map(|pairs| pairs.iter().cloned().collect());
    let parameters = match parsed {
        Ok(parameters) => parameters,
        Err(error) => {
            is_answered(&error);
            let is_good = pairs.is_ok_and(|pairs| by_name.is_some_and(|by_name| by_name.len() == pairs.len()));
            assert!(!is_good, "a form that says each thing once is refused");
            return false;
        }
    };
    if let (Ok(pairs), Some(by_name)) = (&pairs, &by_name) {
        assert_eq!(by_name.len(), pairs.len(), "a name that stands twice is taken");
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let again: Vec<String> =
            pairs.iter().rev().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        assert_eq!(Parameters::parse(&again.join("&")).as_ref().ok(), Some(&parameters), "{again:?}");
        for (name, value) in by_name {
            assert_eq!(parameters.get(name), Some(value.as_str()));
            values(&parameters, name, value);
            if let Some((list, _)) = name.split_once(".member.") {
                members(&parameters, by_name, list);
            }
        }
    }
    tags(&parameters);
    pages(&parameters);
    true
}

/// A refusal reads as one to every client, and is short.
fn is_answered(error: &ApiError) {
    let document = error_document(Service::Iam, error, RequestId::random());
    assert!(document.len() <= ERROR_BYTES_MAX, "{} bytes of error", document.len());
    let root = read::parse(document.as_bytes(), "ErrorResponse").expect("an error is well-formed");
    assert!(is_legal(&root), "{document}");
    assert!(matches!(
        error.code(),
        ErrorCode::ValidationError | ErrorCode::MalformedQueryString | ErrorCode::InvalidInput
    ));
}

fn values(parameters: &Parameters, name: &str, value: &str) {
    match parameters.text(name, 5) {
        Ok(text) => assert!(text == value && (1..=5).contains(&value.chars().count())),
        Err(error) => is_answered(&error),
    }
    match parameters.number(name, 2, 9) {
        Ok(number) => assert!(number.is_some_and(|number| (2..=9).contains(&number))),
        Err(error) => is_answered(&error),
    }
    match parameters.truth(name) {
        Ok(truth) => assert_eq!(truth.map(|truth| truth.to_string()), Some(value.to_ascii_lowercase())),
        Err(error) => is_answered(&error),
    }
    match parameters.word(name, &["Active", "Inactive"]) {
        Ok(word) => assert_eq!(word, Some(value)),
        Err(error) => is_answered(&error),
    }
}

fn members(parameters: &Parameters, by_name: &BTreeMap<String, String>, list: &str) {
    let of_member = |at: &str| by_name.keys().any(|name| name == at || name.starts_with(&format!("{at}.")));
    match (parameters.structures(list, MEMBERS_MAX), parameters.list(list, MEMBERS_MAX)) {
        (Ok(structures), Ok(texts)) => {
            assert!((1..=MEMBERS_MAX).contains(&structures.len()) && texts.len() <= structures.len());
            assert!(structures.iter().all(|at| of_member(at)), "{structures:?}");
            let given: Vec<&str> = structures.iter().filter_map(|at| parameters.get(at)).collect();
            assert_eq!(texts, given);
            let number = |at: &String| at.rsplit_once('.').and_then(|(_, digits)| digits.parse::<u32>().ok());
            assert!(structures.iter().map(number).is_sorted_by(|a, b| a.is_some() && a < b), "{structures:?}");
        }
        (Err(one), Err(other)) => {
            assert_eq!(one.message(), other.message());
            is_answered(&one);
        }
        _ => panic!("{list} is a list to one reader"),
    }
}

fn tags(parameters: &Parameters) {
    match parameters.tags("Tags") {
        Ok(tags) => {
            let keys: BTreeSet<String> = tags.iter().map(|(key, _)| key.to_ascii_lowercase()).collect();
            assert!(keys.len() == tags.len() && tags.len() <= 50);
            assert!(tags.iter().all(|(key, _)| (1..=128).contains(&key.chars().count())));
        }
        Err(error) => is_answered(&error),
    }
}

fn pages(parameters: &Parameters) {
    let items = ["a", "b", "c"];
    match Page::of(parameters, items, |item| (*item).to_owned()) {
        Ok(page) => assert!(page.items.is_sorted() && page.items.iter().all(|item| items.contains(item))),
        Err(error) => is_answered(&error),
    }
}
