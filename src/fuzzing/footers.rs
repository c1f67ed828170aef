//! Footers of files that the console tells about.

use crate::console::parquet::{COLUMNS_MAX, NAME_CHARS_MAX, footer_bytes, read};

/// The footer of a Parquet file, with or without what stands behind it: what is told is no more than its bytes are, and bytes behind a
/// footer change nothing.
pub fn parquet(data: &[u8]) -> bool {
    let _ = footer_bytes(data);
    let Ok(summary) = read(data) else { return false };
    assert!(summary.columns.len() <= COLUMNS_MAX);
    assert!(summary.columns.len() + summary.columns_left_out <= data.len());
    assert!(summary.columns.iter().all(|column| column.name.chars().count() <= NAME_CHARS_MAX));
    assert!(summary.created_by.chars().count() <= NAME_CHARS_MAX);
    assert_eq!(read(&[data, b"more"].concat()), Ok(summary));
    true
}
