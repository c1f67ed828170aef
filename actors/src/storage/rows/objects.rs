//! Objects as rows and as tags of files, and back.

use super::codes::{algorithm_code, checksum_of};
use super::{
    AttributesRow, ChecksumRow, ControlsRow, FileTag, GrantRow, LineageRow, Location, ObjectRow, PartListItem,
    PartListRow, SealedRow,
};
use crate::bucket_config::{Acl, Grant, Grantee, Permission, Retention, RetentionMode};
use crate::names::{CanonicalId, ChecksumKind, ETag, Stamp, UploadId, VersionId};
use crate::storage::StorageError;
use crate::storage::messages::{Attributes, Controls, Object, ObjectChecksum};

impl From<&Attributes> for AttributesRow {
    fn from(a: &Attributes) -> Self {
        Self {
            content_type: a.content_type.clone(),
            cache_control: a.cache_control.clone(),
            content_disposition: a.content_disposition.clone(),
            content_encoding: a.content_encoding.clone(),
            content_language: a.content_language.clone(),
            expires: a.expires.clone(),
            website_redirect: a.website_redirect.clone(),
            storage_class: a.storage_class.clone(),
            user_metadata: (!a.user_metadata.is_empty()).then(|| a.user_metadata.clone()),
            tags: (!a.tags.is_empty()).then(|| a.tags.clone()),
        }
    }
}

impl From<AttributesRow> for Attributes {
    fn from(a: AttributesRow) -> Self {
        Self {
            content_type: a.content_type,
            cache_control: a.cache_control,
            content_disposition: a.content_disposition,
            content_encoding: a.content_encoding,
            content_language: a.content_language,
            expires: a.expires,
            website_redirect: a.website_redirect,
            storage_class: a.storage_class,
            user_metadata: a.user_metadata.unwrap_or_default(),
            tags: a.tags.unwrap_or_default(),
        }
    }
}

impl From<&Controls> for ControlsRow {
    fn from(controls: &Controls) -> Self {
        let grant = |grant: &Grant| {
            let (grantee, user) = match &grant.grantee {
                Grantee::User(user) => (0, Some(user.to_bytes().into())),
                Grantee::AllUsers => (1, None),
                Grantee::AuthenticatedUsers => (2, None),
                Grantee::LogDelivery => (3, None),
            };
            let permission = match grant.permission {
                Permission::FullControl => 0,
                Permission::Read => 1,
                Permission::Write => 2,
                Permission::ReadAcp => 3,
                Permission::WriteAcp => 4,
            };
            GrantRow { grantee, user, permission }
        };
        Self {
            acl: controls.acl.as_ref().map(|acl| acl.grants.iter().map(grant).collect()),
            retention: controls.retention.map(|r| (r.until_millis, r.mode == RetentionMode::Compliance)),
            legal_hold: controls.legal_hold,
        }
    }
}

impl TryFrom<ControlsRow> for Controls {
    type Error = StorageError;

    fn try_from(row: ControlsRow) -> Result<Self, StorageError> {
        let grant = |row: GrantRow| {
            let grantee = match (row.grantee, row.user) {
                (0, Some(user)) => Grantee::User(CanonicalId::from_bytes(user.into())),
                (1, _) => Grantee::AllUsers,
                (2, _) => Grantee::AuthenticatedUsers,
                (3, _) => Grantee::LogDelivery,
                (other, _) => return Err(StorageError::Index(format!("unknown grantee {other}"))),
            };
            let permission = match row.permission {
                0 => Permission::FullControl,
                1 => Permission::Read,
                2 => Permission::Write,
                3 => Permission::ReadAcp,
                4 => Permission::WriteAcp,
                other => return Err(StorageError::Index(format!("unknown permission {other}"))),
            };
            Ok(Grant { grantee, permission })
        };
        let acl = row.acl.map(|grants| grants.into_iter().map(grant).collect::<Result<_, StorageError>>());
        let mode = |compliance| if compliance { RetentionMode::Compliance } else { RetentionMode::Governance };
        Ok(Self {
            acl: acl.transpose()?.map(|grants| Acl { grants }),
            retention: row
                .retention
                .map(|(until_millis, compliance)| Retention { mode: mode(compliance), until_millis }),
            legal_hold: row.legal_hold,
        })
    }
}

