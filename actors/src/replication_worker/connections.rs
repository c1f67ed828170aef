//! `connections.json`: `[{"id", "name", "endpoint_url", "access_key", "secret_key", "region"}]`, compiled. Pure.
//!
//! A secret that a person wrote as `secret_key` is sealed as soon as the node sees it, and then stands there as `secret_key_sealed`.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::audit;
use crate::audit::{AuditLog, ChangeOrigin};
use crate::json_store::{Mistake, Schema, Version};
use crate::names::{AccessKeyId, Stamp};
use crate::seal::{SealError, Sealer, SecretKey};

/// What sealed secrets are for; part of what the seal protects.
pub(super) const SEAL_PURPOSE: &str = "replication secret";
/// Requests under way at once, if the connection does not say.
pub const CONCURRENCY: u16 = 16;
/// Most requests under way at once that a connection can have.
pub const CONCURRENCY_MAX: u16 = 256;
/// Longest text of a field, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// Access to a target.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its id: never changes.
    pub id: Arc<str>,
    /// What people call it.
    pub name: String,
    /// Where the S3 endpoint is.
    pub endpoint_url: String,
    /// Access key id.
    pub access_key: AccessKeyId,
    /// Secret access key.
    pub secret_key: SecretKey,
    /// Region that requests are signed for.
    pub region: String,
    /// Requests under way at once.
    pub concurrency: u16,
    /// Bytes per second that are sent at most; none is as many as it takes.
    pub bytes_per_second: Option<u64>,
}

impl Connection {
    /// Whether both reach the same place as the same user.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        self.endpoint_url == other.endpoint_url
            && self.access_key == other.access_key
            && self.region == other.region
            && self.secret_key.is(other.secret_key.expose())
    }
}

/// All connections in the order of the file.
#[derive(Debug, Default)]
pub struct Connections(Vec<Arc<Connection>>);

impl Connections {
    /// The connection of this id.
    pub fn get(&self, id: &str) -> Option<&Arc<Connection>> {
        self.0.iter().find(|connection| *connection.id == *id)
    }

    /// The connection of this id, or the only one of this name.
    pub fn find(&self, id_or_name: &str) -> Option<&Arc<Connection>> {
        let mut named = self.0.iter().filter(|connection| connection.name == id_or_name);
        self.get(id_or_name).or_else(|| named.next().filter(|_| named.next().is_none()))
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Connection>] {
        &self.0
    }
}

#[derive(Deserialize)]
struct Record {
    id: String,
    name: Option<String>,
    endpoint_url: String,
    access_key: String,
    secret_key: Option<String>,
    secret_key_sealed: Option<String>,
    region: Option<String>,
    concurrency: Option<u16>,
    bytes_per_second: Option<u64>,
}

/// How the file is read.
#[derive(Debug)]
pub(super) struct ConnectionsFile {
    pub sealer: Sealer,
    /// Hears of hand edits.
    pub audit: AuditLog,
}

impl ConnectionsFile {
    /// The document of a node without connections.
    pub fn empty() -> Value {
        Value::Array(Vec::new())
    }

    fn connection(&self, record: &Value) -> Result<Connection, String> {
        let record = Record::deserialize(record).map_err(|error| error.to_string())?;
        let secret_key = match (&record.secret_key, &record.secret_key_sealed) {
            (Some(_), Some(_)) => return Err("has both `secret_key` and `secret_key_sealed`".to_owned()),
            (Some(secret), None) => SecretKey::new(secret),
            (None, Some(sealed)) => {
                self.sealer.unseal(SEAL_PURPOSE, sealed).map_err(|error| format!("`secret_key_sealed`: {error}"))?
            }
            (None, None) => return Err("has no `secret_key`".to_owned()),
        };
        let connection = Connection {
            name: record.name.unwrap_or_else(|| record.id.clone()),
            id: Arc::from(record.id),
            endpoint_url: record.endpoint_url,
            access_key: AccessKeyId::parse(&record.access_key)
                .map_err(|_| "`access_key` is no access key id".to_owned())?,
            secret_key,
            region: record.region.filter(|region| !region.is_empty()).unwrap_or_else(|| "us-east-1".to_owned()),
            concurrency: record.concurrency.unwrap_or(CONCURRENCY),
            bytes_per_second: record.bytes_per_second.filter(|bytes| *bytes > 0),
        };
        check(&connection).map(|()| connection)
    }
}

