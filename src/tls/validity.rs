//! From when until when a certificate is valid (RFC 5280 §4.1.2.5), so that an operator is told before clients are.
//!
//! No more of the certificate is read than lies in front of that; everything else of it is the TLS library's.

use std::path::Path;

use myfsio_actors::names::Stamp;
use rustls::sign::CertifiedKey;
use time::{Date, Month, PrimitiveDateTime, Time};

/// How long before its end a certificate is warned of, and warned of again, in seconds.
const WARNED_SECONDS: (i64, i64) = (30 * 86_400, 7 * 86_400);

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// How a certificate stands to its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It begins later.
    NotYet,
    /// It is valid, and for longer than a month.
    Good,
    /// It ends within thirty days.
    EndsWithinMonth,
    /// It ends within seven days.
    EndsWithinWeek,
    /// It has ended.
    Over,
}

/// First and last second of a certificate, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    from: PrimitiveDateTime,
    until: PrimitiveDateTime,
}

impl Term {
    /// That of the certificate that stands first; none if it cannot be read.
    pub(super) fn of(pair: &CertifiedKey) -> Option<Self> {
        let (from, until) = pair.cert.first().and_then(|cert| validity(cert))?;
        Some(Self { from, until })
    }

    /// One of a test.
    #[cfg(test)]
    pub(crate) fn between(from: PrimitiveDateTime, until: PrimitiveDateTime) -> Self {
        Self { from, until }
    }

    /// The last second, since 1970.
    pub fn until_seconds(&self) -> i64 {
        self.until.assume_utc().unix_timestamp()
    }

    /// The last second, for people.
    pub fn until_text(&self) -> String {
        format!("{} UTC", self.until)
    }

    /// How it is at a time.
    pub fn standing(&self, now: Stamp) -> Standing {
        let now = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
        let left = self.until_seconds().saturating_sub(now);
        match left {
            _ if now < self.from.assume_utc().unix_timestamp() => Standing::NotYet,
            ..0 => Standing::Over,
            _ if left < WARNED_SECONDS.1 => Standing::EndsWithinWeek,
            _ if left < WARNED_SECONDS.0 => Standing::EndsWithinMonth,
            _ => Standing::Good,
        }
    }

    /// Warns of a certificate that is not valid, or not much longer.
    pub(super) fn tell(&self, standing: Standing, file: &Path) {
        let (file, from, until) = (file.display(), self.from, self.until);
        match standing {
            Standing::NotYet => tracing::warn!(%file, %from, "the TLS certificate is not valid yet"),
            Standing::Good => tracing::debug!(%file, %until, "the TLS certificate"),
            Standing::EndsWithinMonth => tracing::warn!(%file, %until, "the TLS certificate ends within 30 days"),
            Standing::EndsWithinWeek => tracing::warn!(%file, %until, "the TLS certificate ends within 7 days"),
            Standing::Over => tracing::error!(%file, %until, "the TLS certificate has expired: clients refuse it"),
        }
    }
}

/// First and last second, in UTC.
fn validity(certificate: &[u8]) -> Option<(PrimitiveDateTime, PrimitiveDateTime)> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if let Some((_, behind)) = element(rest, VERSION) {
        rest = behind;
    }
    // Serial number, signature algorithm, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = element(rest, tag)?.1;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (from, rest) = moment(validity)?;
    let (until, _) = moment(rest)?;
    Some((from, until))
}

/// The content of the element that stands first, if it has this tag, and what is behind it (X.690 §8.1).
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let digits = usize::from(first & 0x7f);
        if !(1..=3).contains(&digits) {
            return None;
        }
        let (number, behind) = rest.split_at_checked(digits)?;
        length = number.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = behind;
    }
    let (content, behind) = rest.split_at_checked(length)?;
    (found == tag).then_some((content, behind))
}

fn moment(bytes: &[u8]) -> Option<(PrimitiveDateTime, &[u8])> {
    let (text, century_digits, rest) = match element(bytes, UTC_TIME) {
        Some((text, rest)) => (text, 2, rest),
        None => element(bytes, GENERALIZED_TIME).map(|(text, rest)| (text, 4, rest))?,
    };
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest_of_text) = text.split_at_checked(century_digits)?;
    let year: i32 = year.parse().ok()?;
    let year = match century_digits {
        2 if year >= 50 => 1900 + year,
        2 => 2000 + year,
        _ => year,
    };
    let mut numbers = rest_of_text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok()?.parse::<u8>().ok());
    let mut next = || numbers.next().flatten();
    let date = Date::from_calendar_date(year, Month::try_from(next()?).ok()?, next()?).ok()?;
    let time = Time::from_hms(next()?, next()?, next()?).ok()?;
    Some((PrimitiveDateTime::new(date, time), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use time::macros::datetime;

    use super::*;

    fn fixture(name: &str) -> CertificateDer<'static> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name);
        CertificateDer::from_pem_file(path).unwrap()
    }

    #[test]
    fn certificates_tell_their_time() {
        let node = validity(&fixture("node.pem")).unwrap();
        assert_eq!(node, (datetime!(2026-01-01 0:00), datetime!(2126-01-01 0:00)));
        let expired = validity(&fixture("expired.pem")).unwrap();
        assert_eq!(expired, (datetime!(2020-01-01 0:00), datetime!(2021-01-01 0:00)));
    }

    #[test]
    fn a_certificate_is_warned_of_before_it_ends() {
        let term = Term { from: datetime!(2020-01-01 0:00), until: datetime!(2021-01-01 0:00) };
        for (at, standing) in [
            (datetime!(2019-12-31 23:59:59), Standing::NotYet),
            (datetime!(2020-01-01 0:00), Standing::Good),
            (datetime!(2020-12-02 0:00), Standing::Good),
            (datetime!(2020-12-02 0:00:01), Standing::EndsWithinMonth),
            (datetime!(2020-12-25 0:00), Standing::EndsWithinMonth),
            (datetime!(2020-12-25 0:00:01), Standing::EndsWithinWeek),
            (datetime!(2021-01-01 0:00), Standing::EndsWithinWeek),
            (datetime!(2021-01-01 0:00:01), Standing::Over),
        ] {
            let now = Stamp(u64::try_from(at.assume_utc().unix_timestamp()).unwrap() * 1_000_000_000);
            assert_eq!(term.standing(now), standing, "{at}");
        }
        assert_eq!(term.until_seconds(), 1_609_459_200);
    }

    proptest! {
        #[test]
        fn what_is_no_certificate_tells_nothing(cut in 0usize..600, at in 0usize..600, byte: u8) {
            let whole = fixture("node.pem");
            prop_assert!(validity(&whole[..cut.min(120)]).is_none());
            let mut changed = whole.to_vec();
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            let _any = validity(&changed);
        }
    }
}
