//! Changes that another node sends: the headers by which it says where they come from, read and written in one place.
//!
//! Only headers that are signed count. Origin, clock and what was seen keep a change from going round in circles, and need no more
//! than the request itself, as they do no more: where versions are kept, the change is a version of this node. To choose version ids,
//! also that of the null version, and times, or to say what an object was before it was cut to be sent, takes `s3:ReplicateObject`,
//! `s3:ReplicateTags` or `s3:ReplicateDelete`. None of these takes off a lock: that takes what it takes from everybody.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::header::HeaderMap;
use myfsio_actors::names::{Change, Checksum, ChecksumAlgorithm, ETag, NodeId, ObjectKey, Seen, Stamp, VersionId};
use myfsio_actors::storage::{Applied, Bucket, ChangeBeside, Permits, Replica, Whole};

use super::authorize::Further;
use super::context::Call;
use super::error::S3Error;
use super::respond::set_header;

/// The node that made the change.
pub const ORIGIN: &str = "x-myfsio-origin";
/// Its clock.
pub const CLOCK: &str = "x-myfsio-clock";
/// What it had seen of others.
pub const SEEN: &str = "x-myfsio-seen";
/// The node that sends it.
pub const SENDER: &str = "x-myfsio-sender";
/// The version id that it has: `null`, or one of its own.
pub const VERSION_ID: &str = "x-myfsio-version-id";
/// When it was written, in nanoseconds since the Unix epoch.
pub const LAST_MODIFIED: &str = "x-myfsio-last-modified";
/// The last change of its tags.
pub const TAGS_CHANGE: &str = "x-myfsio-tags-change";
/// The last change of its retention or legal hold.
pub const LOCK_CHANGE: &str = "x-myfsio-lock-change";
/// With the request that completes an upload: the ETag of an object that was written by a single request and cut to be sent. It counts as
/// such an object here, too.
pub const ETAG: &str = "x-myfsio-etag";
/// The checksum that its writer chose: `<algorithm>=<base64>`.
pub const CHECKSUM: &str = "x-myfsio-checksum";
/// All headers that say something of a change, whatever it is.
pub const HEADERS: [&str; 8] = [ORIGIN, CLOCK, SEEN, SENDER, VERSION_ID, LAST_MODIFIED, TAGS_CHANGE, LOCK_CHANGE];
/// What became of it, in the answer.
pub const APPLIED: &str = "x-myfsio-applied";
/// Who answers, and what its clock shows, in nanoseconds since 1970: told to whoever replicates, by every route that it may ask.
pub const NODE: &str = "x-myfsio-node";
/// What replication names itself; for logs and policies, and to be told [`NODE`]. Nothing else depends on it.
pub const USER_AGENT: &str = concat!("S3ReplicationAgent/", env!("CARGO_PKG_VERSION"));
/// The same of any version.
const AGENT: &str = "S3ReplicationAgent/";

/// How far a clock may be ahead of the node's own: beyond, later changes of this node would seem to be earlier ones for too long.
const AHEAD_NANOS_MAX: u64 = 30 * DAY_NANOS;

/// The same for who chooses nothing: until then, nothing else counts that the node which he names sends of the key.
const AHEAD_NANOS_MAX_OF_OTHERS: u64 = DAY_NANOS;

const DAY_NANOS: u64 = 86_400 * 1_000_000_000;

/// What a request does with its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Writes it, or locks it.
    Write,
    /// Tags it.
    Tag,
    /// Deletes it, or a version of it.
    Delete,
}

impl Does {
    fn action(self) -> &'static str {
        match self {
            Self::Write => "s3:ReplicateObject",
            Self::Tag => "s3:ReplicateTags",
            Self::Delete => "s3:ReplicateDelete",
        }
    }
}

/// A change of another node, which the caller may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What is said of it.
    pub replica: Replica,
    /// Whether the caller has the permission to replicate: then what goes with the object was permitted where it was written.
    pub may_replicate: bool,
    /// What the object is where it comes from, if it was cut to be sent.
    pub whole: Option<Whole>,
}

impl Received {
    /// The change of the tags, and who sends it.
    pub fn tags_change(&self) -> ChangeBeside {
        self.beside(self.replica.tags_change)
    }

    /// The change of retention or legal hold, and who sends it.
    pub fn lock_change(&self) -> ChangeBeside {
        self.beside(self.replica.lock_change)
    }

