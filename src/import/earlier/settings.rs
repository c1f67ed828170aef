//! What an earlier generation kept of a bucket, in `.bucket.json` and a few files beside: as the XML that it had been given, or as JSON of
//! the Python generation's own.

use std::path::Path;

use serde_json::{Map, Value};

use super::object::canned_acl;
use super::{CONFIG_BYTES_MAX, SYSTEM, system_of, versions};
use crate::import::beneath::Folder;
use crate::import::settings::{Document, Settings, Versioning};
use crate::s3::xml::XmlWriter;

/// Fields of `.bucket.json` that hold documents, and the sub-resources that they are of. Lifecycle stands last: it may delete.
const DOCUMENTS: [(&str, &str); 9] = [
    ("ownership_controls", "ownershipControls"),
    ("tags", "tagging"),
    ("cors", "cors"),
    ("encryption", "encryption"),
    ("website", "website"),
    ("object_lock", "object-lock"),
    ("policy", "policy"),
    ("public_access_block", "publicAccessBlock"),
    ("lifecycle", "lifecycle"),
];

/// Reads what is configured of a bucket. Errs: it cannot be read.
pub fn read(folder: &Folder, bucket: &str) -> Result<Settings, String> {
    let at = system_of(bucket);
    let json = |path: &Path| -> Result<Option<Value>, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = folder.read(path, CONFIG_BYTES_MAX).map_err(|error| wrong(&error))?;
        bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose().map_err(|error| wrong(&error))
    };
    let mut config = match json(&at.join(".bucket.json"))? {
        Some(Value::Object(config)) => config,
        _ => Map::new(),
    };
    // The Python generation kept these in files of their own.
    for (field, file) in [("object_lock", "object_lock.json"), ("logging", "logging.json"), ("acl", ".acl.json")] {
        if is_nothing(config.get(field))
            && let Some(found) = json(&at.join(file))?
        {
            config.insert(field.to_owned(), found);
        }
    }
    if is_nothing(config.get("policy"))
        && let Some(policy) = policy(&json, bucket)?
    {
        config.insert("policy".to_owned(), policy);
    }
    if folder.has_file(&at.join("notifications.json")) {
        config.entry("notification").or_insert(Value::Bool(true));
    }
    let has_versions = versions::roots(bucket).iter().any(|root| folder.has_anything(root));
    Ok(of_config(bucket, &config, has_versions))
}

/// A policy of the file that all buckets shared: in the place of later releases, or of the first ones.
fn policy(json: &dyn Fn(&Path) -> Result<Option<Value>, String>, bucket: &str) -> Result<Option<Value>, String> {
    for path in [Path::new(SYSTEM).join("config/bucket_policies.json"), "bucket_policies.json".into()] {
        let Some(policies) = json(&path)? else { continue };
        let of = policies.get("policies").unwrap_or(&policies);
        if let Some(policy) = of.get(bucket) {
            return Ok(Some(policy.clone()));
        }
    }
    Ok(None)
}

fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    }
}

