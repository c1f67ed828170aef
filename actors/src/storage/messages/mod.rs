//! What may be asked of Storage. Verbs change state and travel through the mailbox; queries are answered from the
//! published snapshot by the client. Bodies travel as a [`FinishedBody`](super::FinishedBody): already hashed, and either small bytes or a staged file.

mod bucket;
mod event;
mod lifecycle;
mod listing;
mod multipart;
mod object;
mod quota;
mod reencryption;
mod replication;

pub use crate::encryption::KeyUse;
pub use bucket::{
    Adopted, Bucket, BucketChange, ConfigureBucket, Configured, CreateBucket, DeleteBucket, Usage, Versioning,
};
pub use event::{Cause, EVENT_BUS, ObjectEvent, Origin, OutboxQueue, QueuedEvent, SettleEvents, Settled, Tray};
pub use lifecycle::{
    DuePage, Expire, Expired, Foreseen, ForeseenEntry, LifecyclePreview, LifecycleRun, ListDue, RecordRun, TimeEntry,
    WalkTimes,
};
pub use listing::{
    CommonPrefix, KeyEntry, ListObjects, ListParts, ListUploads, ListVersions, ObjectPage, PartPage, UploadEntry,
    UploadPage, VersionEntry, VersionPage,
};
pub use multipart::{
    AbortUpload, BeginPart, CompleteUpload, CompletedPart, CreateUpload, Part, PutPart, RewrapUpload, Upload, Whole,
};
pub use object::{
    Attributes, BeginBody, ChangeObject, Controls, DeleteObject, Deleted, ETagCondition, Object, ObjectChange,
    ObjectChecksum, PutObject, Sealed, Stored, WriteConditions,
};
pub use quota::{CountMeter, LimitOwners, Quantity, QuotaAccount, QuotaScope, QuotaWarning};
pub use reencryption::{KeepReencryption, RewriteObject};
pub use replication::{
    Applied, ChangeBeside, Conflict, ConflictChoice, EnqueueChanges, Kinds, Lineage, Permits, QueueName, QueueTotals,
    QueuedChange, Replica, ReplicationStatus, ReplicationTray, ResolveConflict, SettleChanges, SettledChange, Slot,
    SlotPage, SlotState, WalkPosition,
};
