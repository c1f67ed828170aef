//! What an entry says, and its line.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::difference::difference;
use super::mask::mask;
use crate::names::Stamp;

/// Most bytes of JSON that one side of a change may take in a line; larger ones are left out.
const SIDE_BYTES_MAX: usize = 256 * 1024;
/// Most bytes of a text in a line: a hand edit may give things names of any length.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Who asks for a change, and by which request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOrigin {
    /// ARN of the caller, `anonymous` without one; what else made the change where nobody asked, such as `hand edit`.
    pub principal: String,
    /// Access key of the request.
    pub access_key: Option<String>,
    /// Id of the request; empty where there was none.
    pub request_id: String,
    /// Address of the client.
    pub source_ip: Option<IpAddr>,
}

impl ChangeOrigin {
    /// Somebody edited a file.
    pub fn hand_edit() -> Self {
        Self { principal: "hand edit".to_owned(), ..Self::default() }
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When it was made.
    pub at: Stamp,
    /// Who made it.
    pub origin: ChangeOrigin,
    /// Service and operation, such as `iam:CreateUser` or `s3:DeleteBucketCors`.
    pub action: String,
    /// ARN of what was changed.
    pub target: String,
    /// What it was before, as far as it changed; null when there was nothing. Never a secret.
    pub before: Value,
    /// What it is now, as far as it changed; null when there is nothing any more. Never a secret.
    pub after: Value,
}

impl AuditEntry {
    /// The change of something from `before` to `after`: reduced to what differs, secrets masked. None when nothing does.
    pub fn of_change(
        at: Stamp,
        origin: ChangeOrigin,
        action: &str,
        target: String,
        before: &Value,
        after: &Value,
    ) -> Option<Self> {
        let (mut before, mut after) = difference(before, after)?;
        mask(&mut before);
        mask(&mut after);
        Some(Self { at, origin, action: action.to_owned(), target, before, after })
    }

    /// The change of a document that is told whole on either side, secrets masked. None when it says the same as before.
    pub fn of_document(
        at: Stamp,
        origin: ChangeOrigin,
        action: &str,
        target: String,
        mut before: Value,
        mut after: Value,
    ) -> Option<Self> {
        if before == after {
            return None;
        }
        mask(&mut before);
        mask(&mut after);
        Some(Self { at, origin, action: action.to_owned(), target, before, after })
    }

    /// The entry as its line, which ends with a line feed.
    pub(super) fn line(&self) -> Vec<u8> {
        let line = Line {
            time: self.at.rfc3339(),
            action: bounded(&self.action),
            target: bounded(&self.target),
            principal: bounded(&self.origin.principal),
            access_key: self.origin.access_key.as_deref(),
            request_id: &self.origin.request_id,
            source_ip: self.origin.source_ip.map(|address| address.to_canonical()),
            before: Side::of(&self.before),
            after: Side::of(&self.after),
        };
        // Texts and values always serialise.
        let mut line = serde_json::to_vec(&line).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    action: &'a str,
    target: &'a str,
    principal: &'a str,
    access_key: Option<&'a str>,
    request_id: &'a str,
    source_ip: Option<IpAddr>,
    before: Side<'a>,
    after: Side<'a>,
}

/// One side of a change as the line has it.
#[derive(Serialize)]
#[serde(untagged)]
enum Side<'a> {
    Whole(&'a Value),
    LeftOut(Value),
}

impl<'a> Side<'a> {
    fn of(value: &'a Value) -> Self {
        let mut counted = Counted(0);
        // Counting cannot fail.
        let _ = serde_json::to_writer(&mut counted, value);
        match counted.0 <= SIDE_BYTES_MAX {
            true => Self::Whole(value),
            false => Self::LeftOut(json!({ "left_out_bytes": counted.0 })),
        }
    }
}

/// Counts what is written.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn bounded(text: &str) -> &str {
    let mut end = TEXT_BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(entry: &AuditEntry) -> Value {
        let line = entry.line();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn a_line_has_the_documented_fields() {
        let origin = ChangeOrigin {
            principal: "arn:aws:iam::1:user/ann".to_owned(),
            access_key: Some("AK".to_owned()),
            request_id: "0A".to_owned(),
            source_ip: Some("::ffff:10.0.0.1".parse().unwrap()),
        };
        let entry = AuditEntry::of_change(
            Stamp(1_000_000_000),
            origin,
            "iam:RotateKey",
            "arn:aws:iam::1:user/bob\n".to_owned(),
            &json!({ "secret_key": "a", "same": 1 }),
            &json!({ "secret_key": "b", "same": 1 }),
        );
        let told = line(&entry.unwrap());
        let expected = r#"{"time":"1970-01-01T00:00:01Z","action":"iam:RotateKey","target":"arn:aws:iam::1:user/bob\n","principal":"arn:aws:iam::1:user/ann","access_key":"AK","request_id":"0A","source_ip":"10.0.0.1","before":{"secret_key":"********"},"after":{"secret_key":"********"}}"#;
        assert_eq!(told.to_string(), expected);
    }

    #[test]
    fn nothing_changed_is_no_entry() {
        let same = json!({ "a": [1, 2] });
        let entry = AuditEntry::of_change(Stamp(0), ChangeOrigin::hand_edit(), "a", "t".to_owned(), &same, &same);
        assert_eq!(entry, None);
    }

    #[test]
    fn lines_are_bounded() {
        let entry = AuditEntry {
            at: Stamp(0),
            origin: ChangeOrigin { principal: "ü".repeat(TEXT_BYTES_MAX), ..ChangeOrigin::default() },
            action: "a".to_owned(),
            target: "t".repeat(TEXT_BYTES_MAX + 1),
            before: Value::Null,
            after: Value::from("x".repeat(SIDE_BYTES_MAX)),
        };
        let told = line(&entry);
        assert_eq!(told["after"], json!({ "left_out_bytes": SIDE_BYTES_MAX + 2 }));
        assert_eq!(told["target"].as_str().unwrap().len(), TEXT_BYTES_MAX);
        assert_eq!(told["principal"].as_str().unwrap().len(), TEXT_BYTES_MAX);
        assert_eq!(told["access_key"], Value::Null);
    }
}
