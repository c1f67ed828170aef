//! Multipart rules without I/O: which parts a Complete request names, what object they make, and whether it is there
//! already or must be put together.

use md5::{Digest as _, Md5};

use super::StorageError;
use super::checksum_hash::checksum_of;
use super::messages::{CompleteUpload, ObjectChecksum, Part, Sealed, Upload};
use super::rows::PartRow;
use crate::encryption::Encryption;
use crate::names::{Checksum, ChecksumAlgorithm, ChecksumKind, ETag, PartNumber};

/// Largest object in bytes (S3 User Guide, "Multipart upload limits").
pub(super) const OBJECT_BYTES_MAX: u64 = 5 << 40;

/// A part as stored, with the place of its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredPart {
    pub number: PartNumber,
    pub part: Part,
    pub row: PartRow,
}

/// The object that the listed parts make.
#[derive(Debug)]
pub(super) struct Assembly {
    pub parts: Vec<StoredPart>,
    pub size: u64,
    pub etag: ETag,
    pub crc64nvme: u64,
    pub checksum: Option<ObjectChecksum>,
    pub sealed: Option<Sealed>,
}

/// Checks a Complete request against the stored parts, which are in order of their numbers.
pub(super) fn assemble(
    request: &CompleteUpload,
    upload: &Upload,
    stored: &[StoredPart],
) -> Result<Assembly, StorageError> {
    let numbers = request.parts.iter().map(|p| p.number);
    if numbers.clone().zip(numbers.skip(1)).any(|(a, b)| a >= b) {
        return Err(StorageError::InvalidPartOrder);
    }
    let mut parts = Vec::with_capacity(request.parts.len());
    for wanted in &request.parts {
        let found = stored.binary_search_by_key(&wanted.number, |p| p.number).ok().and_then(|at| stored.get(at));
        let matching = found.filter(|p| {
            p.part.etag == wanted.etag && wanted.checksum.is_none_or(|checksum| p.part.checksum == Some(checksum))
        });
        let part = matching.ok_or(StorageError::InvalidPart { part: wanted.number, etag: wanted.etag })?;
        if part.row.damaged.is_some() {
            return Err(StorageError::DamagedPart { part: wanted.number, etag: wanted.etag });
        }
        parts.push(part.clone());
    }
    let all_but_last = parts.split_last().map(|(_, rest)| rest).unwrap_or_default();
    if let Some(small) = all_but_last.iter().find(|p| p.row.size < request.part_size_min) {
        return Err(StorageError::PartTooSmall {
            part: small.number,
            etag: small.part.etag,
            size: small.row.size,
            size_min: request.part_size_min,
        });
    }
    let size = parts.iter().map(|p| p.row.size).sum();
    if size > OBJECT_BYTES_MAX {
        return Err(StorageError::ObjectTooLarge { size, size_max: OBJECT_BYTES_MAX });
    }
    if request.expected_size.is_some_and(|expected| expected != size) {
        return Err(StorageError::CompletedMismatch { what: "size" });
    }
    let crc64nvme = combine(crc_fast::CrcAlgorithm::Crc64Nvme, parts.iter().map(|p| (p.row.crc64nvme, p.row.size)));
    let own = Checksum::from_bytes(ChecksumAlgorithm::Crc64Nvme, &crc64nvme.to_be_bytes());
    // Nothing else shows that these are the bytes of which ETag and checksum are told.
    if request.whole.is_some() && (own.is_none() || request.expected_checksum != own) {
        return Err(StorageError::CompletedMismatch { what: "checksum" });
    }
    let checksum = match request.whole {
        Some(whole) => whole.checksum.map(|value| ObjectChecksum { value, kind: ChecksumKind::FullObject }),
        None => upload.checksum.and_then(|(algorithm, kind)| object_checksum(algorithm, kind, &parts, crc64nvme)),
    };
    if let Some(expected) = request.expected_checksum {
        let computed = match expected.algorithm() {
            ChecksumAlgorithm::Crc64Nvme => own,
            _ => checksum.map(|c| c.value),
        };
        if computed != Some(expected) {
            return Err(StorageError::CompletedMismatch { what: "checksum" });
        }
    }
    let etag = etag_of(request, upload.encryption.as_ref().is_some_and(Encryption::hides_etag));
    let sealed = sealed(upload, &parts, request.whole.is_some())?;
    Ok(Assembly { parts, size, etag, crc64nvme, checksum, sealed })
}

