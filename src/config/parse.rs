//! The parsers of the settings: text in, typed value or a short reason out. Plain rules without I/O.
//!
//! A reason continues the sentence "NAME: …", tells what is allowed, and quotes the value, except in the parsers of
//! secrets, which never do.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use actix_web::http::Uri;
use actix_web::http::header::{HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

use super::setting::Raw;
use super::types::{Durability, LogFormat, Network, Secret, Share, TrustedProxies};
use crate::tls::TlsVersion;

/// The documented default of `SECRET_KEY`, which is no secret and counts as unset.
const SECRET_KEY_PLACEHOLDER: &str = "dev-secret-key";
const SECRET_LENGTH_MAX: usize = 1_024;
const MASTER_KEY_BYTES: usize = 32;
const LIST_LENGTH_MAX: usize = 64;

type Parsed<T> = Result<T, String>;
type Given<'a> = Option<&'a Raw>;

/// The one text of a setting that always has a value.
fn text(raw: Given<'_>) -> Parsed<&str> {
    match raw {
        Some(Raw::One(text)) => Ok(text.as_str()),
        Some(Raw::Many(_)) => Err("takes one value, not a list".to_owned()),
        None => Err("needs a value".to_owned()),
    }
}

/// The elements of a list, trimmed; empty ones between commas are skipped. `None` when it is unset.
fn list(raw: Given<'_>) -> Parsed<Option<Vec<&str>>> {
    let elements: Vec<&str> = match raw {
        None => return Ok(None),
        Some(Raw::One(text)) => text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect(),
        Some(Raw::Many(texts)) => texts.iter().map(|text| text.trim()).collect(),
    };
    if elements.len() > LIST_LENGTH_MAX {
        return Err(format!("has {} elements, at most {LIST_LENGTH_MAX} are allowed", elements.len()));
    }
    Ok(Some(elements))
}

fn optional<'a, T>(raw: Given<'a>, parse: impl FnOnce(Given<'a>) -> Parsed<T>) -> Parsed<Option<T>> {
    raw.map(|raw| parse(Some(raw))).transpose()
}

/// A whole number of `MIN..=MAX`.
pub fn number<T: TryFrom<u64>, const MIN: u64, const MAX: u64>(raw: Given<'_>) -> Parsed<T> {
    let text = text(raw)?.trim();
    // `+5` parses as a number in Rust, but nobody means it.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse::<u64>().ok()).flatten().filter(|value| (MIN..=MAX).contains(value));
    value
        .and_then(|value| T::try_from(value).ok())
        .ok_or_else(|| format!("{text:?} is not a whole number of {MIN} to {MAX}"))
}

/// A port, or none.
pub fn optional_port(raw: Given<'_>) -> Parsed<Option<u16>> {
    optional(raw, number::<u16, 0, 65_535>)
}

/// `true` or `false`, also as `1`/`0`, `yes`/`no`, `on`/`off`.
pub fn boolean(raw: Given<'_>) -> Parsed<bool> {
    let text = text(raw)?.trim();
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// A path.
pub fn path(raw: Given<'_>) -> Parsed<PathBuf> {
    let text = text(raw)?;
    if text.contains('\0') {
        return Err(format!("{text:?} is no path: it holds a zero byte"));
    }
    Ok(PathBuf::from(text))
}

/// A path, or none.
pub fn optional_path(raw: Given<'_>) -> Parsed<Option<PathBuf>> {
    optional(raw, path)
}

/// An address to bind.
pub fn host(raw: Given<'_>) -> Parsed<IpAddr> {
    let text = text(raw)?.trim();
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("{text:?} is no IPv4 or IPv6 address (and not localhost)"))
}

/// An absolute http or https URL without a path: a path prefix is part of what a signature covers, so a proxy that removed
/// it would break every presigned URL. A trailing slash is dropped.
pub fn base_url(raw: Given<'_>) -> Parsed<Option<String>> {
    optional(raw, |raw| {
        let (origin, path) = origin_and_path(text(raw)?.trim())?;
        match path.is_empty() {
            true => Ok(origin),
            false => Err(format!("{:?} must end behind the host and port: no path", format!("{origin}{path}"))),
        }
    })
}

/// The same with a path of plain segments, or none. A trailing slash is dropped.
pub fn url_with_path(raw: Given<'_>) -> Parsed<Option<String>> {
    optional(raw, |raw| {
        let (origin, path) = origin_and_path(text(raw)?.trim())?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        match path.bytes().all(is_plain) && !path.contains("//") {
            true => Ok(format!("{origin}{path}")),
            false => Err(format!("{path:?} must be a path of letters, digits, and -._~")),
        }
    })
}

/// An origin that headers can name beside others (CSP Level 3, host-source): a name or an IPv4 address, in lower case and without the
/// port that its scheme has anyway.
pub fn preview_origin(raw: Given<'_>) -> Parsed<Option<String>> {
    let Some(url) = base_url(raw)? else { return Ok(None) };
    let origin = url.to_ascii_lowercase();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let (scheme, authority) = origin.split_once("://").unwrap_or_default();
    if !authority.bytes().all(is_plain) {
        return Err(format!("{url:?} must name a host or an IPv4 address: no policy of a page can name others"));
    }
    let usual = if scheme == "https" { ":443" } else { ":80" };
    Ok(Some(format!("{scheme}://{}", authority.strip_suffix(usual).unwrap_or(authority))))
}

/// Scheme and authority, and the path without its last slash.
fn origin_and_path(text: &str) -> Parsed<(String, String)> {
    let refused = |why: &str| format!("{text:?} {why}");
    let uri: Uri = text.parse().map_err(|_| refused("is no URL"))?;
    let scheme = uri.scheme_str().unwrap_or_default();
    if scheme != "http" && scheme != "https" {
        return Err(refused("must start with http:// or https://"));
    }
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return Err(refused("names no host"));
    };
    if authority.as_str().contains('@') {
        return Err("must not hold a user name or password".to_owned());
    }
    if uri.query().is_some() || text.contains('#') {
        return Err(refused("must hold no query or fragment"));
    }
    Ok((format!("{scheme}://{authority}"), uri.path().trim_end_matches('/').to_owned()))
}

