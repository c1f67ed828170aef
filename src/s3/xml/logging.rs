//! `BucketLoggingStatus` (S3 API Reference, PutBucketLogging).

use myfsio_actors::bucket_config::{Logging, PartitionDate, Permission};

use super::access::{NamedGrant, grant, write_grant};
use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;

/// Largest document in bytes; 100 grants fit.
pub const LOGGING_BYTES_MAX: usize = 64 * 1024;

/// `LoggingEnabled` as a request writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedLogging {
    /// All but the grants.
    pub logging: Logging,
    /// The grants, before anybody has looked whether there are such users.
    pub grants: Vec<NamedGrant>,
}

/// Reads `BucketLoggingStatus`; none turns logging off. Errs: MalformedXML.
pub fn bucket_logging_status(body: &[u8]) -> Result<Option<AskedLogging>, MalformedXml> {
    let root = read::parse(body, "BucketLoggingStatus")?;
    match root.branch()? {
        [] => Ok(None),
        [enabled] if enabled.name == "LoggingEnabled" => logging_enabled(enabled).map(Some),
        [other, ..] => Err(other.unexpected()),
    }
}

fn logging_enabled(element: &Element) -> Result<AskedLogging, MalformedXml> {
    let (mut bucket, mut prefix, mut grants, mut format) = (None, None, Vec::new(), None);
    for child in element.fields()? {
        match child.name.as_str() {
            "TargetBucket" => bucket = Some(child.leaf()?.trim().to_owned()),
            "TargetPrefix" => prefix = Some(child.leaf()?.to_owned()),
            "TargetGrants" => grants = child.branch()?.iter().map(grant).collect::<Result<_, _>>()?,
            "TargetObjectKeyFormat" => format = Some(key_format(child)?),
            _ => return Err(child.unexpected()),
        }
    }
    let (Some(target_bucket), Some(target_prefix)) = (bucket, prefix) else {
        return Err(MalformedXml::new("LoggingEnabled without TargetBucket or TargetPrefix"));
    };
    if grants.iter().any(|grant| matches!(grant.permission, Permission::ReadAcp | Permission::WriteAcp)) {
        return Err(MalformedXml::new("a target grant of another permission than FULL_CONTROL, READ and WRITE"));
    }
    let logging = Logging {
        target_bucket,
        target_prefix,
        target_grants: Vec::new(),
        partitioned_by: format.flatten(),
        simple_prefix: format == Some(None),
    };
    Ok(AskedLogging { logging, grants })
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

/// `BucketLoggingStatus`; empty while logging is off.
pub fn write_logging(logging: Option<&Logging>) -> String {
    let mut document = XmlWriter::new("BucketLoggingStatus");
    if let Some(logging) = logging {
        document.open("LoggingEnabled");
        document.text("TargetBucket", &logging.target_bucket).text("TargetPrefix", &logging.target_prefix);
        if !logging.target_grants.is_empty() {
            document.open("TargetGrants");
            for grant in &logging.target_grants {
                write_grant(&mut document, &grant.grantee, None, grant.permission);
            }
            document.close();
        }
        write_format(&mut document, logging);
        document.close();
    }
    document.finish()
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
    use myfsio_actors::bucket_config::{Grant, Grantee};
    use myfsio_actors::names::CanonicalId;

    use super::*;

    fn read(inside: &str) -> Result<Option<AskedLogging>, MalformedXml> {
        bucket_logging_status(format!("<BucketLoggingStatus>{inside}</BucketLoggingStatus>").as_bytes())
    }

    fn enabled(inside: &str) -> Result<Option<AskedLogging>, MalformedXml> {
        read(&format!(
            "<LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>a/</TargetPrefix>{inside}</LoggingEnabled>"
        ))
    }

    fn granted(grantee: &str, permission: &str) -> String {
        format!(
            "<TargetGrants><Grant><Grantee>{grantee}</Grantee><Permission>{permission}</Permission></Grant></TargetGrants>"
        )
    }

    #[test]
    fn what_is_answered_can_be_sent_back() {
        for inside in [
            "",
            "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>",
            "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource>\
             </PartitionedPrefix></TargetObjectKeyFormat>",
        ] {
            let asked = enabled(inside).unwrap().unwrap();
            let written = write_logging(Some(&asked.logging));
            assert_eq!(bucket_logging_status(written.as_bytes()).unwrap(), Some(asked), "{inside}");
        }
        let id = "a".repeat(64);
        let mut asked = enabled(&granted(&format!("<ID>{id}</ID>"), "READ")).unwrap().unwrap();
        let grantee = Grantee::User(CanonicalId::parse(&id).unwrap());
        asked.logging.target_grants = vec![Grant { grantee, permission: Permission::Read }];
        let again = bucket_logging_status(write_logging(Some(&asked.logging)).as_bytes()).unwrap().unwrap();
        assert_eq!(again.grants, asked.grants);
        assert_eq!(read("").unwrap(), None);
        assert_eq!(bucket_logging_status(write_logging(None).as_bytes()).unwrap(), None);
    }

    #[test]
    fn what_is_refused() {
        for inside in
            ["<LoggingEnabled/>", "<LoggingEnabled><TargetBucket>a</TargetBucket></LoggingEnabled>", "<Other/>"]
        {
            assert!(read(inside).is_err(), "{inside}");
        }
        assert!(enabled(&granted("<ID>x</ID>", "READ_ACP")).is_err());
        assert!(enabled(&granted("", "READ")).is_err());
        assert!(enabled("<TargetObjectKeyFormat/>").is_err());
    }
}
