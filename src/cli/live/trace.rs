//! `myfsio trace`: every request as it ends, from the node's stream of server-sent events.

use std::fmt::Write as _;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::source::Source;
use super::{url_flag, url_of};
use crate::cli::arguments::{json_flag, text_of};
use crate::cli::print;
use crate::config::Config;

/// Flags that the node filters by: name, parameter of the route, value, help.
const FILTERS: [(&str, &str, &str, &str); 8] = [
    ("request-id", "request_id", "ID", "Only the request of this id"),
    ("bucket", "bucket", "BUCKET", "Only requests of this bucket"),
    ("prefix", "prefix", "PREFIX", "Only keys that begin with this"),
    ("user", "user", "USER", "Only requests of this user, by name or access key"),
    ("operation", "operation", "NAME", "Only this operation, as in GetObject"),
    ("status", "status", "STATUS", "Only this status (404), or all of a class (4xx)"),
    ("code", "code", "CODE", "Only this code of an S3 error, as in NoSuchKey"),
    ("min-ms", "min_ms", "MILLISECONDS", "Only requests that took at least as long"),
];
/// Longest event that is kept until its end, in bytes: a key of 1024 bytes, escaped, and the rest.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Trace {
    url: Option<String>,
    filters: Vec<(&'static str, String)>,
    count: Option<u64>,
    json: bool,
}

/// The grammar.
pub(super) fn command() -> Command {
    let filters = FILTERS.map(|(name, _, value, help)| Arg::new(name).long(name).value_name(value).help(help));
    Command::new("trace")
        .about("Follow the requests of the running node as they end")
        .arg(url_flag())
        .args(filters)
        .arg(
            Arg::new("count")
                .long("count")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64).range(1..))
                .help("End after so many requests"),
        )
        .arg(json_flag().help("Write each request as one line of JSON, with its phases"))
}

/// What the arguments ask for.
pub(super) fn read(matches: &ArgMatches) -> Trace {
    let filter = |(name, parameter, ..): (&'static str, &'static str, &'static str, &'static str)| {
        text_of(matches, name).map(|text| (parameter, text))
    };
    Trace {
        url: url_of(matches),
        filters: FILTERS.into_iter().filter_map(filter).collect(),
        count: matches.get_one("count").copied(),
        json: matches.get_flag("json"),
    }
}

/// Does it. Errs: one line; also when the node ends the stream.
pub(super) async fn run(config: &Config, asked: &Trace) -> Result<(), String> {
    let source = Source::open(config, asked.url.as_deref())?;
    let parameters: Vec<_> = asked.filters.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let mut answer = source.get("/_myfsio/trace", &parameters).await?;
    let (mut events, mut left) = (Events::default(), asked.count);
    loop {
        let chunk = answer.chunk().await.map_err(|error| source.broke_off(Some(error)))?;
        events.push(&chunk.ok_or_else(|| source.broke_off(None))?);
        while let Some(event) = events.next() {
            print(&told(&event, asked.json));
            if event.kind == "request" {
                left = left.map(|left| left - 1);
            }
            if left == Some(0) {
                return Ok(());
            }
        }
    }
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    kind: String,
    data: String,
}

/// The events of a stream (WHATWG HTML, "Parsing an event stream"), whichever way its bytes are cut.
#[derive(Debug, Default)]
struct Events(Vec<u8>);

impl Events {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if self.0.len() > EVENT_BYTES_MAX && memchr::memmem::find(&self.0, b"\n\n").is_none() {
            self.0.clear();
        }
    }

    /// The next event that has come whole; comments are left out.
    fn next(&mut self) -> Option<Event> {
        loop {
            let end = memchr::memmem::find(&self.0, b"\n\n")?;
            let block: Vec<u8> = self.0.drain(..end + 2).collect();
            let block = String::from_utf8_lossy(&block).into_owned();
            let field = |name: &str| {
                let values = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
            };
            let (kind, data) = (field("event"), field("data"));
            if !data.is_empty() {
                return Some(Event { kind, data });
            }
        }
    }
}

