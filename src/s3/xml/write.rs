//! The writer of XML answers: one `String` buffer, names of elements from the code, escaped text from the data.
//!
//! Characters that XML 1.0 forbids are written as character references, as S3 does: a key may hold them, and one such
//! key must not make its whole bucket unlistable.

use std::fmt::Write as _;

use myfsio_actors::names::Stamp;

/// Namespace of every S3 answer but `<Error>`.
pub const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";
/// The XML declaration that every document begins with.
pub const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// A document under construction. INVARIANT: what was written so far is well-formed but for the elements in `open`.
#[derive(Debug)]
pub struct XmlWriter {
    out: String,
    open: Vec<&'static str>,
}

impl XmlWriter {
    /// A document with this root element in the S3 namespace.
    pub fn new(root: &'static str) -> Self {
        Self::with_capacity(root, 512)
    }

    /// The same, with room for `bytes`.
    pub fn with_capacity(root: &'static str, bytes: usize) -> Self {
        Self::in_namespace(root, NAMESPACE, bytes)
    }

    /// A document with this root element in a namespace of its own.
    pub fn in_namespace(root: &'static str, namespace: &str, bytes: usize) -> Self {
        let mut writer = Self::bare(root, bytes);
        // The root's start tag was written last; reopen it for the namespace.
        writer.out.pop();
        writer.out.push_str(" xmlns=\"");
        writer.out.push_str(namespace);
        writer.out.push_str("\">");
        writer
    }

    /// A document whose root has no namespace, such as `<Error>`.
    pub fn bare(root: &'static str, bytes: usize) -> Self {
        let mut out = String::with_capacity(bytes + 128);
        out.push_str(DECLARATION);
        let mut writer = Self { out, open: Vec::with_capacity(4) };
        writer.open(root);
        writer
    }

    /// Opens an element.
    pub fn open(&mut self, name: &'static str) -> &mut Self {
        self.start(name);
        self.open.push(name);
        self
    }

