//! The arithmetic of signatures: dates, credential scopes, the signing key and the signatures made with it.
//!
//! INVARIANT: signatures are compared in constant time only, by [`same_secret`]; no secret appears in `Debug` output.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use myfsio_actors::names::Stamp;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{Date, Month, OffsetDateTime};

/// The algorithm that S3 clients name in headers, queries and forms.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Lower-case hexadecimal SHA-256 of no bytes.
pub const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// HMAC-SHA256 of `message`.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so the error case cannot occur; should it, no signature matches an empty key's.
    let Ok(mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.chain_update(message).finalize().into_bytes().into()
}

/// HMAC-SHA1 of `message`, the signature of Version 2.
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    // As above, no key is refused.
    let Ok(mac) = <Hmac<Sha1> as KeyInit>::new_from_slice(key) else {
        return [0; 20];
    };
    mac.chain_update(message).finalize().into_bytes().into()
}

/// 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexDigest([u8; 64]);

impl HexDigest {
    fn of(digest: [u8; 32]) -> Self {
        let mut digits = [b'0'; 64];
        // Exactly as many digits as there is room for.
        let _ = hex::encode_to_slice(digest, &mut digits);
        Self(digits)
    }

    /// The SHA-256 of bytes.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Sha256::digest(bytes).into())
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        // Digits are text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Lower-case hexadecimal SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    HexDigest::sha256(bytes).as_str().to_owned()
}

/// Whether two secrets are the same bytes, in time that depends on their lengths only. Eight bytes at a time, where the crate takes one.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    let (words, rest) = a.as_chunks::<8>();
    let (other_words, other_rest) = b.as_chunks::<8>();
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    let same = words.iter().zip(other_words).fold(Choice::from(1), |same, (a, b)| same & word(a).ct_eq(&word(b)));
    a.len() == b.len() && bool::from(same & rest.ct_eq(other_rest))
}

/// Credential scope: date, region, service (SigV4, "Credential"), as the one text in which it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// `YYYYMMDD/region/service/aws4_request`.
    text: String,
    /// Bytes of the region.
    region: usize,
}

/// Bytes of the day in front of a scope.
const DAY: usize = 8;
/// What a scope ends with.
const TERMINATOR: &str = "aws4_request";

impl Scope {
    /// A scope of a day, which is 8 digits, a region and a service.
    pub fn new(date: &str, region: &str, service: &str) -> Self {
        Self { text: [date, "/", region, "/", service, "/", TERMINATOR].concat(), region: region.len() }
    }

    /// The whole of it, as it is signed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Day as `YYYYMMDD`.
    pub fn date(&self) -> &str {
        self.text.get(..DAY).unwrap_or_default()
    }

    /// Region.
    pub fn region(&self) -> &str {
        self.text.get(DAY + 1..DAY + 1 + self.region).unwrap_or_default()
    }

    /// Service.
    pub fn service(&self) -> &str {
        let end = self.text.len().saturating_sub(TERMINATOR.len() + 1);
        self.text.get(DAY + 2 + self.region..end).unwrap_or_default()
    }

    /// Splits `access-key-id/date/region/service/aws4_request`. `None` when a part is missing or malformed.
    pub fn parse_credential(credential: &str) -> Option<(&str, Self)> {
        // From the right: the scope's parts cannot hold a slash, whatever stands before them.
        let mut slashes = memchr::memrchr_iter(b'/', credential.as_bytes());
        let (_, behind_region, behind_date) = (slashes.next()?, slashes.next()?, slashes.next()?);
        let begin = slashes.next()? + 1;
        let (access_key_id, text) = (credential.get(..begin - 1)?, credential.get(begin..)?);
        let date = credential.get(begin..behind_date)?;
        let dated = date.len() == DAY && date.bytes().all(|b| b.is_ascii_digit());
        let is_ended = text.strip_suffix(TERMINATOR).is_some_and(|rest| rest.ends_with('/'));
        let region = behind_region - behind_date - 1;
        let good = is_ended && dated && !access_key_id.is_empty();
        good.then(|| (access_key_id, Self { text: text.to_owned(), region }))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The key derived from a secret access key for one scope, as HMAC has taken it in: that costs as much as to sign a short text.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// Derives the key (SigV4, "Derive a signing key").
    pub fn derive(secret: &str, scope: &Scope) -> Self {
        let date = hmac_sha256(format!("AWS4{secret}").as_bytes(), scope.date().as_bytes());
        let region = hmac_sha256(&date, scope.region().as_bytes());
        let service = hmac_sha256(&region, scope.service().as_bytes());
        // A key that is shorter than a block is filled up with zeros (RFC 2104 §2).
        let (mut block, key) = ([0; 64], hmac_sha256(&service, TERMINATOR.as_bytes()));
        block.iter_mut().zip(key).for_each(|(byte, of_key)| *byte = of_key);
        Self(<Hmac<Sha256> as KeyInit>::new(&block.into()))
    }

    /// The signature of a string to sign: 64 lower-case hexadecimal digits.
    pub fn sign(&self, string_to_sign: &[u8]) -> String {
        HexDigest::of(self.0.clone().chain_update(string_to_sign).finalize().into_bytes().into()).as_str().to_owned()
    }

    /// The same of a string in pieces, for those who only compare. They are gathered, since each update costs as much as a copy.
    pub fn signature_of(&self, pieces: &[&str]) -> HexDigest {
        let (mut mac, mut gathered, mut length) = (self.0.clone(), [0; 192], 0);
        for piece in pieces.iter().map(|piece| piece.as_bytes()) {
            if gathered.len() - length < piece.len() {
                mac.update(gathered.get(..length).unwrap_or_default());
                length = 0;
            }
            match gathered.get_mut(length..length + piece.len()) {
                Some(room) => {
                    room.copy_from_slice(piece);
                    length += piece.len();
                }
                None => mac.update(piece),
            }
        }
        mac.update(gathered.get(..length).unwrap_or_default());
        HexDigest::of(mac.finalize().into_bytes().into())
    }
}

/// A time as SigV4 writes it, `YYYYMMDD'T'HHMMSS'Z'`, with the second it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmzDate {
    /// The 16 characters.
    pub text: String,
    /// Seconds since the Unix epoch.
    pub seconds: i64,
}

