//! The pages: one file for each screen, with its routes, its view and what its forms do.

pub mod account;
pub mod browse;
pub mod buckets;
pub mod bytes;
pub mod change;
pub mod error;
pub mod home;
pub mod login;
pub mod object;
pub mod upload;

use super::route::Row;

/// The routes of all screens.
pub const SCREENS: &[&[Row]] = &[
    login::ROWS,
    home::ROWS,
    buckets::ROWS,
    browse::ROWS,
    object::ROWS,
    bytes::ROWS,
    change::ROWS,
    upload::ROWS,
    account::ROWS,
];