impl ObjectRow {
    pub fn of(object: &Object, location: Location, bucket_owner: &CanonicalId) -> Self {
        let version = match object.version_id {
            VersionId::Null => None,
            VersionId::Unique { random, .. } => Some(random),
        };
        let checksum = object.checksum.map(|c| ChecksumRow {
            algorithm: algorithm_code(c.value.algorithm()),
            value: c.value.bytes().to_vec(),
            composite: c.kind == ChecksumKind::Composite,
        });
        Self {
            stamp: object.stamp.0,
            size: object.size,
            md5: object.etag.md5,
            parts: object.etag.parts,
            crc64nvme: object.crc64nvme,
            location,
            version,
            owner: (object.owner != *bucket_owner).then(|| object.owner.to_bytes().into()),
            checksum,
            attributes: (object.attributes != Attributes::default()).then(|| (&object.attributes).into()),
            upload: object.upload.map(|u| (u.stamp.0, u.random)),
            controls: (object.controls != Controls::default()).then(|| (&object.controls).into()),
            noncurrent_since: None,
            sealed: object.sealed.as_ref().map(SealedRow::of),
            lineage: object.lineage.as_deref().map(LineageRow::of),
            damaged: None,
        }
    }

    /// Its place among the versions of its key.
    pub fn clock(&self) -> Stamp {
        Stamp(self.lineage.as_ref().map_or(self.stamp, |lineage| lineage.clock))
    }

    /// When it was written, on whatever node.
    pub fn modified(&self) -> Stamp {
        Stamp(self.lineage.as_ref().and_then(|lineage| lineage.modified).unwrap_or(self.stamp))
    }

    /// Whether it is kept only since it lost against a change that had not seen it.
    pub fn is_copy(&self) -> bool {
        self.lineage.as_ref().is_some_and(|lineage| lineage.is_copy == Some(true))
    }

    /// Bytes on disk.
    pub fn stored_size(&self) -> u64 {
        self.sealed.as_ref().map_or(self.size, |sealed| sealed.size)
    }

    /// Number of parts that a list tells of; see [`Object::listed_parts`].
    pub fn listed_parts(&self) -> Option<u16> {
        self.parts.or_else(|| self.sealed.as_ref().and_then(|sealed| sealed.segments))
    }

    /// Its version id.
    pub fn version_id(&self) -> VersionId {
        let stamp = self.clock();
        self.version.map_or(VersionId::Null, |random| VersionId::Unique { stamp, random })
    }

    /// Whether it is a delete marker.
    pub fn is_marker(&self) -> bool {
        self.location == Location::Marker
    }

    pub fn into_object(self, bucket_owner: &CanonicalId) -> Result<Object, StorageError> {
        let version_id = self.version_id();
        let checksum = match self.checksum {
            None => None,
            Some(row) => {
                let value = checksum_of(row.algorithm, &row.value)?;
                let kind = if row.composite { ChecksumKind::Composite } else { ChecksumKind::FullObject };
                Some(ObjectChecksum { value, kind })
            }
        };
        Ok(Object {
            version_id,
            stamp: Stamp(self.stamp),
            size: self.size,
            etag: ETag { md5: self.md5, parts: self.parts },
            crc64nvme: self.crc64nvme,
            checksum,
            owner: self.owner.map_or_else(|| bucket_owner.clone(), |bytes| CanonicalId::from_bytes(bytes.into())),
            attributes: self.attributes.map(Attributes::from).unwrap_or_default(),
            controls: self.controls.map(Controls::try_from).transpose()?.unwrap_or_default(),
            upload: self.upload.map(|(stamp, random)| UploadId { stamp: Stamp(stamp), random }),
            sealed: self.sealed.map(SealedRow::into_sealed).transpose()?,
            lineage: self.lineage.map(LineageRow::into_lineage).transpose()?.map(Box::new),
        })
    }
}