fn told(event: &Event, as_json: bool) -> String {
    if as_json && event.kind == "request" {
        return format!("{}\n", event.data);
    }
    let Ok(record) = serde_json::from_str::<Value>(&event.data) else { return String::new() };
    if event.kind != "request" {
        let missed = record.get("requests").and_then(Value::as_u64).unwrap_or(0);
        if as_json {
            return format!("{}\n", json!({ "missed": missed }));
        }
        return format!("… {missed} requests were missed: they come faster than they can be written\n");
    }
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| record.get(name).and_then(Value::as_u64).unwrap_or(0);
    let place = match (text("bucket"), text("key"), text("path")) {
        ("", _, path) => path.to_owned(),
        (bucket, "", _) => bucket.to_owned(),
        (bucket, key, _) => format!("{bucket}/{key}"),
    };
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.escape_debug().to_string() };
    let millis = record.get("milliseconds").and_then(Value::as_f64).unwrap_or(0.0);
    let mut line = String::new();
    // Writing to a string cannot fail.
    let _ = write!(line, "{} {} {millis:>9.1} ms ", text("time"), number("status"));
    let _ = write!(line, "{} {} {} ", or_dash(text("operation")), or_dash(&place), or_dash(text("user")));
    let _ = write!(line, "{} {} in {} out", or_dash(text("address")), number("bytes_received"), number("bytes_sent"));
    if !text("code").is_empty() {
        let _ = write!(line, " {}", text("code"));
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::requests::RequestFilter;
    use crate::s3::query::Query;

    const STREAM: &str = ": listening\n\nid: 1\nevent: request\ndata: {\"status\":403,\"operation\":\"GetObject\",\"bucket\":\"b\",\"key\":\"a\\nb\",\
                          \"milliseconds\":1.25,\"code\":\"AccessDenied\"}\n\n: keep-alive\n\nevent: missed\ndata: {\"requests\":7}\n\n";

    proptest! {
        #[test]
        fn events_are_the_same_however_they_are_cut(cut in 0..STREAM.len()) {
            let (mut whole, mut halves) = (Events::default(), Events::default());
            whole.push(STREAM.as_bytes());
            halves.push(&STREAM.as_bytes()[..cut]);
            let mut found: Vec<_> = std::iter::from_fn(|| halves.next()).collect();
            halves.push(&STREAM.as_bytes()[cut..]);
            found.extend(std::iter::from_fn(|| halves.next()));
            let expected: Vec<_> = std::iter::from_fn(|| whole.next()).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(found.len(), 2);
        }
    }

    #[test]
    fn the_node_filters_by_every_flag() {
        for (flag, parameter, ..) in FILTERS {
            let value = match flag {
                "request-id" => "0123456789abcdef",
                "status" => "4xx",
                "min-ms" => "200",
                _ => "NoSuchKey",
            };
            let asked = read(&command().get_matches_from(["trace", &format!("--{flag}"), value]));
            assert_eq!(asked.filters, [(parameter, value.to_owned())]);
            let filter = RequestFilter::parse(&Query::parse(&format!("{parameter}={value}")).unwrap()).unwrap();
            assert_ne!(filter, RequestFilter::default(), "{flag}");
        }
    }

    #[test]
    fn lines_are_for_people() {
        let mut events = Events::default();
        events.push(STREAM.as_bytes());
        let (request, missed) = (events.next().unwrap(), events.next().unwrap());
        assert_eq!(told(&request, false), " 403       1.2 ms GetObject b/a\\nb - - 0 in 0 out AccessDenied\n");
        assert!(told(&request, true).starts_with("{\"status\":403"));
        assert_eq!(told(&missed, true), "{\"missed\":7}\n");
        assert!(told(&missed, false).starts_with("… 7 requests were missed"));
    }

    #[test]
    fn what_has_no_end_is_dropped() {
        let mut events = Events::default();
        for _ in 0..10 {
            events.push(&[b'x'; 16 * 1024]);
        }
        assert!(events.0.len() <= EVENT_BYTES_MAX);
    }
}
