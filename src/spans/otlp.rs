//! Requests as spans, in JSON as OTLP has it (OpenTelemetry protocol 1.x, "JSON Protobuf Encoding": ids are hexadecimal digits, 64-bit
//! numbers are strings). Pure.
//!
//! A request is a span of its own, whose id is the request's. Below it are spans of where its time went.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::context::{Id, TraceContext};
use crate::requests::RequestRecord;

/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER` of trace.proto.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR` of trace.proto.
const ERROR: u8 = 2;
/// Spreads the ids of a request's inner spans.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What is said of the node.
#[derive(Debug, Clone)]
pub struct Service {
    /// `service.name`.
    pub name: String,
    /// `service.instance.id`: names this run of the node.
    pub instance: String,
}

/// The body of an export: the sampled ones of these requests.
pub fn document(service: &Service, requests: &[Arc<RequestRecord>]) -> serde_json::Result<Vec<u8>> {
    let traced = requests.iter().filter_map(|request| Some((&**request, request.trace?)));
    let spans = traced.flat_map(|(request, trace)| spans_of(request, trace)).collect();
    let version = env!("CARGO_PKG_VERSION");
    let attributes = vec![
        Attribute::text("service.name", &service.name),
        Attribute::text("service.version", version),
        Attribute::text("service.instance.id", &service.instance),
    ];
    let scope = ScopeSpans { scope: Scope { name: "myfsio", version }, spans };
    let resource_spans = [ResourceSpans { resource: Resource { attributes }, scope_spans: [scope] }];
    serde_json::to_vec(&Export { resource_spans })
}

/// The span of a request, and those within it, of which those that took no time are left out.
fn spans_of(request: &RequestRecord, trace: TraceContext) -> Vec<Span<'_>> {
    let (id, times) = (request.id.number(), &request.times);
    let begin = request.ended.0.saturating_sub(nanos(times.total()));
    let mut spans = vec![Span {
        trace_id: trace.id,
        span_id: Id::<8>::of(id),
        parent_span_id: trace.parent,
        name: request.operation,
        kind: SERVER,
        start_time_unix_nano: Text(begin),
        end_time_unix_nano: Text(request.ended.0),
        attributes: attributes_of(request),
        // What a client did wrong is no error of a server (semantic conventions for HTTP spans, "Status").
        status: Status { code: if request.status >= 500 { ERROR } else { 0 } },
    }];
    let mut at = begin;
    let phases = [
        ("authenticate", times.auth),
        ("authorise", times.policy),
        ("handle", times.receive + times.work),
        ("send", times.send),
    ];
    for (number, (name, time)) in (1u64..).zip(phases) {
        let end = at.saturating_add(nanos(time));
        let waited = (name == "handle" && !times.receive.is_zero())
            .then(|| Attribute::number("myfsio.waited_for_client_ns", nanos(times.receive)));
        if end > at {
            spans.push(Span {
                trace_id: trace.id,
                span_id: Id::<8>::of(id.wrapping_add(SPREAD.wrapping_mul(number)).max(1)),
                parent_span_id: Some(Id::<8>::of(id)),
                name,
                kind: INTERNAL,
                start_time_unix_nano: Text(at),
                end_time_unix_nano: Text(end),
                attributes: waited.into_iter().collect(),
                status: Status { code: 0 },
            });
        }
        at = end;
    }
    spans
}

/// What is said of a request: never its query, headers, key, user or address (OpenTelemetry semantic conventions for HTTP and AWS).
fn attributes_of(request: &RequestRecord) -> Vec<Attribute<'_>> {
    let mut attributes = vec![
        Attribute::number("http.response.status_code", request.status.into()),
        Attribute::number("http.request.body.size", request.received),
        Attribute::number("http.response.body.size", request.sent),
        Attribute { key: "aws.request_id", value: Value::StringValue(Cow::Owned(request.id.to_string())) },
    ];
    if let Some(bucket) = &request.bucket {
        attributes.push(Attribute::text("aws.s3.bucket", bucket.name.as_str()));
    }
    if let Some(code) = request.code {
        attributes.push(Attribute::text("error.type", code));
    }
    attributes
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A number as its digits in a string.
#[derive(Debug)]
struct Text(u64);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Export<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Debug, Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Debug, Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Span<'a>>,
}