fn of_config(bucket: &str, config: &Map<String, Value>, has_versions: bool) -> Settings {
    let is_on = |field: &str| config.get(field).and_then(Value::as_bool).unwrap_or(false);
    let mut settings = Settings {
        versioning: match (is_on("versioning_enabled"), is_on("versioning_suspended") || has_versions) {
            (true, _) => Versioning::Enabled,
            (false, true) => Versioning::Suspended,
            (false, false) => Versioning::Off,
        },
        ..Settings::default()
    };
    for (field, resource) in DOCUMENTS {
        let Some(value) = config.get(field).filter(|value| !is_nothing(Some(value))) else { continue };
        match document(field, value) {
            Ok(Some(text)) => {
                // Keys of the KMS stay behind.
                let names_key = |value: &Value| {
                    ["KMSMasterKeyID", "kms_key_id"].iter().any(|name| value.to_string().contains(name))
                };
                if field == "encryption" && !value.is_string() && names_key(value) {
                    settings.lost.push("default encryption by a KMS key: the node's own key is used for it".to_owned());
                }
                settings.documents.push(Document { resource, text });
            }
            Ok(None) => {}
            Err(reason) => settings.lost.push(format!("{field}: {reason}")),
        }
    }
    settings.object_lock = settings.documents.iter().any(|document| document.resource == "object-lock");
    if settings.object_lock {
        settings.versioning = Versioning::Enabled;
    }
    if let Some(quota) = config.get("quota").filter(|quota| !is_nothing(Some(quota))) {
        settings.documents.push(Document { resource: "quota", text: quota.to_string() });
    }
    match config.get("logging").filter(|logging| !is_nothing(Some(logging))).map(logging) {
        Some(Some(text)) => settings.documents.push(Document { resource: "logging", text }),
        Some(None) => settings.lost.push("logging: it is of no known form".to_owned()),
        None => {}
    }
    if let Some(list) = config.get("acl").filter(|list| !is_nothing(Some(list))) {
        match list {
            // Written by the axum generation; it names users by ids that nobody has here.
            Value::String(_) => settings.lost.push("its access control list: it is private here".to_owned()),
            list => settings.canned_acl = canned_acl(Some(&list.to_string()), &mut settings.lost),
        }
    }
    if !is_nothing(config.get("notification")) {
        settings.lost.push("notifications: webhooks are added by an administrator (docs/configuration.md)".to_owned());
    }
    if !is_nothing(config.get("replication")) {
        settings
            .lost
            .push(format!("replication that was set through the S3 API: see `myfsio replication start {bucket}`"));
    }
    settings
}

/// A document as it is put. None when it says nothing. Errs: it is of no known form.
fn document(field: &str, value: &Value) -> Result<Option<String>, String> {
    if let Value::String(text) = value {
        return match (field, text.trim_start().starts_with('<')) {
            (_, true) => Ok(Some(text.clone())),
            _ => Err("it is no document".to_owned()),
        };
    }
    let unknown = || "it is of no known form".to_owned();
    Ok(Some(match field {
        "policy" => value.to_string(),
        "tags" => tags(value).ok_or_else(unknown)?,
        "cors" => cors(value).ok_or_else(unknown)?,
        "lifecycle" => lifecycle(value).ok_or_else(unknown)?,
        "encryption" => encryption(value).ok_or_else(unknown)?,
        "website" => website(value).ok_or_else(unknown)?,
        "object_lock" => {
            if value.get("ObjectLockEnabled").and_then(Value::as_str) != Some("Enabled") {
                return Ok(None);
            }
            let mut out = XmlWriter::new("ObjectLockConfiguration");
            out.text("ObjectLockEnabled", "Enabled");
            out.finish()
        }
        _ => return Err(unknown()),
    }))
}

fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name).and_then(Value::as_str)
}

/// A number, or a text, as it is written.
fn shown(of: &Value, name: &str) -> Option<String> {
    match of.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn tags(value: &Value) -> Option<String> {
    let mut out = XmlWriter::new("Tagging");
    out.open("TagSet");
    for tag in value.as_array()? {
        let key = text(tag, "Key").or_else(|| text(tag, "key"))?;
        let value = text(tag, "Value").or_else(|| text(tag, "value")).unwrap_or_default();
        out.open("Tag").text("Key", key).text("Value", value).close();
    }
    out.close();
    Some(out.finish())
}

fn cors(value: &Value) -> Option<String> {
    let mut out = XmlWriter::new("CORSConfiguration");
    for rule in value.as_array()? {
        out.open("CORSRule");
        for (field, element) in [
            ("AllowedOrigins", "AllowedOrigin"),
            ("AllowedMethods", "AllowedMethod"),
            ("AllowedHeaders", "AllowedHeader"),
            ("ExposeHeaders", "ExposeHeader"),
        ] {
            for text in rule.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
                out.text(element, text);
            }
        }
        out.text_if("MaxAgeSeconds", shown(rule, "MaxAgeSeconds").as_deref());
        out.close();
    }
    Some(out.finish())
}

