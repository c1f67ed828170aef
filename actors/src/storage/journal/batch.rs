//! How transactions are encoded: entries, the batch they stand in, its header. Pure.

use std::sync::Arc;

use bytes::Bytes;

use crate::names::Stamp;
use crate::storage::StorageError;
use crate::storage::index::RowChange;
use crate::storage::rows;
use crate::storage::steps::Step;

const MAGIC: u64 = u64::from_be_bytes(*b"myfsioJ1");
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const BLOCK_BYTES: u64 = 4096;
/// Marks a removed row in place of a length.
const REMOVED: u32 = u32::MAX;

/// Random bytes of one journal, part of every checksum: whoever writes an object cannot make its bytes look like a batch.
pub(super) type Salt = [u8; 16];

/// One transaction: rows, the work on files that goes with them, and the body if it is small.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::storage) struct Entry {
    pub changes: Vec<RowChange>,
    pub steps: Vec<Step>,
    pub body: Option<Bytes>,
}

/// An entry as it will stand in a batch: its head, then its body.
#[derive(Debug)]
pub(in crate::storage) struct EncodedEntry {
    pub(super) head: Vec<u8>,
    body: Option<Bytes>,
}

impl EncodedEntry {
    /// Encodes an entry.
    pub fn of(entry: &Entry) -> Result<Self, StorageError> {
        let mut head = Vec::with_capacity(512);
        put_u32(&mut head, entry.changes.len())?;
        for (key, value) in &entry.changes {
            put_u32(&mut head, key.len())?;
            match value {
                Some(value) => put_u32(&mut head, value.len())?,
                None => head.extend_from_slice(&REMOVED.to_be_bytes()),
            }
            head.extend_from_slice(key);
            head.extend_from_slice(value.as_deref().unwrap_or_default());
        }
        let steps = rows::encode(&entry.steps)?;
        put_u32(&mut head, steps.len())?;
        head.extend_from_slice(&steps);
        put_u32(&mut head, entry.body.as_ref().map_or(0, |b| b.len() + 1))?;
        Ok(Self { head, body: entry.body.clone() })
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.head.len() + self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// Size of a batch on disk, in bytes.
pub(super) fn batch_bytes(entries: &[EncodedEntry]) -> u64 {
    let payload: usize = entries.iter().map(EncodedEntry::size).sum();
    ((HEADER_BYTES + payload) as u64).next_multiple_of(BLOCK_BYTES)
}

/// Encodes a batch, padded to whole blocks; answers offset and length of each entry's body within it.
pub(super) fn encode_batch(
    out: &mut Vec<u8>,
    entries: &[EncodedEntry],
    mut header: Header,
    salt: &Salt,
) -> Vec<Option<(u64, usize)>> {
    out.clear();
    out.resize(HEADER_BYTES, 0);
    let mut bodies = Vec::with_capacity(entries.len());
    for entry in entries {
        out.extend_from_slice(&entry.head);
        bodies.push(entry.body.as_ref().map(|b| (out.len() as u64, b.len())));
        out.extend_from_slice(entry.body.as_deref().unwrap_or_default());
    }
    header.payload = (out.len() - HEADER_BYTES) as u64;
    header.entries = entries.len() as u64;
    header.crc = header.checksum(out.get(HEADER_BYTES..).unwrap_or_default(), salt);
    if let Some(place) = out.first_chunk_mut::<HEADER_BYTES>() {
        *place = header.to_bytes();
    }
    out.resize(out.len().next_multiple_of(BLOCK_BYTES as usize), 0);
    bodies
}

/// What stands before the entries of a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header {
    pub generation: u64,
    pub sequence: u64,
    /// Highest stamp handed out when the batch was written.
    pub stamp: Stamp,
    pub payload: u64,
    pub entries: u64,
    pub crc: u64,
}

impl Header {
    fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let fields = [MAGIC, self.generation, self.sequence, self.stamp.0, self.payload, self.entries, self.crc, 0];
        let mut bytes = [0; HEADER_BYTES];
        for (place, field) in bytes.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut fields = bytes.chunks_exact(8).filter_map(|f| f.try_into().ok().map(u64::from_be_bytes));
        let magic = fields.next()?;
        let header = Self {
            generation: fields.next()?,
            sequence: fields.next()?,
            stamp: Stamp(fields.next()?),
            payload: fields.next()?,
            entries: fields.next()?,
            crc: fields.next()?,
        };
        (magic == MAGIC).then_some(header)
    }

    /// Over salt, header and payload.
    pub fn checksum(self, payload: &[u8], salt: &Salt) -> u64 {
        let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme);
        digest.update(salt);
        digest.update(&Self { crc: 0, ..self }.to_bytes());
        digest.update(payload);
        digest.finalize()
    }

    pub fn bytes_on_disk(self) -> u64 {
        (HEADER_BYTES as u64).saturating_add(self.payload).next_multiple_of(BLOCK_BYTES)
    }
}

fn put_u32(out: &mut Vec<u8>, value: usize) -> Result<(), StorageError> {
    let value = u32::try_from(value).ok().filter(|v| *v != REMOVED);
    let value = value.ok_or_else(|| StorageError::Index("entry too large for the journal".to_owned()))?;
    out.extend_from_slice(&value.to_be_bytes());
    Ok(())
}

/// Decodes what [`EncodedEntry::of`] wrote. Its checksum held, so anything unreadable is a fault of a program, not of a disk.
pub(super) fn decode_entries(payload: &Bytes, count: u64) -> Result<Vec<Entry>, StorageError> {
    let malformed = || StorageError::Index("malformed journal entry".to_owned());
    let mut rest = payload.clone();
    let mut take = |n: usize| if n <= rest.len() { Ok(rest.split_to(n)) } else { Err(malformed()) };
    let number = |b: Bytes| b.first_chunk().map(|c| u32::from_be_bytes(*c)).ok_or_else(malformed);
    let mut entries = Vec::new();
    for _ in 0..count {
        let mut entry = Entry::default();
        for _ in 0..number(take(4)?)? {
            let (key, value) = (number(take(4)?)?, number(take(4)?)?);
            let key = take(key as usize)?.to_vec();
            let value = if value == REMOVED { None } else { Some(Arc::from(&*take(value as usize)?)) };
            entry.changes.push((key, value));
        }
        let steps = number(take(4)?)?;
        entry.steps = rows::decode(&take(steps as usize)?)?;
        let body = number(take(4)?)?;
        entry.body = if body == 0 { None } else { Some(take(body as usize - 1)?) };
        entries.push(entry);
    }
    Ok(entries)
}