/// Ranges of proxies; the word `none` or an empty array trusts nobody.
pub fn trusted_proxies(raw: Given<'_>) -> Parsed<TrustedProxies> {
    let Some(elements) = list(raw)? else {
        return Ok(TrustedProxies::private_ranges());
    };
    if matches!(elements.as_slice(), [only] if only.eq_ignore_ascii_case("none")) {
        return Ok(TrustedProxies { networks: Vec::new(), explicit: true });
    }
    let networks = elements
        .into_iter()
        .map(|element| Network::parse(element).ok_or_else(|| format!("{element:?} is no address and no CIDR range")))
        .collect::<Parsed<Vec<_>>>()?;
    Ok(TrustedProxies { networks, explicit: true })
}

/// Domain names (RFC 1123 §2.1), lower-cased, without port.
pub fn domains(raw: Given<'_>) -> Parsed<Vec<String>> {
    let elements = list(raw)?.unwrap_or_default();
    elements
        .into_iter()
        .map(|element| {
            let name = element.trim_end_matches('.').to_ascii_lowercase();
            let label = |label: &str| {
                (1..=63).contains(&label.len())
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            };
            let good = name.len() <= 253 && name.split('.').all(label) && name.parse::<IpAddr>().is_err();
            if good { Ok(name) } else { Err(format!("{element:?} is no domain name")) }
        })
        .collect()
}

/// `strict` or `relaxed`.
pub fn durability(raw: Given<'_>) -> Parsed<Durability> {
    let text = text(raw)?.trim();
    match text.to_ascii_lowercase().as_str() {
        "strict" => Ok(Durability::Strict),
        "relaxed" => Ok(Durability::Relaxed),
        _ => Err(format!("{text:?} is neither strict nor relaxed")),
    }
}

/// `text` or `json`.
pub fn log_format(raw: Given<'_>) -> Parsed<LogFormat> {
    let text = text(raw)?.trim();
    match text.to_ascii_lowercase().as_str() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is neither text nor json")),
    }
}

/// `1.2` or `1.3`.
pub fn tls_version(raw: Given<'_>) -> Parsed<TlsVersion> {
    let text = text(raw)?.trim();
    text.parse().map_err(|()| format!("{text:?} is neither 1.2 nor 1.3"))
}

/// A filter of levels and targets. A bare word must be a level: the filter would take a misspelt level for a target
/// and silence everything else.
pub fn log_level(raw: Given<'_>) -> Parsed<String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let text = text(raw)?.trim();
    let misspelt = (!text.contains('{')).then(|| {
        let is_level = |word: &str| LEVELS.contains(&word.trim().to_ascii_lowercase().as_str());
        text.split(',').find(|directive| !directive.contains('=') && !is_level(directive))
    });
    if let Some(Some(word)) = misspelt {
        return Err(format!("{word:?} is no level (off, error, warn, info, debug, trace) and no target=level"));
    }
    EnvFilter::try_new(text).map_err(|error| format!("{text:?}: {error}"))?;
    Ok(text.to_owned())
}