    fn beside(&self, change: Option<Change>) -> ChangeBeside {
        let Replica { change: of_object, sender, permits, .. } = &self.replica;
        ChangeBeside { change: change.unwrap_or(*of_object), sender: *sender, lifts_hold: permits.lifts_hold }
    }
}

/// Reads the headers of a request that changes an object, if they say that another node made the change. Errs: InvalidArgument;
/// AccessDenied for what only replication may.
pub fn received(call: &Call, bucket: &Bucket, key: &ObjectKey, does: Does) -> Result<Option<Received>, S3Error> {
    let (headers, signed) = (&call.headers, &call.auth.signed_headers);
    let Some(mut replica) = parse(headers, signed, call.received)? else { return Ok(None) };
    let whole = parse_whole(headers, signed)?;
    let version = call.version()?;
    if let Some(version) = version {
        refuse_ahead("versionId", version, latest(call.received, AHEAD_NANOS_MAX))?;
    }
    let may_replicate = chooses(&replica) || whole.is_some();
    if may_replicate {
        call.authorize(does.action(), bucket, Some(key.as_str()))?;
    }
    let version = version.or(Some(replica.version).filter(|_| replica.permits.chooses));
    let may = |action| {
        let further = Further { key: Some(key.as_str()), version, ..Further::default() };
        call.authorize_further(action, bucket, further).is_ok()
    };
    // Without Object Lock there is nothing to lift.
    if bucket.config.object_lock.is_some() {
        // Others ask for it by the header that everybody asks by.
        replica.permits.bypasses_governance = may_replicate && may("s3:BypassGovernanceRetention");
        replica.permits.lifts_hold = may("s3:PutObjectLegalHold");
    }
    Ok(Some(Received { replica, may_replicate, whole }))
}

/// Whether a request says that another node made its change, whoever sends it.
pub fn is_claimed(headers: &HeaderMap) -> bool {
    headers.contains_key(ORIGIN)
}

/// Whether the caller has the permission to replicate, and asks for what takes it.
pub fn may_replicate(received: Option<&Received>) -> bool {
    received.is_some_and(|received| received.may_replicate)
}

/// Whether a change chooses what the node else chooses itself.
fn chooses(replica: &Replica) -> bool {
    replica.permits.chooses
        || replica.modified.is_some()
        || replica.tags_change.is_some()
        || replica.lock_change.is_some()
}

/// Whether a request comes from whoever replicates, by its own word.
pub fn is_agent(headers: &HeaderMap) -> bool {
    headers.get("user-agent").is_some_and(|agent| agent.as_bytes().starts_with(AGENT.as_bytes()))
}

/// Tells whoever replicates who answers: what stands in front of a node may keep its own routes from others, and a node that is not known
/// for one would be sent its own changes back, round and round.
pub fn name_node(response: &mut HttpResponse, node: NodeId, now: Stamp) {
    set_header(response, NODE, &format!("{node} {}", now.0));
}

/// Reads what [`name_node`] told.
pub fn named_node(text: &str) -> Option<(NodeId, Stamp)> {
    let (node, time) = text.split_once(' ')?;
    Some((node.parse().ok()?, Stamp(time.parse().ok()?)))
}

/// Tells the sender what became of its change.
pub fn tell(response: &mut HttpResponse, applied: Applied) {
    set_header(response, APPLIED, applied.name());
}