fn lifecycle(value: &Value) -> Option<String> {
    let mut out = XmlWriter::new("LifecycleConfiguration");
    for rule in value.as_array()? {
        out.open("Rule");
        out.text_if("ID", text(rule, "ID").filter(|id| !id.is_empty()));
        out.open("Filter").text("Prefix", lifecycle_prefix(rule)?).close();
        // One that does not say so was not followed.
        out.text("Status", text(rule, "Status").unwrap_or("Disabled"));
        for (part, fields) in [
            ("Expiration", &["Days", "Date", "ExpiredObjectDeleteMarker"][..]),
            ("NoncurrentVersionExpiration", &["NoncurrentDays"]),
            ("AbortIncompleteMultipartUpload", &["DaysAfterInitiation"]),
        ] {
            let Some(of) = rule.get(part) else { continue };
            out.open(part);
            for field in fields {
                out.text_if(field, shown(of, field).as_deref());
            }
            out.close();
        }
        out.close();
    }
    Some(out.finish())
}

/// The prefix that a rule is about, told by itself or as a filter. None where it is about less than a prefix tells: a rule that is
/// brought over must never remove more than it did.
fn lifecycle_prefix(rule: &Value) -> Option<&str> {
    let filter = match rule.get("Filter") {
        None | Some(Value::Null) => None,
        Some(filter) => Some(filter.as_object().filter(|filter| filter.keys().all(|name| name == "Prefix"))?),
    };
    match rule.get("Prefix").or_else(|| filter?.get("Prefix")) {
        None | Some(Value::Null) => Some(""),
        Some(prefix) => prefix.as_str(),
    }
}

/// Default encryption: as AWS writes it, or in the short form of the consoles.
fn encryption(value: &Value) -> Option<String> {
    let by_default = value.get("Rules").and_then(Value::as_array).and_then(|rules| rules.first());
    let by_default = by_default.map(|rule| rule.get("ApplyServerSideEncryptionByDefault").unwrap_or(rule));
    let of = by_default.unwrap_or(value);
    let algorithm = ["SSEAlgorithm", "sse_algorithm", "algorithm"].iter().find_map(|name| text(of, name))?;
    let mut out = XmlWriter::new("ServerSideEncryptionConfiguration");
    out.open("Rule").open("ApplyServerSideEncryptionByDefault").text("SSEAlgorithm", algorithm);
    Some(out.finish())
}

fn website(value: &Value) -> Option<String> {
    let mut out = XmlWriter::new("WebsiteConfiguration");
    out.open("IndexDocument").text("Suffix", text(value, "index_document")?).close();
    if let Some(key) = text(value, "error_document") {
        out.open("ErrorDocument").text("Key", key).close();
    }
    Some(out.finish())
}