    /// Opens an element of a type that it names itself (`xsi:type`).
    pub fn open_typed(&mut self, name: &'static str, kind: &'static str) -> &mut Self {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push_str(" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"");
        self.out.push_str(kind);
        self.out.push_str("\">");
        self.open.push(name);
        self
    }

    /// Closes the element that was opened last.
    pub fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.end(name);
        }
        self
    }

    /// An element with escaped text.
    pub fn text(&mut self, name: &'static str, text: &str) -> &mut Self {
        self.start(name);
        escape_into(&mut self.out, text);
        self.end(name);
        self
    }

    /// An element with escaped text, if there is any.
    pub fn text_if(&mut self, name: &'static str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// An element with a value whose printed form needs no escaping: numbers, ids, booleans.
    pub fn value(&mut self, name: &'static str, value: impl std::fmt::Display) -> &mut Self {
        self.start(name);
        // Writing to a String does not fail.
        let _ = write!(self.out, "{value}");
        self.end(name);
        self
    }

    /// An element with a key, prefix or marker, percent-encoded when the client asked for `encoding-type=url`.
    pub fn key(&mut self, name: &'static str, text: &str, url: bool) -> &mut Self {
        if !url {
            return self.text(name, text);
        }
        self.start(name);
        url_encode_into(&mut self.out, text);
        self.end(name);
        self
    }

    /// An element with an ETag in quotation marks.
    pub fn etag(&mut self, etag: impl std::fmt::Display) -> &mut Self {
        self.start("ETag");
        let _ = write!(self.out, "&quot;{etag}&quot;");
        self.end("ETag");
        self
    }

    /// An element with a time in UTC and whole seconds: `2006-02-03T16:45:09.000Z`.
    pub fn time(&mut self, name: &'static str, time: Stamp) -> &mut Self {
        self.start(name);
        time_into(&mut self.out, time);
        self.end(name);
        self
    }

    /// Closes what is open and gives the document.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn start(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn end(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

/// Appends `text` with markup escaped and characters illegal in XML 1.0 as references. A carriage return is escaped
/// too: a reader would turn a plain one into a line feed.
pub fn escape_into(out: &mut String, text: &str) {
    let mut rest = text;
    // U+FFFE and U+FFFF begin with 0xEF, the rest of the escaped characters are ASCII.
    while let Some(at) = rest.bytes().position(|b| matches!(b, b'<' | b'>' | b'&' | b'"' | 0xEF) || is_control(b)) {
        let (clean, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(clean);
        let mut characters = special.chars();
        match characters.next() {
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('&') => out.push_str("&amp;"),
            Some('"') => out.push_str("&quot;"),
            Some(c) if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(out, "&#x{:x};", u32::from(c));
            }
            Some(c) => out.push(c),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

fn is_control(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, b'\t' | b'\n')
}

/// A time as [`time_into`] writes it.
pub fn time_text(time: Stamp) -> String {
    let mut out = String::with_capacity(24);
    time_into(&mut out, time);
    out
}

/// Appends a time as `YYYY-MM-DDThh:mm:ss.000Z`. Whole seconds, so that it equals the `Last-Modified` header.
pub fn time_into(out: &mut String, time: Stamp) {
    seconds_into(out, time.seconds());
}

/// The same of seconds since the Unix epoch, which tell of times beyond those of a stamp.
pub fn seconds_text(seconds: u64) -> String {
    let mut out = String::with_capacity(24);
    seconds_into(&mut out, seconds);
    out
}

fn seconds_into(out: &mut String, seconds: u64) {
    let (year, month, day) = civil_from_days(seconds / 86_400);
    let in_day = seconds % 86_400;
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z");
}

/// Year, month and day of a day counted from 1970-01-01 in the proleptic Gregorian calendar. Years are counted from
/// March, so that the leap day is the last one, in eras of 400 years.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Appends `text` percent-encoded as `encoding-type=url` asks: RFC 3986 unreserved characters and `/` stay, a space
/// becomes `%20`.
pub fn url_encode_into(out: &mut String, text: &str) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or('0');
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::read;
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        escape_into(&mut out, text);
        out
    }

    fn encoded(text: &str) -> String {
        let mut out = String::new();
        url_encode_into(&mut out, text);
        out
    }

    fn time(seconds: u64) -> String {
        let mut out = String::new();
        time_into(&mut out, Stamp(seconds * 1_000_000_000 + 999_999_999));
        out
    }

    #[test]
    fn documents_nest() {
        let mut xml = XmlWriter::new("R");
        xml.text("K", "a<b").open("O").value("N", 7).close().etag("ab");
        assert_eq!(
            xml.finish(),
            format!(
                "{DECLARATION}<R xmlns=\"{NAMESPACE}\"><K>a&lt;b</K><O><N>7</N></O><ETag>&quot;ab&quot;</ETag></R>"
            )
        );
        let mut xml = XmlWriter::bare("Error", 0);
        xml.open("Left");
        assert_eq!(xml.finish(), format!("{DECLARATION}<Error><Left></Left></Error>"));
    }

    #[test]
    fn illegal_characters_become_references() {
        assert_eq!(escaped("a\u{1}\0\r\n\t\u{ffff}\u{fffd}é"), "a&#x1;&#x0;&#xd;\n\t&#xffff;\u{fffd}é");
    }

    #[test]
    fn times_are_iso_8601() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(1_138_985_109), "2006-02-03T16:45:09.000Z");
        assert_eq!(time(4_107_542_399), "2100-02-28T23:59:59.000Z");
        assert_eq!(time(4_107_542_400), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn url_encoding_keeps_slashes() {
        assert_eq!(encoded("a b/c+d~é*\0"), "a%20b/c%2Bd~%C3%A9%2A%00");
    }

    proptest! {
        #[test]
        fn any_text_survives(text in ".*|[\\x00-\\x20<>&\"'\\]\u{fffe}\u{ffff}]{0,40}") {
            let mut xml = XmlWriter::new("R");
            xml.text("K", &text);
            let root = read::parse(xml.finish().as_bytes(), "R").unwrap();
            prop_assert_eq!(&root.children[0].text, &text);
        }

        #[test]
        fn url_encoding_is_reversible(text in any::<String>()) {
            let encoded = encoded(&text);
            prop_assert!(encoded.is_ascii());
            let decoded = percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap();
            prop_assert_eq!(decoded.as_ref(), text.as_str());
        }

        #[test]
        fn times_agree_with_the_time_crate(seconds in 0u64..18_446_744_073) {
            let there = time::OffsetDateTime::from_unix_timestamp(seconds as i64).unwrap();
            let expected = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000Z",
                there.year(), u8::from(there.month()), there.day(), there.hour(), there.minute(), there.second()
            );
            let mut out = String::new();
            time_into(&mut out, Stamp(seconds.saturating_mul(1_000_000_000)));
            prop_assert_eq!(out, expected);
        }
    }
}