/// Reads the headers; none when they name no origin, or nobody has signed that. Errs: InvalidArgument.
pub fn parse(headers: &HeaderMap, signed: &[Cow<'static, str>], now: Stamp) -> Result<Option<Replica>, S3Error> {
    let fields = Fields { headers, signed };
    let Some(origin) = fields.read::<NodeId>(ORIGIN)? else { return Ok(None) };
    let clock = fields.number(CLOCK)?.ok_or_else(|| malformed(CLOCK, "", "A change has a clock."))?;
    let change = Change { clock, origin };
    let version = fields.version()?;
    let replica = Replica {
        change,
        seen: fields.read::<Seen>(SEEN)?.unwrap_or_default(),
        sender: fields.read::<NodeId>(SENDER)?.unwrap_or(origin),
        version: version.unwrap_or(VersionId::Null),
        modified: fields.number(LAST_MODIFIED)?.map(Stamp),
        tags_change: fields.read::<Change>(TAGS_CHANGE)?,
        lock_change: fields.read::<Change>(LOCK_CHANGE)?,
        permits: Permits { chooses: version.is_some(), ..Permits::default() },
    };
    let latest = latest(now, if chooses(&replica) { AHEAD_NANOS_MAX } else { AHEAD_NANOS_MAX_OF_OTHERS });
    refuse_ahead(VERSION_ID, replica.version, latest)?;
    let clocks = [(CLOCK, Some(clock)), (LAST_MODIFIED, replica.modified.map(|modified| modified.0))];
    let changes = [(TAGS_CHANGE, replica.tags_change), (LOCK_CHANGE, replica.lock_change)];
    let all = clocks.into_iter().chain(changes.map(|(name, change)| (name, change.map(|change| change.clock))));
    for (name, clock) in all {
        if clock.is_some_and(|clock| clock > latest) {
            return Err(malformed(name, &clock.unwrap_or_default().to_string(), "The clock is too far ahead."));
        }
    }
    // A change is later than all that it has seen; who says otherwise would keep what is yet to come from this node.
    if replica.seen.iter().any(|seen| seen.clock >= clock) {
        return Err(malformed(SEEN, &replica.seen.to_string(), "A change is later than what it has seen."));
    }
    Ok(Some(replica))
}

/// Reads what is told of an object that was cut to be sent; none when nobody has signed that. Errs: InvalidArgument.
pub fn parse_whole(headers: &HeaderMap, signed: &[Cow<'static, str>]) -> Result<Option<Whole>, S3Error> {
    let fields = Fields { headers, signed };
    let Some(text) = fields.text(ETAG)? else { return Ok(None) };
    let etag = ETag::parse(text).ok().filter(|etag| etag.parts.is_none());
    let etag = etag.ok_or_else(|| malformed(ETAG, text, "It is no ETag of an object that one request wrote."))?;
    let checksum = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let algorithm = ChecksumAlgorithm::parse(name).filter(|it| *it != ChecksumAlgorithm::Crc64Nvme)?;
        Checksum::parse_base64(algorithm, value)
    };
    let unreadable = |text| malformed(CHECKSUM, text, "The header is not well formed.");
    let checksum = fields.text(CHECKSUM)?.map(|text| checksum(text).ok_or_else(|| unreadable(text))).transpose()?;
    Ok(Some(Whole { md5: etag.md5, checksum }))
}

/// The headers by which an object that was cut is told.
pub fn describe_whole(whole: &Whole) -> Vec<(&'static str, String)> {
    let checksum = whole.checksum.map(|sum| (CHECKSUM, format!("{}={sum}", sum.algorithm().name())));
    [(ETAG, ETag::single(whole.md5).to_string())].into_iter().chain(checksum).collect()
}

fn latest(now: Stamp, ahead: u64) -> u64 {
    now.0.saturating_add(ahead)
}

/// Refuses a version whose clock is too far ahead: what comes after it has to be later still. Errs: InvalidArgument.
fn refuse_ahead(name: &str, version: VersionId, latest: u64) -> Result<(), S3Error> {
    match version {
        VersionId::Unique { stamp, .. } if stamp.0 > latest => {
            Err(malformed(name, &version.to_string(), "The clock is too far ahead."))
        }
        _ => Ok(()),
    }
}

/// The headers by which a change is sent. `chooses`: whether the target lets the sender choose ids and times.
pub fn describe(replica: &Replica, chooses: bool) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        (ORIGIN, replica.change.origin.to_string()),
        (CLOCK, replica.change.clock.to_string()),
        (SENDER, replica.sender.to_string()),
    ];
    if !replica.seen.is_empty() {
        headers.push((SEEN, replica.seen.to_string()));
    }
    if !chooses {
        return headers;
    }
    headers.push((VERSION_ID, replica.version.to_string()));
    headers.extend(replica.modified.map(|modified| (LAST_MODIFIED, modified.0.to_string())));
    headers.extend(replica.tags_change.map(|change| (TAGS_CHANGE, change.to_string())));
    headers.extend(replica.lock_change.map(|change| (LOCK_CHANGE, change.to_string())));
    headers
}

fn malformed(name: &str, value: &str, message: &'static str) -> S3Error {
    S3Error::invalid_argument(name, value, message)
}

struct Fields<'a> {
    headers: &'a HeaderMap,
    signed: &'a [Cow<'static, str>],
}

