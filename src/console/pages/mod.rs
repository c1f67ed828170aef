//! The pages: one file for each screen, with its routes, its view and what its forms do.

pub mod buckets;
pub mod error;
pub mod home;
pub mod login;
pub mod policy;
pub mod properties;

use super::route::Row;

/// The routes of all screens.
pub const SCREENS: &[&[Row]] = &[login::ROWS, home::ROWS, buckets::ROWS, properties::ROWS, policy::ROWS];