impl FileTag {
    /// The tag of an object's file; `key` where its path does not tell it, `part_size` where its parts have one.
    pub fn of(row: ObjectRow, key: Option<&str>, part_size: Option<u64>) -> Self {
        Self {
            stamp: row.stamp,
            md5: row.md5,
            crc64nvme: row.crc64nvme,
            attributes: row.attributes,
            checksum: row.checksum,
            owner: row.owner,
            parts: row.parts,
            version: row.version,
            upload: row.upload,
            key: key.map(str::to_owned),
            part_size,
            controls: row.controls,
            noncurrent: None,
            plain_size: row.sealed.is_some().then_some(row.size),
            sealed: row.sealed,
            name: None,
            lineage: row.lineage,
        }
    }

    /// The row of an object whose file has `size` bytes.
    pub fn into_row(self, size: u64, location: Location) -> ObjectRow {
        ObjectRow {
            stamp: self.stamp,
            size: self.plain_size.unwrap_or(size),
            md5: self.md5,
            crc64nvme: self.crc64nvme,
            location,
            attributes: self.attributes,
            checksum: self.checksum,
            owner: self.owner,
            parts: self.parts,
            version: self.version,
            upload: self.upload,
            controls: self.controls,
            noncurrent_since: None,
            sealed: self.sealed,
            lineage: self.lineage,
            damaged: None,
        }
    }

    /// What the tag tells of the parts of an object of `size` bytes; empty when it does not tell their sizes.
    pub fn part_list(&self, size: u64) -> PartListRow {
        let sizes = self.parts.zip(self.part_size).and_then(|(count, part)| {
            let last = size.checked_sub(part.checked_mul(u64::from(count.checked_sub(1)?))?)?;
            Some((count, part, last))
        });
        let item = |number, size| PartListItem { number, size, checksum: Vec::new() };
        let parts = sizes.map_or_else(Vec::new, |(count, part, last)| {
            (1..count).map(|number| item(number, part)).chain([item(count, last)]).collect()
        });
        PartListRow { checksum_algorithm: None, parts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::rows::{decode, encode};

    fn tag(attributes: Option<AttributesRow>, checksum: Option<ChecksumRow>) -> FileTag {
        let (stamp, md5, crc64nvme) = (1_800_000_000_123_456_789, [7; 16], u64::MAX);
        let row = ObjectRow {
            stamp,
            size: 5 << 40,
            md5,
            crc64nvme,
            location: Location::Plain,
            attributes,
            checksum,
            owner: None,
            parts: None,
            version: None,
            upload: None,
            controls: None,
            noncurrent_since: None,
            sealed: None,
            lineage: None,
            damaged: None,
        };
        FileTag::of(row, None, None)
    }

    /// The room that ext4 leaves in an inode of 256 bytes for the value of an attribute of this name.
    #[test]
    fn the_tag_of_an_ordinary_object_fits_the_inode() {
        let attributes = Attributes { content_type: Some("application/json".to_owned()), ..Attributes::default() };
        let checksum = ChecksumRow { algorithm: 1, value: vec![1, 2, 3, 4], composite: false };
        let small = tag(Some((&attributes).into()), Some(checksum));
        let bytes = encode(&small).unwrap();
        assert!(bytes.len() <= 64 + 4, "{}", bytes.len());
        assert_eq!(decode::<FileTag>(&bytes).unwrap(), small);
        assert!(encode(&tag(None, None)).unwrap().len() <= 40);
    }

    #[test]
    fn parts_of_one_size_come_back_from_the_tag() {
        let list = |sizes: &[(u16, u64)]| {
            let item = |&(number, size): &(u16, u64)| PartListItem { number, size, checksum: Vec::new() };
            PartListRow { checksum_algorithm: None, parts: sizes.iter().map(item).collect() }
        };
        for (sizes, size) in [
            (vec![(1, 7)], Some(7)),
            (vec![(1, 8), (2, 8), (3, 1)], Some(8)),
            (vec![(2, 8)], None),
            (vec![(1, 8), (2, 7), (3, 8)], None),
            (vec![(1, 1), (2, 9)], Some(1)),
        ] {
            let list = list(&sizes);
            assert_eq!(list.part_size(), size, "{sizes:?}");
            let row = FileTag { parts: Some(sizes.len() as u16), part_size: size, ..tag(None, None) };
            let total = sizes.iter().map(|(_, size)| size).sum();
            let told: Vec<_> = row.part_list(total).parts.iter().map(|part| (part.number, part.size)).collect();
            assert_eq!(told, if size.is_some() { sizes } else { Vec::new() });
        }
    }
}