/// The ETag of the object that a Complete request makes of the parts that it names; `is_hidden` where it must not be the MD5 of the bytes.
pub(super) fn etag_of(request: &CompleteUpload, is_hidden: bool) -> ETag {
    let mut md5 = Md5::new();
    request.parts.iter().for_each(|part| md5.update(part.etag.md5));
    let of_parts = ETag { md5: md5.finalize().into(), parts: u16::try_from(request.parts.len()).ok() };
    match request.whole {
        None => of_parts,
        Some(whole) if !is_hidden => ETag::single(whole.md5),
        // Those of such parts are random.
        Some(_) => ETag::single(of_parts.md5),
    }
}

/// How the object is sealed: its segments are its parts', also where it counts as one that has none.
fn sealed(upload: &Upload, parts: &[StoredPart], is_whole: bool) -> Result<Option<Sealed>, StorageError> {
    let Some(encryption) = upload.encryption.clone() else { return Ok(None) };
    let written: Option<Vec<(u64, u64)>> = parts.iter().map(|p| p.row.sealed).collect();
    let written = written.ok_or_else(|| StorageError::Corrupt { what: "a part of an encrypted upload".to_owned() })?;
    let size = written.iter().map(|(size, _)| size).sum();
    let crcs = written.into_iter().map(|(size, crc)| (crc, size));
    let crc64nvme = combine(crc_fast::CrcAlgorithm::Crc64Nvme, crcs);
    let segments = u16::try_from(parts.len()).ok().filter(|_| is_whole);
    Ok(Some(Sealed { encryption, size, crc64nvme, segments }))
}

fn object_checksum(
    algorithm: ChecksumAlgorithm,
    kind: ChecksumKind,
    parts: &[StoredPart],
    crc64nvme: u64,
) -> Option<ObjectChecksum> {
    let values: Option<Vec<Checksum>> =
        parts.iter().map(|p| p.part.checksum.filter(|c| c.algorithm() == algorithm)).collect();
    let crc32 = |crc: crc_fast::CrcAlgorithm, values: &[Checksum]| {
        let parts = values.iter().zip(parts).map(|(c, p)| (be_number(c.bytes()), p.row.size));
        Checksum::from_bytes(algorithm, &u32::try_from(combine(crc, parts)).unwrap_or(0).to_be_bytes())
    };
    let value = match (kind, algorithm) {
        (_, ChecksumAlgorithm::Crc64Nvme) => Checksum::from_bytes(algorithm, &crc64nvme.to_be_bytes()),
        (ChecksumKind::FullObject, ChecksumAlgorithm::Crc32) => crc32(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &values?),
        (ChecksumKind::FullObject, ChecksumAlgorithm::Crc32c) => crc32(crc_fast::CrcAlgorithm::Crc32Iscsi, &values?),
        (ChecksumKind::FullObject, _) => None,
        (ChecksumKind::Composite, _) => {
            let joined: Vec<u8> = values?.iter().flat_map(|c| c.bytes().to_vec()).collect();
            checksum_of(algorithm, &joined)
        }
    };
    Some(ObjectChecksum { value: value?, kind })
}

fn be_number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// CRC of the concatenation, from the parts' CRCs and sizes.
fn combine(algorithm: crc_fast::CrcAlgorithm, mut parts: impl Iterator<Item = (u64, u64)>) -> u64 {
    let Some((first, _)) = parts.next() else { return crc_fast::checksum(algorithm, b"") };
    parts.fold(first, |crc, (next, size)| crc_fast::checksum_combine(algorithm, crc, next, size))
}

/// Bytes to copy before an assembled object stands in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Copy {
    pub file: String,
    pub from: u64,
    pub to: u64,
    pub size: u64,
}

/// How the object's file comes to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// It is the staged file of this name, after these copies into it.
    InPlace {
        /// The file.
        file: String,
        /// What is missing in it.
        copies: Vec<Copy>,
    },
    /// A new file is made of copies only.
    Fresh {
        /// All of them, in order.
        copies: Vec<Copy>,
    },
}