/// Whether a connection can be used. Errs: why not, without any secret.
pub(super) fn check(connection: &Connection) -> Result<(), String> {
    let Connection { id, name, endpoint_url, region, secret_key, concurrency, .. } = connection;
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !(1..=128).contains(&id.len()) || !id.bytes().all(is_id) {
        return Err("`id` must have 1 to 128 letters, digits, `-`, `_` and `.`".to_owned());
    }
    for (field, text) in [("name", name), ("endpoint_url", endpoint_url), ("region", region)] {
        if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(format!("`{field}` must have 1 to {TEXT_BYTES_MAX} bytes without control characters"));
        }
    }
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return Err("`region` has characters that no region has".to_owned());
    }
    if !is_endpoint(endpoint_url) {
        return Err("`endpoint_url` must be an http or https URL without user, password, query and fragment".to_owned());
    }
    if !(1..=TEXT_BYTES_MAX).contains(&secret_key.expose().len()) {
        return Err(format!("`secret_key` must have 1 to {TEXT_BYTES_MAX} bytes"));
    }
    if !(1..=CONCURRENCY_MAX).contains(concurrency) {
        return Err(format!("`concurrency` must be 1 to {CONCURRENCY_MAX}"));
    }
    Ok(())
}

/// Whether it looks like an endpoint; whoever speaks to it parses it.
fn is_endpoint(text: &str) -> bool {
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let Some(rest) = rest else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && !rest.contains(['?', '#', ' '])
}

impl Schema for ConnectionsFile {
    type State = Connections;

    fn compile(&self, text: &str, document: &Value) -> Result<Connections, Mistake> {
        let Value::Array(records) = document else {
            return Err(Mistake::near(text, "", "must be a JSON array".to_owned()));
        };
        let (mut compiled, mut ids) = (Vec::with_capacity(records.len()), HashSet::new());
        for record in records {
            let id = record.get("id").and_then(Value::as_str).unwrap_or_default();
            let mistake = |reason: String| Mistake::near(text, id, format!("connection `{id}`: {reason}"));
            if !ids.insert(id) {
                return Err(mistake("there is another one of this id".to_owned()));
            }
            compiled.push(Arc::new(self.connection(record).map_err(mistake)?));
        }
        Ok(Connections(compiled))
    }

    fn edited_by_hand(&self, before: Version<'_, Connections>, after: Version<'_, Connections>, now: Stamp) {
        let by = ChangeOrigin::hand_edit();
        self.audit.record_blocking(audit::connections(before.document, after.document, &self.sealer, now, &by));
    }
}

/// Seals the secrets that stand there in plain text, or under a previous key.
pub(super) fn seal_secrets(document: &mut Value, sealer: &Sealer) -> Result<(), SealError> {
    for record in document.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let text = |record: &Map<String, Value>, name| record.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(secret) = text(record, "secret_key") {
            record.shift_remove("secret_key");
            record.insert("secret_key_sealed".to_owned(), sealer.seal(SEAL_PURPOSE, &secret)?.into());
        } else if let Some(sealed) = text(record, "secret_key_sealed").filter(|sealed| sealer.is_outdated(sealed)) {
            let secret = sealer.unseal(SEAL_PURPOSE, &sealed)?;
            record.insert("secret_key_sealed".to_owned(), sealer.seal(SEAL_PURPOSE, secret.expose())?.into());
        }
    }
    Ok(())
}

/// Puts a connection into the document, in the place of the one of its id; what the node does not know of it stays.
pub(super) fn put(document: &mut Value, connection: &Connection, sealer: &Sealer) -> Result<(), SealError> {
    let Some(records) = document.as_array_mut() else { return Ok(()) };
    let at = records.iter().position(|record| record.get("id").and_then(Value::as_str) == Some(&*connection.id));
    let mut record = at.and_then(|at| records.get(at)).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut set = |name: &str, value: Value| drop(record.insert(name.to_owned(), value));
    set("id", (*connection.id).into());
    set("name", connection.name.as_str().into());
    set("endpoint_url", connection.endpoint_url.as_str().into());
    set("access_key", connection.access_key.as_str().into());
    set("region", connection.region.as_str().into());
    let optional = [
        ("concurrency", (connection.concurrency != CONCURRENCY).then(|| Value::from(connection.concurrency))),
        ("bytes_per_second", connection.bytes_per_second.map(Value::from)),
    ];
    for (name, value) in optional {
        match value {
            Some(value) => drop(record.insert(name.to_owned(), value)),
            None => drop(record.shift_remove(name)),
        }
    }
    let sealed = record.get("secret_key_sealed").and_then(Value::as_str);
    let is_same = sealed
        .and_then(|sealed| sealer.unseal(SEAL_PURPOSE, sealed).ok())
        .is_some_and(|secret| secret.is(connection.secret_key.expose()));
    if !is_same {
        let sealed = sealer.seal(SEAL_PURPOSE, connection.secret_key.expose())?;
        record.insert("secret_key_sealed".to_owned(), sealed.into());
    }
    record.shift_remove("secret_key");
    let record = Value::Object(record);
    match at.and_then(|at| records.get_mut(at)) {
        Some(former) => *former = record,
        None => records.push(record),
    }
    Ok(())
}