impl AmzDate {
    /// Parses the basic ISO 8601 form.
    pub fn parse(text: &str) -> Option<Self> {
        let shaped = text.len() == 16
            && text.bytes().enumerate().all(|(i, b)| match i {
                8 => b == b'T',
                15 => b == b'Z',
                _ => b.is_ascii_digit(),
            });
        if !shaped {
            return None;
        }
        // All are digits, by the check above.
        let number = |at: usize, length: usize| {
            let digits = text.as_bytes().get(at..at + length)?;
            Some(digits.iter().fold(0, |number: u16, digit| number * 10 + u16::from(digit - b'0')))
        };
        let two = |at: usize| number(at, 2).and_then(|value| u8::try_from(value).ok());
        let month = Month::try_from(two(4)?).ok()?;
        let day = Date::from_calendar_date(number(0, 4)?.into(), month, two(6)?).ok()?;
        let seconds = day.with_hms(two(9)?, two(11)?, two(13)?).ok()?.assume_utc().unix_timestamp();
        Some(Self { text: text.into(), seconds })
    }

    /// Parses a `Date` or `x-amz-date` header as signing clients write it: the basic ISO 8601 form, an HTTP date (RFC 9110
    /// §5.6.7), or a mail date (RFC 5322 §3.3), whose zone may be in digits. A wrong day of the week is overlooked; a time
    /// before 1970 is none.
    pub fn parse_header(text: &str) -> Option<Self> {
        let http = || Some(OffsetDateTime::from(httpdate::parse_http_date(text).ok()?));
        let without_weekday = || text.split_once(',').map_or(text, |(_, rest)| rest).trim();
        let mail = || OffsetDateTime::parse(without_weekday(), &Rfc2822).ok();
        Self::parse(text)
            .or_else(|| Self::from_seconds(http().or_else(mail)?.unix_timestamp()))
            .filter(|date| date.seconds >= 0)
    }

    /// The date of a second.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let text = OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(format).ok()?;
        Some(Self { text, seconds })
    }

    /// The day, `YYYYMMDD`.
    pub fn day(&self) -> &str {
        self.text.get(..8).unwrap_or_default()
    }
}

/// Whole seconds of a stamp, signed for differences.
pub fn seconds_of(now: Stamp) -> i64 {
    i64::try_from(now.seconds()).unwrap_or(i64::MAX)
}

/// A second as S3's error fields write it, `YYYY-MM-DDTHH:MM:SSZ`.
pub fn iso8601(seconds: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(format).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_split_from_the_right() {
        let (id, scope) = Scope::parse_credential("AKID/20130524/us-east-1/s3/aws4_request").unwrap();
        assert_eq!((id, scope.to_string().as_str()), ("AKID", "20130524/us-east-1/s3/aws4_request"));
        for bad in ["", "AKID", "/20130524/r/s3/aws4_request", "A/2013052/r/s3/aws4_request", "A/20130524/r/s3/aws4"] {
            assert!(Scope::parse_credential(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_string_in_pieces_has_the_signature_of_the_whole() {
        let key = SigningKey::derive("secret", &Scope::new("20130524", "us-east-1", "s3"));
        let [long, whole, longer] = [150, 192, 500].map(|length| "r".repeat(length));
        let pieces: [&[&str]; 7] = [
            &[],
            &["", "a", "b"],
            &[&long, "a", &long, "b"],
            &["a", &longer, "b"],
            &[&longer, &long],
            &[&whole, &whole, "a"],
            &[&long, &long[..42], "", "a"],
        ];
        for pieces in pieces {
            assert_eq!(key.signature_of(pieces).as_str(), key.sign(pieces.concat().as_bytes()), "{pieces:?}");
        }
    }

    #[test]
    fn secrets_are_the_same_in_each_byte() {
        for length in [0, 1, 7, 8, 9, 16, 64] {
            let secret = vec![b'a'; length];
            assert!(same_secret(&secret, &secret.clone()), "{length}");
            assert!(!same_secret(&secret, &[secret.clone(), vec![b'a']].concat()), "{length}");
            for at in 0..length {
                let mut other = secret.clone();
                other[at] ^= 1;
                assert!(!same_secret(&secret, &other), "{length} {at}");
            }
        }
    }

    #[test]
    fn dates_are_strict() {
        let date = AmzDate::parse("20130524T000000Z").unwrap();
        assert_eq!((date.seconds, date.day()), (1_369_353_600, "20130524"));
        for text in ["20130524T000000Z", "Fri, 24 May 2013 00:00:00 GMT", "Fri, 24 May 2013 00:00:00 -0000"] {
            assert_eq!(AmzDate::parse_header(text).unwrap(), date, "{text}");
        }
        assert!(AmzDate::parse_header("Fri, 24 May 1963 00:00:00 GMT").is_none());
        for bad in ["", "20130524T000000", "20131324T000000Z", "+0130524T000000Z", "2013-05-24T00:00Z"] {
            assert!(AmzDate::parse(bad).is_none(), "{bad}");
        }
        for bad in ["20130230T000000Z", "20130524T240000Z", "20130524T006000Z", "20130524T000060Z", "20130024T000000Z"]
        {
            assert!(AmzDate::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(iso8601(date.seconds), "2013-05-24T00:00:00Z");
    }
}
