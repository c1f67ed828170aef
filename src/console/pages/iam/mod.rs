//! Users: their access keys, policies and groups. Everything goes over the routes below `/_myfsio/iam`, which decide.

mod permissions;
mod secret;
mod told;
mod transfer;
mod user;
mod users;

pub use secret::rotate_own;
pub use told::{Used, User, route, status};

use crate::console::route::{ADMINS, Body, Row};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/iam", ADMINS, |visit| Box::pin(users::list(visit))),
    Row::post("/ui/iam", ADMINS, |visit| Box::pin(users::create(visit))).tested_by("name=matrix"),
    Row::get("/ui/transfer", ADMINS, |visit| Box::pin(transfer::show(visit))),
    Row::get("/ui/transfer/export", ADMINS, |visit| Box::pin(transfer::export(visit))),
    // Judged once the form has come.
    Row::post("/ui/transfer", ADMINS, |visit| Box::pin(transfer::preview(visit)))
        .reading(Body::Files)
        .tested_by("matrix"),
    Row::post("/ui/transfer/import", ADMINS, |visit| Box::pin(transfer::import(visit)))
        .tested_by("stamp=none&document="),
    Row::get("/ui/iam/{user}", ADMINS, |visit| Box::pin(user::show(visit))),
    Row::post("/ui/iam/{user}", ADMINS, |visit| Box::pin(user::change(visit))).tested_by("name=matrix"),
    Row::get("/ui/iam/{user}/permissions", ADMINS, |visit| Box::pin(permissions::show(visit))),
    Row::post("/ui/iam/{user}/policies", ADMINS, |visit| Box::pin(user::set_policies(visit)))
        .tested_by("loaded=%5B%5D&policies=%5B%5D"),
    Row::post("/ui/iam/{user}/keys", ADMINS, |visit| Box::pin(secret::add_key(visit))),
    Row::post("/ui/iam/{user}/key", ADMINS, |visit| Box::pin(user::change_key(visit)))
        .tested_by("access_key=none&do=disable"),
    Row::post("/ui/iam/{user}/rotate", ADMINS, |visit| Box::pin(secret::rotate(visit))),
    Row::post("/ui/iam/{user}/delete", ADMINS, |visit| Box::pin(user::delete(visit))).tested_by("confirm=matrix"),
];
