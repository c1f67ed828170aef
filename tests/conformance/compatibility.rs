//! docs/compatibility.md tells of every operation what the tables say.

use myfsio::{kms, s3};

fn document() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md")).unwrap()
}

/// The operations in the tables of a part of the document, with whether it says that they are built.
fn told(part: &str) -> Vec<(&str, bool)> {
    part.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (name, built) = (cells.next()?, cells.next()?);
            matches!(built, "yes" | "partly" | "no").then(|| (name, built != "no"))
        })
        .collect()
}

/// The part of the document below a heading, and what stands before and after it.
fn part<'a>(document: &'a str, heading: &str) -> (&'a str, &'a str) {
    let (before, rest) = document.split_once(heading).unwrap();
    (before, rest.split("\n## ").next().unwrap())
}

#[test]
fn the_document_and_the_table_of_s3_agree() {
    let document = document();
    let known: Vec<_> = s3::operation::Operation::ALL.iter().map(|o| (o.name(), o.implemented())).collect();
    assert_eq!(told(part(&document, "\n## KMS\n").0), known);
}

/// Operations in the table that the S3 API Reference has not among its actions: the form upload, S3 Control's, and this server's own.
const BESIDE_THE_REFERENCE: [&str; 7] = [
    "DeleteBucketQuota",
    "GetBucketQuota",
    "ListTagsForResource",
    "PostObject",
    "PutBucketQuota",
    "TagResource",
    "UntagResource",
];

#[test]
fn the_document_tells_of_every_operation_of_s3() {
    let document = document();
    let mut told: Vec<_> = told(part(&document, "\n## KMS\n").0).into_iter().map(|(name, _)| name).collect();
    let reference = include_str!("../fixtures/s3-operations.txt").lines().filter(|line| !line.starts_with('#'));
    let mut known: Vec<_> = reference.chain(BESIDE_THE_REFERENCE).collect();
    known.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, known);
}

#[test]
fn the_document_and_the_table_of_kms_agree() {
    let document = document();
    let known: Vec<_> = kms::Operation::ALL.iter().map(|o| (o.name(), o.members().is_some())).collect();
    assert_eq!(told(part(&document, "\n## KMS\n").1), known);
}