/// Decides where the object is put together. `stored` are all parts of the upload: a copy must not overwrite one that the
/// request leaves out, since the request may yet be refused. `writing` says that a part is being written into the grid.
pub(super) fn layout(parts: &[StoredPart], stored: &[StoredPart], writing: bool) -> Layout {
    let mut end = 0;
    let placed: Vec<(&StoredPart, u64)> = parts
        .iter()
        .map(|p| {
            let at = end;
            end += p.row.stored_size();
            (p, at)
        })
        .collect();
    let all = || placed.iter().map(|(p, at)| copy_of(p, *at)).collect();
    let grid = placed.iter().find(|(p, _)| p.row.grid.is_some()).or(placed.first().filter(|_| placed.len() == 1));
    let Some((first, _)) = grid else { return Layout::Fresh { copies: all() } };
    let file = &first.row.file;
    let (there, missing): (Vec<_>, Vec<_>) = placed.iter().partition(|(p, _)| p.row.file == *file);
    let in_place = there.iter().all(|(p, at)| p.row.offset == *at);
    let listed = |q: &StoredPart| placed.iter().any(|(p, _)| p.number == q.number && p.row.file == q.row.file);
    let spared = stored.iter().filter(|q| q.row.file == *file && !listed(q)).all(|q| {
        let (start, stop) = (q.row.offset, q.row.offset + q.row.stored_size());
        missing.iter().all(|(p, at)| at + p.row.stored_size() <= start || stop <= *at)
    });
    if !in_place || !spared || writing {
        return Layout::Fresh { copies: all() };
    }
    Layout::InPlace { file: file.clone(), copies: missing.iter().map(|(p, at)| copy_of(p, *at)).collect() }
}

