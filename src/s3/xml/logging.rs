//! `BucketLoggingStatus` (S3 API Reference, PutBucketLogging).

use myfsio_actors::bucket_config::{Grant, Grantee, Logging, PartitionDate, Permission};
use myfsio_actors::names::CanonicalId;

use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};

/// Largest document in bytes; 100 grants fit.
pub const LOGGING_BYTES_MAX: usize = 64 * 1024;

const GRANTS_MAX: usize = 100;
const GROUPS: [(&str, Grantee); 3] = [
    ("http://acs.amazonaws.com/groups/global/AllUsers", Grantee::AllUsers),
    ("http://acs.amazonaws.com/groups/global/AuthenticatedUsers", Grantee::AuthenticatedUsers),
    ("http://acs.amazonaws.com/groups/s3/LogDelivery", Grantee::LogDelivery),
];

/// Reads `BucketLoggingStatus`; none turns logging off. Errs: MalformedXML, InvalidArgument for an unknown grantee,
/// UnresolvableGrantByEmailAddress since no user is known by a mail address.
pub fn bucket_logging_status(body: &[u8]) -> Result<Option<Logging>, S3Error> {
    let root = read::parse(body, "BucketLoggingStatus")?;
    match root.branch()? {
        [] => Ok(None),
        [enabled] if enabled.name == "LoggingEnabled" => logging_enabled(enabled).map(Some),
        [other, ..] => Err(other.unexpected().into()),
    }
}

