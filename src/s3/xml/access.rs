//! Documents about who may do what: AccessControlPolicy, OwnershipControls, PublicAccessBlockConfiguration, and the status of a
//! policy (S3 API Reference, under these names).

use myfsio_actors::bucket_config::{Grantee, ObjectOwnership, Permission, PublicAccessBlock};

use super::XmlWriter;
use super::read::{self, Element, MalformedXml};
use super::requests::boolean;

/// Largest of these documents in bytes: 100 grants with long names stay far below.
pub const ACCESS_BYTES_MAX: usize = 64 * 1024;

/// Whom a request names in a grant, before anybody has looked whether there is such a user or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedGrantee {
    /// Canonical id.
    Id(String),
    /// URI of a group.
    Uri(String),
    /// E-mail address of a user.
    Email(String),
}

/// A grant as a request writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedGrant {
    /// To whom.
    pub grantee: NamedGrantee,
    /// What.
    pub permission: Permission,
}

/// `AccessControlPolicy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessControlPolicy {
    /// Canonical id of the owner.
    pub owner: String,
    /// Grants, in the order of the document.
    pub grants: Vec<NamedGrant>,
}

/// Permissions as S3 spells them.
const PERMISSIONS: [(&str, Permission); 5] = [
    ("FULL_CONTROL", Permission::FullControl),
    ("READ", Permission::Read),
    ("WRITE", Permission::Write),
    ("READ_ACP", Permission::ReadAcp),
    ("WRITE_ACP", Permission::WriteAcp),
];

const OWNERSHIPS: [(&str, ObjectOwnership); 3] = [
    ("BucketOwnerEnforced", ObjectOwnership::BucketOwnerEnforced),
    ("BucketOwnerPreferred", ObjectOwnership::BucketOwnerPreferred),
    ("ObjectWriter", ObjectOwnership::ObjectWriter),
];

/// URIs of the groups.
const GROUPS: [(&str, Grantee); 3] = [
    ("http://acs.amazonaws.com/groups/global/AllUsers", Grantee::AllUsers),
    ("http://acs.amazonaws.com/groups/global/AuthenticatedUsers", Grantee::AuthenticatedUsers),
    ("http://acs.amazonaws.com/groups/s3/LogDelivery", Grantee::LogDelivery),
];

/// The group of a URI.
pub fn group(uri: &str) -> Option<Grantee> {
    GROUPS.iter().find(|(known, _)| *known == uri).map(|(_, group)| group.clone())
}

/// The setting of a name such as `ObjectWriter`.
pub fn ownership(name: &str) -> Option<ObjectOwnership> {
    OWNERSHIPS.iter().find(|(known, _)| *known == name).map(|(_, setting)| *setting)
}

/// Reads `AccessControlPolicy`. Whether there are such users is not looked at. Errs on what the schema does not allow.
pub fn access_control_policy(body: &[u8]) -> Result<AccessControlPolicy, MalformedXml> {
    let root = read::parse(body, "AccessControlPolicy")?;
    let (mut owner, mut grants) = (None, None);
    for child in root.branch()? {
        match child.name.as_str() {
            "Owner" if owner.is_none() => owner = Some(owner_id(child)?),
            "AccessControlList" if grants.is_none() => {
                grants = Some(child.branch()?.iter().map(grant).collect::<Result<Vec<_>, _>>()?);
            }
            _ => return Err(child.unexpected()),
        }
    }
    match (owner, grants) {
        (Some(owner), Some(grants)) => Ok(AccessControlPolicy { owner, grants }),
        _ => Err(MalformedXml::new("an access control policy without owner or list")),
    }
}

fn owner_id(element: &Element) -> Result<String, MalformedXml> {
    let mut id = None;
    for child in element.branch()? {
        match child.name.as_str() {
            "ID" if id.is_none() => id = Some(child.leaf()?.trim().to_owned()),
            "DisplayName" => {}
            _ => return Err(child.unexpected()),
        }
    }
    id.ok_or_else(|| MalformedXml::new("an owner without id"))
}