fn copy_of(part: &StoredPart, to: u64) -> Copy {
    Copy { file: part.row.file.clone(), from: part.row.offset, to, size: part.row.stored_size() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::encryption::{CustomerCheck, Method};
    use crate::names::{BucketId, BucketName, CanonicalId, ObjectKey, Stamp, UploadId};
    use crate::storage::messages::{Attributes, Bucket, CompletedPart, Controls, Versioning, Whole, WriteConditions};

    fn stored(number: u32, body: &[u8], file: &str, offset: u64, grid: Option<u64>) -> StoredPart {
        let number = PartNumber::new(number).unwrap();
        let md5: [u8; 16] = Md5::digest(body).into();
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, body);
        let checksum = Checksum::from_bytes(
            ChecksumAlgorithm::Crc32,
            &(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body) as u32).to_be_bytes(),
        );
        let mut row = PartRow {
            stamp: 1,
            size: body.len() as u64,
            md5,
            crc64nvme: crc,
            checksum_algorithm: None,
            checksum: Vec::new(),
            file: file.to_owned(),
            offset,
            grid,
            left_grid: None,
            sealed: None,
            damaged: None,
        };
        row.set_checksum(checksum);
        StoredPart { number, part: row.to_part(number).unwrap(), row }
    }

    fn request(parts: &[StoredPart], part_size_min: u64) -> CompleteUpload {
        let owner = CanonicalId::from_bytes([1; 32]);
        CompleteUpload {
            bucket: Arc::new(Bucket {
                id: BucketId(1),
                name: BucketName::parse("things").unwrap(),
                owner,
                created: Stamp(0),
                versioning: Versioning::Off,
                config: Arc::default(),
            }),
            key: ObjectKey::parse(b"k").unwrap(),
            upload: UploadId { stamp: Stamp(1), random: 1 },
            parts: parts
                .iter()
                .map(|p| CompletedPart { number: p.number, etag: p.part.etag, checksum: p.part.checksum })
                .collect(),
            part_size_min,
            expected_size: None,
            expected_checksum: None,
            conditions: WriteConditions::default(),
            replica: None,
            whole: None,
        }
    }

    fn upload(checksum: Option<(ChecksumAlgorithm, ChecksumKind)>) -> Upload {
        Upload {
            id: UploadId { stamp: Stamp(1), random: 1 },
            key: ObjectKey::parse(b"k").unwrap(),
            owner: CanonicalId::from_bytes([1; 32]),
            attributes: Attributes::default(),
            controls: Controls::default(),
            checksum,
            encryption: None,
        }
    }

    #[test]
    fn whole_checksums_come_from_the_parts() {
        let parts = [stored(1, b"12345", "g", 0, Some(5)), stored(2, b"6789", "g", 5, Some(5))];
        let full = upload(Some((ChecksumAlgorithm::Crc32, ChecksumKind::FullObject)));
        let assembly = assemble(&request(&parts, 1), &full, &parts).unwrap();
        assert_eq!(assembly.crc64nvme, 0xAE8B_1486_0A79_9888);
        assert_eq!(assembly.checksum.unwrap().value.bytes(), 0xCBF4_3926_u32.to_be_bytes());
        assert_eq!((assembly.size, assembly.etag.parts), (9, Some(2)));
        let composite = upload(Some((ChecksumAlgorithm::Crc32, ChecksumKind::Composite)));
        let value = assemble(&request(&parts, 1), &composite, &parts).unwrap().checksum.unwrap().value;
        let joined: Vec<u8> = parts.iter().flat_map(|p| p.part.checksum.unwrap().bytes().to_vec()).collect();
        assert_eq!(Some(value), checksum_of(ChecksumAlgorithm::Crc32, &joined));
    }

    fn whole_of(parts: &[StoredPart], bytes: &[u8]) -> CompleteUpload {
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, bytes);
        CompleteUpload {
            expected_checksum: Checksum::from_bytes(ChecksumAlgorithm::Crc64Nvme, &crc.to_be_bytes()),
            whole: Some(Whole {
                md5: Md5::digest(bytes).into(),
                checksum: checksum_of(ChecksumAlgorithm::Sha256, bytes),
            }),
            ..request(parts, 1)
        }
    }

    #[test]
    fn what_counts_as_written_by_a_single_request_is_told_as_that() {
        let mut parts = [stored(1, b"12345", "g", 0, Some(5)), stored(2, b"6789", "g", 5, Some(5))];
        let request = whole_of(&parts, b"123456789");
        let sha256 = checksum_of(ChecksumAlgorithm::Sha256, b"123456789").unwrap();
        // Whatever the upload was begun with.
        for begun in [None, Some((ChecksumAlgorithm::Crc32, ChecksumKind::Composite))] {
            let made = assemble(&request, &upload(begun), &parts).unwrap();
            let checksum = made.checksum.unwrap();
            assert_eq!(made.etag, ETag::single(Md5::digest(b"123456789").into()));
            assert_eq!((checksum.value, checksum.kind), (sha256, ChecksumKind::FullObject));
            assert_eq!((made.crc64nvme, made.sealed), (0xAE8B_1486_0A79_9888, None));
        }
        for (at, (size, crc)) in [(200, 3), (100, 4)].into_iter().enumerate() {
            parts[at].row.sealed = Some((size, crc));
        }
        let (managed, customers) = (
            Method::Managed { master: "m".to_owned() },
            Method::Customer(CustomerCheck { salt: [1; 16], mac: [2; 32] }),
        );
        for (method, is_told) in [(managed, true), (customers, false)] {
            let begun = Upload { encryption: Some(Encryption { method, wrapped_key: vec![1] }), ..upload(None) };
            let made = assemble(&request, &begun, &parts).unwrap();
            assert_eq!(made.etag.parts, None);
            assert_eq!(
                made.etag.md5 == <[u8; 16]>::from(Md5::digest(b"123456789")),
                is_told,
                "its MD5 tells of the bytes"
            );
            assert_eq!(
                made.sealed.map(|sealed| (sealed.size, sealed.segments)),
                Some((300, Some(2))),
                "where they lie"
            );
            let assembled = CompleteUpload { whole: None, ..request.clone() };
            let made = assemble(&assembled, &begun, &parts).unwrap();
            assert_eq!((made.etag.parts, made.sealed.unwrap().segments), (Some(2), None));
        }
    }

    #[test]
    fn nothing_but_its_checksum_makes_it_count_as_that() {
        let parts = [stored(1, b"12345", "g", 0, Some(5)), stored(2, b"6789", "g", 5, Some(5))];
        let of = |checksum| CompleteUpload { expected_checksum: checksum, ..whole_of(&parts, b"123456789") };
        let other = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, b"123456780");
        let crc32 = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, b"123456789") as u32;
        for checksum in [
            None,
            Checksum::from_bytes(ChecksumAlgorithm::Crc64Nvme, &other.to_be_bytes()),
            Checksum::from_bytes(ChecksumAlgorithm::Crc32, &crc32.to_be_bytes()),
        ] {
            let begun = upload(Some((ChecksumAlgorithm::Crc32, ChecksumKind::FullObject)));
            let refused = assemble(&of(checksum), &begun, &parts);
            assert!(matches!(refused, Err(StorageError::CompletedMismatch { what: "checksum" })), "{checksum:?}");
        }
    }

    #[test]
    fn wrong_lists_are_refused() {
        let parts = [stored(1, b"12345", "g", 0, Some(5)), stored(2, b"6789", "g", 5, Some(5))];
        let plain = upload(None);
        let mut swapped = request(&parts, 1);
        swapped.parts.swap(0, 1);
        assert!(matches!(assemble(&swapped, &plain, &parts), Err(StorageError::InvalidPartOrder)));
        let mut missing = request(&parts, 1);
        missing.parts[1].number = PartNumber::new(3).unwrap();
        assert!(matches!(assemble(&missing, &plain, &parts), Err(StorageError::InvalidPart { .. })));
        let mut other = request(&parts, 1);
        other.parts[0].etag.md5[0] ^= 1;
        assert!(matches!(assemble(&other, &plain, &parts), Err(StorageError::InvalidPart { .. })));
        let mut damaged = parts.clone();
        damaged[1].row.damaged = Some(1);
        let refused = assemble(&request(&parts, 1), &plain, &damaged);
        assert!(matches!(refused, Err(StorageError::DamagedPart { part, .. }) if part.get() == 2), "{refused:?}");
        let small = assemble(&request(&parts, 6), &plain, &parts);
        assert!(matches!(small, Err(StorageError::PartTooSmall { size: 5, .. })));
        let mut sized = request(&parts, 1);
        sized.expected_size = Some(8);
        assert!(matches!(assemble(&sized, &plain, &parts), Err(StorageError::CompletedMismatch { what: "size" })));
    }

    #[test]
    fn even_parts_need_no_copy() {
        let parts = [
            stored(1, b"12345", "g", 0, Some(5)),
            stored(2, b"67890", "g", 5, Some(5)),
            stored(3, b"x", "g", 10, Some(5)),
        ];
        assert_eq!(layout(&parts, &parts, false), Layout::InPlace { file: "g".into(), copies: vec![] });
        assert!(matches!(layout(&parts, &parts, true), Layout::Fresh { .. }));
        assert!(matches!(layout(&parts[1..], &parts, false), Layout::Fresh { .. }), "part 1 is left out");
        assert_eq!(layout(&parts[..2], &parts, false), Layout::InPlace { file: "g".into(), copies: vec![] });
    }

    #[test]
    fn a_part_sent_again_is_copied_in() {
        let again = stored(2, b"abcde", "side", 0, None);
        let parts = [stored(1, b"12345", "g", 0, Some(5)), again, stored(3, b"x", "g", 10, Some(5))];
        let copy = Copy { file: "side".into(), from: 0, to: 5, size: 5 };
        assert_eq!(layout(&parts, &parts, false), Layout::InPlace { file: "g".into(), copies: vec![copy] });
    }

    #[test]
    fn a_copy_never_overwrites_a_part_left_out() {
        let long = stored(2, b"abcdefgh", "side", 0, None);
        let parts = [stored(1, b"12345", "g", 0, Some(5)), long, stored(3, b"67890", "g", 10, Some(5))];
        assert!(matches!(layout(&parts[..2], &parts, false), Layout::Fresh { .. }));
    }

    #[test]
    fn a_single_part_is_its_file() {
        let parts = [stored(7, b"12345", "side", 0, None)];
        assert_eq!(layout(&parts, &parts, false), Layout::InPlace { file: "side".into(), copies: vec![] });
    }
}
