//! The one table of operations: what a request asks for, which permission it takes, and whether it is built.
//!
//! A row is told from others by method, scope (service, bucket, object) and its marks: query parameters or headers that
//! must be present. INVARIANT: a parameter that is a mark of any row is either a mark of the row that was chosen or named
//! as its modifier; else the request is refused, so that `PUT /bucket/key?acl` can never become a PutObject.

mod resolve;

use actix_web::http::header::HeaderMap;

use super::query::Query;

pub use resolve::{is_sub_resource, resolve};

/// What a request addresses, and so the shape of the resource that its permission is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The node: `/`.
    Service,
    /// A bucket.
    Bucket,
    /// An object key in a bucket.
    Object,
    /// What a function of Object Lambda answers in place of an object: `/WriteGetObjectResponse`.
    ObjectLambda,
    /// A bucket, by its ARN, in S3 Control's tag operations.
    Control,
}

impl Scope {
    fn name(self) -> &'static str {
        match self {
            Self::Service => "SERVICE",
            Self::Bucket => "BUCKET",
            Self::Object => "OBJECT",
            Self::ObjectLambda => "OBJECT_LAMBDA",
            Self::Control => "TAGS",
        }
    }
}

/// What must be present in a request for a row to be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A query parameter with any value: a sub-resource.
    Query(&'static str),
    /// A query parameter with this value; other values are ignored.
    QueryIs(&'static str, &'static str),
    /// A query parameter that is also an ordinary one elsewhere (`id`), so that it never marks by itself.
    With(&'static str),
    /// A header.
    Header(&'static str),
}

impl Mark {
    fn is_present(self, query: &Query, headers: &HeaderMap) -> bool {
        match self {
            Self::Query(name) | Self::With(name) => query.has(name),
            Self::QueryIs(name, value) => query.get(name) == Some(value),
            Self::Header(name) => headers.contains_key(name),
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The operation.
    pub operation: Operation,
    /// Its HTTP method.
    pub method: &'static str,
    /// What it addresses.
    pub scope: Scope,
    /// What tells it from the others of its method and scope.
    pub marks: &'static [Mark],
    /// IAM action.
    pub action: &'static str,
    /// IAM action when the request names a version.
    pub version_action: &'static str,
    /// Whether it is built; one that is not answers 501 NotImplemented once the caller may use it.
    pub implemented: bool,
}

macro_rules! operation_table {
    ($($name:ident $method:ident $scope:ident [$($mark:expr),*] $action:literal $version:literal $built:literal;)+) => {
        /// An operation of the S3 API, by the name that the S3 API Reference gives it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are those of the S3 API Reference")]
        pub enum Operation { $($name,)+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its row of the table.
            pub fn row(self) -> &'static Row {
                match self {
                    $(Self::$name => &Row {
                        operation: Self::$name,
                        method: stringify!($method),
                        scope: Scope::$scope,
                        marks: &[$($mark),*],
                        action: $action,
                        version_action: $version,
                        implemented: $built,
                    },)+
                }
            }

            /// Its name in the S3 API Reference.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

use Mark::{Header as H, Query as Q, QueryIs, With};

// Of several rows that fit a request, the one with the most marks is meant.
operation_table! {
    ListBuckets GET Service [] "s3:ListAllMyBuckets" "s3:ListAllMyBuckets" true;
    ListDirectoryBuckets GET Service [Q("max-directory-buckets")] "s3:ListAllMyBuckets" "s3:ListAllMyBuckets" false;

    CreateBucket PUT Bucket [] "s3:CreateBucket" "s3:CreateBucket" true;
    HeadBucket HEAD Bucket [] "s3:HeadBucket" "s3:HeadBucket" true;
    DeleteBucket DELETE Bucket [] "s3:DeleteBucket" "s3:DeleteBucket" true;
    ListObjects GET Bucket [] "s3:ListBucket" "s3:ListBucket" true;
    ListObjectsV2 GET Bucket [QueryIs("list-type", "2")] "s3:ListBucket" "s3:ListBucket" true;
    ListObjectVersions GET Bucket [Q("versions")] "s3:ListBucketVersions" "s3:ListBucketVersions" true;
    ListMultipartUploads GET Bucket [Q("uploads")] "s3:ListBucketMultipartUploads" "s3:ListBucketMultipartUploads" true;
    DeleteObjects POST Bucket [Q("delete")] "s3:DeleteObject" "s3:DeleteObjectVersion" true;
    PostObject POST Bucket [] "s3:PutObject" "s3:PutObject" true;

    GetBucketLocation GET Bucket [Q("location")] "s3:GetBucketLocation" "s3:GetBucketLocation" true;
    GetBucketVersioning GET Bucket [Q("versioning")] "s3:GetBucketVersioning" "s3:GetBucketVersioning" true;
    PutBucketVersioning PUT Bucket [Q("versioning")] "s3:PutBucketVersioning" "s3:PutBucketVersioning" true;
    GetBucketAcl GET Bucket [Q("acl")] "s3:GetBucketAcl" "s3:GetBucketAcl" true;
    PutBucketAcl PUT Bucket [Q("acl")] "s3:PutBucketAcl" "s3:PutBucketAcl" true;
    GetBucketPolicy GET Bucket [Q("policy")] "s3:GetBucketPolicy" "s3:GetBucketPolicy" true;
    PutBucketPolicy PUT Bucket [Q("policy")] "s3:PutBucketPolicy" "s3:PutBucketPolicy" true;
    DeleteBucketPolicy DELETE Bucket [Q("policy")] "s3:DeleteBucketPolicy" "s3:DeleteBucketPolicy" true;
    GetBucketPolicyStatus GET Bucket [Q("policyStatus")] "s3:GetBucketPolicyStatus" "s3:GetBucketPolicyStatus" true;
    GetBucketCors GET Bucket [Q("cors")] "s3:GetBucketCORS" "s3:GetBucketCORS" true;
    PutBucketCors PUT Bucket [Q("cors")] "s3:PutBucketCORS" "s3:PutBucketCORS" true;
    DeleteBucketCors DELETE Bucket [Q("cors")] "s3:PutBucketCORS" "s3:PutBucketCORS" true;
    GetBucketLifecycleConfiguration GET Bucket [Q("lifecycle")] "s3:GetLifecycleConfiguration" "s3:GetLifecycleConfiguration" true;
    PutBucketLifecycleConfiguration PUT Bucket [Q("lifecycle")] "s3:PutLifecycleConfiguration" "s3:PutLifecycleConfiguration" true;
    DeleteBucketLifecycle DELETE Bucket [Q("lifecycle")] "s3:PutLifecycleConfiguration" "s3:PutLifecycleConfiguration" true;
    GetBucketTagging GET Bucket [Q("tagging")] "s3:GetBucketTagging" "s3:GetBucketTagging" true;
    PutBucketTagging PUT Bucket [Q("tagging")] "s3:PutBucketTagging" "s3:PutBucketTagging" true;
    DeleteBucketTagging DELETE Bucket [Q("tagging")] "s3:PutBucketTagging" "s3:PutBucketTagging" true;
    GetBucketWebsite GET Bucket [Q("website")] "s3:GetBucketWebsite" "s3:GetBucketWebsite" true;
    PutBucketWebsite PUT Bucket [Q("website")] "s3:PutBucketWebsite" "s3:PutBucketWebsite" true;
    DeleteBucketWebsite DELETE Bucket [Q("website")] "s3:DeleteBucketWebsite" "s3:DeleteBucketWebsite" true;
    GetBucketEncryption GET Bucket [Q("encryption")] "s3:GetEncryptionConfiguration" "s3:GetEncryptionConfiguration" true;
    PutBucketEncryption PUT Bucket [Q("encryption")] "s3:PutEncryptionConfiguration" "s3:PutEncryptionConfiguration" true;
    DeleteBucketEncryption DELETE Bucket [Q("encryption")] "s3:PutEncryptionConfiguration" "s3:PutEncryptionConfiguration" true;
    GetBucketReplication GET Bucket [Q("replication")] "s3:GetReplicationConfiguration" "s3:GetReplicationConfiguration" true;
    PutBucketReplication PUT Bucket [Q("replication")] "s3:PutReplicationConfiguration" "s3:PutReplicationConfiguration" true;
    DeleteBucketReplication DELETE Bucket [Q("replication")] "s3:PutReplicationConfiguration" "s3:PutReplicationConfiguration" true;
    GetObjectLockConfiguration GET Bucket [Q("object-lock")] "s3:GetBucketObjectLockConfiguration" "s3:GetBucketObjectLockConfiguration" true;
    PutObjectLockConfiguration PUT Bucket [Q("object-lock")] "s3:PutBucketObjectLockConfiguration" "s3:PutBucketObjectLockConfiguration" true;
    GetPublicAccessBlock GET Bucket [Q("publicAccessBlock")] "s3:GetBucketPublicAccessBlock" "s3:GetBucketPublicAccessBlock" true;
    PutPublicAccessBlock PUT Bucket [Q("publicAccessBlock")] "s3:PutBucketPublicAccessBlock" "s3:PutBucketPublicAccessBlock" true;
    DeletePublicAccessBlock DELETE Bucket [Q("publicAccessBlock")] "s3:PutBucketPublicAccessBlock" "s3:PutBucketPublicAccessBlock" true;
    GetBucketOwnershipControls GET Bucket [Q("ownershipControls")] "s3:GetBucketOwnershipControls" "s3:GetBucketOwnershipControls" true;
    PutBucketOwnershipControls PUT Bucket [Q("ownershipControls")] "s3:PutBucketOwnershipControls" "s3:PutBucketOwnershipControls" true;
    DeleteBucketOwnershipControls DELETE Bucket [Q("ownershipControls")] "s3:PutBucketOwnershipControls" "s3:PutBucketOwnershipControls" true;
    GetBucketLogging GET Bucket [Q("logging")] "s3:GetBucketLogging" "s3:GetBucketLogging" true;
    PutBucketLogging PUT Bucket [Q("logging")] "s3:PutBucketLogging" "s3:PutBucketLogging" true;
    GetBucketNotificationConfiguration GET Bucket [Q("notification")] "s3:GetBucketNotification" "s3:GetBucketNotification" true;
    PutBucketNotificationConfiguration PUT Bucket [Q("notification")] "s3:PutBucketNotification" "s3:PutBucketNotification" true;
    GetBucketRequestPayment GET Bucket [Q("requestPayment")] "s3:GetBucketRequestPayment" "s3:GetBucketRequestPayment" true;
    PutBucketRequestPayment PUT Bucket [Q("requestPayment")] "s3:PutBucketRequestPayment" "s3:PutBucketRequestPayment" true;
    GetBucketAccelerateConfiguration GET Bucket [Q("accelerate")] "s3:GetAccelerateConfiguration" "s3:GetAccelerateConfiguration" true;
    PutBucketAccelerateConfiguration PUT Bucket [Q("accelerate")] "s3:PutAccelerateConfiguration" "s3:PutAccelerateConfiguration" true;
    GetBucketAnalyticsConfiguration GET Bucket [Q("analytics"), With("id")] "s3:GetAnalyticsConfiguration" "s3:GetAnalyticsConfiguration" false;
    ListBucketAnalyticsConfigurations GET Bucket [Q("analytics")] "s3:GetAnalyticsConfiguration" "s3:GetAnalyticsConfiguration" false;
    PutBucketAnalyticsConfiguration PUT Bucket [Q("analytics")] "s3:PutAnalyticsConfiguration" "s3:PutAnalyticsConfiguration" false;
    DeleteBucketAnalyticsConfiguration DELETE Bucket [Q("analytics")] "s3:PutAnalyticsConfiguration" "s3:PutAnalyticsConfiguration" false;
    GetBucketInventoryConfiguration GET Bucket [Q("inventory"), With("id")] "s3:GetInventoryConfiguration" "s3:GetInventoryConfiguration" false;
    ListBucketInventoryConfigurations GET Bucket [Q("inventory")] "s3:GetInventoryConfiguration" "s3:GetInventoryConfiguration" false;
    PutBucketInventoryConfiguration PUT Bucket [Q("inventory")] "s3:PutInventoryConfiguration" "s3:PutInventoryConfiguration" false;
    DeleteBucketInventoryConfiguration DELETE Bucket [Q("inventory")] "s3:PutInventoryConfiguration" "s3:PutInventoryConfiguration" false;
    GetBucketMetricsConfiguration GET Bucket [Q("metrics"), With("id")] "s3:GetMetricsConfiguration" "s3:GetMetricsConfiguration" false;
    ListBucketMetricsConfigurations GET Bucket [Q("metrics")] "s3:GetMetricsConfiguration" "s3:GetMetricsConfiguration" false;
    PutBucketMetricsConfiguration PUT Bucket [Q("metrics")] "s3:PutMetricsConfiguration" "s3:PutMetricsConfiguration" false;
    DeleteBucketMetricsConfiguration DELETE Bucket [Q("metrics")] "s3:PutMetricsConfiguration" "s3:PutMetricsConfiguration" false;
    GetBucketIntelligentTieringConfiguration GET Bucket [Q("intelligent-tiering"), With("id")] "s3:GetIntelligentTieringConfiguration" "s3:GetIntelligentTieringConfiguration" false;
    ListBucketIntelligentTieringConfigurations GET Bucket [Q("intelligent-tiering")] "s3:GetIntelligentTieringConfiguration" "s3:GetIntelligentTieringConfiguration" false;
    PutBucketIntelligentTieringConfiguration PUT Bucket [Q("intelligent-tiering")] "s3:PutIntelligentTieringConfiguration" "s3:PutIntelligentTieringConfiguration" false;
    DeleteBucketIntelligentTieringConfiguration DELETE Bucket [Q("intelligent-tiering")] "s3:PutIntelligentTieringConfiguration" "s3:PutIntelligentTieringConfiguration" false;
    CreateBucketMetadataConfiguration POST Bucket [Q("metadataConfiguration")] "s3:CreateBucketMetadataTableConfiguration" "s3:CreateBucketMetadataTableConfiguration" false;
    GetBucketMetadataConfiguration GET Bucket [Q("metadataConfiguration")] "s3:GetBucketMetadataTableConfiguration" "s3:GetBucketMetadataTableConfiguration" false;
    DeleteBucketMetadataConfiguration DELETE Bucket [Q("metadataConfiguration")] "s3:DeleteBucketMetadataTableConfiguration" "s3:DeleteBucketMetadataTableConfiguration" false;
    CreateBucketMetadataTableConfiguration POST Bucket [Q("metadataTable")] "s3:CreateBucketMetadataTableConfiguration" "s3:CreateBucketMetadataTableConfiguration" false;
    GetBucketMetadataTableConfiguration GET Bucket [Q("metadataTable")] "s3:GetBucketMetadataTableConfiguration" "s3:GetBucketMetadataTableConfiguration" false;
    DeleteBucketMetadataTableConfiguration DELETE Bucket [Q("metadataTable")] "s3:DeleteBucketMetadataTableConfiguration" "s3:DeleteBucketMetadataTableConfiguration" false;
    UpdateBucketMetadataAnnotationTableConfiguration PUT Bucket [Q("metadataAnnotationTable")] "s3:UpdateBucketMetadataAnnotationTableConfiguration" "s3:UpdateBucketMetadataAnnotationTableConfiguration" false;
    UpdateBucketMetadataInventoryTableConfiguration PUT Bucket [Q("metadataInventoryTable")] "s3:UpdateBucketMetadataInventoryTableConfiguration" "s3:UpdateBucketMetadataInventoryTableConfiguration" false;
    UpdateBucketMetadataJournalTableConfiguration PUT Bucket [Q("metadataJournalTable")] "s3:UpdateBucketMetadataJournalTableConfiguration" "s3:UpdateBucketMetadataJournalTableConfiguration" false;
    GetBucketAbac GET Bucket [Q("abac")] "s3:GetBucketAbac" "s3:GetBucketAbac" false;
    PutBucketAbac PUT Bucket [Q("abac")] "s3:PutBucketAbac" "s3:PutBucketAbac" false;
    CreateSession GET Bucket [Q("session")] "s3:ListBucket" "s3:ListBucket" false;
    GetBucketQuota GET Bucket [Q("quota")] "s3:GetBucketQuota" "s3:GetBucketQuota" true;
    PutBucketQuota PUT Bucket [Q("quota")] "s3:PutBucketQuota" "s3:PutBucketQuota" true;
    DeleteBucketQuota DELETE Bucket [Q("quota")] "s3:PutBucketQuota" "s3:PutBucketQuota" true;

    GetObject GET Object [] "s3:GetObject" "s3:GetObjectVersion" true;
    HeadObject HEAD Object [] "s3:GetObject" "s3:GetObjectVersion" true;
    PutObject PUT Object [] "s3:PutObject" "s3:PutObject" true;
    CopyObject PUT Object [H("x-amz-copy-source")] "s3:PutObject" "s3:PutObject" true;
    DeleteObject DELETE Object [] "s3:DeleteObject" "s3:DeleteObjectVersion" true;
    GetObjectAttributes GET Object [Q("attributes")] "s3:GetObjectAttributes" "s3:GetObjectVersionAttributes" true;
    CreateMultipartUpload POST Object [Q("uploads")] "s3:PutObject" "s3:PutObject" true;
    UploadPart PUT Object [Q("uploadId"), With("partNumber")] "s3:PutObject" "s3:PutObject" true;
    UploadPartCopy PUT Object [Q("uploadId"), With("partNumber"), H("x-amz-copy-source")] "s3:PutObject" "s3:PutObject" true;
    CompleteMultipartUpload POST Object [Q("uploadId")] "s3:PutObject" "s3:PutObject" true;
    AbortMultipartUpload DELETE Object [Q("uploadId")] "s3:AbortMultipartUpload" "s3:AbortMultipartUpload" true;
    ListParts GET Object [Q("uploadId")] "s3:ListMultipartUploadParts" "s3:ListMultipartUploadParts" true;
    GetObjectAcl GET Object [Q("acl")] "s3:GetObjectAcl" "s3:GetObjectVersionAcl" true;
    PutObjectAcl PUT Object [Q("acl")] "s3:PutObjectAcl" "s3:PutObjectVersionAcl" true;
    GetObjectTagging GET Object [Q("tagging")] "s3:GetObjectTagging" "s3:GetObjectVersionTagging" true;
    PutObjectTagging PUT Object [Q("tagging")] "s3:PutObjectTagging" "s3:PutObjectVersionTagging" true;
    DeleteObjectTagging DELETE Object [Q("tagging")] "s3:DeleteObjectTagging" "s3:DeleteObjectVersionTagging" true;
    GetObjectRetention GET Object [Q("retention")] "s3:GetObjectRetention" "s3:GetObjectRetention" true;
    PutObjectRetention PUT Object [Q("retention")] "s3:PutObjectRetention" "s3:PutObjectRetention" true;
    GetObjectLegalHold GET Object [Q("legal-hold")] "s3:GetObjectLegalHold" "s3:GetObjectLegalHold" true;
    PutObjectLegalHold PUT Object [Q("legal-hold")] "s3:PutObjectLegalHold" "s3:PutObjectLegalHold" true;
    ListObjectAnnotations GET Object [Q("annotation")] "s3:ListObjectAnnotations" "s3:ListObjectAnnotations" false;
    GetObjectAnnotation GET Object [Q("annotation"), With("annotationName")] "s3:GetObjectAnnotation" "s3:GetObjectAnnotation" false;
    PutObjectAnnotation PUT Object [Q("annotation")] "s3:PutObjectAnnotation" "s3:PutObjectAnnotation" false;
    DeleteObjectAnnotation DELETE Object [Q("annotation")] "s3:DeleteObjectAnnotation" "s3:DeleteObjectAnnotation" false;
    GetObjectTorrent GET Object [Q("torrent")] "s3:GetObjectTorrent" "s3:GetObjectVersionTorrent" false;
    RestoreObject POST Object [Q("restore")] "s3:RestoreObject" "s3:RestoreObject" false;
    SelectObjectContent POST Object [Q("select")] "s3:GetObject" "s3:GetObject" false;
    RenameObject PUT Object [Q("renameObject")] "s3:PutObject" "s3:PutObject" false;
    UpdateObjectEncryption PUT Object [Q("encryption")] "s3:UpdateObjectEncryption" "s3:UpdateObjectEncryption" true;

    WriteGetObjectResponse POST ObjectLambda [] "s3:GetObject" "s3:GetObject" false;

    ListTagsForResource GET Control [] "s3:ListTagsForResource" "s3:ListTagsForResource" true;
    TagResource POST Control [] "s3:TagResource" "s3:TagResource" true;
    UntagResource DELETE Control [] "s3:UntagResource" "s3:UntagResource" true;
}

impl Operation {
    /// The IAM action that the operation takes on its own resource.
    pub fn action(self, has_version: bool) -> &'static str {
        let row = self.row();
        if has_version { row.version_action } else { row.action }
    }

    /// Whether it is built.
    pub fn implemented(self) -> bool {
        self.row().implemented
    }

    /// What it addresses.
    pub fn scope(self) -> Scope {
        self.row().scope
    }

    /// Whether its handler opens the object, by [`super::authorize::open`], or changes it, by [`super::authorize::change`].
    pub fn opens_object(self) -> bool {
        matches!(
            self,
            Self::GetObject
                | Self::HeadObject
                | Self::GetObjectAttributes
                | Self::GetObjectTagging
                | Self::GetObjectAcl
                | Self::PutObjectAcl
                | Self::DeleteObjectTagging
                | Self::UpdateObjectEncryption
                | Self::GetObjectRetention
                | Self::GetObjectLegalHold
        )
    }

    /// Whether the spine asks for the permission. It does not where the body names the keys (DeleteObjects asks for each
    /// of them), the caller (PostObject), or tags, locks or a region that the permission may depend on.
    pub fn authorized_by_spine(self) -> bool {
        !matches!(
            self,
            Self::DeleteObjects
                | Self::GetBucketQuota
                | Self::PostObject
                | Self::CreateBucket
                | Self::PutBucketTagging
                | Self::TagResource
                | Self::PutObjectTagging
                | Self::PutObjectRetention
                | Self::PutObjectLegalHold
        )
    }

    /// Whether it adds to what a bucket holds.
    pub fn adds(self) -> bool {
        matches!(
            self,
            Self::PutObject
                | Self::PostObject
                | Self::CopyObject
                | Self::CreateMultipartUpload
                | Self::UploadPart
                | Self::UploadPartCopy
                | Self::CompleteMultipartUpload
        )
    }

    /// Whether its body is the content of an object or part, limited by `MAX_UPLOAD_SIZE`; other bodies are documents.
    pub fn takes_content(self) -> bool {
        matches!(self, Self::PutObject | Self::UploadPart | Self::PostObject)
    }
}
