//! The two documents that are hardly more than a word: RequestPaymentConfiguration and AccelerateConfiguration.

use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;

/// Reads `RequestPaymentConfiguration`: whether the requester pays. Errs: MalformedXML.
pub fn request_payment(body: &[u8]) -> Result<bool, MalformedXml> {
    match word(&read::parse(body, "RequestPaymentConfiguration")?, "Payer")? {
        "Requester" => Ok(true),
        "BucketOwner" => Ok(false),
        other => Err(MalformedXml::new(format!("{other} is no payer"))),
    }
}

/// `RequestPaymentConfiguration`.
pub fn write_request_payment(requester_pays: bool) -> String {
    let mut document = XmlWriter::new("RequestPaymentConfiguration");
    document.text("Payer", if requester_pays { "Requester" } else { "BucketOwner" });
    document.finish()
}

/// Reads `AccelerateConfiguration`: whether acceleration is enabled. Errs: MalformedXML.
pub fn accelerate(body: &[u8]) -> Result<bool, MalformedXml> {
    match word(&read::parse(body, "AccelerateConfiguration")?, "Status")? {
        "Enabled" => Ok(true),
        "Suspended" => Ok(false),
        other => Err(MalformedXml::new(format!("{other} is no status"))),
    }
}

/// `AccelerateConfiguration`; without a status while it was never set.
pub fn write_accelerate(enabled: Option<bool>) -> String {
    let mut document = XmlWriter::new("AccelerateConfiguration");
    document.text_if("Status", enabled.map(|enabled| if enabled { "Enabled" } else { "Suspended" }));
    document.finish()
}

fn word<'a>(root: &'a Element, name: &str) -> Result<&'a str, MalformedXml> {
    match root.branch()? {
        [only] if only.name == name => Ok(only.leaf()?.trim()),
        [other, ..] => Err(other.unexpected()),
        [] => Err(MalformedXml::new(format!("no {name}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for pays in [true, false] {
            assert_eq!(request_payment(write_request_payment(pays).as_bytes()), Ok(pays));
            assert_eq!(accelerate(write_accelerate(Some(pays)).as_bytes()), Ok(pays));
        }
        assert!(accelerate(write_accelerate(None).as_bytes()).is_err());
        for body in [
            "<RequestPaymentConfiguration><Payer>Nobody</Payer></RequestPaymentConfiguration>",
            "<RequestPaymentConfiguration/>",
            "<RequestPaymentConfiguration><Payer>Requester</Payer><Payer>Requester</Payer></RequestPaymentConfiguration>",
            "<Payer>Requester</Payer>",
        ] {
            assert!(request_payment(body.as_bytes()).is_err(), "{body}");
        }
        assert!(accelerate(b"<AccelerateConfiguration><Status>enabled</Status></AccelerateConfiguration>").is_err());
    }
}
