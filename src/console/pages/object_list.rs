//! The access control list of an object, or of one version of it: who owns it and what it grants to whom, and the canned lists that can take
//! its place.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::bucket_config::{Acl, Grant, Grantee, ObjectOwnership, Permission};

use super::marks;
use super::properties::access::group_word;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row};
use crate::console::text::Access;
use crate::console::units::legible;
use crate::console::visit::{Visit, render};
use crate::within::Wish;

/// Routes.
pub const ROWS: &[Row] = &[
    Row::get("/ui/buckets/{bucket}/object-acl", ADMINS, |visit| Box::pin(show(visit))).tested_by("key=folder%2Fa.txt"),
    Row::post("/ui/buckets/{bucket}/object-acl", ADMINS, |visit| Box::pin(set(visit)))
        .tested_by("key=folder%2Fa.txt&list=private"),
];

/// Canned lists of objects (S3 User Guide, "Canned ACL"), with their words.
fn canned(words: &Access) -> Vec<(&'static str, &'static str)> {
    vec![
        ("private", words.canned_private),
        ("public-read", words.canned_public_read),
        ("authenticated-read", words.canned_authenticated_read),
        ("bucket-owner-read", words.canned_bucket_owner_read),
        ("bucket-owner-full-control", words.canned_bucket_owner_full_control),
    ]
}

#[derive(Template)]
#[template(path = "object/list.html")]
struct ListPage {
    page: Page,
    bucket: String,
    key: String,
    version: String,
    owner: String,
    owner_id: String,
    grants: Vec<GrantRow>,
    /// Whether lists count in the bucket.
    counts: bool,
    may_change: bool,
    choices: Vec<(&'static str, &'static str)>,
    revision: String,
}

struct GrantRow {
    who: String,
    id: String,
    permission: &'static str,
    is_public: bool,
}

async fn show(visit: Visit) -> Outcome {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    let asker = visit.asker()?;
    let object = asker.object_for_list(&bucket, &key, version).await?;
    let words = &visit.t.access;
    let owner = bucket.owner_of(&object.owner);
    let counts = bucket.config.ownership != Some(ObjectOwnership::BucketOwnerEnforced);
    let list = object.controls.acl.clone().filter(|_| counts).unwrap_or_else(|| Acl::of_owner(owner));
    let id = version.map(|version| version.to_string()).unwrap_or_default();
    let change = if version.is_some() { "s3:PutObjectVersionAcl" } else { "s3:PutObjectAcl" };
    let name = bucket.name.as_str();
    let shown_key = legible(key.as_str());
    let view = ListPage {
        page: visit
            .page(words.object_list)
            .for_bucket(asker, &bucket, "browse")
            .crumb(shown_key, links::object(name, key.as_str(), &id)),
        owner: user(&visit, &Grantee::User(owner.clone())),
        owner_id: owner.to_string(),
        grants: list.grants.iter().map(|grant| row(&visit, grant)).collect(),
        counts,
        may_change: asker.may_of(change, &bucket, key.as_str(), &object),
        choices: canned(words),
        revision: marks::of_list(&object),
        bucket: name.to_owned(),
        key: key.as_str().to_owned(),
        version: id,
    };
    render(&view)
}

fn row(visit: &Visit, grant: &Grant) -> GrantRow {
    GrantRow {
        who: user(visit, &grant.grantee),
        id: match &grant.grantee {
            Grantee::User(id) => id.to_string(),
            _ => String::new(),
        },
        permission: permission_word(&visit.t.access, grant.permission),
        is_public: grant.grantee.is_public(),
    }
}

fn user(visit: &Visit, grantee: &Grantee) -> String {
    let words = &visit.t.access;
    match grantee {
        Grantee::User(id) => {
            legible(&visit.console.node.access.owner_name(id).unwrap_or_else(|| words.unknown_user.to_owned()))
        }
        group => group_word(words, group).to_owned(),
    }
}

fn permission_word(words: &Access, permission: Permission) -> &'static str {
    match permission {
        Permission::FullControl => words.full_control,
        Permission::Read => words.read_object,
        Permission::Write => words.write_object,
        Permission::ReadAcp => words.read_list,
        Permission::WriteAcp => words.write_list,
    }
}

/// Puts a canned list in the place of the object's. Errs: as PutObjectAcl; another list than the form was loaded with.
async fn set(visit: Visit) -> Outcome {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    let object = visit.asker()?.object_for_list(&bucket, &key, version).await?;
    let asker = marks::check(&visit, &bucket, &key, "s3:PutObjectAcl", &object, marks::of_list).await?;
    let id = version.map(|version| version.to_string()).unwrap_or_default();
    let mut query = vec![("acl", "")];
    if version.is_some() {
        query.push(("versionId", id.as_str()));
    }
    let wish = Wish {
        method: Method::PUT,
        bucket: Some(&bucket.name),
        key: Some(&key),
        query: &query,
        headers: &[("content-length", "0"), ("x-amz-acl", visit.form.text("list"))],
        ..Wish::default()
    };
    asker.s3(wish).await?;
    let address = links::object_list(bucket.name.as_str(), key.as_str(), &id);
    visit.done(Notice::good(visit.t.properties.saved), &address)
}
