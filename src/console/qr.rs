//! QR codes (ISO/IEC 18004) as paths of SVG. Pure.

use qrcodegen::{QrCode, QrCodeEcc};

/// Modules that stay light around a code, so that it is found (ISO/IEC 18004, section 5.3.8).
const QUIET: i32 = 4;

/// A code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Modules along a side, with what stays light around.
    pub side: i32,
    /// The dark ones, as a path (SVG 2, section 9.3).
    pub path: String,
}

/// The code of a text; none where it is longer than any code: some 2 950 bytes.
pub fn code(text: &str) -> Option<Code> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        let mut x = 0;
        while x < code.size() {
            let begin = x;
            while x < code.size() && code.get_module(x, y) {
                x += 1;
            }
            if x > begin {
                let dark = x - begin;
                path.push_str(&format!("M{},{}h{dark}v1h-{dark}z", begin + QUIET, y + QUIET));
            }
            x += 1;
        }
    }
    Some(Code { side: code.size() + 2 * QUIET, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_dark_modules() {
        let small = code("a").unwrap();
        assert_eq!(small.side, 21 + 2 * QUIET);
        // The finder pattern of the first corner: seven dark modules, one dark, one dark.
        assert!(small.path.starts_with("M4,4h7v1h-7z"), "{}", small.path);
        assert!(small.path.contains("M4,5h1v1h-1zM10,5h1v1h-1z"), "{}", small.path);
        assert!(code(&"x".repeat(2_900)).is_some());
        assert!(code(&"x".repeat(3_000)).is_none());
    }
}
