//! `CORSConfiguration` (S3 API Reference, PutBucketCors).

use myfsio_actors::bucket_config::{Cors, CorsRule};

use super::read::{self, Element, MalformedXml};
use super::requests::number;
use super::write::XmlWriter;
use crate::s3::error::{ErrorCode, S3Error};

/// Largest document in bytes.
pub const CORS_BYTES_MAX: usize = 64 * 1024;

const RULES_MAX: usize = 100;
const ID_CHARS_MAX: usize = 255;
const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];

/// Reads `CORSConfiguration`. Errs: MalformedXML, also for no rules, more than 100, and rules without method or origin;
/// InvalidRequest for what stands in a rule.
pub fn cors_configuration(body: &[u8]) -> Result<Cors, S3Error> {
    let root = read::parse(body, "CORSConfiguration")?;
    let rules = root.branch()?.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    match rules.len() {
        0 => Err(MalformedXml::new("no rules").into()),
        1..=RULES_MAX => Ok(Cors { rules }),
        _ => Err(MalformedXml::new("more than 100 rules").into()),
    }
}

fn rule(element: &Element) -> Result<CorsRule, S3Error> {
    if element.name != "CORSRule" {
        return Err(element.unexpected().into());
    }
    let mut rule = CorsRule::default();
    for child in element.branch()? {
        let text = || child.leaf().map(str::trim).map(str::to_owned);
        match child.name.as_str() {
            "ID" if rule.id.is_none() => rule.id = Some(id(child.leaf()?)?),
            "AllowedMethod" => rule.allowed_methods.push(method(text()?)?),
            "AllowedOrigin" => rule.allowed_origins.push(one_star("AllowedOrigin", text()?)?),
            "AllowedHeader" => rule.allowed_headers.push(one_star("AllowedHeader", text()?)?),
            "ExposeHeader" => rule.expose_headers.push(no_star(text()?)?),
            "MaxAgeSeconds" if rule.max_age_seconds.is_none() => rule.max_age_seconds = Some(seconds(child)?),
            _ => return Err(child.unexpected().into()),
        }
    }
    if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
        return Err(MalformedXml::new("a rule without AllowedMethod or AllowedOrigin").into());
    }
    Ok(rule)
}

fn invalid(message: String) -> S3Error {
    S3Error::with_message(ErrorCode::InvalidRequest, message)
}

fn id(text: &str) -> Result<String, S3Error> {
    match text.chars().count() > ID_CHARS_MAX {
        true => Err(invalid("The ID of a CORS rule cannot be longer than 255 characters.".to_owned())),
        false => Ok(text.to_owned()),
    }
}

fn method(text: String) -> Result<String, S3Error> {
    match METHODS.contains(&text.as_str()) {
        true => Ok(text),
        false => Err(invalid(format!("Found unsupported HTTP method in CORS config. Unsupported method is {text}"))),
    }
}

fn one_star(name: &str, text: String) -> Result<String, S3Error> {
    match text.matches('*').count() {
        0 | 1 => Ok(text),
        _ => Err(invalid(format!("{name} \"{text}\" can not have more than one wildcard."))),
    }
}

fn no_star(text: String) -> Result<String, S3Error> {
    match text.contains('*') {
        false => Ok(text),
        true => Err(invalid(format!(
            "ExposeHeader \"{text}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        ))),
    }
}

fn seconds(element: &Element) -> Result<u32, MalformedXml> {
    u32::try_from(number(element)?).map_err(|_| MalformedXml::new("MaxAgeSeconds is too large"))
}

/// `CORSConfiguration`.
pub fn write_cors(cors: &Cors) -> String {
    let mut document = XmlWriter::new("CORSConfiguration");
    for rule in &cors.rules {
        document.open("CORSRule").text_if("ID", rule.id.as_deref());
        for (name, texts) in [
            ("AllowedOrigin", &rule.allowed_origins),
            ("AllowedMethod", &rule.allowed_methods),
            ("AllowedHeader", &rule.allowed_headers),
            ("ExposeHeader", &rule.expose_headers),
        ] {
            for text in texts {
                document.text(name, text);
            }
        }
        if let Some(seconds) = rule.max_age_seconds {
            document.value("MaxAgeSeconds", seconds);
        }
        document.close();
    }
    document.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(rules: &str) -> Result<Cors, S3Error> {
        cors_configuration(format!("<CORSConfiguration>{rules}</CORSConfiguration>").as_bytes())
    }

    #[test]
    fn rules_are_checked() {
        let rule = |inside: &str| {
            format!("<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>{inside}</CORSRule>")
        };
        let good = read(&rule("<ID>a</ID><AllowedHeader>x-*</AllowedHeader><MaxAgeSeconds>5</MaxAgeSeconds>")).unwrap();
        assert_eq!(good.rules.first().and_then(|rule| rule.max_age_seconds), Some(5));
        for (rules, code, message) in [
            (String::new(), ErrorCode::MalformedXML, ""),
            (rule("").repeat(101), ErrorCode::MalformedXML, ""),
            (rule("<Other/>"), ErrorCode::MalformedXML, ""),
            (rule("<MaxAgeSeconds>-1</MaxAgeSeconds>"), ErrorCode::MalformedXML, ""),
            ("<CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule>".to_owned(), ErrorCode::MalformedXML, ""),
            (
                rule("<AllowedMethod>get</AllowedMethod>"),
                ErrorCode::InvalidRequest,
                "Found unsupported HTTP method in CORS config. Unsupported method is get",
            ),
            (
                rule("<AllowedOrigin>*.a.*</AllowedOrigin>"),
                ErrorCode::InvalidRequest,
                "AllowedOrigin \"*.a.*\" can not have more than one wildcard.",
            ),
            (
                rule("<AllowedHeader>**</AllowedHeader>"),
                ErrorCode::InvalidRequest,
                "AllowedHeader \"**\" can not have more than one wildcard.",
            ),
            (
                rule("<ExposeHeader>*</ExposeHeader>"),
                ErrorCode::InvalidRequest,
                "ExposeHeader \"*\" contains wildcard. We currently do not support wildcard for ExposeHeader.",
            ),
        ] {
            let error = read(&rules).unwrap_err();
            assert_eq!(error.code(), code, "{rules}");
            assert!(message.is_empty() || error.message() == message, "{error}");
        }
        assert_eq!(read(&rule("").repeat(100)).unwrap().rules.len(), 100);
    }

    fn texts(pattern: &'static str) -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec(pattern, 0..4)
    }

    prop_compose! {
        fn any_rule()(
            id in proptest::option::of("[ -~]{0,20}"),
            allowed_origins in proptest::collection::vec("[!-~&&[^*]]{1,8}[*]?[!-~&&[^*]]{0,8}", 1..4),
            allowed_methods in proptest::sample::subsequence(METHODS.to_vec(), 1..5),
            allowed_headers in texts("[a-z-]{1,8}[*]?"),
            expose_headers in texts("[a-zA-Z-]{1,8}"),
            max_age_seconds in any::<Option<u32>>(),
        ) -> CorsRule {
            let allowed_methods = allowed_methods.into_iter().map(str::to_owned).collect();
            CorsRule { id, allowed_origins, allowed_methods, allowed_headers, expose_headers, max_age_seconds }
        }
    }

    proptest! {
        #[test]
        fn what_is_answered_can_be_sent_back(rules in proptest::collection::vec(any_rule(), 1..4)) {
            let cors = Cors { rules };
            prop_assert_eq!(cors_configuration(write_cors(&cors).as_bytes()).unwrap(), cors);
        }
    }
}
