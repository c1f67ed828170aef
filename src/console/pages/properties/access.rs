//! Who may reach a bucket beside its policy: the block of public access, who owns its objects, and its access control list.

use askama::Template;
use myfsio_actors::bucket_config::{Acl, Grant, Grantee, ObjectOwnership, Permission, PublicAccessBlock};
use myfsio_actors::names::CanonicalId;
use myfsio_actors::storage::Bucket;

use super::change::remove;
use super::{begin, revision, saved};
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::route::Outcome;
use crate::console::text::Access;
use crate::console::units::legible;
use crate::console::visit::{Visit, render};
use crate::within::XmlWriter;

/// The page of this screen.
const PAGE: &str = "access";

/// Groups by their words in the form, with what S3 calls them.
const GROUPS: [(&str, Grantee, &str); 3] = [
    ("all", Grantee::AllUsers, "http://acs.amazonaws.com/groups/global/AllUsers"),
    ("signed", Grantee::AuthenticatedUsers, "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"),
    ("logs", Grantee::LogDelivery, "http://acs.amazonaws.com/groups/s3/LogDelivery"),
];

/// Permissions as S3 spells them.
const PERMISSIONS: [(&str, Permission); 5] = [
    ("READ", Permission::Read),
    ("WRITE", Permission::Write),
    ("READ_ACP", Permission::ReadAcp),
    ("WRITE_ACP", Permission::WriteAcp),
    ("FULL_CONTROL", Permission::FullControl),
];

#[derive(Template)]
#[template(path = "properties/access.html")]
struct AccessPage {
    page: Page,
    bucket: String,
    /// Why everybody may reach it.
    public_by: Vec<&'static str>,
    block: Option<Block>,
    ownership: Option<Ownership>,
    list: Option<List>,
}

struct Block {
    switches: [Switch; 4],
    is_set: bool,
    revision: String,
    may_change: bool,
}

struct Switch {
    name: &'static str,
    word: &'static str,
    lead: &'static str,
    is_on: bool,
}

struct Ownership {
    choices: [Choice; 3],
    is_set: bool,
    revision: String,
    may_change: bool,
}

struct Choice {
    value: &'static str,
    word: &'static str,
    lead: &'static str,
    is_on: bool,
}

struct List {
    grants: Vec<GrantRow>,
    /// Whether it counts: it does not, where the bucket's owner owns everything.
    counts: bool,
    permissions: Vec<(&'static str, &'static str)>,
    revision: String,
    may_change: bool,
}

struct GrantRow {
    at: usize,
    who: String,
    id: String,
    permission: &'static str,
    is_public: bool,
    is_owner: bool,
}

pub(super) async fn show(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let asker = visit.asker()?;
    let words = &visit.t.access;
    let may = |action| asker.may(action, Some(&bucket), None);
    if !may("s3:GetBucketAcl") {
        asker.ask("s3:GetBucketPublicAccessBlock", &bucket).await?;
    }
    let config = &bucket.config;
    let settings = config.public_access_block.unwrap_or_default();
    let name = bucket.name.as_str();
    let view = AccessPage {
        public_by: public_by(&visit, &bucket),
        block: may("s3:GetBucketPublicAccessBlock").then(|| Block {
            switches: switches(words, settings),
            is_set: config.public_access_block.is_some(),
            revision: revision(&bucket, "public_access_block"),
            may_change: may("s3:PutBucketPublicAccessBlock"),
        }),
        ownership: may("s3:GetBucketOwnershipControls").then(|| Ownership {
            choices: choices(words, config.ownership),
            is_set: config.ownership.is_some(),
            revision: revision(&bucket, "ownership"),
            may_change: may("s3:PutBucketOwnershipControls"),
        }),
        list: may("s3:GetBucketAcl").then(|| List {
            grants: grant_rows(&visit, &bucket),
            counts: config.ownership != Some(ObjectOwnership::BucketOwnerEnforced),
            permissions: PERMISSIONS
                .map(|(spelled, permission)| (spelled, permission_word(words, permission)))
                .to_vec(),
            revision: revision(&bucket, "acl"),
            may_change: may("s3:PutBucketAcl"),
        }),
        page: visit
            .page(words.title)
            .for_bucket(asker, &bucket, "properties")
            .crumb(visit.t.properties.title, links::bucket(name, "properties")),
        bucket: name.to_owned(),
    };
    render(&view)
}

/// By what everybody may reach something in a bucket.
pub(super) fn public_by(visit: &Visit, bucket: &Bucket) -> Vec<&'static str> {
    let words = &visit.t.access;
    let config = &bucket.config;
    let ignores = config.public_access_block.is_some_and(|block| block.ignore_public_acls)
        || config.ownership == Some(ObjectOwnership::BucketOwnerEnforced);
    let by_list = !ignores && config.acl.as_ref().is_some_and(Acl::is_public);
    let by_policy = visit.console.node.access.policy_engine.is_public(&bucket.name);
    let found = [(by_policy, words.by_policy), (by_list, words.by_list)];
    found.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word).collect()
}

fn switches(words: &Access, block: PublicAccessBlock) -> [Switch; 4] {
    let switch = |name, word, lead, is_on| Switch { name, word, lead, is_on };
    [
        switch("BlockPublicAcls", words.block_lists, words.block_lists_lead, block.block_public_acls),
        switch("IgnorePublicAcls", words.ignore_lists, words.ignore_lists_lead, block.ignore_public_acls),
        switch("BlockPublicPolicy", words.block_policy, words.block_policy_lead, block.block_public_policy),
        switch("RestrictPublicBuckets", words.restrict, words.restrict_lead, block.restrict_public_buckets),
    ]
}

