//! The dump of rows: a head, then keys and values with their lengths, then an end that tells how many there were.
//!
//! Rows are as they stand in the index (docs/storage-layout.md). What belongs to the node that wrote them and not to what it holds is
//! left out: how far its journal is, and its jobs. So are uploads in progress.

use std::io::{self, Read, Write};

use crate::bucket_config::LifecycleKind;
use crate::storage::keys::{self, RowKind};
use crate::storage::rows::FORMAT_VERSION;

const MAGIC: &[u8; 8] = b"MYFSIOBK";
/// Stands where the length of a key would.
const END: u32 = u32::MAX;
/// Longest key or value, in bytes: a list of 10000 parts is far less.
const ROW_BYTES_MAX: usize = 16 << 20;

/// What a dump begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowsHead {
    /// Format of the rows.
    pub format: u32,
    /// No commit of the backup is later.
    pub taken: u64,
}

/// Whether a row goes into a backup.
pub(super) fn is_kept(row_key: &[u8]) -> bool {
    match keys::kind(row_key) {
        Some(RowKind::Meta) => row_key == keys::META_FORMAT,
        Some(RowKind::Upload(..) | RowKind::Part(..)) => false,
        Some(RowKind::Time(_, entry)) => entry.kind != LifecycleKind::Upload,
        _ => true,
    }
}

/// Writes a dump.
pub(super) struct RowsWriter<W> {
    out: W,
    rows: u64,
}

impl<W: Write> RowsWriter<W> {
    pub fn begin(mut out: W, taken: u64) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        out.write_all(&FORMAT_VERSION.to_be_bytes())?;
        out.write_all(&taken.to_be_bytes())?;
        Ok(Self { out, rows: 0 })
    }

    pub fn row(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| too_long());
        self.out.write_all(&length(key)?.to_be_bytes())?;
        self.out.write_all(&length(value)?.to_be_bytes())?;
        self.out.write_all(key)?;
        self.out.write_all(value)?;
        self.rows += 1;
        Ok(())
    }

    /// Ends the dump; answers what it was written to, and how many rows there are.
    pub fn end(mut self) -> io::Result<(W, u64)> {
        self.out.write_all(&END.to_be_bytes())?;
        self.out.write_all(&self.rows.to_be_bytes())?;
        self.out.flush()?;
        Ok((self.out, self.rows))
    }
}

/// Reads a dump.
pub(super) struct RowsReader<R> {
    input: R,
    pub head: RowsHead,
    rows: u64,
}

impl<R: Read> RowsReader<R> {
    /// Errs: InvalidData when it is no dump.
    pub fn begin(mut input: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no dump of rows"));
        }
        let format = u32::from_be_bytes(array(&mut input)?);
        let taken = u64::from_be_bytes(array(&mut input)?);
        Ok(Self { input, head: RowsHead { format, taken }, rows: 0 })
    }

    /// The next row; none at the end. Errs: UnexpectedEof, InvalidData.
    pub fn next(&mut self) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
        let key_length = u32::from_be_bytes(array(&mut self.input)?);
        if key_length == END {
            let told = u64::from_be_bytes(array(&mut self.input)?);
            return match told == self.rows {
                true => Ok(None),
                false => Err(io::Error::new(io::ErrorKind::InvalidData, "rows are missing")),
            };
        }
        let value_length = u32::from_be_bytes(array(&mut self.input)?);
        let row = (self.bytes(key_length)?, self.bytes(value_length)?);
        self.rows += 1;
        Ok(Some(row))
    }

    fn bytes(&mut self, length: u32) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).ok().filter(|length| *length <= ROW_BYTES_MAX).ok_or_else(too_long)?;
        let mut bytes = vec![0; length];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a row is too long")
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::names::{BucketId, Stamp, UploadId};
    use crate::storage::messages::TimeEntry;

    #[test]
    fn what_is_left_out() {
        let (id, upload) = (BucketId(7), UploadId { stamp: Stamp(1), random: 2 });
        let time = |kind| keys::time(id, &TimeEntry { kind, since: Stamp(1), key: b"k".to_vec(), mark: 1 });
        for (row, kept) in [
            (keys::META_FORMAT.to_vec(), true),
            (keys::META_CHECKPOINT.to_vec(), false),
            (keys::META_SCRUB.to_vec(), false),
            (keys::META_REENCRYPTION.to_vec(), false),
            (keys::object(id, b"k"), true),
            (keys::version(id, b"k", Stamp(1)), true),
            (keys::upload(id, b"k", upload), false),
            (keys::usage(id), true),
            (time(LifecycleKind::Current), true),
            (time(LifecycleKind::Upload), false),
        ] {
            assert_eq!(is_kept(&row), kept, "{row:?}");
        }
    }

    proptest! {
        #[test]
        fn a_dump_goes_both_ways_and_a_part_of_it_is_none(
            rows in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut writer = RowsWriter::begin(Vec::new(), 5).unwrap();
            for (key, value) in &rows {
                writer.row(key, value).unwrap();
            }
            let (bytes, count) = writer.end().unwrap();
            prop_assert_eq!(count, rows.len() as u64);
            let read = |bytes: &[u8]| -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
                let mut reader = RowsReader::begin(bytes)?;
                assert_eq!(reader.head, RowsHead { format: FORMAT_VERSION, taken: 5 });
                let mut found = Vec::new();
                while let Some(row) = reader.next()? {
                    found.push(row);
                }
                Ok(found)
            };
            prop_assert_eq!(read(&bytes).unwrap(), rows);
            prop_assert!(read(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}
