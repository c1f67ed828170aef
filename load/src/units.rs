//! Sizes and times as people write them.

use std::time::Duration;

/// Parses `4096`, `4K`, `4KiB`, `1M`, `5GiB`; all are powers of 1024. Errs with what is wrong.
pub fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match text.get(digits.len()..).unwrap_or_default().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err(format!("`{text}`: expected a size such as 4096, 4KiB or 64MiB")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}`: expected a size such as 4096, 4KiB or 64MiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is too large"))
}

/// Parses `500ms`, `10s`, `2m`, or seconds. Errs with what is wrong.
pub fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let wrong = || format!("`{text}`: expected a time such as 500ms, 10s or 2m");
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    match text.get(digits.len()..).unwrap_or_default() {
        "ms" => Ok(Duration::from_millis(number.into())),
        "" | "s" => Ok(Duration::from_secs(number.into())),
        "m" => Ok(Duration::from_secs(u64::from(number) * 60)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in
            [("0", 0), ("4096", 4096), ("4K", 4096), ("4KiB", 4096), ("64mib", 64 << 20), ("5G", 5 << 30)]
        {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
        for text in ["", "K", "4 KB", "4kb", "-1", "1.5M", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("10", 10_000), ("2m", 120_000)] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "s", "1h", "-1s", "1.5s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