impl<'a> Fields<'a> {
    /// The value of a header that is signed. Errs: InvalidArgument when it is no text, or given twice.
    fn text(&self, name: &'static str) -> Result<Option<&'a str>, S3Error> {
        let mut values = self.headers.get_all(name).filter(|_| self.signed.iter().any(|signed| signed == name));
        match (values.next().map(|value| value.to_str()), values.next()) {
            (None, _) => Ok(None),
            (Some(Ok(text)), None) => Ok(Some(text.trim())),
            (Some(_), _) => Err(malformed(name, "", "The header is no single text.")),
        }
    }

    fn read<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, S3Error> {
        let unreadable = |text| malformed(name, text, "The header is not well formed.");
        self.text(name)?.map(|text| text.parse().map_err(|_| unreadable(text))).transpose()
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, S3Error> {
        match self.text(name)? {
            Some(text) if !text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Err(malformed(name, text, "The header is no number."))
            }
            _ => self.read(name),
        }
    }

    fn version(&self) -> Result<Option<VersionId>, S3Error> {
        let unreadable = |text| malformed(VERSION_ID, text, "Invalid version id specified");
        self.text(VERSION_ID)?.map(|text| VersionId::parse(text).map_err(|_| unreadable(text))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;
    use crate::s3::error::ErrorCode;

    const NOW: Stamp = Stamp(1_800_000_000_000_000_000);
    const NODE: &str = "00000000000000ab";

    fn map(headers: &[(&'static str, String)]) -> (HeaderMap, Vec<Cow<'static, str>>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        (map, headers.iter().map(|(name, _)| Cow::Borrowed(*name)).collect())
    }

    fn read(headers: &[(&'static str, &str)]) -> Result<Option<Replica>, ErrorCode> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let (headers, signed) = map(&headers);
        parse(&headers, &signed, NOW).map_err(|error| error.code())
    }

    #[test]
    fn only_what_is_signed_counts() {
        let headers = [(ORIGIN, NODE.to_owned()), (CLOCK, "7".to_owned()), (LAST_MODIFIED, "5".to_owned())];
        let (headers, _) = map(&headers);
        let of = |signed: &[&str]| {
            let signed: Vec<_> = signed.iter().map(|name| Cow::Owned((*name).to_owned())).collect();
            parse(&headers, &signed, NOW).unwrap()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[CLOCK, LAST_MODIFIED]), None);
        let replica = of(&[ORIGIN, CLOCK]).unwrap();
        assert_eq!((replica.change.clock, replica.modified), (7, None));
        assert!(!chooses(&replica), "so it needs no permission of its own");
        assert!(chooses(&read(&[(ORIGIN, NODE), (CLOCK, "7"), (VERSION_ID, "null")]).unwrap().unwrap()));
        assert_eq!(of(&[ORIGIN, CLOCK, LAST_MODIFIED]).unwrap().modified, Some(Stamp(5)));
    }

    #[test]
    fn what_is_refused() {
        let far = (NOW.0 + AHEAD_NANOS_MAX + 1).to_string();
        let near = (NOW.0 + AHEAD_NANOS_MAX).to_string();
        let near_of_others = (NOW.0 + AHEAD_NANOS_MAX_OF_OTHERS).to_string();
        let far_of_others = (NOW.0 + AHEAD_NANOS_MAX_OF_OTHERS + 1).to_string();
        let id = |stamp: u64| VersionId::Unique { stamp: Stamp(stamp), random: 1 }.to_string();
        assert!(read(&[(ORIGIN, NODE), (CLOCK, &near_of_others)]).is_ok());
        assert!(read(&[(ORIGIN, NODE), (CLOCK, &near), (VERSION_ID, "null")]).is_ok());
        assert!(read(&[(ORIGIN, NODE), (CLOCK, "1"), (VERSION_ID, &id(NOW.0 + AHEAD_NANOS_MAX))]).is_ok());
        for headers in [
            &[(ORIGIN, NODE)][..],
            &[(ORIGIN, "ab"), (CLOCK, "1")],
            &[(ORIGIN, NODE), (ORIGIN, NODE), (CLOCK, "1")],
            &[(ORIGIN, NODE), (CLOCK, "")],
            &[(ORIGIN, NODE), (CLOCK, "+1")],
            &[(ORIGIN, NODE), (CLOCK, &far_of_others)],
            &[(ORIGIN, NODE), (CLOCK, &far), (VERSION_ID, "null")],
            &[(ORIGIN, NODE), (CLOCK, "1"), (VERSION_ID, &id(NOW.0 + AHEAD_NANOS_MAX + 1))],
            &[(ORIGIN, NODE), (CLOCK, "1"), (VERSION_ID, &id(u64::MAX))],
            &[(ORIGIN, NODE), (CLOCK, "18446744073709551616")],
            &[(ORIGIN, NODE), (CLOCK, "1"), (LAST_MODIFIED, &far)],
            &[(ORIGIN, NODE), (CLOCK, "1"), (VERSION_ID, "x")],
            &[(ORIGIN, NODE), (CLOCK, "1"), (SEEN, "x")],
            &[(ORIGIN, NODE), (CLOCK, "1"), (SEEN, "00000000000000ac=1")],
            &[(ORIGIN, NODE), (CLOCK, "1"), (SENDER, "x")],
            &[(ORIGIN, NODE), (CLOCK, "1"), (TAGS_CHANGE, "1")],
            &[(ORIGIN, NODE), (CLOCK, "1"), (LOCK_CHANGE, &format!("{far}.{NODE}"))],
        ] {
            assert_eq!(read(headers), Err(ErrorCode::InvalidArgument), "{headers:?}");
        }
        assert_eq!(read(&[(CLOCK, "x")]), Ok(None), "without an origin nobody looks at it");
    }

    #[test]
    fn what_was_cut_is_told_and_read() {
        let sum = |algorithm, size| Checksum::from_bytes(algorithm, &vec![7; size]);
        for checksum in [None, sum(ChecksumAlgorithm::Sha256, 32), sum(ChecksumAlgorithm::Crc32c, 4)] {
            let whole = Whole { md5: [9; 16], checksum };
            let (headers, signed) = map(&describe_whole(&whole));
            assert_eq!(parse_whole(&headers, &signed).unwrap(), Some(whole));
            assert_eq!(parse_whole(&headers, &[]).unwrap(), None, "nobody has signed it");
        }
        let digits = "0".repeat(32);
        let parts = format!("{digits}-2");
        for headers in [
            &[(ETAG, "")][..],
            &[(ETAG, "x")],
            &[(ETAG, &parts)],
            &[(ETAG, &digits), (ETAG, &digits)],
            &[(ETAG, &digits), (CHECKSUM, "")],
            &[(ETAG, &digits), (CHECKSUM, "CRC32")],
            &[(ETAG, &digits), (CHECKSUM, "CRC32=AA==")],
            &[(ETAG, &digits), (CHECKSUM, "CRC64NVME=AAAAAAAAAAA=")],
        ] {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            let (map, signed) = map(&headers);
            let refused = parse_whole(&map, &signed).map_err(|error| error.code());
            assert_eq!(refused, Err(ErrorCode::InvalidArgument), "{headers:?}");
        }
    }

    prop_compose! {
        fn any_change()(clock in 0u64..1_000_000, origin in 1u64..99) -> Change {
            Change { clock, origin: NodeId::new(origin).unwrap() }
        }
    }

    prop_compose! {
        fn any_replica()(
            change in any_change().prop_map(|change| Change { clock: change.clock + 1_000_000, ..change }),
            seen in proptest::collection::vec(any_change(), 0..6),
            sender in 1u64..99, version in proptest::option::of((1u64..99, any::<u64>())),
            modified in proptest::option::of(0u64..99), tags_change in proptest::option::of(any_change()),
            lock_change in proptest::option::of(any_change()),
        ) -> Replica {
            let unique = |(stamp, random)| VersionId::Unique { stamp: Stamp(stamp), random };
            Replica {
                change,
                seen: seen.into_iter().collect(),
                sender: NodeId::new(sender).unwrap(),
                version: version.map_or(VersionId::Null, unique),
                modified: modified.map(Stamp),
                tags_change,
                lock_change,
                permits: Permits { chooses: true, ..Permits::default() },
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_is_read(replica in any_replica()) {
            let (headers, signed) = map(&describe(&replica, true));
            prop_assert_eq!(parse(&headers, &signed, NOW).unwrap(), Some(replica.clone()));
            let (headers, signed) = map(&describe(&replica, false));
            let plain = parse(&headers, &signed, NOW).unwrap().unwrap();
            prop_assert!(!chooses(&plain));
            prop_assert_eq!((plain.change, plain.seen, plain.sender), (replica.change, replica.seen, replica.sender));
        }
    }
}