/// One `Grant`.
pub(super) fn grant(element: &Element) -> Result<NamedGrant, MalformedXml> {
    if element.name != "Grant" {
        return Err(element.unexpected());
    }
    let (mut named, mut permission) = (None, None);
    for child in element.branch()? {
        match child.name.as_str() {
            "Grantee" if named.is_none() => named = Some(grantee(child)?),
            "Permission" if permission.is_none() => {
                let name = child.leaf()?.trim();
                let known = PERMISSIONS.iter().find(|(known, _)| *known == name).map(|(_, permission)| *permission);
                permission = Some(known.ok_or_else(|| MalformedXml::new(format!("{name} is no permission")))?);
            }
            _ => return Err(child.unexpected()),
        }
    }
    match (named, permission) {
        (Some(grantee), Some(permission)) => Ok(NamedGrant { grantee, permission }),
        _ => Err(MalformedXml::new("a grant without grantee or permission")),
    }
}

/// The element that names the grantee tells its kind; an `xsi:type` that is given must say the same.
fn grantee(element: &Element) -> Result<NamedGrantee, MalformedXml> {
    let mut named = None;
    for child in element.branch()? {
        let text = || child.leaf().map(|text| text.trim().to_owned());
        let (kind, grantee) = match child.name.as_str() {
            "ID" => ("CanonicalUser", NamedGrantee::Id(text()?)),
            "URI" => ("Group", NamedGrantee::Uri(text()?)),
            "EmailAddress" => ("AmazonCustomerByEmail", NamedGrantee::Email(text()?)),
            "DisplayName" => continue,
            _ => return Err(child.unexpected()),
        };
        let fits = element.kind.as_deref().is_none_or(|told| told == kind);
        if named.is_some() || !fits {
            return Err(MalformedXml::new("a grantee of two kinds"));
        }
        named = Some(grantee);
    }
    named.ok_or_else(|| MalformedXml::new("a grantee without name"))
}

/// An access control list to be written: the names beside the ids are for people.
#[derive(Debug)]
pub struct WrittenAcl<'a> {
    /// Canonical id and display name of the owner.
    pub owner: (&'a str, &'a str),
    /// Grantee, display name if it is a user, and permission.
    pub grants: Vec<(&'a Grantee, String, Permission)>,
}

/// Writes `AccessControlPolicy`.
pub fn write_access_control_policy(acl: &WrittenAcl<'_>) -> String {
    let mut out = XmlWriter::with_capacity("AccessControlPolicy", 1024);
    out.open("Owner").text("ID", acl.owner.0).text("DisplayName", acl.owner.1).close();
    out.open("AccessControlList");
    for (grantee, name, permission) in &acl.grants {
        write_grant(&mut out, grantee, Some(name), *permission);
    }
    out.finish()
}

/// Writes a `Grant`; `name` is a user's display name.
pub(super) fn write_grant(out: &mut XmlWriter, grantee: &Grantee, name: Option<&str>, permission: Permission) {
    out.open("Grant");
    match grantee {
        Grantee::User(id) => {
            out.open_typed("Grantee", "CanonicalUser").value("ID", id).text_if("DisplayName", name).close();
        }
        group => {
            let uri = GROUPS.iter().find(|(_, known)| known == group).map_or("", |(uri, _)| *uri);
            out.open_typed("Grantee", "Group").text("URI", uri).close();
        }
    }
    let spelled = PERMISSIONS.iter().find(|(_, known)| *known == permission).map_or("", |(name, _)| *name);
    out.text("Permission", spelled).close();
}

/// Reads `OwnershipControls`, which has exactly one rule.
pub fn ownership_controls(body: &[u8]) -> Result<ObjectOwnership, MalformedXml> {
    let root = read::parse(body, "OwnershipControls")?;
    let [rule] = root.branch()? else { return Err(MalformedXml::new("not exactly one rule")) };
    let [setting] = rule.branch()? else { return Err(MalformedXml::new("not exactly one setting")) };
    if rule.name != "Rule" {
        return Err(rule.unexpected());
    }
    if setting.name != "ObjectOwnership" {
        return Err(setting.unexpected());
    }
    let name = setting.leaf()?.trim();
    ownership(name).ok_or_else(|| MalformedXml::new(format!("{name} is no object ownership")))
}

