//! Every word that the console shows, in one language. A translation is another [`Text`]; a word that it lacks is an error of the
//! compiler.
//!
//! Words of a screen stand in `text/<screen>.rs`. Names of S3 and IAM (bucket, key, policy, `s3:GetObject`) stay as they are in
//! every language, and so do messages of the API.

mod access;
mod account;
mod browse;
mod buckets;
mod common;
mod go;
mod groups;
mod help;
mod home;
mod iam;
mod jobs;
mod kms;
mod login;
mod monitor;
mod node;
mod object;
mod policy;
mod properties;
mod replication;
mod shortcuts;
mod space;
mod transfer;

pub use access::Access;
pub use account::Account;
pub use browse::Browse;
pub use buckets::Buckets;
pub use common::Common;
pub use go::Go;
pub use groups::Groups;
pub use help::Help;
pub use home::Home;
pub use iam::Iam;
pub use jobs::Jobs;
pub use kms::Kms;
pub use login::Login;
pub use monitor::Monitor;
pub use node::NodePages;
pub use object::Object;
pub use policy::Policy;
pub use properties::Properties;
pub use replication::Replication;
pub use shortcuts::Shortcuts;
pub use space::Space;
pub use transfer::Transfer;

/// Makes a struct of words, and what they are in English.
macro_rules! texts {
    ($name:ident { $($field:ident = $text:literal),+ $(,)? }) => {
        /// Words of one screen.
        #[derive(Debug)]
        pub struct $name {
            $(#[doc = $text] pub $field: &'static str,)+
        }

        impl $name {
            /// In English.
            pub const ENGLISH: Self = Self { $($field: $text,)+ };
        }
    };
}
pub(crate) use texts;

/// The words of all screens.
#[derive(Debug)]
pub struct Text {
    /// Code of the language.
    pub language: &'static str,
    /// What all screens share.
    pub common: Common,
    /// The log-in.
    pub login: Login,
    /// The dashboard.
    pub home: Home,
    /// The way to anywhere.
    pub go: Go,
    /// Buckets.
    pub buckets: Buckets,
    /// Objects of a bucket.
    pub browse: Browse,
    /// Users.
    pub iam: Iam,
    /// Users as a file.
    pub transfer: Transfer,
    /// Groups and managed policies.
    pub groups: Groups,
    /// What is told of each screen.
    pub help: Help,
    /// Work on many objects.
    pub jobs: Jobs,
    /// Figures, requests, changes and refusals.
    pub monitor: Monitor,
    /// An object.
    pub object: Object,
    /// One's own sessions.
    pub account: Account,
    /// A bucket's policy.
    pub policy: Policy,
    /// Properties of a bucket.
    pub properties: Properties,
    /// Keys of the KMS.
    pub kms: Kms,
    /// Settings, self-check and guide.
    pub node: NodePages,
    /// Connections and replication.
    pub replication: Replication,
    /// Keys that lists are worked with.
    pub shortcuts: Shortcuts,
    /// What takes the space.
    pub space: Space,
    /// Who may reach a bucket, its rules for other origins, its events.
    pub access: Access,
}

/// English.
pub static ENGLISH: Text = Text {
    language: "en",
    common: Common::ENGLISH,
    login: Login::ENGLISH,
    home: Home::ENGLISH,
    go: Go::ENGLISH,
    buckets: Buckets::ENGLISH,
    browse: Browse::ENGLISH,
    iam: Iam::ENGLISH,
    transfer: Transfer::ENGLISH,
    groups: Groups::ENGLISH,
    help: Help::ENGLISH,
    jobs: Jobs::ENGLISH,
    monitor: Monitor::ENGLISH,
    object: Object::ENGLISH,
    account: Account::ENGLISH,
    policy: Policy::ENGLISH,
    properties: Properties::ENGLISH,
    kms: Kms::ENGLISH,
    node: NodePages::ENGLISH,
    replication: Replication::ENGLISH,
    shortcuts: Shortcuts::ENGLISH,
    space: Space::ENGLISH,
    access: Access::ENGLISH,
};
