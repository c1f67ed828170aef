//! Why a signature may not match although the secret is right: edits that proxies make between client and node. Each
//! likely one is undone and tried; the first that fits is named to the client.
//!
//! A hint never lets a request in. Readings are bounded in number and in bytes, since each costs a digest of the
//! canonical request and whoever knows an access key id can ask for it.

use super::canonical::{Reading, canonical_path, canonical_request, encode};
use super::claim::Claim;
use super::settings::{AuthSettings, claimed_host, split_port};
use super::signing::SigningKey;
use super::verify::matches;
use crate::s3::request_head::RequestHead;

/// Most readings tried for one request.
const READINGS_MAX: usize = 96;
/// Most bytes of canonical requests digested for one request's hint.
const BYTES_MAX: usize = 256 * 1024;

/// A value to try in place of the received one, and what it would mean.
struct Guess {
    value: Option<String>,
    meaning: String,
}

impl Guess {
    fn as_received() -> Self {
        Self { value: None, meaning: String::new() }
    }
}

/// The edit that explains the mismatch, as a sentence; `None` when none of the likely ones does.
pub fn find(head: &RequestHead<'_>, claim: &Claim<'_>, key: &SigningKey, settings: &AuthSettings) -> Option<String> {
    let canonical_bytes = canonical_request(head, &claim.signed, &Reading::default()).len().max(1);
    let readings_max = (BYTES_MAX / canonical_bytes).min(READINGS_MAX);
    if readings_max == 0 {
        return None;
    }
    let (hosts, paths) = (host_guesses(head, settings), path_guesses(head, settings));
    let both = hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path)));
    for (host, path) in both.take(readings_max) {
        let reading = Reading { host: host.value.as_deref(), path: path.value.as_deref(), ..Reading::default() };
        if matches(head, claim, key, &reading) {
            let meanings: Vec<&str> = [host, path].map(|guess| guess.meaning.as_str()).into();
            let meanings: Vec<&str> = meanings.into_iter().filter(|meaning| !meaning.is_empty()).collect();
            return Some(format!("The signature matches {}.", meanings.join(", and ")));
        }
    }
    method_hint(head, claim, key).or_else(|| header_hint(head, claim, key))
}

fn method_hint(head: &RequestHead<'_>, claim: &Claim<'_>, key: &SigningKey) -> Option<String> {
    let others = ["GET", "PUT", "HEAD", "DELETE", "POST"].into_iter().filter(|method| *method != head.method);
    others.into_iter().find_map(|method| {
        let reading = Reading { method: Some(method), ..Reading::default() };
        matches(head, claim, key, &reading).then(|| {
            format!(
                "The signature matches for the method {method}: the request was signed for {method} and sent as {}.",
                head.method
            )
        })
    })
}

fn header_hint(head: &RequestHead<'_>, claim: &Claim<'_>, key: &SigningKey) -> Option<String> {
    let candidates = [
        ("accept-encoding", "identity"),
        ("accept-encoding", "gzip"),
        ("accept-encoding", ""),
        ("content-type", ""),
        ("content-type", "application/octet-stream"),
        ("content-length", ""),
        ("connection", "keep-alive"),
        ("connection", ""),
        ("expect", "100-continue"),
        ("transfer-encoding", "chunked"),
        ("te", "trailers"),
    ];
    let signed = |name: &str| claim.signed.headers.iter().any(|signed| signed == name);
    candidates.into_iter().filter(|(name, _)| signed(name)).find_map(|(name, value)| {
        let reading = Reading { header: Some((name, value)), ..Reading::default() };
        matches(head, claim, key, &reading).then(|| {
            format!(
                "The signature matches when the header {name} has the value \"{value}\": a proxy in front changes this \
                 header; let it pass {name} on unchanged or have the client not sign it."
            )
        })
    })
}