fn logging(value: &Value) -> Option<String> {
    if let Value::String(text) = value {
        return text.trim_start().starts_with('<').then(|| text.clone());
    }
    let of = value.get("LoggingEnabled").unwrap_or(value);
    let target = text(of, "TargetBucket").or_else(|| text(of, "target_bucket"))?;
    let prefix = text(of, "TargetPrefix").or_else(|| text(of, "target_prefix")).unwrap_or_default();
    let mut out = XmlWriter::new("BucketLoggingStatus");
    out.open("LoggingEnabled").text("TargetBucket", target).text("TargetPrefix", prefix);
    Some(out.finish())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::s3::xml;

    fn settings(config: &Value) -> Settings {
        of_config("b", config.as_object().unwrap(), false)
    }

    fn text_of<'a>(settings: &'a Settings, resource: &str) -> &'a str {
        let found = settings.documents.iter().find(|document| document.resource == resource);
        found.map(|document| document.text.as_str()).unwrap_or_default()
    }

    #[test]
    fn documents_of_the_python_generation() {
        let settings = settings(&json!({
            "versioning_enabled": true,
            "tags": [{"Key": "team", "Value": "a&b"}],
            "cors": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "PUT"], "MaxAgeSeconds": 60}],
            "lifecycle": [{"ID": "r", "Prefix": "logs/", "Status": "Enabled", "Expiration": {"Days": 30}}],
            "encryption": {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
            "website": {"index_document": "index.html", "error_document": "404.html"},
            "quota": {"max_bytes": 7},
            "logging": {"LoggingEnabled": {"TargetBucket": "logs", "TargetPrefix": "p/"}},
            "object_lock": {"ObjectLockEnabled": "Disabled"},
            "policy": {"Version": "2012-10-17", "Statement": []},
        }));
        assert_eq!((settings.versioning, settings.object_lock), (Versioning::Enabled, false));
        assert_eq!(settings.lost, Vec::<String>::new());
        assert!(text_of(&settings, "tagging").contains("<Key>team</Key><Value>a&amp;b</Value>"));
        assert!(
            text_of(&settings, "cors").contains("<AllowedMethod>PUT</AllowedMethod><MaxAgeSeconds>60</MaxAgeSeconds>")
        );
        assert!(text_of(&settings, "lifecycle").contains("<Prefix>logs/</Prefix>"));
        assert!(text_of(&settings, "lifecycle").contains("<Days>30</Days>"));
        assert!(text_of(&settings, "encryption").contains("<SSEAlgorithm>AES256</SSEAlgorithm>"));
        assert!(text_of(&settings, "website").contains("<Key>404.html</Key>"));
        assert!(text_of(&settings, "logging").contains("<TargetPrefix>p/</TargetPrefix>"));
        assert_eq!(text_of(&settings, "quota"), r#"{"max_bytes":7}"#);
        assert!(text_of(&settings, "policy").starts_with('{'));
        let is_read = xml::read::parse(text_of(&settings, "lifecycle").as_bytes(), "LifecycleConfiguration");
        assert!(is_read.is_ok());
    }

    #[test]
    fn a_rule_of_lifecycle_never_removes_more_than_it_did() {
        let made = |rule: &Value| {
            let settings = settings(&json!({ "lifecycle": [rule] }));
            (text_of(&settings, "lifecycle").to_owned(), settings.lost.len())
        };
        let expiration = json!({"Days": 30});
        let (told, lost) =
            made(&json!({"Filter": {"Prefix": "archive/"}, "Status": "Enabled", "Expiration": expiration}));
        assert!(told.contains("<Prefix>archive/</Prefix>") && lost == 0, "{told}");
        let (told, lost) = made(&json!({"Filter": {}, "Expiration": expiration}));
        assert!(
            told.contains("<Prefix></Prefix>") && told.contains("<Status>Disabled</Status>") && lost == 0,
            "{told}"
        );
        for filter in
            [json!({"Tag": {"Key": "k", "Value": "v"}}), json!({"Prefix": "a/", "ObjectSizeLessThan": 5}), json!([])]
        {
            let (told, lost) = made(&json!({"Filter": filter, "Status": "Enabled", "Expiration": expiration}));
            assert_eq!((told.as_str(), lost), ("", 1), "{filter}");
        }
        assert_eq!(made(&json!({"Prefix": 7, "Status": "Enabled", "Expiration": expiration})).1, 1);
    }

    #[test]
    fn documents_of_the_axum_generation() {
        let cors = "<CORSConfiguration><CORSRule/></CORSConfiguration>";
        let settings = settings(&json!({
            "versioning_enabled": false, "versioning_suspended": true, "tags": [], "cors": cors, "lifecycle": null,
            "object_lock": "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
            "notification": "<NotificationConfiguration/>", "acl": "<AccessControlPolicy/>", "website": "nonsense",
        }));
        assert_eq!((settings.versioning, settings.object_lock), (Versioning::Enabled, true));
        assert_eq!(text_of(&settings, "cors"), cors);
        assert_eq!(settings.lost.len(), 3, "{:?}", settings.lost);
    }

    #[test]
    fn versions_that_are_left_need_a_bucket_that_has_them() {
        assert_eq!(of_config("b", &Map::new(), true).versioning, Versioning::Suspended);
        assert_eq!(of_config("b", &Map::new(), false).versioning, Versioning::Off);
    }
}
