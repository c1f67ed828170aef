//! What is configured of a bucket, as it is asked for by requests of the S3 API.

/// What is configured of a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether versions are kept.
    pub versioning: Versioning,
    /// Whether objects can be locked.
    pub object_lock: bool,
    /// Documents by their sub-resource, in the order in which they are to be put.
    pub documents: Vec<Document>,
    /// A canned access control list.
    pub canned_acl: Option<&'static str>,
    /// What of it is left behind, and why.
    pub lost: Vec<String>,
}

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    #[default]
    Off,
    /// It does.
    Enabled,
    /// It did.
    Suspended,
}

/// A document that configures a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The sub-resource that it is put to.
    pub resource: &'static str,
    /// Its text: XML, or JSON where the sub-resource takes that.
    pub text: String,
}

/// Sub-resources whose documents another server gives in the very form in which they are put here.
pub const CARRIED: [&str; 7] =
    ["ownershipControls", "tagging", "cors", "website", "lifecycle", "policy", "publicAccessBlock"];
