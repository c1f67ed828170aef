//! `LifecycleConfiguration` (S3 API Reference, PutBucketLifecycleConfiguration).
//!
//! What S3 refuses is refused in its words. Elements of the older API (a rule's own `Prefix`) are taken and told as they came.

use std::collections::HashSet;

use myfsio_actors::bucket_config::{
    AbortUploads, Expiration, Lifecycle, LifecycleFilter, LifecycleRule, NoncurrentExpiration,
};
use myfsio_actors::names::KEY_BYTES_MAX;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};

/// Largest document in bytes: 1000 rules with long prefixes and tags fit.
pub const LIFECYCLE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most rules (S3 User Guide, "Lifecycle configuration elements").
const RULES_MAX: usize = 1000;
const ID_CHARS_MAX: usize = 255;
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;
const NEWER_VERSIONS_MAX: u32 = 100;
const SECONDS_PER_DAY: u64 = 86_400;

/// Reads `LifecycleConfiguration`; the id of a rule that gives none stays empty. Errs: MalformedXML, InvalidArgument and
/// InvalidRequest as S3; NotImplemented for transitions.
pub fn lifecycle_configuration(body: &[u8]) -> Result<Lifecycle, S3Error> {
    lifecycle(&read::parse(body, "LifecycleConfiguration")?)
}

/// The same of a document that was read already.
pub fn lifecycle(root: &Element) -> Result<Lifecycle, S3Error> {
    let mut rules = Vec::new();
    let mut ids = HashSet::new();
    for child in root.branch()? {
        if child.name != "Rule" {
            return Err(child.unexpected().into());
        }
        let rule = rule(child)?;
        if !rule.id.is_empty() && !ids.insert(rule.id.clone()) {
            let message = "Rule ID must be unique. Found same ID for more than one rule";
            return Err(S3Error::invalid_argument("ID", &rule.id, message));
        }
        rules.push(rule);
    }
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(MalformedXml::new(format!("{} rules", rules.len())).into());
    }
    if rules.iter().any(|rule| rule.legacy_prefix) && rules.iter().any(|rule| !rule.legacy_prefix) {
        return Err(mixed_prefixes());
    }
    Ok(Lifecycle { rules, transition_minimum_varies: false })
}

