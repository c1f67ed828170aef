//! `ReplicationConfiguration` (S3 API Reference, PutBucketReplication).
//!
//! What S3 refuses is refused in its words. The older form (a rule's own `Prefix`, without `Priority`) is taken, and told as it was sent.

use std::collections::HashSet;

use myfsio_actors::bucket_config::{ReplicationFilter, ReplicationRule};
use myfsio_actors::names::KEY_BYTES_MAX;

use super::read::{self, Element, MalformedXml};
use super::requests::tag;
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};
use crate::s3::headers::check_tags;

/// Largest document in bytes: 1000 rules with long prefixes and tags fit.
pub const REPLICATION_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most rules (S3 API Reference, ReplicationConfiguration).
const RULES_MAX: usize = 1000;
const ID_CHARS_MAX: usize = 255;
const SCHEMA: &str = "for this version of Cross Region Replication configuration schema. Please refer to S3 Developer Guide for more information.";

/// The document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicationConfiguration {
    /// The role that S3 would take on. Nothing is asked of it here: the connection has credentials of its own.
    pub role: String,
    /// Where everything goes.
    pub destination: String,
    /// The rules.
    pub rules: Vec<ReplicationRule>,
}

/// Reads it; the id of a rule that gives none stays empty. Errs: MalformedXML, InvalidRequest and InvalidArgument as S3;
/// NotImplemented for several destinations, and for what a destination cannot be told.
pub fn replication_configuration(body: &[u8]) -> Result<ReplicationConfiguration, S3Error> {
    let root = read::parse(body, "ReplicationConfiguration")?;
    let (mut role, mut read) = (None, Vec::new());
    for child in root.branch()? {
        match child.name.as_str() {
            "Role" if role.is_none() => role = Some(child.leaf()?.to_owned()),
            "Rule" if read.len() >= RULES_MAX => {
                return Err(MalformedXml::new("more than 1000 rules").into());
            }
            "Rule" => read.push(rule(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    let role = role.ok_or_else(|| MalformedXml::new("no Role"))?;
    check_unique(&read)?;
    let mut destinations = read.iter().map(|rule| rule.destination.as_str());
    let destination = destinations.next().ok_or_else(|| MalformedXml::new("no rules"))?.to_owned();
    if destinations.any(|other| other != destination) {
        return Err(not_implemented(
            "All rules of a bucket must have the same destination: there is one target for each bucket.",
        ));
    }
    Ok(ReplicationConfiguration { role, destination, rules: read.into_iter().map(|read| read.rule).collect() })
}

/// A rule with what is not kept of it.
struct Read {
    rule: ReplicationRule,
    destination: String,
}

fn check_unique(rules: &[Read]) -> Result<(), S3Error> {
    let (mut ids, mut priorities) = (HashSet::new(), HashSet::new());
    for Read { rule, .. } in rules {
        if !rule.id.is_empty() && !ids.insert(rule.id.as_str()) {
            let message = "Rule Id must be unique. Found same Id for more than one rule";
            return Err(S3Error::invalid_argument("ID", &rule.id, message));
        }
        if !rule.is_legacy && !priorities.insert(rule.priority) {
            return Err(invalid_request(format!(
                "Found duplicate priority {}. Priority must be unique for each rule.",
                rule.priority
            )));
        }
    }
    let legacy = rules.iter().filter(|read| read.rule.is_legacy);
    match legacy.clone().count() {
        0 => Ok(()),
        count if count == rules.len() => check_apart(legacy.map(|read| read.rule.filter.prefix.as_str())),
        _ => Err(invalid_request("Prefix and Filter cannot be used in rules of the same replication configuration.")),
    }
}

/// Rules of the older form have no priority, so their prefixes must not lie within each other.
fn check_apart<'a>(prefixes: impl Iterator<Item = &'a str>) -> Result<(), S3Error> {
    let mut sorted: Vec<_> = prefixes.collect();
    sorted.sort_unstable();
    let overlap = sorted.windows(2).any(|pair| matches!(pair, [a, b] if b.starts_with(a)));
    match overlap {
        true => Err(invalid_request("Found overlapping prefixes of replication rules.")),
        false => Ok(()),
    }
}

fn invalid_request(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

fn not_implemented(message: &'static str) -> S3Error {
    S3Error::with_message(ErrorCode::NotImplemented, message)
}

fn rule(element: &Element) -> Result<Read, S3Error> {
    let (mut id, mut priority, mut status, mut prefix, mut filter) = (None, None, None, None, None);
    let (mut destination, mut markers, mut existing, mut selection) = (None, None, None, None);
    for child in element.branch()? {
        match child.name.as_str() {
            "ID" if id.is_none() => id = Some(self::id(child)?),
            "Priority" if priority.is_none() => priority = Some(self::priority(child)?),
            "Status" if status.is_none() => status = Some(enabled(child)?),
            "Prefix" if prefix.is_none() => prefix = Some(self::prefix(child)?),
            "Filter" if filter.is_none() => filter = Some(self::filter(child)?),
            "Destination" if destination.is_none() => destination = Some(self::destination(child)?),
            "DeleteMarkerReplication" if markers.is_none() => markers = Some(switch(child)?),
            "ExistingObjectReplication" if existing.is_none() => existing = Some(switch(child)?),
            "SourceSelectionCriteria" if selection.is_none() => selection = Some(source_selection(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    let enabled = status.ok_or_else(|| MalformedXml::new("a rule without Status"))?;
    let destination = destination.ok_or_else(|| MalformedXml::new("a rule without Destination"))?;
    let is_legacy = filter.is_none();
    let (filter, priority) = match (prefix, filter) {
        (Some(_), Some(_)) => return Err(MalformedXml::new("a rule with both Prefix and Filter").into()),
        (None, None) => return Err(MalformedXml::new("a rule without Filter").into()),
        (Some(_), None) if priority.is_some() || markers.is_some() => {
            return Err(invalid_request(format!("Filter must be specified {SCHEMA}")));
        }
        (Some(prefix), None) => (ReplicationFilter { prefix, tags: Vec::new() }, 0),
        (None, Some(filter)) => {
            let priority = priority.ok_or_else(|| invalid_request(format!("Priority must be specified {SCHEMA}")))?;
            (filter, priority)
        }
    };
    let delete_markers = match markers {
        // The older form replicates them, and has no word for it.
        None if is_legacy => true,
        None => return Err(invalid_request(format!("DeleteMarkerReplication must be specified {SCHEMA}"))),
        Some(true) if !filter.tags.is_empty() => {
            return Err(invalid_request(
                "Delete marker replication is not supported if any Tag filter is specified. Please refer to S3 Developer Guide for more information.",
            ));
        }
        Some(markers) => markers,
    };
    let rule = ReplicationRule {
        id: id.unwrap_or_default(),
        priority,
        enabled,
        filter,
        delete_markers,
        delete_versions: false,
        existing: existing.unwrap_or(false),
        added: None,
        is_legacy,
    };
    Ok(Read { rule, destination })
}

fn id(element: &Element) -> Result<String, S3Error> {
    let id = element.leaf()?;
    match id.chars().count() > ID_CHARS_MAX {
        true => Err(S3Error::invalid_argument("ID", id, "ID length should not exceed allowed limit of 255")),
        false => Ok(id.to_owned()),
    }
}

fn priority(element: &Element) -> Result<u32, S3Error> {
    let text = element.leaf()?.trim();
    let number: i32 = text.parse().map_err(|_| MalformedXml::new("Priority is no number"))?;
    u32::try_from(number)
        .map_err(|_| S3Error::invalid_argument("Priority", text, "Priority must be a non-negative integer"))
}

fn enabled(element: &Element) -> Result<bool, MalformedXml> {
    match element.leaf()? {
        "Enabled" => Ok(true),
        "Disabled" => Ok(false),
        _ => Err(MalformedXml::new(format!("{} is neither Enabled nor Disabled", element.name))),
    }
}

/// An element that has a `Status` and nothing else.
fn switch(element: &Element) -> Result<bool, MalformedXml> {
    match element.branch()? {
        [status] if status.name == "Status" => enabled(status),
        _ => Err(MalformedXml::new(format!("{} has not one Status", element.name))),
    }
}

/// Encrypted objects are replicated as any others, and so are changes of replicas: nothing depends on what is said here.
fn source_selection(element: &Element) -> Result<(), MalformedXml> {
    for child in element.fields()? {
        match child.name.as_str() {
            "SseKmsEncryptedObjects" | "ReplicaModifications" => drop(switch(child)?),
            _ => return Err(child.unexpected()),
        }
    }
    Ok(())
}

fn prefix(element: &Element) -> Result<String, S3Error> {
    let prefix = element.leaf()?;
    match prefix.len() > KEY_BYTES_MAX {
        true => Err(invalid_request(format!("The maximum size of a prefix is {KEY_BYTES_MAX}."))),
        false => Ok(prefix.to_owned()),
    }
}

/// A prefix, a tag, or several conditions within `And`; nothing is every object.
fn filter(element: &Element) -> Result<ReplicationFilter, S3Error> {
    let (mut prefix, mut tags) = (None, Vec::new());
    let conditions = match element.branch()? {
        [] => &[][..],
        [and] if and.name == "And" => and.branch()?,
        [single] => std::slice::from_ref(single),
        _ => return Err(MalformedXml::new("several conditions outside And").into()),
    };
    for child in conditions {
        match child.name.as_str() {
            "Prefix" if prefix.is_none() => prefix = Some(self::prefix(child)?),
            "Tag" => tags.push(tag(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    if tags.iter().enumerate().any(|(at, (key, _))| tags.iter().skip(at + 1).any(|(other, _)| other == key)) {
        return Err(invalid_request("Duplicate Tag Keys are not allowed."));
    }
    check_tags(&tags)?;
    Ok(ReplicationFilter { prefix: prefix.unwrap_or_default(), tags })
}

/// The ARN of the destination. What else may stand there is either what happens anyhow, or refused.
fn destination(element: &Element) -> Result<String, S3Error> {
    let mut bucket = None;
    for child in element.branch()? {
        match child.name.as_str() {
            "Bucket" if bucket.is_none() => bucket = Some(child.leaf()?.trim().to_owned()),
            "Account" => drop(child.leaf()?),
            // Replicas belong to whom the connection's credentials belong to.
            "AccessControlTranslation" => match child.branch()? {
                [owner] if owner.name == "Owner" && owner.leaf()? == "Destination" => {}
                _ => return Err(MalformedXml::new("AccessControlTranslation has not one Owner").into()),
            },
            "StorageClass" if child.leaf()? == "STANDARD" => {}
            "StorageClass" => return Err(not_implemented("The storage class of a replica is that of its source.")),
            "EncryptionConfiguration" => {
                return Err(not_implemented("A replica is encrypted as the destination bucket is configured."));
            }
            "Metrics" => drop(timed_switch(child)?),
            "ReplicationTime" => {
                if timed_switch(child)? {
                    return Err(not_implemented("S3 Replication Time Control is not implemented."));
                }
            }
            _ => return Err(child.unexpected().into()),
        }
    }
    Ok(bucket.filter(|bucket| !bucket.is_empty()).ok_or_else(|| MalformedXml::new("a Destination without Bucket"))?)
}

/// `Status` with a threshold in minutes beside it.
fn timed_switch(element: &Element) -> Result<bool, MalformedXml> {
    let mut status = None;
    for child in element.branch()? {
        match child.name.as_str() {
            "Status" if status.is_none() => status = Some(enabled(child)?),
            "Time" | "EventThreshold" => drop(child.branch()?),
            _ => return Err(child.unexpected()),
        }
    }
    status.ok_or_else(|| MalformedXml::new(format!("{} without Status", element.name)))
}

/// Whether rules are told in the older form: all were set in it, and still say nothing that it has no word for.
pub fn is_legacy(rules: &[ReplicationRule]) -> bool {
    rules.iter().all(|rule| rule.is_legacy && rule.filter.tags.is_empty() && rule.delete_markers)
}

/// Writes `ReplicationConfiguration`.
pub fn write_replication(configuration: &ReplicationConfiguration) -> String {
    let word = |on: bool| if on { "Enabled" } else { "Disabled" };
    let mut out = XmlWriter::new("ReplicationConfiguration");
    out.text("Role", &configuration.role);
    let is_legacy = is_legacy(&configuration.rules);
    for rule in &configuration.rules {
        out.open("Rule").text("ID", &rule.id);
        match is_legacy {
            true => {
                out.text("Prefix", &rule.filter.prefix);
            }
            false => write_filter(out.value("Priority", rule.priority), &rule.filter),
        }
        out.value("Status", word(rule.enabled));
        if rule.existing {
            out.open("ExistingObjectReplication").value("Status", word(true)).close();
        }
        if !is_legacy {
            out.open("DeleteMarkerReplication").value("Status", word(rule.delete_markers)).close();
        }
        out.open("Destination").text("Bucket", &configuration.destination).close().close();
    }
    out.finish()
}

fn write_filter(out: &mut XmlWriter, filter: &ReplicationFilter) {
    out.open("Filter");
    match (filter.prefix.as_str(), filter.tags.as_slice()) {
        (prefix, []) => {
            out.text("Prefix", prefix);
        }
        ("", [single]) => write_tag(out, single),
        (prefix, tags) => {
            out.open("And");
            out.text_if("Prefix", Some(prefix).filter(|prefix| !prefix.is_empty()));
            tags.iter().for_each(|tag| write_tag(out, tag));
            out.close();
        }
    }
    out.close();
}

fn write_tag(out: &mut XmlWriter, (key, value): &(String, String)) {
    out.open("Tag").text("Key", key).text("Value", value).close();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DESTINATION: &str = "<Destination><Bucket>arn:aws:s3:::b</Bucket></Destination>";
    const MARKERS: &str = "<DeleteMarkerReplication><Status>Disabled</Status></DeleteMarkerReplication>";
    const DELETES: &str = "<DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication>";
    const ON: &str = "<Status>Enabled</Status>";

    fn read(rules: &str) -> Result<ReplicationConfiguration, S3Error> {
        let document = format!("<ReplicationConfiguration><Role>r</Role>{rules}</ReplicationConfiguration>");
        replication_configuration(document.as_bytes())
    }

    fn with(inner: &str) -> String {
        format!("<Rule>{inner}{ON}{DESTINATION}</Rule>")
    }

    #[test]
    fn both_forms_are_taken() {
        let newer = read(&with(&format!(
            "<ID>a</ID><Priority>3</Priority><Filter><And><Prefix>p</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>{MARKERS}<ExistingObjectReplication><Status>Enabled</Status></ExistingObjectReplication>"
        )))
        .unwrap();
        let rule = &newer.rules[0];
        assert_eq!((newer.role.as_str(), newer.destination.as_str()), ("r", "arn:aws:s3:::b"));
        assert_eq!((rule.id.as_str(), rule.priority, rule.filter.prefix.as_str()), ("a", 3, "p"));
        assert_eq!(rule.filter.tags, [("k".to_owned(), "v".to_owned())]);
        assert!(rule.enabled && rule.existing && !rule.delete_markers && !rule.delete_versions);
        let older = read(&with("<Prefix>p</Prefix>")).unwrap();
        assert!(older.rules[0].delete_markers && older.rules[0].filter.prefix == "p");
    }

    #[test]
    fn the_older_form_is_told_as_it_was_sent() {
        let rules = with("<ID>a</ID><Prefix>a/</Prefix>") + &with("<ID>b</ID><Prefix>b/</Prefix>");
        let mut configuration = read(&rules).unwrap();
        let told = write_replication(&configuration);
        assert!(told.contains("<ID>a</ID><Prefix>a/</Prefix><Status>") && !told.contains("Priority"), "{told}");
        assert!(!told.contains("DeleteMarkerReplication") && !told.contains("Filter"), "{told}");
        assert_eq!(replication_configuration(told.as_bytes()).unwrap(), configuration);
        // What was changed elsewhere to what it has no word for is told in the newer one.
        configuration.rules[0].delete_markers = false;
        assert!(write_replication(&configuration).contains("<Filter><Prefix>a/</Prefix></Filter>"));
    }

    #[test]
    fn what_is_refused() {
        use ErrorCode::{InvalidArgument, InvalidRequest, InvalidTag, MalformedXML, NotImplemented};
        let newer = |inner: &str| with(&format!("<Priority>1</Priority><Filter/>{MARKERS}{inner}"));
        let tag = "<Tag><Key>k</Key><Value>v</Value></Tag>";
        let elsewhere = newer("").replace(":::b", ":::c").replace("Priority>1", "Priority>2");
        for (rules, code) in [
            (String::new(), MalformedXML),
            (newer("").repeat(1001), MalformedXML),
            (newer("") + &newer(""), InvalidRequest),
            (newer("<ID>a</ID>") + &newer("<ID>a</ID>").replace("Priority>1", "Priority>2"), InvalidArgument),
            (newer("") + &elsewhere, NotImplemented),
            (newer("") + &with("<Prefix/>"), InvalidRequest),
            (with("<Prefix>a</Prefix>") + &with("<Prefix>ab</Prefix>"), InvalidRequest),
            (with("<Prefix/><Priority>1</Priority>"), InvalidRequest),
            (with(&format!("<Filter/>{MARKERS}")), InvalidRequest),
            (with("<Filter/><Priority>1</Priority>"), InvalidRequest),
            (with(MARKERS), MalformedXML),
            (with(&format!("<Prefix/><Filter/><Priority>1</Priority>{MARKERS}")), MalformedXML),
            (with(&format!("<Filter>{tag}</Filter><Priority>1</Priority>{DELETES}")), InvalidRequest),
            (with(&format!("<Filter>{tag}{tag}</Filter><Priority>1</Priority>{MARKERS}")), MalformedXML),
            (with(&format!("<Filter><And>{tag}{tag}</And></Filter><Priority>1</Priority>{MARKERS}")), InvalidRequest),
            (with(&format!("<Filter><Tag><Key/><Value/></Tag></Filter><Priority>1</Priority>{MARKERS}")), InvalidTag),
            (with(&format!("<Filter/><Priority>-1</Priority>{MARKERS}")), InvalidArgument),
            (with(&format!("<Filter/><Priority>x</Priority>{MARKERS}")), MalformedXML),
            (newer(&format!("<ID>{}</ID>", "a".repeat(256))), InvalidArgument),
            (newer("").replace(ON, ""), MalformedXML),
            (newer("").replace(ON, "<Status>On</Status>"), MalformedXML),
            (newer("").replace(DESTINATION, ""), MalformedXML),
            (newer("").replace("</Bucket>", "</Bucket><StorageClass>GLACIER</StorageClass>"), NotImplemented),
            (
                newer("").replace(
                    "</Bucket>",
                    "</Bucket><EncryptionConfiguration><ReplicaKmsKeyID>k</ReplicaKmsKeyID></EncryptionConfiguration>",
                ),
                NotImplemented,
            ),
            (newer("<Unknown/>"), MalformedXML),
        ] {
            let error = read(&rules).map(|_| ()).unwrap_err();
            assert_eq!(error.code(), code, "{} {error}", rules.get(..200.min(rules.len())).unwrap_or_default());
        }
        assert!(replication_configuration(b"<ReplicationConfiguration/>").is_err(), "a role is needed");
    }

    prop_compose! {
        fn any_rule()(
            id in "[!-~]{1,20}", priority in 0u32..5, enabled: bool, existing: bool, markers: bool,
            prefix in "[ -~]{0,8}", mut tags in proptest::collection::vec(("[a-z]{1,4}", "[a-z ]{0,4}"), 0..3),
        ) -> ReplicationRule {
            tags.sort();
            tags.dedup_by(|a, b| a.0 == b.0);
            let delete_markers = markers && tags.is_empty();
            let filter = ReplicationFilter { prefix, tags };
            ReplicationRule { id, priority, enabled, filter, delete_markers, delete_versions: false, existing, added: None, is_legacy: false }
        }
    }

    proptest! {
        #[test]
        fn what_is_told_can_be_sent_back(mut rules in proptest::collection::vec(any_rule(), 1..4)) {
            for (number, rule) in rules.iter_mut().enumerate() {
                rule.id.push_str(&number.to_string());
                rule.priority = rule.priority * 10 + u32::try_from(number).unwrap();
            }
            let configuration =
                ReplicationConfiguration { role: "r".to_owned(), destination: "arn:aws:s3:::b".to_owned(), rules };
            let told = write_replication(&configuration);
            prop_assert_eq!(replication_configuration(told.as_bytes()).unwrap(), configuration);
        }
    }
}