#[derive(Debug, Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: Id<16>,
    span_id: Id<8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<Id<8>>,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: Text,
    end_time_unix_nano: Text,
    attributes: Vec<Attribute<'a>>,
    status: Status,
}

#[derive(Debug, Serialize)]
struct Status {
    code: u8,
}

#[derive(Debug, Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Value<'a> {
    StringValue(Cow<'a, str>),
    IntValue(Text),
}

impl<'a> Attribute<'a> {
    fn text(key: &'static str, text: &'a str) -> Self {
        Self { key, value: Value::StringValue(Cow::Borrowed(text)) }
    }

    fn number(key: &'static str, number: u64) -> Self {
        Self { key, value: Value::IntValue(Text(number)) }
    }
}

#[cfg(test)]
mod tests {
    use myfsio_actors::names::Stamp;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::requests::Times;
    use crate::s3::respond::RequestId;

    fn told(request: RequestRecord) -> Vec<Json> {
        let service = Service { name: "node-7".into(), instance: "run".into() };
        let text = document(&service, &[Arc::new(request)]).unwrap();
        let mut document: Json = serde_json::from_slice(&text).unwrap();
        let of_node = &document["resourceSpans"][0]["resource"]["attributes"][0];
        assert_eq!(of_node, &json!({ "key": "service.name", "value": { "stringValue": "node-7" } }));
        document["resourceSpans"][0]["scopeSpans"][0]["spans"].take().as_array().unwrap().clone()
    }

    fn request() -> RequestRecord {
        let ms = Duration::from_millis;
        RequestRecord {
            id: RequestId::parse("00000000000000AB").unwrap(),
            ended: Stamp(1_000_000_000),
            operation: "GetObject",
            status: 200,
            sent: 5,
            times: Times { auth: ms(1), policy: ms(0), receive: ms(2), work: ms(3), send: ms(4) },
            trace: TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ..RequestRecord::default()
        }
    }

    #[test]
    fn a_request_is_a_span_and_its_phases_lie_within() {
        let spans = told(request());
        let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["GetObject", "authenticate", "handle", "send"], "the decision took no time");
        let [whole, inner @ ..] = spans.as_slice() else { panic!() };
        assert_eq!(whole["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(
            (&whole["spanId"], &whole["parentSpanId"]),
            (&json!("00000000000000ab"), &json!("00f067aa0ba902b7"))
        );
        assert_eq!((&whole["kind"], &whole["status"]), (&json!(2), &json!({ "code": 0 })));
        assert_eq!(whole["startTimeUnixNano"], "990000000");
        let mut at = whole["startTimeUnixNano"].clone();
        for span in inner {
            assert_eq!((&span["parentSpanId"], &span["traceId"]), (&whole["spanId"], &whole["traceId"]));
            assert_eq!((&span["startTimeUnixNano"], &span["kind"]), (&at, &json!(1)), "one after the other");
            at = span["endTimeUnixNano"].clone();
        }
        assert_eq!(at, whole["endTimeUnixNano"]);
        let waited = json!([{ "key": "myfsio.waited_for_client_ns", "value": { "intValue": "2000000" } }]);
        assert_eq!(inner[1]["attributes"], waited);
        assert!(
            whole["attributes"]
                .as_array()
                .unwrap()
                .contains(&json!({ "key": "http.response.status_code", "value": { "intValue": "200" } }))
        );
    }

    #[test]
    fn only_failures_of_the_node_are_errors() {
        let of = |status| told(RequestRecord { status, code: Some("SlowDown"), ..request() })[0].clone();
        assert_eq!((&of(404)["status"]["code"], &of(503)["status"]["code"]), (&json!(0), &json!(2)));
        let code = json!({ "key": "error.type", "value": { "stringValue": "SlowDown" } });
        assert!(of(503)["attributes"].as_array().unwrap().contains(&code));
    }

    #[test]
    fn a_trace_that_begins_here_has_no_parent() {
        let trace = TraceContext { id: Id::<16>::of(7), parent: None, sampled: true };
        assert!(told(RequestRecord { trace: Some(trace), ..request() })[0].get("parentSpanId").is_none());
        assert!(told(RequestRecord { trace: None, ..request() }).is_empty());
    }
}
