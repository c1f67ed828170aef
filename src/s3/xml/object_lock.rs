//! Documents of Object Lock: `ObjectLockConfiguration`, `Retention`, `LegalHold` (S3 API Reference).

use myfsio_actors::bucket_config::{DefaultRetention, ObjectLock, Retention, RetentionMode, RetentionPeriod};

use super::read::{self, Element, MalformedXml};
use super::write::{XmlWriter, seconds_text};
use crate::s3::conditional::date_seconds;
use crate::s3::error::{ErrorCode, S3Error};

/// Longest default retention (S3 User Guide, "Object Lock considerations"), in days.
const DAYS_MAX: u32 = 36_500;
const YEARS_MAX: u32 = 100;

/// Reads `ObjectLockConfiguration`. Errs: MalformedXML; InvalidRetentionPeriod, InvalidArgument for a period that cannot be.
pub fn object_lock_configuration(body: &[u8]) -> Result<ObjectLock, S3Error> {
    let root = read::parse(body, "ObjectLockConfiguration")?;
    let (mut is_enabled, mut lock) = (false, ObjectLock::default());
    for child in root.fields()? {
        match child.name.as_str() {
            "ObjectLockEnabled" if child.leaf()?.trim() == "Enabled" => is_enabled = true,
            "Rule" => lock.default = Some(rule(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    if is_enabled { Ok(lock) } else { Err(MalformedXml::new("no ObjectLockEnabled").into()) }
}

fn rule(element: &Element) -> Result<DefaultRetention, S3Error> {
    let [retention] = element.branch()? else { return Err(MalformedXml::new("not one DefaultRetention").into()) };
    if retention.name != "DefaultRetention" {
        return Err(retention.unexpected().into());
    }
    let (mut mode, mut days, mut years) = (None, None, None);
    for child in retention.fields()? {
        match child.name.as_str() {
            "Mode" => mode = Some(retention_mode(child)?),
            "Days" => days = Some(period(child, DAYS_MAX)?),
            "Years" => years = Some(period(child, YEARS_MAX)?),
            "DefaultEventHold" => return Err(unbuilt(child)),
            _ => return Err(child.unexpected().into()),
        }
    }
    let period = match (days, years) {
        (Some(days), None) => RetentionPeriod::Days(days),
        (None, Some(years)) => RetentionPeriod::Years(years),
        _ => return Err(MalformedXml::new("not either Days or Years").into()),
    };
    let mode = mode.ok_or_else(|| MalformedXml::new("no Mode"))?;
    Ok(DefaultRetention { mode, period })
}

/// Holds that end with an event are not built: what they would keep must not be thought to be kept.
fn unbuilt(element: &Element) -> S3Error {
    S3Error::with_message(ErrorCode::NotImplemented, format!("{} is not implemented.", element.name))
}

fn period(element: &Element, max: u32) -> Result<u32, S3Error> {
    let text = element.leaf()?.trim();
    let number: i64 = text.parse().map_err(|_| MalformedXml::new(format!("{} is no number", element.name)))?;
    match u32::try_from(number) {
        Ok(number) if number > max => {
            Err(S3Error::invalid_argument(&element.name, text, "Default retention period is too large."))
        }
        Ok(number) if number > 0 => Ok(number),
        _ => Err(S3Error::with_message(
            ErrorCode::InvalidRetentionPeriod,
            "Default retention period must be a positive integer value.",
        )),
    }
}

fn retention_mode(element: &Element) -> Result<RetentionMode, MalformedXml> {
    parse_mode(element.leaf()?.trim()).ok_or_else(|| MalformedXml::new("an unknown Mode"))
}

/// `GOVERNANCE` or `COMPLIANCE`.
pub fn parse_mode(text: &str) -> Option<RetentionMode> {
    match text {
        "GOVERNANCE" => Some(RetentionMode::Governance),
        "COMPLIANCE" => Some(RetentionMode::Compliance),
        _ => None,
    }
}

/// The name of a mode.
pub fn mode_name(mode: RetentionMode) -> &'static str {
    match mode {
        RetentionMode::Governance => "GOVERNANCE",
        RetentionMode::Compliance => "COMPLIANCE",
    }
}

/// Reads `Retention`; none for an empty one, which removes it. Errs: MalformedXML; NotImplemented for holds that end with an event.
pub fn retention(body: &[u8]) -> Result<Option<Retention>, S3Error> {
    let root = read::parse(body, "Retention")?;
    let (mut mode, mut until) = (None, None);
    for child in root.fields()? {
        match child.name.as_str() {
            "Mode" => mode = Some(retention_mode(child)?),
            "RetainUntilDate" => {
                let seconds = date_seconds(child.leaf()?);
                until = Some(seconds.ok_or_else(|| MalformedXml::new("RetainUntilDate is no time"))?);
            }
            "EventHold" | "EventHoldDuration" => return Err(unbuilt(child)),
            _ => return Err(child.unexpected().into()),
        }
    }
    match (mode, until) {
        (None, None) => Ok(None),
        (Some(mode), Some(seconds)) => Ok(Some(Retention { mode, until_millis: seconds.saturating_mul(1000) })),
        _ => Err(MalformedXml::new("Mode and RetainUntilDate go together").into()),
    }
}

/// Reads `LegalHold`: whether it is on. Errs: MalformedXML.
pub fn legal_hold(body: &[u8]) -> Result<bool, MalformedXml> {
    let root = read::parse(body, "LegalHold")?;
    let [status] = root.branch()? else { return Err(MalformedXml::new("not one Status")) };
    match (status.name.as_str(), status.leaf()?.trim()) {
        ("Status", "ON") => Ok(true),
        ("Status", "OFF") => Ok(false),
        _ => Err(status.unexpected()),
    }
}

/// The document of a bucket's Object Lock.
pub fn write_object_lock(lock: &ObjectLock) -> String {
    let mut document = XmlWriter::new("ObjectLockConfiguration");
    document.text("ObjectLockEnabled", "Enabled");
    if let Some(default) = lock.default {
        document.open("Rule").open("DefaultRetention").text("Mode", mode_name(default.mode));
        match default.period {
            RetentionPeriod::Days(days) => document.value("Days", days),
            RetentionPeriod::Years(years) => document.value("Years", years),
        };
        document.close().close();
    }
    document.finish()
}

/// Until when a version is kept, as documents and headers tell it. Not by way of a [`Stamp`](myfsio_actors::names::Stamp), whose
/// nanoseconds end in 2554.
pub fn until_text(retention: &Retention) -> String {
    seconds_text(retention.until_millis / 1000)
}

/// The document of a version's retention.
pub fn write_retention(retention: &Retention) -> String {
    let mut document = XmlWriter::new("Retention");
    document.text("Mode", mode_name(retention.mode));
    document.text("RetainUntilDate", &until_text(retention));
    document.finish()
}

/// The document of a version's legal hold.
pub fn write_legal_hold(is_on: bool) -> String {
    let mut document = XmlWriter::new("LegalHold");
    document.text("Status", if is_on { "ON" } else { "OFF" });
    document.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back() {
        for period in [RetentionPeriod::Days(7), RetentionPeriod::Years(2)] {
            let default = Some(DefaultRetention { mode: RetentionMode::Compliance, period });
            for lock in [ObjectLock { default }, ObjectLock::default()] {
                assert_eq!(object_lock_configuration(write_object_lock(&lock).as_bytes()).unwrap(), lock);
            }
        }
        let kept = Retention { mode: RetentionMode::Governance, until_millis: 1_900_000_000_000 };
        assert_eq!(retention(write_retention(&kept).as_bytes()).unwrap(), Some(kept));
        assert_eq!(retention(b"<Retention/>").unwrap(), None);
        assert_eq!(legal_hold(write_legal_hold(true).as_bytes()), Ok(true));
    }

    #[test]
    fn dates_are_told_to_the_end_of_their_calendar() {
        for date in ["2554-07-22T00:00:00.000Z", "2999-01-01T00:00:00.000Z", "9999-12-31T23:59:59.000Z"] {
            let body =
                format!("<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>{date}</RetainUntilDate></Retention>");
            let kept = retention(body.as_bytes()).unwrap().unwrap();
            assert_eq!(until_text(&kept), date);
            assert!(write_retention(&kept).contains(date));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let code = |inside: &str| {
            let body = format!("<ObjectLockConfiguration>{inside}</ObjectLockConfiguration>");
            object_lock_configuration(body.as_bytes()).unwrap_err().code()
        };
        let rule = |inside: &str| {
            code(&format!(
                "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>{inside}</DefaultRetention></Rule>"
            ))
        };
        assert_eq!(code("<ObjectLockEnabled>Disabled</ObjectLockEnabled>"), ErrorCode::MalformedXML);
        assert_eq!(rule("<Mode>GOVERNANCE</Mode><Days>0</Days>"), ErrorCode::InvalidRetentionPeriod);
        assert_eq!(rule("<Mode>GOVERNANCE</Mode><Years>-1</Years>"), ErrorCode::InvalidRetentionPeriod);
        assert_eq!(rule("<Mode>GOVERNANCE</Mode><Days>1</Days><Years>1</Years>"), ErrorCode::MalformedXML);
        assert_eq!(rule("<Mode>governance</Mode><Days>1</Days>"), ErrorCode::MalformedXML);
        assert_eq!(rule("<Mode>GOVERNANCE</Mode><Days>36501</Days>"), ErrorCode::InvalidArgument);
        assert_eq!(rule("<Mode>GOVERNANCE</Mode><Mode>COMPLIANCE</Mode><Days>1</Days>"), ErrorCode::MalformedXML);
        let held = "<Mode>GOVERNANCE</Mode><Days>1</Days><DefaultEventHold><Days>1</Days></DefaultEventHold>";
        assert_eq!(rule(held), ErrorCode::NotImplemented);
        let one = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>";
        let two = format!("<ObjectLockEnabled>Enabled</ObjectLockEnabled>{one}{}", one.replace("<Days>1", "<Days>9"));
        assert_eq!(code(&two), ErrorCode::MalformedXML);
        let refused =
            |inside: &str| retention(format!("<Retention>{inside}</Retention>").as_bytes()).unwrap_err().code();
        assert_eq!(refused("<Mode>GOVERNANCE</Mode>"), ErrorCode::MalformedXML);
        assert_eq!(refused("<EventHold>ON</EventHold>"), ErrorCode::NotImplemented);
        assert!(legal_hold(b"<LegalHold><Status>on</Status></LegalHold>").is_err());
    }
}
