//! Numbers and times as people read them.

use myfsio_actors::names::Stamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Bytes in units of 1024, three digits at least: `1.44 MiB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"KiB");
    while value >= 1023.95 {
        let Some(next) = units.next() else { break };
        value /= 1024.0;
        unit = next;
    }
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$} {unit}")
}

/// A whole number in groups of three: `12 345`, with spaces that do not break.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{a0}');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things, with the word for one and for many.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", count(number), if number == 1 { one } else { many })
}

/// A part of a whole in percent, 0 to 100.
pub fn percent(part: u64, whole: u64) -> u8 {
    if whole == 0 {
        return 0;
    }
    let share = u128::from(part) * 100 / u128::from(whole);
    u8::try_from(share.min(100)).unwrap_or(100)
}

/// A moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// For machines: RFC 3339.
    pub iso: String,
    /// For people: to the second, UTC.
    pub text: String,
}

impl When {
    /// Of a stamp.
    pub fn of(stamp: Stamp) -> Self {
        Self::of_seconds(stamp.seconds())
    }

    /// A time as RFC 3339 writes it; what is none stays as it is, and is nothing to machines.
    pub fn told(text: &str) -> Self {
        let none = || Self { iso: String::new(), text: legible(text) };
        Stamp::parse_rfc3339(text).map_or_else(none, Self::of)
    }

    /// The same in words alone.
    pub fn legible(text: &str) -> String {
        Self::told(text).text
    }

    /// Of seconds since 1970, before the year 10000.
    pub fn of_seconds(seconds: u64) -> Self {
        let time = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let iso = time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default();
        let text = iso.replace('T', " ").replace('Z', " UTC");
        Self { iso, text }
    }
}

/// How long: `3 days`, `2 hours`, the largest unit alone.
pub fn lasting(seconds: u64) -> String {
    match seconds {
        0..60 => counted(seconds, "second", "seconds"),
        60..3_600 => counted(seconds / 60, "minute", "minutes"),
        3_600..86_400 => counted(seconds / 3_600, "hour", "hours"),
        _ => counted(seconds / 86_400, "day", "days"),
    }
}

/// Text with characters made visible that would change how what is around it reads: control characters, and those that turn the
/// direction of writing.
pub fn legible(text: &str) -> String {
    let shown = |c: char| -> String {
        match c {
            '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}').to_string(),
            '\u{7f}' => '\u{2421}'.to_string(),
            '\u{80}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' => format!("⟨U+{:04X}⟩", u32::from(c)),
            _ => c.to_string(),
        }
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10 * 1024, "10.0 KiB"),
            (150 * 1024, "150 KiB"),
            (1024 * 1024 - 1, "1.00 MiB"),
            (5 << 40, "5.00 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        assert_eq!(count(1_234_567), "1\u{a0}234\u{a0}567");
        assert_eq!(counted(1, "object", "objects"), "1\u{a0}object");
        assert_eq!((percent(1, 3), percent(5, 0), percent(9, 3)), (33, 0, 100));
    }

    #[test]
    fn times() {
        let when = When::of_seconds(1_764_144_000);
        assert_eq!((when.iso.as_str(), when.text.as_str()), ("2025-11-26T08:00:00Z", "2025-11-26 08:00:00 UTC"));
        assert_eq!(When::of_seconds(253_402_300_799).iso, "9999-12-31T23:59:59Z");
        assert_eq!(When::told("2025-11-26T08:00:00.5Z"), when);
        assert_eq!(When::legible("soon\n"), "soon␊");
        assert_eq!(lasting(7_200), "2\u{a0}hours");
    }

    #[test]
    fn what_would_mislead_is_shown() {
        assert_eq!(legible("a\n\u{202e}b\u{0}ä"), "a␊⟨U+202E⟩b␀ä");
    }
}
