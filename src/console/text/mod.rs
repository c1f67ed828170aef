//! Every word that the console shows, in one language. A translation is another [`Text`]; a word that it lacks is an error of the
//! compiler.
//!
//! Words of a screen stand in `text/<screen>.rs`. Names of S3 and IAM (bucket, key, policy, `s3:GetObject`) stay as they are in
//! every language, and so do messages of the API.

mod account;
mod browse;
mod buckets;
mod common;
mod home;
mod login;
mod object;

pub use account::Account;
pub use browse::Browse;
pub use buckets::Buckets;
pub use common::Common;
pub use home::Home;
pub use login::Login;
pub use object::Object;

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
    /// Buckets.
    pub buckets: Buckets,
    /// Objects of a bucket.
    pub browse: Browse,
    /// An object.
    pub object: Object,
    /// One's own sessions.
    pub account: Account,
}

/// English.
pub static ENGLISH: Text = Text {
    language: "en",
    common: Common::ENGLISH,
    login: Login::ENGLISH,
    home: Home::ENGLISH,
    buckets: Buckets::ENGLISH,
    browse: Browse::ENGLISH,
    object: Object::ENGLISH,
    account: Account::ENGLISH,
};
