//! Which requests somebody wants to see. Pure.

use std::time::Duration;

use super::record::RequestRecord;
use crate::s3::error::S3Error;
use crate::s3::query::Query;
use crate::s3::respond::RequestId;

/// What is asked of a record; what is not said is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    id: Option<RequestId>,
    bucket: Option<String>,
    prefix: Option<String>,
    user: Option<String>,
    operation: Option<String>,
    status: Option<Statuses>,
    code: Option<String>,
    slower: Option<Duration>,
}

/// One status, or a class of a hundred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statuses {
    One(u16),
    Class(u16),
}

impl RequestFilter {
    /// Reads `request_id`, `bucket`, `prefix`, `user` (a name or access key), `operation`, `status` (`404` or `4xx`), `code` (of the
    /// error) and `min_ms` of a query. Errs: InvalidArgument.
    pub fn parse(query: &Query) -> Result<Self, S3Error> {
        let text = |name: &str| query.get_filled(name).map(str::to_owned);
        let wrong = |name: &'static str, text: &str, why: &'static str| S3Error::invalid_argument(name, text, why);
        let id = query.get_filled("request_id").map(|text| {
            RequestId::parse(text).ok_or_else(|| wrong("request_id", text, "A request id has 16 hexadecimal digits."))
        });
        let status = query.get_filled("status").map(|text| {
            Statuses::parse(text).ok_or_else(|| wrong("status", text, "A status is like 404, or 4xx for all such."))
        });
        let slower = query.get_filled("min_ms").map(|text| {
            let millis = text.parse().map(Duration::from_millis);
            millis.map_err(|_| wrong("min_ms", text, "It is a number of milliseconds."))
        });
        Ok(Self {
            id: id.transpose()?,
            bucket: text("bucket"),
            prefix: text("prefix"),
            user: text("user"),
            operation: text("operation"),
            status: status.transpose()?,
            code: text("code"),
            slower: slower.transpose()?,
        })
    }

    /// Whether a record is wanted.
    pub fn wants(&self, record: &RequestRecord) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|name| Some(name) == found);
        let key = record.key.as_ref().map(|key| key.as_str());
        let access_key = record.principal.as_ref().map(|principal| principal.access_key.as_str());
        self.id.is_none_or(|id| id == record.id)
            && is(&self.bucket, record.bucket.as_ref().map(|bucket| bucket.name.as_str()))
            && self.prefix.as_deref().is_none_or(|prefix| key.is_some_and(|key| key.starts_with(prefix)))
            && (is(&self.user, record.user()) || is(&self.user, access_key))
            && self.operation.as_deref().is_none_or(|name| record.operation.eq_ignore_ascii_case(name))
            && self.status.is_none_or(|statuses| statuses.hold(record.status))
            && is(&self.code, record.code)
            && self.slower.is_none_or(|slower| record.times.total() >= slower)
    }
}

impl Statuses {
    fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => Some(Self::Class(u16::from(class - b'0'))),
            [b'1'..=b'5', _, _] => text.parse().ok().map(Self::One),
            _ => None,
        }
    }

    fn hold(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Class(class) => status / 100 == class,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::Times;
    use crate::s3::error::ErrorCode;

    fn filter(query: &str) -> Result<RequestFilter, ErrorCode> {
        RequestFilter::parse(&Query::parse(query).unwrap()).map_err(|error| error.code())
    }

    #[test]
    fn what_is_not_said_is_not_asked() {
        assert!(filter("").unwrap().wants(&RequestRecord::default()));
        assert!(!filter("bucket=b").unwrap().wants(&RequestRecord::default()));
        assert!(!filter("user=ann").unwrap().wants(&RequestRecord::default()));
    }

    #[test]
    fn statuses_and_durations() {
        let slow = Times { work: Duration::from_millis(30), ..Times::default() };
        let code = Some("NoSuchKey");
        let record =
            RequestRecord { status: 404, code, operation: "GetObject", times: slow, ..RequestRecord::default() };
        for wanted in ["status=404", "status=4xx", "min_ms=30", "operation=getobject", "code=NoSuchKey"] {
            assert!(filter(wanted).unwrap().wants(&record), "{wanted}");
        }
        for other in ["status=403", "status=5xx", "min_ms=31", "operation=PutObject", "code=NoSuchBucket"] {
            assert!(!filter(other).unwrap().wants(&record), "{other}");
        }
        for malformed in ["status=4", "status=600", "status=4x", "min_ms=-1", "request_id=zz"] {
            assert_eq!(filter(malformed), Err(ErrorCode::InvalidArgument), "{malformed}");
        }
    }
}
