//! Groups and managed policies. Everything goes over the routes below `/_myfsio/iam`, which decide.

mod group;
mod policies;
mod policy;
pub mod told;

use crate::console::route::{ADMINS, Row};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/groups", ADMINS, |visit| Box::pin(group::list(visit))),
    Row::post("/ui/groups", ADMINS, |visit| Box::pin(group::create(visit))).tested_by("name=matrix"),
    Row::get("/ui/groups/{group}", ADMINS, |visit| Box::pin(group::show(visit))),
    Row::post("/ui/groups/{group}/members", ADMINS, |visit| Box::pin(group::change_member(visit)))
        .tested_by("user=none&do=add"),
    Row::post("/ui/groups/{group}/policy", ADMINS, |visit| Box::pin(group::change_policy(visit)))
        .tested_by("name=p&document=%7B%7D&do=save"),
    Row::post("/ui/groups/{group}/attached", ADMINS, |visit| Box::pin(group::change_attached(visit)))
        .tested_by("arn=none&do=add"),
    Row::post("/ui/groups/{group}/delete", ADMINS, |visit| Box::pin(group::delete(visit))).tested_by("confirm=1"),
    Row::get("/ui/policies", ADMINS, |visit| Box::pin(policies::list(visit))),
    Row::post("/ui/policies", ADMINS, |visit| Box::pin(policies::create(visit)))
        .tested_by("name=matrix&document=%7B%7D"),
    Row::get("/ui/policies/policy", ADMINS, |visit| Box::pin(policy::show(visit))).tested_by("arn=none"),
    Row::post("/ui/policies/policy", ADMINS, |visit| Box::pin(policy::save(visit)))
        .tested_by("arn=none&document=%7B%7D"),
    Row::post("/ui/policies/version", ADMINS, |visit| Box::pin(policy::version(visit)))
        .tested_by("arn=none&version=v1&do=choose"),
    Row::post("/ui/policies/attach", ADMINS, |visit| Box::pin(policy::attach(visit)))
        .tested_by("arn=none&user=none&do=add"),
    Row::post("/ui/policies/delete", ADMINS, |visit| Box::pin(policy::delete(visit)))
        .tested_by("arn=none&confirm=none"),
];
