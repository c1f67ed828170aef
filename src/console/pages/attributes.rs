//! Other headers and user metadata for an object that is there.

use myfsio_actors::storage::Object;

use super::browse::CHANGERS;
use super::marks::seen;
use crate::console::failure::Failure;
use crate::console::forms::Fields;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{Outcome, Row};
use crate::console::text;
use crate::console::units::legible;
use crate::console::visit::Visit;

/// Routes.
pub const ROWS: &[Row] = &[Row::post("/ui/buckets/{bucket}/headers", CHANGERS, |visit| Box::pin(save(visit)))
    .tested_by("key=folder%2Fa.txt&seen=1&Content-Type=text%2Fplain")];

/// Headers that a form edits (S3 User Guide, "System-defined object metadata").
const HEADERS: [&str; 6] =
    ["Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires"];

/// What a form edits, as it stands.
pub struct Editable {
    /// What the object was as the form was filled in: another text as soon as anybody writes it.
    pub seen: String,
    /// Headers, and their values.
    pub headers: Vec<(&'static str, String)>,
    /// User metadata, one in each line.
    pub metadata: String,
}

impl Editable {
    /// That of an object.
    pub fn of(object: &Object) -> Self {
        let own = &object.attributes;
        let values = [
            &own.content_type,
            &own.cache_control,
            &own.content_disposition,
            &own.content_encoding,
            &own.content_language,
            &own.expires,
        ];
        let values = values.into_iter().map(|value| value.clone().unwrap_or_default());
        let lines: Vec<_> = own.user_metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self { seen: seen(object), headers: HEADERS.into_iter().zip(values).collect(), metadata: lines.join("\n") }
    }
}

async fn save(visit: Visit) -> Outcome {
    let (bucket, key) = (visit.bucket().await?, visit.key()?);
    let given = attributes(&visit.form, &visit.t.object)?;
    let asker = visit.asker()?;
    let object = asker.object(&bucket, &key, None).await?;
    // Whoever may not write is told that, whatever has become of the object.
    if seen(&object) != visit.form.text("seen") && asker.may("s3:PutObject", Some(&bucket), Some(key.as_str())) {
        return Err(Failure::Changed);
    }
    match asker.rewrite(&bucket, &key, &object, &given).await {
        Err(refusal) if refusal.code == "PreconditionFailed" => return Err(Failure::Changed),
        done => done?,
    }
    visit.done(Notice::good(visit.t.object.edit_saved), &links::object(bucket.name.as_str(), key.as_str(), ""))
}

/// Headers of the request that a form asks for. Errs: a name or a value that no header can have.
fn attributes(form: &Fields, t: &text::Object) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for name in HEADERS {
        if let Some(value) = form.filled(name) {
            all.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
    let mut metadata: Vec<String> = Vec::new();
    for line in form.text("metadata").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(Failure::input(format!("“{}” {}", legible(&name), t.edit_name_wrong)));
        }
        let header = format!("x-amz-meta-{name}");
        if metadata.contains(&name) {
            return Err(Failure::input(format!("“{name}” {}", t.edit_name_twice)));
        }
        all.push((header, value.to_owned()));
        metadata.push(name);
    }
    match all.iter().find(|(_, value)| value.chars().any(char::is_control)) {
        Some((name, _)) => Err(Failure::input(format!("“{name}” {}", t.edit_value_wrong))),
        None => Ok(all),
    }
}

/// What names of headers are made of (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Result<Vec<(String, String)>, Failure> {
        attributes(&Fields::parse(form).unwrap(), &text::Object::ENGLISH)
    }

    #[test]
    fn forms_become_headers() {
        let all = read("Content-Type=+text%2Fplain+&Expires=&metadata=A%3Db%3Dc%0D%0A%0A+plain+&x=y").unwrap();
        let expected = [("content-type", "text/plain"), ("x-amz-meta-a", "b=c"), ("x-amz-meta-plain", "")];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(read("").unwrap(), []);
        for wrong in [
            "metadata=a+b%3Dc",
            "metadata=%3Dc",
            "metadata=%C3%A4%3Dc",
            "metadata=a%3D1%0AA%3D2",
            "Cache-Control=a%0D%0Ab",
            "metadata=a%3D%00b",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