/// Headers as the OpenTelemetry specification writes them ("Specifying headers via environment variables").
pub fn otlp_headers(raw: Given<'_>) -> Parsed<Vec<(String, Secret)>> {
    let elements = list(raw)?.unwrap_or_default();
    let header = |element: &str| {
        let (name, value) = element.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        HeaderValue::from_str(&value).ok()?;
        Some((name.as_str().to_owned(), Secret::new(value)))
    };
    elements
        .into_iter()
        .map(|element| header(element).ok_or("has an element that is no name=value".to_owned()))
        .collect()
}

/// A name for people and programs.
pub fn service_name(raw: Given<'_>) -> Parsed<String> {
    let text = text(raw)?.trim();
    let good = (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} is no name of 1 to 255 bytes without control characters"))
    }
}

/// A share from 0 to 1.
pub fn share(raw: Given<'_>) -> Parsed<Share> {
    let text = text(raw)?.trim();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let share = text.parse().ok().filter(|_| is_plain).and_then(Share::of);
    share.ok_or_else(|| format!("{text:?} is no number of 0 to 1"))
}

/// A word of a credential scope: letters, digits and dashes.
pub fn scope_word(raw: Given<'_>) -> Parsed<String> {
    let text = text(raw)?.trim();
    let good = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if good { Ok(text.to_owned()) } else { Err(format!("{text:?} is not made of 1 to 64 letters, digits and dashes")) }
}

