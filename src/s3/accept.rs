//! Whether a client of a JSON route would rather read errors as XML (RFC 9110 §12.5.1, Accept). Pure.

use actix_web::http::header::HeaderMap;

/// Whether XML is asked for: liked better than JSON. Who says nothing, or likes both alike, gets JSON.
pub fn prefers_xml(headers: &HeaderMap) -> bool {
    let quality = |kind, subtype| {
        headers.get_all("accept").filter_map(|value| value.to_str().ok()).fold(Liking::default(), |liking, value| {
            value.split(',').fold(liking, |liking, range| liking.heed(range, kind, subtype))
        })
    };
    let json = quality("application", "json").thousandths;
    quality("application", "xml").thousandths.max(quality("text", "xml").thousandths) > json
}

/// How much a media type is liked, by the most specific range that covers it.
#[derive(Debug, Clone, Copy, Default)]
struct Liking {
    specificity: u8,
    thousandths: u16,
}

impl Liking {
    fn heed(self, range: &str, kind: &str, subtype: &str) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let (its_kind, its_subtype) = parts.next().and_then(|name| name.split_once('/')).unwrap_or_default();
        let specificity = match (its_kind, its_subtype) {
            ("*", "*") => 1,
            (its_kind, "*") if its_kind.eq_ignore_ascii_case(kind) => 2,
            (its_kind, its_subtype)
                if its_kind.eq_ignore_ascii_case(kind) && its_subtype.eq_ignore_ascii_case(subtype) =>
            {
                3
            }
            _ => return self,
        };
        let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")));
        let thousandths = weight.map_or(1000, thousandths);
        if specificity > self.specificity { Self { specificity, thousandths } } else { self }
    }
}

/// A weight (RFC 9110 §12.4.2) in thousandths; one that is none counts as 0.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match whole {
        "1" => 1000,
        "0" if fraction.len() <= 3 && digits(fraction) => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{ACCEPT, HeaderValue};

    use super::*;

    #[test]
    fn json_unless_xml_is_liked_better() {
        for (accept, expected) in [
            (&[][..], false),
            (&["*/*"], false),
            (&["application/json"], false),
            (&["application/xml"], true),
            (&["Text/XML; charset=utf-8"], true),
            (&["application/xml", "application/json"], false),
            (&["application/json;q=0.5, application/xml"], true),
            (&["application/*;q=0.9, text/xml;q=0.95"], true),
            (&["application/xml;q=0, */*"], false),
            (&["application/json;q=0, */*;q=0.001"], true),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], true),
            (&["application/xml;q=x"], false),
            (&["xml"], false),
            (&[",;,/,"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, HeaderValue::from_static(value));
            }
            assert_eq!(prefers_xml(&headers), expected, "{accept:?}");
        }
    }
}