fn logging_enabled(element: &Element) -> Result<Logging, S3Error> {
    let (mut bucket, mut prefix, mut grants, mut format) = (None, None, Vec::new(), None);
    for child in element.branch()? {
        match child.name.as_str() {
            "TargetBucket" => bucket = Some(child.leaf()?.trim().to_owned()),
            "TargetPrefix" => prefix = Some(child.leaf()?.to_owned()),
            "TargetGrants" => grants = child.branch()?.iter().map(grant).collect::<Result<_, _>>()?,
            "TargetObjectKeyFormat" => format = Some(key_format(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    if grants.len() > GRANTS_MAX {
        return Err(MalformedXml::new("more than 100 grants").into());
    }
    let (Some(target_bucket), Some(target_prefix)) = (bucket, prefix) else {
        return Err(MalformedXml::new("LoggingEnabled without TargetBucket or TargetPrefix").into());
    };
    Ok(Logging {
        target_bucket,
        target_prefix,
        target_grants: grants,
        partitioned_by: format.flatten(),
        simple_prefix: format == Some(None),
    })
}

/// `TargetObjectKeyFormat`: the date of partitioned keys, none for simple ones.
fn key_format(element: &Element) -> Result<Option<PartitionDate>, MalformedXml> {
    let malformed = || MalformedXml::new("TargetObjectKeyFormat is neither SimplePrefix nor PartitionedPrefix");
    let [format] = element.branch()? else { return Err(malformed()) };
    match (format.name.as_str(), format.branch()?) {
        ("SimplePrefix", []) => Ok(None),
        ("PartitionedPrefix", []) => Ok(Some(PartitionDate::DeliveryTime)),
        ("PartitionedPrefix", [source]) if source.name == "PartitionDateSource" => match source.leaf()?.trim() {
            "EventTime" => Ok(Some(PartitionDate::EventTime)),
            "DeliveryTime" => Ok(Some(PartitionDate::DeliveryTime)),
            other => Err(MalformedXml::new(format!("{other} is no PartitionDateSource"))),
        },
        _ => Err(malformed()),
    }
}

fn grant(element: &Element) -> Result<Grant, S3Error> {
    if element.name != "Grant" {
        return Err(element.unexpected().into());
    }
    let (mut grantee_of_grant, mut permission_of_grant) = (None, None);
    for child in element.branch()? {
        match child.name.as_str() {
            "Grantee" => grantee_of_grant = Some(grantee(child)?),
            "Permission" => permission_of_grant = Some(permission(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    match (grantee_of_grant, permission_of_grant) {
        (Some(grantee), Some(permission)) => Ok(Grant { grantee, permission }),
        _ => Err(MalformedXml::new("a Grant without Grantee or Permission").into()),
    }
}

/// The grantee by which child it has: the type in its attribute says the same.
fn grantee(element: &Element) -> Result<Grantee, S3Error> {
    let mut grantee = None;
    for child in element.branch()? {
        let text = child.leaf()?.trim();
        match child.name.as_str() {
            "ID" => {
                let id = CanonicalId::parse(text);
                let id = id.map_err(|_| S3Error::invalid_argument("CanonicalUser/ID", text, "Invalid id"))?;
                grantee = Some(Grantee::User(id));
            }
            "URI" => {
                let group = GROUPS.into_iter().find(|(uri, _)| *uri == text).map(|(_, group)| group);
                grantee = Some(group.ok_or_else(|| S3Error::invalid_argument("Group/URI", text, "Invalid group uri"))?);
            }
            "EmailAddress" => return Err(ErrorCode::UnresolvableGrantByEmailAddress.into()),
            "DisplayName" => {}
            _ => return Err(child.unexpected().into()),
        }
    }
    grantee.ok_or_else(|| MalformedXml::new("a Grantee that names nobody").into())
}

fn permission(element: &Element) -> Result<Permission, MalformedXml> {
    match element.leaf()?.trim() {
        "FULL_CONTROL" => Ok(Permission::FullControl),
        "READ" => Ok(Permission::Read),
        "WRITE" => Ok(Permission::Write),
        other => Err(MalformedXml::new(format!("{other} is no permission of a target grant"))),
    }
}

/// `BucketLoggingStatus`; empty while logging is off.
pub fn write_logging(logging: Option<&Logging>) -> String {
    let mut document = XmlWriter::new("BucketLoggingStatus");
    if let Some(logging) = logging {
        document.open("LoggingEnabled");
        document.text("TargetBucket", &logging.target_bucket).text("TargetPrefix", &logging.target_prefix);
        if !logging.target_grants.is_empty() {
            document.open("TargetGrants");
            for grant in &logging.target_grants {
                write_grant(&mut document, grant);
            }
            document.close();
        }
        write_format(&mut document, logging);
        document.close();
    }
    document.finish()
}

fn write_grant(document: &mut XmlWriter, grant: &Grant) {
    document.open("Grant");
    match &grant.grantee {
        Grantee::User(id) => {
            document.open_typed("Grantee", "CanonicalUser").text("ID", id.as_str());
        }
        group => {
            let uri = GROUPS.iter().find(|(_, known)| known == group).map(|(uri, _)| *uri);
            document.open_typed("Grantee", "Group").text_if("URI", uri);
        }
    }
    document.close().text(
        "Permission",
        match grant.permission {
            Permission::FullControl => "FULL_CONTROL",
            Permission::Read => "READ",
            Permission::Write => "WRITE",
            Permission::ReadAcp => "READ_ACP",
            Permission::WriteAcp => "WRITE_ACP",
        },
    );
    document.close();
}

fn write_format(document: &mut XmlWriter, logging: &Logging) {
    let date = match (logging.partitioned_by, logging.simple_prefix) {
        (Some(PartitionDate::EventTime), _) => "EventTime",
        (Some(PartitionDate::DeliveryTime), _) => "DeliveryTime",
        (None, true) => {
            document.open("TargetObjectKeyFormat").open("SimplePrefix").close().close();
            return;
        }
        (None, false) => return,
    };
    document.open("TargetObjectKeyFormat").open("PartitionedPrefix").text("PartitionDateSource", date);
    document.close().close();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Result<Option<Logging>, S3Error> {
        bucket_logging_status(format!("<BucketLoggingStatus>{inside}</BucketLoggingStatus>").as_bytes())
    }

    fn enabled(inside: &str) -> Result<Option<Logging>, S3Error> {
        read(&format!(
            "<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>a/</TargetPrefix>{inside}</LoggingEnabled>"
        ))
    }

    #[test]
    fn what_is_answered_can_be_sent_back() {
        let id = "a".repeat(64);
        for inside in [
            String::new(),
            format!(
                "<TargetGrants><Grant><Grantee><ID>{id}</ID></Grantee><Permission>READ</Permission></Grant></TargetGrants>"
            ),
            format!(
                "<TargetGrants><Grant><Grantee><URI>{}</URI></Grantee><Permission>FULL_CONTROL</Permission></Grant></TargetGrants>",
                GROUPS[0].0
            ),
            "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>".to_owned(),
            "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource>\
             </PartitionedPrefix></TargetObjectKeyFormat>"
                .to_owned(),
        ] {
            let logging = enabled(&inside).unwrap();
            assert!(logging.is_some());
            assert_eq!(bucket_logging_status(write_logging(logging.as_ref()).as_bytes()).unwrap(), logging, "{inside}");
        }
        assert_eq!(read("").unwrap(), None);
        assert_eq!(bucket_logging_status(write_logging(None).as_bytes()).unwrap(), None);
    }

    #[test]
    fn what_is_refused() {
        let grant = |grantee: &str, permission: &str| {
            enabled(&format!(
                "<TargetGrants><Grant><Grantee>{grantee}</Grantee><Permission>{permission}</Permission></Grant></TargetGrants>"
            ))
            .unwrap_err()
            .code()
        };
        assert_eq!(grant("<ID>x</ID>", "READ"), ErrorCode::InvalidArgument);
        assert_eq!(grant("<URI>x</URI>", "READ"), ErrorCode::InvalidArgument);
        assert_eq!(grant("<EmailAddress>a@b</EmailAddress>", "READ"), ErrorCode::UnresolvableGrantByEmailAddress);
        assert_eq!(grant(&format!("<URI>{}</URI>", GROUPS[0].0), "READ_ACP"), ErrorCode::MalformedXML);
        for inside in
            ["<LoggingEnabled/>", "<LoggingEnabled><TargetBucket>a</TargetBucket></LoggingEnabled>", "<Other/>"]
        {
            assert_eq!(read(inside).unwrap_err().code(), ErrorCode::MalformedXML, "{inside}");
        }
        assert!(enabled("<TargetObjectKeyFormat/>").is_err());
    }
}
