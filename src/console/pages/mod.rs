//! The pages: one file for each screen, with its routes, its view and what its forms do.

pub mod account;
pub mod archive;
pub mod attributes;
pub mod browse;
pub mod buckets;
pub mod bytes;
pub mod change;
pub mod compare;
pub mod create;
pub mod error;
pub mod go;
pub mod groups;
pub mod home;
pub mod iam;
pub mod jobs;
pub mod kms;
pub mod login;
pub mod marks;
pub mod monitor;
pub mod node;
pub mod object;
pub mod object_list;
pub mod older;
pub mod policy;
pub mod presign;
pub mod preview;
pub mod properties;
pub mod replication;
pub mod space;
pub mod undo;
pub mod upload;

use super::route::Row;

/// The routes of all screens.
pub const SCREENS: &[&[Row]] = &[
    login::ROWS,
    home::ROWS,
    go::ROWS,
    buckets::ROWS,
    create::ROWS,
    browse::ROWS,
    object::ROWS,
    object_list::ROWS,
    presign::ROWS,
    bytes::ROWS,
    change::ROWS,
    undo::ROWS,
    older::ROWS,
    attributes::ROWS,
    compare::ROWS,
    upload::ROWS,
    properties::ROWS,
    policy::ROWS,
    account::ROWS,
    archive::ROWS,
    space::ROWS,
    iam::ROWS,
    groups::ROWS,
    jobs::ROWS,
    monitor::ROWS,
    replication::ROWS,
    kms::ROWS,
    node::ROWS,
];