/// Writes `OwnershipControls`.
pub fn write_ownership_controls(setting: ObjectOwnership) -> String {
    let name = OWNERSHIPS.iter().find(|(_, known)| *known == setting).map_or("", |(name, _)| *name);
    let mut out = XmlWriter::new("OwnershipControls");
    out.open("Rule").text("ObjectOwnership", name).close();
    out.finish()
}

/// Reads `PublicAccessBlockConfiguration`; none when it names no setting. An absent setting is false.
pub fn public_access_block(body: &[u8]) -> Result<Option<PublicAccessBlock>, MalformedXml> {
    let root = read::parse(body, "PublicAccessBlockConfiguration")?;
    let mut block = PublicAccessBlock::default();
    for child in root.fields()? {
        let setting = match child.name.as_str() {
            "BlockPublicAcls" => &mut block.block_public_acls,
            "IgnorePublicAcls" => &mut block.ignore_public_acls,
            "BlockPublicPolicy" => &mut block.block_public_policy,
            "RestrictPublicBuckets" => &mut block.restrict_public_buckets,
            _ => return Err(child.unexpected()),
        };
        *setting = boolean(child)?;
    }
    Ok((!root.children.is_empty()).then_some(block))
}

/// Writes `PublicAccessBlockConfiguration`.
pub fn write_public_access_block(block: &PublicAccessBlock) -> String {
    let mut out = XmlWriter::new("PublicAccessBlockConfiguration");
    out.value("BlockPublicAcls", block.block_public_acls).value("IgnorePublicAcls", block.ignore_public_acls);
    out.value("BlockPublicPolicy", block.block_public_policy);
    out.value("RestrictPublicBuckets", block.restrict_public_buckets);
    out.finish()
}

/// Writes `PolicyStatus`.
pub fn write_policy_status(is_public: bool) -> String {
    let mut out = XmlWriter::new("PolicyStatus");
    out.value("IsPublic", is_public);
    out.finish()
}

#[cfg(test)]
mod tests {
    use myfsio_actors::names::CanonicalId;
    use proptest::prelude::*;

    use super::*;

    const XSI: &str = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";

    fn acl(grants: &str) -> Result<Vec<NamedGrant>, MalformedXml> {
        let body = format!(
            "<AccessControlPolicy><Owner><ID>o</ID></Owner><AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
        );
        access_control_policy(body.as_bytes()).map(|policy| policy.grants)
    }

    #[test]
    fn grants_of_each_kind() {
        let grants = acl(&format!(
            "<Grant><Grantee {XSI} xsi:type=\"CanonicalUser\"><ID>a</ID><DisplayName>x</DisplayName></Grantee>\
             <Permission>FULL_CONTROL</Permission></Grant>\
             <Grant><Permission>READ_ACP</Permission><Grantee {XSI} xsi:type=\"Group\"><URI>u</URI></Grantee></Grant>\
             <Grant><Grantee><EmailAddress>e@x</EmailAddress></Grantee><Permission>WRITE</Permission></Grant>"
        ));
        let named = |grantee, permission| NamedGrant { grantee, permission };
        assert_eq!(
            grants.unwrap(),
            [
                named(NamedGrantee::Id("a".to_owned()), Permission::FullControl),
                named(NamedGrantee::Uri("u".to_owned()), Permission::ReadAcp),
                named(NamedGrantee::Email("e@x".to_owned()), Permission::Write),
            ]
        );
        assert_eq!(acl("").unwrap(), []);
    }

