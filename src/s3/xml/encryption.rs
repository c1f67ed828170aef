//! `ServerSideEncryptionConfiguration` (S3 API Reference, PutBucketEncryption).

use myfsio_actors::bucket_config::{BucketEncryption, DefaultEncryption};

use super::read::{self, Element, MalformedXml};
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};

/// Largest document in bytes.
pub const ENCRYPTION_BYTES_MAX: usize = 16 * 1024;

/// Longest name of a KMS key in characters (KMS API Reference, DescribeKey).
const KEY_CHARS_MAX: usize = 2048;

/// Reads `ServerSideEncryptionConfiguration`, which has exactly one rule. Errs: MalformedXML, InvalidArgument for a key beside
/// `AES256`, NotImplemented for two layers of encryption.
pub fn encryption_configuration(body: &[u8]) -> Result<BucketEncryption, S3Error> {
    let root = read::parse(body, "ServerSideEncryptionConfiguration")?;
    let [rule] = root.branch()? else { return Err(MalformedXml::new("not exactly one Rule").into()) };
    if rule.name != "Rule" {
        return Err(rule.unexpected().into());
    }
    let mut encryption = BucketEncryption::default();
    for child in rule.fields()? {
        match child.name.as_str() {
            "ApplyServerSideEncryptionByDefault" => encryption.default = Some(by_default(child)?),
            "BucketKeyEnabled" => encryption.bucket_key = boolean(child)?,
            "BlockedEncryptionTypes" => encryption.blocks_customer_keys = Some(blocks_customer_keys(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    match encryption.default.is_none() && encryption.blocks_customer_keys.is_none() {
        true => Err(MalformedXml::new("a Rule that says nothing").into()),
        false => Ok(encryption),
    }
}

fn by_default(element: &Element) -> Result<DefaultEncryption, S3Error> {
    let (mut algorithm, mut key) = (None, None);
    for child in element.fields()? {
        match child.name.as_str() {
            "SSEAlgorithm" => algorithm = Some(child.leaf()?.trim()),
            "KMSMasterKeyID" => key = Some(child.leaf()?.trim()).filter(|key| !key.is_empty()),
            _ => return Err(child.unexpected().into()),
        }
    }
    if key.is_some_and(|key| key.chars().count() > KEY_CHARS_MAX) {
        return Err(MalformedXml::new("a KMSMasterKeyID that is too long").into());
    }
    match (algorithm, key) {
        (Some("AES256"), None) => Ok(DefaultEncryption::Managed),
        (Some("AES256"), Some(_)) => Err(S3Error::with_message(
            ErrorCode::InvalidArgument,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        )
        .field("ArgumentName", "ApplyServerSideEncryptionByDefault")),
        (Some("aws:kms"), key) => Ok(DefaultEncryption::Kms { key: key.map(str::to_owned) }),
        (Some("aws:kms:dsse"), _) => Err(S3Error::with_message(
            ErrorCode::NotImplemented,
            "Encryption in two layers (aws:kms:dsse) is not implemented.",
        )),
        (Some(other), _) => Err(MalformedXml::new(format!("{other} is no SSEAlgorithm")).into()),
        (None, _) => Err(MalformedXml::new("no SSEAlgorithm").into()),
    }
}

/// `BlockedEncryptionTypes`: `SSE-C` refuses keys of customers, `NONE` nothing.
fn blocks_customer_keys(element: &Element) -> Result<bool, MalformedXml> {
    let mut blocks = None;
    for child in element.branch()? {
        let kind = match (child.name.as_str(), child.leaf()?.trim()) {
            ("EncryptionType", "SSE-C") => true,
            ("EncryptionType", "NONE") => false,
            ("EncryptionType", other) => return Err(MalformedXml::new(format!("{other} is no EncryptionType"))),
            _ => return Err(child.unexpected()),
        };
        if blocks.is_some_and(|before| before != kind) {
            return Err(MalformedXml::new("both SSE-C and NONE are blocked"));
        }
        blocks = Some(kind);
    }
    blocks.ok_or_else(|| MalformedXml::new("no EncryptionType"))
}

/// What `ObjectEncryption` asks for: another KMS key, by its ARN (S3 API Reference, UpdateObjectEncryption).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedKey {
    /// The ARN.
    pub arn: String,
    /// Whether the object is told to use a bucket key.
    pub bucket_key: bool,
}

/// Reads `ObjectEncryption`. Errs: MalformedXML.
pub fn object_encryption(body: &[u8]) -> Result<AskedKey, MalformedXml> {
    let root = read::parse(body, "ObjectEncryption")?;
    let [kms] = root.branch()? else { return Err(MalformedXml::new("not exactly one kind of encryption")) };
    if kms.name != "SSE-KMS" {
        return Err(kms.unexpected());
    }
    let (mut arn, mut bucket_key) = (None, false);
    for child in kms.fields()? {
        match child.name.as_str() {
            "KMSKeyArn" => arn = Some(child.leaf()?.trim()),
            "BucketKeyEnabled" => bucket_key = boolean(child)?,
            _ => return Err(child.unexpected()),
        }
    }
    match arn.filter(|arn| arn.starts_with("arn:") && arn.len() <= KEY_CHARS_MAX) {
        Some(arn) => Ok(AskedKey { arn: arn.to_owned(), bucket_key }),
        None => Err(MalformedXml::new("no KMSKeyArn, or none that is an ARN")),
    }
}

fn boolean(element: &Element) -> Result<bool, MalformedXml> {
    match element.leaf()?.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(MalformedXml::new(format!("{other} is no boolean"))),
    }
}

/// `ServerSideEncryptionConfiguration`.
pub fn write_encryption(encryption: &BucketEncryption) -> String {
    let mut document = XmlWriter::new("ServerSideEncryptionConfiguration");
    document.open("Rule");
    if let Some(default) = &encryption.default {
        document.open("ApplyServerSideEncryptionByDefault");
        match default {
            DefaultEncryption::Managed => document.text("SSEAlgorithm", "AES256"),
            DefaultEncryption::Kms { key } => {
                document.text("SSEAlgorithm", "aws:kms").text_if("KMSMasterKeyID", key.as_deref())
            }
        };
        document.close();
    }
    document.value("BucketKeyEnabled", encryption.bucket_key);
    if let Some(blocks) = encryption.blocks_customer_keys {
        document.open("BlockedEncryptionTypes").text("EncryptionType", if blocks { "SSE-C" } else { "NONE" }).close();
    }
    document.close();
    document.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rules: &str) -> Result<BucketEncryption, ErrorCode> {
        let document = format!(
            "<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{rules}</ServerSideEncryptionConfiguration>"
        );
        encryption_configuration(document.as_bytes()).map_err(|error| error.code())
    }

    fn rule(inside: &str) -> Result<BucketEncryption, ErrorCode> {
        read(&format!("<Rule>{inside}</Rule>"))
    }

    fn default(inside: &str) -> Result<BucketEncryption, ErrorCode> {
        rule(&format!("<ApplyServerSideEncryptionByDefault>{inside}</ApplyServerSideEncryptionByDefault>"))
    }

    #[test]
    fn documents_come_back_as_they_went() {
        let key = "<KMSMasterKeyID>alias/a</KMSMasterKeyID>";
        for rules in [
            default("<SSEAlgorithm>AES256</SSEAlgorithm>"),
            default("<SSEAlgorithm>AES256</SSEAlgorithm><KMSMasterKeyID/>"),
            default("<SSEAlgorithm>aws:kms</SSEAlgorithm>"),
            default(&format!("{key}<SSEAlgorithm> aws:kms </SSEAlgorithm>")),
            rule(&format!(
                "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault>\
                 <BucketKeyEnabled>true</BucketKeyEnabled>\
                 <BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>"
            )),
            rule("<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"),
        ] {
            let encryption = rules.unwrap();
            let document = write_encryption(&encryption);
            assert_eq!(encryption_configuration(document.as_bytes()).unwrap(), encryption, "{document}");
        }
        let kms = default(&format!("<SSEAlgorithm>aws:kms</SSEAlgorithm>{key}")).unwrap();
        assert_eq!(kms.default, Some(DefaultEncryption::Kms { key: Some("alias/a".to_owned()) }));
        assert!(write_encryption(&kms).contains(
            "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/a</KMSMasterKeyID>\
             </ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule>"
        ));
    }

    #[test]
    fn another_key_of_an_object() {
        let read =
            |inside: &str| object_encryption(format!("<ObjectEncryption>{inside}</ObjectEncryption>").as_bytes());
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let asked =
            read(&format!("<SSE-KMS><BucketKeyEnabled>true</BucketKeyEnabled><KMSKeyArn>{arn}</KMSKeyArn></SSE-KMS>"));
        assert_eq!(asked, Ok(AskedKey { arn: arn.to_owned(), bucket_key: true }));
        assert!(!read(&format!("<SSE-KMS><KMSKeyArn>{arn}</KMSKeyArn></SSE-KMS>")).unwrap().bucket_key);
        for bad in [
            "",
            "<SSE-S3/>",
            "<SSE-KMS/>",
            "<SSE-KMS><KMSKeyArn>alias/a</KMSKeyArn></SSE-KMS>",
            "<SSE-KMS><KMSKeyArn>arn:</KMSKeyArn><Other/></SSE-KMS>",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        let aes = "<SSEAlgorithm>AES256</SSEAlgorithm>";
        assert_eq!(default(&format!("{aes}<KMSMasterKeyID>k</KMSMasterKeyID>")), Err(ErrorCode::InvalidArgument));
        assert_eq!(default("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm>"), Err(ErrorCode::NotImplemented));
        let long = "k".repeat(2049);
        for inside in [
            "",
            "<SSEAlgorithm/>",
            "<SSEAlgorithm>aes256</SSEAlgorithm>",
            "<SSEAlgorithm>aws:fsx</SSEAlgorithm>",
            &format!("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>{long}</KMSMasterKeyID>"),
            &format!("{aes}<Other/>"),
        ] {
            assert_eq!(default(inside), Err(ErrorCode::MalformedXML), "{inside}");
        }
        let whole = format!("<ApplyServerSideEncryptionByDefault>{aes}</ApplyServerSideEncryptionByDefault>");
        for inside in [
            "",
            "<BucketKeyEnabled>true</BucketKeyEnabled>",
            &format!("{whole}<BucketKeyEnabled>yes</BucketKeyEnabled>"),
            &format!("{whole}<BlockedEncryptionTypes/>"),
            &format!("{whole}<BlockedEncryptionTypes><EncryptionType>SSE-S3</EncryptionType></BlockedEncryptionTypes>"),
            "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>",
        ] {
            assert_eq!(rule(inside), Err(ErrorCode::MalformedXML), "{inside}");
        }
        let one = format!("<Rule>{whole}</Rule>");
        for rules in [String::new(), format!("{one}{one}"), "<Other/>".to_owned()] {
            assert_eq!(read(&rules), Err(ErrorCode::MalformedXML), "{rules}");
        }
    }
}