fn mixed_prefixes() -> S3Error {
    let message = "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.";
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

fn rule(element: &Element) -> Result<LifecycleRule, S3Error> {
    let mut rule = LifecycleRule::default();
    let (mut status, mut prefix, mut filter, mut transition) = (None, None, None, None);
    for child in element.branch()? {
        match child.name.as_str() {
            "ID" if rule.id.is_empty() => rule.id = id(child)?,
            "Status" if status.is_none() => status = Some(enabled(child)?),
            "Prefix" if prefix.is_none() => prefix = Some(self::prefix(child)?),
            "Filter" if filter.is_none() => filter = Some(self::filter(child)?),
            "Expiration" if rule.expiration.is_none() => rule.expiration = Some(expiration(child)?),
            "NoncurrentVersionExpiration" if rule.noncurrent.is_none() => rule.noncurrent = Some(noncurrent(child)?),
            "AbortIncompleteMultipartUpload" if rule.abort_uploads.is_none() => {
                rule.abort_uploads = Some(abort(child)?);
            }
            "Transition" | "NoncurrentVersionTransition" => {
                check_transition(child)?;
                transition = Some(child.name.as_str());
            }
            _ => return Err(child.unexpected().into()),
        }
    }
    rule.enabled = status.ok_or_else(|| MalformedXml::new("a rule without Status"))?;
    (rule.filter, rule.legacy_prefix) = match (prefix, filter) {
        (Some(_), Some(_)) => return Err(mixed_prefixes()),
        (Some(prefix), None) => (LifecycleFilter { prefix: Some(prefix), ..LifecycleFilter::default() }, true),
        (None, Some(filter)) => (filter, false),
        (None, None) => return Err(MalformedXml::new("a rule without Filter").into()),
    };
    if let Some(name) = transition {
        let message = format!("{name} is not implemented: this server has one storage class.");
        return Err(S3Error::with_message(ErrorCode::NotImplemented, message));
    }
    check_actions(&rule)?;
    Ok(rule)
}

fn invalid_request(message: impl Into<std::borrow::Cow<'static, str>>) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

/// A rule does something, and only what its filter can be about.
fn check_actions(rule: &LifecycleRule) -> Result<(), S3Error> {
    if rule.expiration.is_none() && rule.noncurrent.is_none() && rule.abort_uploads.is_none() {
        return Err(invalid_request("At least one action needs to be specified in a rule"));
    }
    let asks = if !rule.filter.tags.is_empty() {
        "Tags"
    } else if rule.filter.looks_at_content() {
        "ObjectSize"
    } else {
        return Ok(());
    };
    if rule.abort_uploads.is_some() {
        return Err(invalid_request(format!("AbortIncompleteMultipartUpload cannot be specified with {asks}.")));
    }
    if rule.expiration == Some(Expiration::ExpiredDeleteMarker(true)) {
        return Err(invalid_request(format!("ExpiredObjectDeleteMarker cannot be specified with {asks}.")));
    }
    Ok(())
}

fn id(element: &Element) -> Result<String, S3Error> {
    let id = element.leaf()?;
    match id.chars().count() > ID_CHARS_MAX {
        true => Err(S3Error::invalid_argument("ID", id, "ID length should not exceed allowed limit of 255")),
        false => Ok(id.to_owned()),
    }
}

fn enabled(element: &Element) -> Result<bool, MalformedXml> {
    match element.leaf()? {
        "Enabled" => Ok(true),
        "Disabled" => Ok(false),
        _ => Err(MalformedXml::new("Status is neither Enabled nor Disabled")),
    }
}

fn prefix(element: &Element) -> Result<String, S3Error> {
    let prefix = element.leaf()?;
    match prefix.len() > KEY_BYTES_MAX {
        true => Err(invalid_request(format!("The maximum size of a prefix is {KEY_BYTES_MAX}."))),
        false => Ok(prefix.to_owned()),
    }
}

/// At most one condition, or several within `And`. Several side by side, which S3 refuses and others take, count as if they stood
/// in one.
fn filter(element: &Element) -> Result<LifecycleFilter, S3Error> {
    let mut filter = LifecycleFilter::default();
    match element.branch()? {
        [and] if and.name == "And" => {
            filter.and = true;
            for child in and.branch()? {
                condition(&mut filter, child)?;
            }
            if filter == (LifecycleFilter { and: true, ..LifecycleFilter::default() }) {
                return Err(MalformedXml::new("And without conditions").into());
            }
        }
        conditions => {
            filter.and = conditions.len() > 1;
            for child in conditions {
                condition(&mut filter, child)?;
            }
        }
    }
    if let (Some(than), Some(less)) = (filter.size_greater_than, filter.size_less_than)
        && less <= than.saturating_add(1)
    {
        return Err(invalid_request(
            "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan' by at least 2 bytes.",
        ));
    }
    Ok(filter)
}

fn condition(filter: &mut LifecycleFilter, element: &Element) -> Result<(), S3Error> {
    match element.name.as_str() {
        "Prefix" if filter.prefix.is_none() => filter.prefix = Some(prefix(element)?),
        "Tag" => {
            let tag = tag(element)?;
            if filter.tags.iter().any(|(key, _)| *key == tag.0) {
                return Err(invalid_request("Duplicate Tag Keys are not allowed."));
            }
            filter.tags.push(tag);
        }
        "ObjectSizeGreaterThan" if filter.size_greater_than.is_none() => {
            filter.size_greater_than = Some(whole(element)?)
        }
        "ObjectSizeLessThan" if filter.size_less_than.is_none() => {
            let size = whole(element)?;
            if size == 0 {
                let message = "'ObjectSizeLessThan' must be a positive integer";
                return Err(S3Error::invalid_argument("ObjectSizeLessThan", "0", message));
            }
            filter.size_less_than = Some(size);
        }
        _ => return Err(element.unexpected().into()),
    }
    Ok(())
}

fn tag(element: &Element) -> Result<(String, String), S3Error> {
    let (mut key, mut value) = (None, None);
    for child in element.branch()? {
        match child.name.as_str() {
            "Key" if key.is_none() => key = Some(child.leaf()?.to_owned()),
            "Value" if value.is_none() => value = Some(child.leaf()?.to_owned()),
            _ => return Err(child.unexpected().into()),
        }
    }
    let (Some(key), Some(value)) = (key, value) else {
        return Err(MalformedXml::new("a tag without Key or Value").into());
    };
    if key.is_empty() || key.chars().count() > TAG_KEY_CHARS_MAX {
        return Err(S3Error::with_message(ErrorCode::InvalidTag, "The TagKey you have provided is invalid"));
    }
    if value.chars().count() > TAG_VALUE_CHARS_MAX {
        return Err(S3Error::with_message(ErrorCode::InvalidTag, "The TagValue you have provided is invalid"));
    }
    Ok((key, value))
}

fn expiration(element: &Element) -> Result<Expiration, S3Error> {
    let (mut days, mut date, mut marker) = (None, None, None);
    for child in element.branch()? {
        match child.name.as_str() {
            "Days" if days.is_none() => days = Some(positive(child, "Expiration")?),
            "Date" if date.is_none() => date = Some(midnight(child)?),
            "ExpiredObjectDeleteMarker" if marker.is_none() => marker = Some(boolean(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    match (days, date, marker) {
        (Some(days), None, None | Some(false)) => Ok(Expiration::Days(days)),
        (None, Some(date), None | Some(false)) => Ok(Expiration::Date(date)),
        (None, None, Some(marker)) => Ok(Expiration::ExpiredDeleteMarker(marker)),
        _ => Err(MalformedXml::new("Expiration has not exactly one of its elements").into()),
    }
}

fn noncurrent(element: &Element) -> Result<NoncurrentExpiration, S3Error> {
    const ACTION: &str = "NoncurrentVersionExpiration";
    let (mut days, mut newer_versions) = (None, None);
    for child in element.branch()? {
        match child.name.as_str() {
            "NoncurrentDays" if days.is_none() => days = Some(positive(child, ACTION)?),
            "NewerNoncurrentVersions" if newer_versions.is_none() => {
                let count = positive(child, ACTION)?;
                if count > NEWER_VERSIONS_MAX {
                    let message = format!("'{}' for {ACTION} action must be between 1 and 100", child.name);
                    return Err(S3Error::invalid_argument(&child.name, &count.to_string(), message));
                }
                newer_versions = Some(count);
            }
            _ => return Err(child.unexpected().into()),
        }
    }
    let days = days.ok_or_else(|| MalformedXml::new("NoncurrentVersionExpiration without NoncurrentDays"))?;
    Ok(NoncurrentExpiration { days, newer_versions })
}

fn abort(element: &Element) -> Result<AbortUploads, S3Error> {
    let [child] = element.branch()? else {
        return Err(MalformedXml::new("AbortIncompleteMultipartUpload has not one element").into());
    };
    match child.name.as_str() {
        "DaysAfterInitiation" => Ok(AbortUploads { days: positive(child, "AbortIncompleteMultipartUpload")? }),
        _ => Err(child.unexpected().into()),
    }
}

/// A transition is not carried out, but one that makes no sense is told so first.
fn check_transition(element: &Element) -> Result<(), S3Error> {
    for child in element.branch()? {
        match child.name.as_str() {
            "Date" => drop(midnight(child)?),
            "Days" | "NoncurrentDays" | "NewerNoncurrentVersions" => drop(whole(child)?),
            "StorageClass" => drop(child.leaf()?),
            _ => return Err(child.unexpected().into()),
        }
    }
    Ok(())
}

fn boolean(element: &Element) -> Result<bool, MalformedXml> {
    match element.leaf()?.trim() {
        text if text.eq_ignore_ascii_case("true") => Ok(true),
        text if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(MalformedXml::new(format!("{} is no boolean", element.name))),
    }
}

/// A whole number that is not negative.
fn whole(element: &Element) -> Result<u64, MalformedXml> {
    let text = element.leaf()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(MalformedXml::new(format!("{} is no number", element.name))),
    }
}

/// A whole number of at least 1, as S3 counts days and versions: 31 bits.
fn positive(element: &Element, action: &str) -> Result<u32, S3Error> {
    let text = element.leaf()?.trim();
    let number: i32 = text.parse().map_err(|_| MalformedXml::new(format!("{} is no number", element.name)))?;
    match u32::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => {
            let message = format!("'{}' for {action} action must be a positive integer", element.name);
            Err(S3Error::invalid_argument(&element.name, text, message))
        }
    }
}

/// A date, or a time that is a midnight in UTC; in seconds since 1970.
fn midnight(element: &Element) -> Result<u64, S3Error> {
    let text = element.leaf()?.trim();
    let time = match text.len() {
        10 => OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339),
        _ => OffsetDateTime::parse(text, &Rfc3339),
    };
    let time = time.map_err(|_| MalformedXml::new("Date is no date"))?;
    let seconds = u64::try_from(time.unix_timestamp()).map_err(|_| MalformedXml::new("Date is before 1970"))?;
    match seconds.is_multiple_of(SECONDS_PER_DAY) && time.nanosecond() == 0 {
        true => Ok(seconds),
        false => Err(S3Error::invalid_argument("Date", text, "'Date' must be at midnight GMT")),
    }
}

/// `LifecycleConfiguration`.
pub fn write_lifecycle(lifecycle: &Lifecycle) -> String {
    let mut out = XmlWriter::with_capacity("LifecycleConfiguration", 256 * lifecycle.rules.len());
    for rule in &lifecycle.rules {
        out.open("Rule");
        if !rule.id.is_empty() {
            out.text("ID", &rule.id);
        }
        match rule.legacy_prefix {
            true => drop(out.text_if("Prefix", rule.filter.prefix.as_deref())),
            false => write_filter(&mut out, &rule.filter),
        }
        out.text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
        write_actions(&mut out, rule);
        out.close();
    }
    out.finish()
}

/// A midnight; also one that no stamp can tell.
fn date(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let date = time.unwrap_or(OffsetDateTime::UNIX_EPOCH).date();
    format!("{:04}-{:02}-{:02}T00:00:00.000Z", date.year(), u8::from(date.month()), date.day())
}

fn write_filter(out: &mut XmlWriter, filter: &LifecycleFilter) {
    out.open("Filter");
    if filter.and {
        out.open("And");
    }
    out.text_if("Prefix", filter.prefix.as_deref());
    for (key, value) in &filter.tags {
        out.open("Tag").text("Key", key).text("Value", value).close();
    }
    for (name, size) in
        [("ObjectSizeGreaterThan", filter.size_greater_than), ("ObjectSizeLessThan", filter.size_less_than)]
    {
        if let Some(size) = size {
            out.value(name, size);
        }
    }
    if filter.and {
        out.close();
    }
    out.close();
}

fn write_actions(out: &mut XmlWriter, rule: &LifecycleRule) {
    if let Some(expiration) = rule.expiration {
        out.open("Expiration");
        match expiration {
            Expiration::Days(days) => out.value("Days", days),
            Expiration::Date(seconds) => out.text("Date", &date(seconds)),
            Expiration::ExpiredDeleteMarker(marker) => out.value("ExpiredObjectDeleteMarker", marker),
        };
        out.close();
    }
    if let Some(noncurrent) = rule.noncurrent {
        out.open("NoncurrentVersionExpiration").value("NoncurrentDays", noncurrent.days);
        if let Some(count) = noncurrent.newer_versions {
            out.value("NewerNoncurrentVersions", count);
        }
        out.close();
    }
    if let Some(abort) = rule.abort_uploads {
        out.open("AbortIncompleteMultipartUpload").value("DaysAfterInitiation", abort.days).close();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(rules: &str) -> Result<Lifecycle, S3Error> {
        lifecycle_configuration(format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>").as_bytes())
    }

    fn with(inside: &str) -> String {
        format!("<Rule><Filter/><Status>Enabled</Status>{inside}</Rule>")
    }

    fn filtered(filter: &str, action: &str) -> String {
        format!("<Rule><Filter>{filter}</Filter><Status>Enabled</Status>{action}</Rule>")
    }

    const DAYS: &str = "<Expiration><Days>1</Days></Expiration>";

    #[test]
    fn what_is_taken() {
        let rule = |text: &str| read(text).unwrap().rules.remove(0);
        let legacy = rule(&format!("<Rule><ID>a</ID><Prefix>x/</Prefix><Status>Disabled</Status>{DAYS}</Rule>"));
        assert_eq!((legacy.enabled, legacy.legacy_prefix, legacy.filter.prefix.as_deref()), (false, true, Some("x/")));
        assert_eq!(
            rule(&with("<Expiration><Date>2017-09-27</Date></Expiration>")).expiration,
            Some(Expiration::Date(1_506_470_400))
        );
        assert_eq!(
            rule(&with("<Expiration><Date>2017-09-27T00:00:00.000Z</Date></Expiration>")).expiration,
            Some(Expiration::Date(1_506_470_400))
        );
        let both =
            "<Expiration><Days>3</Days><ExpiredObjectDeleteMarker>false</ExpiredObjectDeleteMarker></Expiration>";
        assert_eq!(rule(&with(both)).expiration, Some(Expiration::Days(3)));
        let tag = "<Tag><Key>a</Key><Value/></Tag>";
        let and = format!("<And><Prefix/>{tag}<ObjectSizeGreaterThan>0</ObjectSizeGreaterThan></And>");
        let filter = rule(&filtered(&and, DAYS)).filter;
        assert!(filter.and && filter.tags.len() == 1 && filter.size_greater_than == Some(0));
        let beside = and.replace("<And>", "").replace("</And>", "");
        assert_eq!(rule(&filtered(&beside, DAYS)).filter, filter);
        assert_eq!(read(&with(DAYS).repeat(1000)).unwrap().rules.len(), 1000);
    }

    #[test]
    fn what_is_refused() {
        use ErrorCode::{InvalidArgument, InvalidRequest, InvalidTag, MalformedXML, NotImplemented};
        let id = |id: &str| with(&format!("<ID>{id}</ID>{DAYS}"));
        let expiration = |inside: &str| with(&format!("<Expiration>{inside}</Expiration>"));
        let noncurrent =
            |inside: &str| with(&format!("<NoncurrentVersionExpiration>{inside}</NoncurrentVersionExpiration>"));
        let abort = "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
        let marker = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
        let tag = "<Tag><Key>a</Key><Value>1</Value></Tag>";
        let legacy = format!("<Rule><Prefix/><Status>Enabled</Status>{DAYS}</Rule>");
        for (rules, code, message) in [
            (String::new(), MalformedXML, ""),
            (with(DAYS).repeat(1001), MalformedXML, ""),
            ("<Other/>".to_owned(), MalformedXML, ""),
            (with("<Other/>"), MalformedXML, ""),
            (with(""), InvalidRequest, "At least one action needs to be specified in a rule"),
            (format!("<Rule><Filter/>{DAYS}</Rule>"), MalformedXML, ""),
            (format!("<Rule><Filter/><Status>enabled</Status>{DAYS}</Rule>"), MalformedXML, ""),
            (format!("<Rule><Status>Enabled</Status>{DAYS}</Rule>"), MalformedXML, ""),
            (id(&"a".repeat(256)), InvalidArgument, "ID length should not exceed allowed limit of 255"),
            (id("a").repeat(2), InvalidArgument, "Rule ID must be unique. Found same ID for more than one rule"),
            (
                legacy + &with(DAYS),
                InvalidRequest,
                "Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.",
            ),
            (with(&format!("<Prefix/>{DAYS}")), InvalidRequest, ""),
            (expiration(""), MalformedXML, ""),
            (expiration("<Days>0</Days>"), InvalidArgument, "'Days' for Expiration action must be a positive integer"),
            (expiration("<Days>-1</Days>"), InvalidArgument, ""),
            (expiration("<Days>2147483648</Days>"), MalformedXML, ""),
            (expiration("<Days>x</Days>"), MalformedXML, ""),
            (expiration("<Days>1</Days><Date>2017-09-27</Date>"), MalformedXML, ""),
            (expiration("<Days>1</Days><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker>"), MalformedXML, ""),
            (expiration("<Date>20200101</Date>"), MalformedXML, ""),
            (expiration("<Date>2017-09-27T00:00:01Z</Date>"), InvalidArgument, "'Date' must be at midnight GMT"),
            (noncurrent(""), MalformedXML, ""),
            (
                noncurrent("<NoncurrentDays>0</NoncurrentDays>"),
                InvalidArgument,
                "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer",
            ),
            (
                noncurrent("<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>101</NewerNoncurrentVersions>"),
                InvalidArgument,
                "",
            ),
            (
                with(
                    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>0</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
                ),
                InvalidArgument,
                "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
            ),
            (with("<AbortIncompleteMultipartUpload/>"), MalformedXML, ""),
            (filtered(&format!("<Prefix>a</Prefix><And>{tag}</And>"), DAYS), MalformedXML, ""),
            (filtered(&format!("<And>{tag}</And><And>{tag}</And>"), DAYS), MalformedXML, ""),
            (filtered("<Prefix>a</Prefix><Prefix>b</Prefix>", DAYS), MalformedXML, ""),
            (filtered("<And/>", DAYS), MalformedXML, ""),
            (filtered(&format!("<And>{tag}{tag}</And>"), DAYS), InvalidRequest, "Duplicate Tag Keys are not allowed."),
            (filtered("<Tag><Key/><Value/></Tag>", DAYS), InvalidTag, ""),
            (filtered(&format!("<Prefix>{}</Prefix>", "a".repeat(1025)), DAYS), InvalidRequest, ""),
            (filtered("<ObjectSizeLessThan>0</ObjectSizeLessThan>", DAYS), InvalidArgument, ""),
            (
                filtered(
                    "<And><ObjectSizeGreaterThan>5</ObjectSizeGreaterThan><ObjectSizeLessThan>6</ObjectSizeLessThan></And>",
                    DAYS,
                ),
                InvalidRequest,
                "",
            ),
            (filtered(tag, abort), InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with Tags."),
            (filtered(tag, marker), InvalidRequest, "ExpiredObjectDeleteMarker cannot be specified with Tags."),
            (filtered("<ObjectSizeGreaterThan>5</ObjectSizeGreaterThan>", abort), InvalidRequest, ""),
            (with("<Transition><Days>0</Days><StorageClass>GLACIER</StorageClass></Transition>"), NotImplemented, ""),
            (
                with("<Transition><Date>20220927</Date><StorageClass>GLACIER</StorageClass></Transition>"),
                MalformedXML,
                "",
            ),
        ] {
            let error = read(&rules).unwrap_err();
            assert_eq!(error.code(), code, "{rules}");
            assert!(message.is_empty() || error.message() == message, "{error}");
        }
    }

    fn any_filter() -> impl Strategy<Value = (LifecycleFilter, bool)> {
        let tag = ("[a-z]{1,4}", "[ -~]{0,4}");
        let conditions = (
            proptest::option::of("[ -~]{0,8}"),
            proptest::collection::vec(tag, 0..3),
            proptest::option::of(0u64..9),
            proptest::option::of(20u64..99),
            any::<bool>(),
        );
        conditions.prop_map(|(prefix, mut tags, size_greater_than, size_less_than, legacy)| {
            tags.sort();
            tags.dedup_by(|a, b| a.0 == b.0);
            if legacy {
                let prefix = prefix.or(Some(String::new()));
                return (LifecycleFilter { prefix, ..LifecycleFilter::default() }, true);
            }
            let given = usize::from(prefix.is_some())
                + tags.len()
                + usize::from(size_greater_than.is_some())
                + usize::from(size_less_than.is_some());
            (LifecycleFilter { prefix, tags, size_greater_than, size_less_than, and: given > 1 }, false)
        })
    }

    prop_compose! {
        fn any_rule(legacy: bool)(
            id in "[!-~]{0,20}", enabled in any::<bool>(),
            filter in any_filter().prop_filter("one kind", move |(_, of)| *of == legacy),
            expiration in prop_oneof![
                (1u32..9999).prop_map(Expiration::Days),
                (0u64..2_900_000).prop_map(|day| Expiration::Date(day * SECONDS_PER_DAY)),
            ],
            noncurrent in proptest::option::of((1u32..999, proptest::option::of(1u32..=100))),
        ) -> LifecycleRule {
            let (filter, legacy_prefix) = filter;
            let noncurrent = noncurrent.map(|(days, newer_versions)| NoncurrentExpiration { days, newer_versions });
            LifecycleRule { id, enabled, filter, legacy_prefix, expiration: Some(expiration), noncurrent, abort_uploads: None }
        }
    }

    fn any_rules() -> impl Strategy<Value = Vec<LifecycleRule>> {
        any::<bool>().prop_flat_map(|legacy| proptest::collection::vec(any_rule(legacy), 1..4))
    }

    proptest! {
        #[test]
        fn what_is_told_can_be_sent_back(mut rules in any_rules()) {
            for (number, rule) in rules.iter_mut().enumerate() {
                if !rule.id.is_empty() {
                    rule.id.push_str(&number.to_string());
                }
            }
            let lifecycle = Lifecycle { rules, transition_minimum_varies: false };
            prop_assert_eq!(lifecycle_configuration(write_lifecycle(&lifecycle).as_bytes()).unwrap(), lifecycle);
        }
    }
}