/// Takes a connection out of the document.
pub(super) fn remove(document: &mut Value, id: &str) {
    if let Some(records) = document.as_array_mut() {
        records.retain(|record| record.get("id").and_then(Value::as_str) != Some(id));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sealer(key: &str, previous: &[&str]) -> Sealer {
        let previous: Vec<_> = previous.iter().map(|key| SecretKey::new(key)).collect();
        Sealer::new(&SecretKey::new(key), &previous).unwrap()
    }

    fn compile(document: &Value, sealer: Sealer) -> Result<Connections, Mistake> {
        let file = ConnectionsFile { sealer, audit: AuditLog::nowhere() };
        file.compile(&serde_json::to_string_pretty(document).unwrap(), document)
    }

    fn typed() -> Value {
        json!([{
            "id": "c1", "name": "Secondary Site", "endpoint_url": "http://target-server:5002", "access_key": "AK",
            "secret_key": "s3cret", "region": "us-east-1", "note": "mine",
        }])
    }

    #[test]
    fn what_a_person_types_is_read_and_sealed() {
        let mut document = typed();
        let connections = compile(&document, sealer("one", &[])).unwrap();
        let connection = connections.find("Secondary Site").unwrap();
        assert_eq!((connection.secret_key.expose(), connection.concurrency), ("s3cret", CONCURRENCY));
        seal_secrets(&mut document, &sealer("one", &[])).unwrap();
        assert!(!document.to_string().contains("s3cret"));
        assert_eq!(document[0]["note"], "mine");
        assert!(compile(&document, sealer("two", &[])).is_err());
        seal_secrets(&mut document, &sealer("two", &["one"])).unwrap();
        let connections = compile(&document, sealer("two", &[])).unwrap();
        assert_eq!(connections.get("c1").unwrap().secret_key.expose(), "s3cret");
    }

    #[test]
    fn putting_one_keeps_what_is_not_known_and_an_unchanged_seal() {
        let mut document = typed();
        let one = sealer("one", &[]);
        seal_secrets(&mut document, &one).unwrap();
        let sealed = document[0]["secret_key_sealed"].clone();
        let former = Arc::clone(compile(&document, one.clone()).unwrap().get("c1").unwrap());
        let changed = Connection { name: "new".to_owned(), bytes_per_second: Some(5), ..(*former).clone() };
        put(&mut document, &changed, &one).unwrap();
        assert_eq!((&document[0]["secret_key_sealed"], &document[0]["note"]), (&sealed, &json!("mine")));
        let other = Connection { id: "c2".into(), ..changed };
        put(&mut document, &other, &one).unwrap();
        let connections = compile(&document, one).unwrap();
        assert_eq!(connections.all().len(), 2);
        assert!(connections.find("new").is_none(), "two have this name");
        assert_eq!(connections.find("c2").unwrap().bytes_per_second, Some(5));
        remove(&mut document, "c1");
        assert_eq!(document.as_array().unwrap().len(), 1);
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (field, value, word) in [
            ("id", json!("a b"), "id"),
            ("id", json!(null), "invalid type"),
            ("endpoint_url", json!("ftp://a"), "endpoint_url"),
            ("endpoint_url", json!("http://u:p@a"), "endpoint_url"),
            ("endpoint_url", json!("http://"), "endpoint_url"),
            ("access_key", json!("a/b"), "access_key"),
            ("secret_key", json!(""), "secret_key"),
            ("secret_key", json!(null), "no `secret_key`"),
            ("secret_key_sealed", json!("x"), "both"),
            ("region", json!("a b"), "region"),
            ("concurrency", json!(0), "concurrency"),
        ] {
            let mut document = typed();
            document[0][field] = value;
            let mistake = compile(&document, sealer("one", &[])).unwrap_err();
            assert!(mistake.reason.contains(word), "{field}: {}", mistake.reason);
            assert!(!mistake.reason.contains("s3cret"));
        }
        let twice = json!([typed()[0], typed()[0]]);
        assert!(compile(&twice, sealer("one", &[])).unwrap_err().reason.contains("another one"));
        assert!(compile(&json!({}), sealer("one", &[])).is_err());
    }
}