    #[test]
    fn what_is_no_access_control_policy() {
        let grantee = "<Grantee><ID>a</ID></Grantee>";
        for bad in [
            "<Grunt/>".to_owned(),
            "<Grant/>".to_owned(),
            format!("<Grant>{grantee}</Grant>"),
            "<Grant><Permission>READ</Permission></Grant>".to_owned(),
            format!("<Grant>{grantee}<Permission>read</Permission></Grant>"),
            format!("<Grant>{grantee}{grantee}<Permission>READ</Permission></Grant>"),
            "<Grant><Grantee/><Permission>READ</Permission></Grant>".to_owned(),
            "<Grant><Grantee><ID>a</ID><URI>u</URI></Grantee><Permission>READ</Permission></Grant>".to_owned(),
            format!(
                "<Grant><Grantee {XSI} xsi:type=\"Group\"><ID>a</ID></Grantee><Permission>READ</Permission></Grant>"
            ),
            "text".to_owned(),
        ] {
            assert!(acl(&bad).is_err(), "{bad}");
        }
        for bad in [
            "<AccessControlPolicy/>",
            "<AccessControlPolicy><AccessControlList/></AccessControlPolicy>",
            "<AccessControlPolicy><Owner><ID>o</ID></Owner></AccessControlPolicy>",
            "<AccessControlPolicy><Owner/><AccessControlList/></AccessControlPolicy>",
            "<AccessControlList/>",
        ] {
            assert!(access_control_policy(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn ownership_and_public_access() {
        for (name, setting) in OWNERSHIPS {
            let written = write_ownership_controls(setting);
            assert!(written.contains(&format!("<Rule><ObjectOwnership>{name}</ObjectOwnership></Rule>")));
            assert_eq!(ownership_controls(written.as_bytes()), Ok(setting));
        }
        for bad in [
            "<OwnershipControls/>",
            "<OwnershipControls><Rule/></OwnershipControls>",
            "<OwnershipControls><Rule><ObjectOwnership>Mine</ObjectOwnership></Rule></OwnershipControls>",
            "<OwnershipControls><Rule><Object>ObjectWriter</Object></Rule></OwnershipControls>",
            "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule><Rule/></OwnershipControls>",
        ] {
            assert!(ownership_controls(bad.as_bytes()).is_err(), "{bad}");
        }
        let read = |settings: &str| {
            let body = format!("<PublicAccessBlockConfiguration>{settings}</PublicAccessBlockConfiguration>");
            public_access_block(body.as_bytes())
        };
        assert_eq!(read(""), Ok(None));
        let block = read("<BlockPublicAcls>TRUE</BlockPublicAcls><RestrictPublicBuckets>false</RestrictPublicBuckets>");
        assert_eq!(block, Ok(Some(PublicAccessBlock { block_public_acls: true, ..PublicAccessBlock::default() })));
        assert!(read("<BlockPublicAcls>perhaps</BlockPublicAcls>").is_err());
        assert!(read("<BlockAll>true</BlockAll>").is_err());
    }

    proptest! {
        #[test]
        fn lists_come_back(picks in proptest::collection::vec((0usize..4, 0usize..5), 0..9)) {
            let user = CanonicalId::from_bytes([7; 32]);
            let grants: Vec<(Grantee, Permission)> = picks
                .into_iter()
                .map(|(who, what)| {
                    let grantee = GROUPS.get(who).map_or(Grantee::User(user.clone()), |(_, group)| group.clone());
                    (grantee, PERMISSIONS[what].1)
                })
                .collect();
            let written = write_access_control_policy(&WrittenAcl {
                owner: ("o", "<name>"),
                grants: grants.iter().map(|(grantee, what)| (grantee, "x&y".to_owned(), *what)).collect(),
            });
            let read = access_control_policy(written.as_bytes()).unwrap();
            prop_assert_eq!(read.owner, "o");
            let back: Vec<_> = read
                .grants
                .into_iter()
                .map(|grant| {
                    let grantee = match grant.grantee {
                        NamedGrantee::Uri(uri) => group(&uri),
                        NamedGrantee::Id(id) => CanonicalId::parse(&id).ok().map(Grantee::User),
                        NamedGrantee::Email(_) => None,
                    };
                    (grantee.unwrap(), grant.permission)
                })
                .collect();
            prop_assert_eq!(back, grants);
        }

        #[test]
        fn never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = access_control_policy(&bytes);
            let _ = ownership_controls(&bytes);
            let _ = public_access_block(&bytes);
        }
    }
}