/// An access key id: it stands before the first `/` of a credential scope.
pub fn access_key(raw: Given<'_>) -> Parsed<Option<String>> {
    optional(raw, |raw| {
        let text = text(raw)?.trim();
        let good = (3..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.+=@".contains(&byte));
        if good {
            Ok(text.to_owned())
        } else {
            Err(format!("{text:?} is not made of 3 to 128 letters, digits and the characters _-.+=@"))
        }
    })
}

fn one_secret(text: &str, length_min: usize) -> Parsed<Secret> {
    let length = text.chars().count();
    if length < length_min {
        return Err(format!("has {length} characters, at least {length_min} are needed"));
    }
    if length > SECRET_LENGTH_MAX {
        return Err(format!("has more than {SECRET_LENGTH_MAX} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    Ok(Secret::new(text))
}

/// A secret of at least `LENGTH_MIN` characters, or none.
pub fn secret<const LENGTH_MIN: usize>(raw: Given<'_>) -> Parsed<Option<Secret>> {
    optional(raw, |raw| one_secret(text(raw)?, LENGTH_MIN))
}

/// `SECRET_KEY`: the documented placeholder counts as unset.
pub fn secret_key(raw: Given<'_>) -> Parsed<Option<Secret>> {
    Ok(secret::<1>(raw)?.filter(|secret| secret.expose() != SECRET_KEY_PLACEHOLDER))
}

/// Several secrets.
pub fn secrets(raw: Given<'_>) -> Parsed<Vec<Secret>> {
    list(raw)?.unwrap_or_default().into_iter().map(|element| one_secret(element, 1)).collect()
}

fn one_master_key(text: &str) -> Parsed<Secret> {
    match STANDARD.decode(text.trim()).map(Zeroizing::new) {
        Ok(bytes) if bytes.len() == MASTER_KEY_BYTES => Ok(Secret::new(text.trim())),
        _ => Err(format!("is not base64 of {MASTER_KEY_BYTES} bytes")),
    }
}

/// A key of 32 bytes in base64, or none.
pub fn master_key(raw: Given<'_>) -> Parsed<Option<Secret>> {
    optional(raw, |raw| one_master_key(text(raw)?))
}

/// Several of them.
pub fn master_keys(raw: Given<'_>) -> Parsed<Vec<Secret>> {
    list(raw)?.unwrap_or_default().into_iter().map(one_master_key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<Raw> {
        Some(Raw::One(text.to_owned()))
    }

    #[test]
    fn numbers_keep_their_range() {
        let port = |text: &str| number::<u16, 1, 65_535>(one(text).as_ref());
        assert_eq!(port("5000"), Ok(5000));
        assert_eq!(port(" 65535 "), Ok(65_535));
        for bad in ["0", "65536", "-1", "+1", "1e3", "0x10", "five", "", "99999999999999999999999"] {
            assert!(port(bad).is_err(), "{bad}");
        }
        assert_eq!(port("65536").unwrap_err(), "\"65536\" is not a whole number of 1 to 65535");
    }

    #[test]
    fn a_url_may_have_a_plain_path() {
        let url = |text: &str| url_with_path(one(text).as_ref());
        assert_eq!(url("https://h/"), Ok(Some("https://h".to_owned())));
        assert_eq!(url("https://h:8/a/b-c/"), Ok(Some("https://h:8/a/b-c".to_owned())));
        for bad in ["https://h//a", "https://h/a b", "https://h/%2e", "https://h/a?q", "https://h/'", "/a"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn origins_of_previews_are_what_policies_name() {
        let origin = |text: &str| preview_origin(one(text).as_ref());
        for (text, read) in [
            ("https://Previews.Example.com/", "https://previews.example.com"),
            ("https://p:443", "https://p"),
            ("http://p:80", "http://p"),
            ("http://p:443", "http://p:443"),
            ("http://127.0.0.1:5100", "http://127.0.0.1:5100"),
        ] {
            assert_eq!(origin(text), Ok(Some(read.to_owned())), "{text}");
        }
        assert_eq!(preview_origin(None), Ok(None));
        for bad in
            ["previews", "https://p/x", "https://u@p", "http://[::1]:5100", "ftp://p", "https://*.p", "https://p;x"]
        {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn base_urls_are_origins() {
        let url = |text: &str| base_url(one(text).as_ref());
        assert_eq!(url("https://s3.example.com/"), Ok(Some("https://s3.example.com".to_owned())));
        assert_eq!(url("http://[::1]:5000"), Ok(Some("http://[::1]:5000".to_owned())));
        assert_eq!(base_url(None), Ok(None));
        for bad in [
            "s3.example.com",
            "ftp://x",
            "https://",
            "https://h/p",
            "https://h/?q",
            "https://u:p@h",
            "/p",
            "https://h#f",
            "x y",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
        assert!(!url("https://user:hunter2@h").unwrap_err().contains("hunter2"));
    }

    #[test]
    fn proxies_are_explicit_when_listed() {
        assert!(!trusted_proxies(None).unwrap().explicit);
        let listed = trusted_proxies(one("10.0.0.1, 192.0.2.0/24").as_ref()).unwrap();
        assert!(listed.explicit && listed.networks.len() == 2);
        for nobody in [one("none"), Some(Raw::Many(Vec::new()))] {
            let nobody = trusted_proxies(nobody.as_ref()).unwrap();
            assert!(nobody.explicit && nobody.networks.is_empty());
        }
        assert!(trusted_proxies(one("proxy.local").as_ref()).is_err());
    }

    #[test]
    fn domains_are_names() {
        assert_eq!(domains(one("S3.Example.COM.,localhost").as_ref()).unwrap(), ["s3.example.com", "localhost"]);
        for bad in ["a..b", "-a.b", "a_b", "10.0.0.1", "a.b:5000", "*.a"] {
            assert!(domains(one(bad).as_ref()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for good in ["info", "WARN", "info,myfsio::s3=debug", "off", "warn,[request{id}]=trace"] {
            assert!(log_level(one(good).as_ref()).is_ok(), "{good}");
        }
        for bad in ["inof", "info,debgu", "myfsio=loud", ""] {
            assert!(log_level(one(bad).as_ref()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_placeholder_is_no_secret_key() {
        assert_eq!(secret_key(one("dev-secret-key").as_ref()), Ok(None));
        assert_eq!(secret_key(one("x").as_ref()).unwrap().unwrap().expose(), "x");
        assert_eq!(secret::<8>(one("short").as_ref()).unwrap_err(), "has 5 characters, at least 8 are needed");
        assert_eq!(secrets(one("a, b").as_ref()).unwrap().len(), 2);
    }

    #[test]
    fn master_keys_are_32_bytes_in_base64() {
        let good = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(master_key(one(good).as_ref()).unwrap().unwrap().expose(), good);
        assert_eq!(master_keys(one(&format!("{good}, {good}")).as_ref()).unwrap().len(), 2);
        for bad in ["", "secret", &good[4..], &good[..43]] {
            let reason = master_key(one(bad).as_ref()).unwrap_err();
            assert_eq!(reason, "is not base64 of 32 bytes", "says nothing of what it is");
        }
        assert_eq!(master_key(None), Ok(None));
    }

    #[test]
    fn hosts_are_addresses() {
        assert_eq!(host(one("localhost").as_ref()).unwrap().to_string(), "127.0.0.1");
        assert_eq!(host(one("[::]").as_ref()).unwrap().to_string(), "::");
        assert!(host(one("example.com").as_ref()).is_err());
    }
}