fn choices(words: &Access, ownership: Option<ObjectOwnership>) -> [Choice; 3] {
    let choice = |value, word, lead, of| Choice { value, word, lead, is_on: ownership == Some(of) };
    [
        choice("BucketOwnerEnforced", words.enforced, words.enforced_lead, ObjectOwnership::BucketOwnerEnforced),
        choice("BucketOwnerPreferred", words.preferred, words.preferred_lead, ObjectOwnership::BucketOwnerPreferred),
        choice("ObjectWriter", words.writer, words.writer_lead, ObjectOwnership::ObjectWriter),
    ]
}

/// The list as it is in force: without one, its owner has everything.
fn grants(bucket: &Bucket) -> Vec<Grant> {
    bucket.config.acl.clone().unwrap_or_else(|| Acl::of_owner(&bucket.owner)).grants
}

fn grant_rows(visit: &Visit, bucket: &Bucket) -> Vec<GrantRow> {
    let words = &visit.t.access;
    let row = |(at, grant): (usize, Grant)| {
        let (who, id) = match &grant.grantee {
            Grantee::User(id) => {
                let name = visit.console.node.access.owner_name(id).unwrap_or_else(|| words.unknown_user.to_owned());
                (legible(&name), id.to_string())
            }
            group => (group_word(words, group).to_owned(), String::new()),
        };
        GrantRow {
            at,
            who,
            id,
            permission: permission_word(words, grant.permission),
            is_public: grant.grantee.is_public(),
            is_owner: grant.grantee == Grantee::User(bucket.owner.clone()),
        }
    };
    grants(bucket).into_iter().enumerate().map(row).collect()
}

/// The word for a group; empty for a user.
pub(in crate::console::pages) fn group_word(words: &Access, group: &Grantee) -> &'static str {
    match group {
        Grantee::AllUsers => words.everybody,
        Grantee::AuthenticatedUsers => words.signed_in,
        Grantee::LogDelivery => words.log_delivery,
        Grantee::User(_) => "",
    }
}

fn permission_word(words: &Access, permission: Permission) -> &'static str {
    match permission {
        Permission::FullControl => words.full_control,
        Permission::Read => words.read,
        Permission::Write => words.write,
        Permission::ReadAcp => words.read_list,
        Permission::WriteAcp => words.write_list,
    }
}

/// Sets the four switches, or removes them.
pub(super) async fn block(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketPublicAccessBlock", "public_access_block").await?;
    if visit.form.text("do") == "remove" {
        remove(&asker, &bucket.name, "publicAccessBlock").await?;
        return saved(&visit, &bucket, PAGE);
    }
    let mut document = XmlWriter::new("PublicAccessBlockConfiguration");
    for name in ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"] {
        document.value(name, visit.form.is_on(name));
    }
    asker.put_document(&bucket.name, "publicAccessBlock", &document.finish()).await?;
    saved(&visit, &bucket, PAGE)
}

/// Sets who owns new objects, or leaves it to what S3 did before there was such a setting.
pub(super) async fn ownership(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketOwnershipControls", "ownership").await?;
    let Some(setting) = visit.form.filled("ownership") else {
        remove(&asker, &bucket.name, "ownershipControls").await?;
        return saved(&visit, &bucket, PAGE);
    };
    let mut document = XmlWriter::new("OwnershipControls");
    document.open("Rule").text("ObjectOwnership", setting);
    asker.put_document(&bucket.name, "ownershipControls", &document.finish()).await?;
    saved(&visit, &bucket, PAGE)
}

/// Adds a grant.
pub(super) async fn grant(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketAcl", "acl").await?;
    let mut document = list_before(&bucket);
    for grant in grants(&bucket) {
        write_grant(&mut document, &grant);
    }
    document.open("Grant").open("Grantee");
    let who = visit.form.text("who");
    match GROUPS.iter().find(|(word, ..)| *word == visit.form.text("kind")) {
        Some((.., uri)) => document.text("URI", uri),
        None if who.contains('@') => document.text("EmailAddress", who),
        None if CanonicalId::parse(who).is_ok() => document.text("ID", who),
        None => return Err(Failure::input(visit.t.access.who_wrong)),
    };
    document.close().text("Permission", visit.form.text("permission"));
    asker.put_document(&bucket.name, "acl", &document.finish()).await?;
    saved(&visit, &bucket, PAGE)
}

/// Takes a grant away.
pub(super) async fn revoke(visit: Visit) -> Outcome {
    let (bucket, asker) = begin(&visit, "s3:PutBucketAcl", "acl").await?;
    let at = visit.form.number("at")?;
    let mut document = list_before(&bucket);
    for (_, grant) in (0..).zip(grants(&bucket)).filter(|(place, _): &(u64, _)| Some(*place) != at) {
        write_grant(&mut document, &grant);
    }
    asker.put_document(&bucket.name, "acl", &document.finish()).await?;
    saved(&visit, &bucket, PAGE)
}

/// A list up to its grants.
fn list_before(bucket: &Bucket) -> XmlWriter {
    let mut document = XmlWriter::new("AccessControlPolicy");
    document.open("Owner").value("ID", &bucket.owner).close().open("AccessControlList");
    document
}

fn write_grant(document: &mut XmlWriter, grant: &Grant) {
    document.open("Grant").open("Grantee");
    match &grant.grantee {
        Grantee::User(id) => {
            document.value("ID", id);
        }
        group => {
            let uri = GROUPS.iter().find(|(_, known, _)| known == group).map_or("", |(.., uri)| *uri);
            document.text("URI", uri);
        }
    }
    let spelled = PERMISSIONS.iter().find(|(_, known)| *known == grant.permission).map_or("", |(name, _)| *name);
    document.close().text("Permission", spelled).close();
}
