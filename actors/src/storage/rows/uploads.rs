//! Uploads, their parts and what objects keep of those as rows, and back.

use super::codes::{algorithm_code, algorithm_of, checksum_of, owner_of};
use super::{EncryptionRow, PartListItem, PartListRow, PartRow, UploadRow};
use crate::names::{
    CanonicalId, Checksum, ChecksumAlgorithm, ChecksumKind, ETag, ObjectKey, PartNumber, Stamp, UploadId,
};
use crate::storage::StorageError;
use crate::storage::messages::{Controls, Part, Upload};

impl UploadRow {
    /// Who initiated it, and owns what it holds.
    pub fn owner(&self) -> Result<CanonicalId, StorageError> {
        owner_of(&self.owner)
    }

    pub fn of(upload: &Upload) -> Self {
        Self {
            owner: upload.owner.as_str().to_owned(),
            attributes: (&upload.attributes).into(),
            checksum_algorithm: upload.checksum.map(|(a, _)| algorithm_code(a)),
            checksum_composite: upload.checksum.is_some_and(|(_, k)| k == ChecksumKind::Composite),
            controls: (upload.controls != Controls::default()).then(|| (&upload.controls).into()),
            encryption: upload.encryption.as_ref().map(EncryptionRow::of),
        }
    }

    pub fn into_upload(self, key: ObjectKey, id: UploadId) -> Result<Upload, StorageError> {
        let kind = if self.checksum_composite { ChecksumKind::Composite } else { ChecksumKind::FullObject };
        let checksum = match self.checksum_algorithm {
            Some(code) => Some((algorithm_of(code)?, kind)),
            None => None,
        };
        let controls = self.controls.map(Controls::try_from).transpose()?.unwrap_or_default();
        let encryption = self.encryption.map(EncryptionRow::into_encryption).transpose()?;
        let (owner, attributes) = (owner_of(&self.owner)?, self.attributes.into());
        Ok(Upload { id, key, owner, attributes, controls, checksum, encryption })
    }
}

impl PartRow {
    /// Bytes on disk.
    pub fn stored_size(&self) -> u64 {
        self.sealed.map_or(self.size, |(size, _)| size)
    }

    pub fn to_part(&self, number: PartNumber) -> Result<Part, StorageError> {
        let checksum = self.checksum_algorithm.map(|code| checksum_of(code, &self.checksum)).transpose()?;
        Ok(Part {
            number,
            size: self.size,
            etag: ETag::single(self.md5),
            crc64nvme: self.crc64nvme,
            checksum,
            stamp: Stamp(self.stamp),
        })
    }

    pub fn set_checksum(&mut self, checksum: Option<Checksum>) {
        self.checksum_algorithm = checksum.map(|c| algorithm_code(c.algorithm()));
        self.checksum = checksum.map(|c| c.bytes().to_vec()).unwrap_or_default();
    }
}

impl PartListRow {
    pub fn of(parts: &[Part]) -> Self {
        let checksum_algorithm = parts.first().and_then(|p| p.checksum).map(|c| algorithm_code(c.algorithm()));
        let item = |p: &Part| PartListItem {
            number: p.number.get(),
            size: p.size,
            checksum: p.checksum.map(|c| c.bytes().to_vec()).unwrap_or_default(),
        };
        Self { checksum_algorithm, parts: parts.iter().map(item).collect() }
    }

    /// Size of each part but the last, when they are numbered from 1 without a gap and all have it.
    pub fn part_size(&self) -> Option<u64> {
        let (last, others) = self.parts.split_last()?;
        let size = others.first().unwrap_or(last).size;
        let numbered = self.parts.iter().zip(1..).all(|(part, number)| part.number == number);
        (numbered && others.iter().all(|part| part.size == size)).then_some(size)
    }

    pub fn algorithm(&self) -> Result<Option<ChecksumAlgorithm>, StorageError> {
        self.checksum_algorithm.map(algorithm_of).transpose()
    }
}
