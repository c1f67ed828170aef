//! Upload forms and the policies that they are signed with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use myfsio_actors::names::Stamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::input::{is_answered, line, pieces, text_line};
use crate::s3::auth::post_form::{FIELD_BYTES_MAX, FileHead, PRE_DATA_BYTES_MAX, boundary_of};
use crate::s3::auth::post_policy::{field, substitute_filename};
use crate::s3::auth::{FormEvent, FormParser, PostPolicy};
use crate::s3::error::ErrorCode;
use crate::s3::handlers::post_object::FormUpload;

const NOW: Stamp = Stamp(1_369_353_600_000_000_000);

type Parsed = Result<(FileHead, Vec<u8>), ErrorCode>;

/// A `Content-Type`, the sizes of the pieces in which the form arrives, and the form: parsed the same however it arrives, and
/// the same again when it is written anew.
pub fn post_form(data: &[u8]) -> bool {
    let Some((content_type, rest)) = text_line(data) else { return false };
    let Some((sizes, body)) = text_line(rest) else { return false };
    let boundary = match boundary_of(content_type) {
        Ok(boundary) => boundary,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    let sizes: Vec<usize> = sizes.split(',').filter_map(|size| size.parse().ok()).collect();
    let whole = parse(&boundary, &[body]);
    if body.len() < PRE_DATA_BYTES_MAX {
        assert_eq!(parse(&boundary, &pieces(body, &sizes)), whole);
    }
    let Ok((head, content)) = whole else { return false };
    let bytes: usize = head.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes <= PRE_DATA_BYTES_MAX && head.fields.iter().all(|(_, value)| value.len() <= FIELD_BYTES_MAX));
    assert_eq!(parse(&boundary, &[&write(&boundary, &head, &content)]), Ok((head.clone(), content)));
    let mut fields = head.fields;
    substitute_filename(&mut fields, head.filename.as_deref().unwrap_or_default());
    match FormUpload::parse(&fields) {
        Ok(_) => true,
        Err(error) => {
            // The name of the file may stand in any field, as often as it likes.
            let filled: Vec<u8> =
                fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()].concat()).collect();
            is_answered(&error, &filled);
            false
        }
    }
}

fn parse(boundary: &str, pieces: &[&[u8]]) -> Parsed {
    let mut parser = FormParser::new(boundary);
    let (mut head, mut content, mut ended) = (None, Vec::new(), false);
    for piece in pieces {
        let events = parser.feed(Bytes::copy_from_slice(piece)).map_err(|error| error.code())?;
        for event in events {
            assert!(!ended, "{event:?} behind the end");
            match event {
                FormEvent::File(file) => assert!(head.replace(file).is_none(), "a second file"),
                FormEvent::Data(bytes) => {
                    assert!(head.is_some() && !bytes.is_empty());
                    content.extend_from_slice(&bytes);
                }
                FormEvent::End => ended = true,
            }
        }
    }
    parser.finish().map_err(|error| error.code())?;
    assert!(ended);
    Ok((head.expect("a form that is whole has a file"), content))
}

fn write(boundary: &str, head: &FileHead, content: &[u8]) -> Vec<u8> {
    let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut form = String::new();
    for (name, value) in &head.fields {
        let name = quote(name);
        form.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    form.push_str(&format!("--{boundary}\r\nContent-Disposition: form-data; name=file"));
    if let Some(filename) = &head.filename {
        form.push_str(&format!("; filename*=UTF-8''{}", utf8_percent_encode(filename, NON_ALPHANUMERIC)));
    }
    if let Some(content_type) = &head.content_type {
        form.push_str(&format!("\r\nContent-Type: {content_type}"));
    }
    form.push_str("\r\n\r\n");
    [form.as_bytes(), content, format!("\r\n--{boundary}--\r\n").as_bytes()].concat()
}

/// Lines `field=value`, a blank line, and the policy as JSON: what the policy lets through it covers, once and at no later
/// time that it would refuse.
pub fn post_policy(data: &[u8]) -> bool {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut rest = data;
    loop {
        let (first, behind) = line(rest);
        rest = behind;
        if first.is_empty() {
            break;
        }
        let Some((name, value)) = std::str::from_utf8(first).ok().and_then(|text| text.split_once('=')) else {
            return false;
        };
        fields.push((name.to_owned(), value.to_owned()));
    }
    let policy = match PostPolicy::parse(&STANDARD.encode(rest)) {
        Ok(policy) => policy,
        Err(error) => {
            is_answered(&error, data);
            return false;
        }
    };
    for size in [0, policy.size_max(), policy.size_max().saturating_add(1)] {
        assert!(policy.check_size(size).is_err() || size <= policy.size_max());
    }
    let passes = |fields: &[(String, String)], now: Stamp| policy.check_fields(fields, "photos", now).is_ok();
    if let Err(error) = policy.check_fields(&fields, "photos", NOW) {
        is_answered(&error, data);
        return false;
    }
    assert!(passes(&fields, Stamp(0)), "what is good now was good before");
    for name in ["x-amz-meta-a", "Content-Type", "success_action_redirect", "acl"] {
        let with = |value: &str| [&fields[..], &[(name.to_owned(), value.to_owned())]].concat();
        let is_there = field(&fields, name).is_some();
        assert!(!is_there || !passes(&with("other"), NOW), "a second {name} slips by the policy");
        let unforeseen =
            !rest.to_ascii_lowercase().windows(name.len()).any(|at| at == name.to_ascii_lowercase().as_bytes());
        assert!(!unforeseen || rest.contains(&b'\\') || !passes(&with("other"), NOW), "{name} needs no condition");
    }
    true
}