fn host_guesses(head: &RequestHead<'_>, settings: &AuthSettings) -> Vec<Guess> {
    const ADVICE: &str = "a proxy in front changes the Host header; let it pass Host on unchanged, or set API_BASE_URL";
    let received = head.host();
    let (name, port) = split_port(received);
    let mut hosts: Vec<String> = Vec::new();
    if let Some(claimed) = claimed_host(head) {
        hosts.push(claimed.to_owned());
        hosts.push(split_port(claimed).0.to_owned());
        hosts.extend(head.header("x-forwarded-port").map(|port| format!("{}:{port}", split_port(claimed).0)));
        hosts.extend(port.map(|port| format!("{}:{port}", split_port(claimed).0)));
    }
    hosts.extend(head.header("forwarded").and_then(forwarded_parameter_host));
    if let Some(url) = &settings.api_base_url {
        hosts.push(url.authority.clone());
        hosts.push(split_port(&url.authority).0.to_owned());
    }
    hosts.push(name.to_owned());
    hosts.extend(head.header("x-forwarded-port").map(|port| format!("{name}:{port}")));
    hosts.extend(["80", "443"].map(|port| format!("{name}:{port}")));
    hosts.push(received.to_ascii_lowercase());

    let mut guesses = vec![Guess::as_received()];
    for host in hosts {
        let known = host == received || guesses.iter().any(|guess| guess.value.as_deref() == Some(&host));
        if !known && !host.is_empty() {
            let meaning = format!("for the host \"{host}\" ({ADVICE})");
            guesses.push(Guess { value: Some(host), meaning });
        }
    }
    guesses.truncate(12);
    guesses
}

/// The `host` parameter of the first element of `Forwarded` (RFC 7239).
fn forwarded_parameter_host(value: &str) -> Option<String> {
    let first = value.split(',').next()?;
    first.split(';').find_map(|parameter| {
        let (name, host) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("host").then(|| host.trim_matches('"').to_owned())
    })
}

fn path_guesses(head: &RequestHead<'_>, settings: &AuthSettings) -> Vec<Guess> {
    let received = canonical_path(head.path);
    let decoded: Vec<u8> = percent_encoding::percent_decode(head.path).collect();
    let mut guesses = vec![Guess::as_received()];
    let mut add = |path: String, meaning: String| {
        let known = path == *received || guesses.iter().any(|guess| guess.value.as_deref() == Some(&path));
        if !known && path.starts_with('/') {
            guesses.push(Guess { value: Some(path), meaning });
        }
    };
    let forwarded = head.header("x-forwarded-prefix").map(|prefix| prefix.trim_end_matches('/').to_owned());
    let configured = settings.api_base_url.as_ref().map(|url| url.path_prefix.clone());
    for prefix in forwarded.into_iter().chain(configured).filter(|prefix| prefix.starts_with('/')) {
        let prefix = canonical_path(prefix.as_bytes());
        let stripped = format!(
            "for the path with the prefix \"{prefix}\" (a proxy in front strips it from the path; give the client an \
             endpoint without a path)"
        );
        add(format!("{prefix}{received}"), stripped);
        if let Some(rest) = received.strip_prefix(&*prefix) {
            let rest = if rest.is_empty() { "/" } else { rest };
            add(rest.to_owned(), format!("for the path without the prefix \"{prefix}\" (a proxy in front adds it)"));
        }
    }
    let encoded_anew = "for the path with each byte percent-encoded anew (a proxy or the client changes the encoding \
                        of the path; let the proxy pass the path on as received)";
    add(encode(&decoded, true), encoded_anew.to_owned());
    let encoded_twice = "for the path decoded once (a proxy in front encodes the path a second time; let it pass the \
                         path on as received)";
    add(canonical_path(&decoded).into_owned(), encoded_twice.to_owned());
    if let Some((first, rest)) = received.get(1..).and_then(|path| path.split_once('/')) {
        add(
            format!("/{rest}"),
            format!("for the path without its first segment \"{first}\" (a proxy in front adds it)"),
        );
    }
    match received.strip_suffix('/') {
        Some(bare) => add(bare.to_owned(), "for the path without its last slash (a proxy in front adds it)".to_owned()),
        None => {
            add(format!("{received}/"), "for the path with a slash at its end (a proxy in front removes it)".to_owned())
        }
    }
    guesses
}
