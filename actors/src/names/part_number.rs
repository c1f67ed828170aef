//! Part numbers of multipart uploads.

use std::fmt;

/// Highest part number (S3 User Guide, "Multipart upload limits").
pub const PART_NUMBER_MAX: u16 = 10_000;

/// A part number: 1 to 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartNumber(u16);

/// The number is not between 1 and 10 000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Part number must be an integer between 1 and 10000, inclusive")]
pub struct InvalidPartNumber;

impl PartNumber {
    /// Checks the range.
    pub fn new(number: u32) -> Result<Self, InvalidPartNumber> {
        match u16::try_from(number) {
            Ok(n) if (1..=PART_NUMBER_MAX).contains(&n) => Ok(Self(n)),
            _ => Err(InvalidPartNumber),
        }
    }

    /// Parses decimal digits; no sign, no spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidPartNumber> {
        if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidPartNumber);
        }
        text.parse().map_err(|_| InvalidPartNumber).and_then(Self::new)
    }

    /// The number, 1 to 10 000.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for PartNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_and_digits() {
        assert_eq!(PartNumber::parse("1").unwrap().get(), 1);
        assert_eq!(PartNumber::parse("10000").unwrap().get(), 10_000);
        for bad in ["", "0", "10001", "+1", "-1", " 1", "1.0", "65537", "4294967297"] {
            assert_eq!(PartNumber::parse(bad), Err(InvalidPartNumber), "{bad}");
        }
    }
}
