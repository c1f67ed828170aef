//! docs/compatibility.md tells of every operation what the table says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use myfsio::s3::operation::Operation;

#[test]
fn the_document_and_the_table_agree() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md")).unwrap();
    let told: Vec<(&str, bool)> = document
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let (name, built) = (cells.next()?, cells.next()?);
            matches!(built, "yes" | "partly" | "no").then(|| (name, built != "no"))
        })
        .collect();
    let known: Vec<(&str, bool)> = Operation::ALL.iter().map(|o| (o.name(), o.implemented())).collect();
    assert_eq!(told, known);
}
