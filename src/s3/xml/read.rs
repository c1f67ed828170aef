//! The one reader of XML request documents.
//!
//! It takes a whole body (the caller has bounded its size) and gives a tree of elements by their local names: clients
//! write the S3 namespace as default, under a prefix of their own, or not at all, and S3 takes all three. DTDs and
//! entities other than the five predefined ones are refused, so a document can never expand beyond its own size; depth,
//! elements and attributes are counted, so it cannot cost more memory or time than its size suggests.

use std::fmt;

use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};

use crate::s3::error::{ErrorCode, S3Error};

/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 20;
/// Most elements of a document; a Complete request of 10 000 parts with all their checksums stays below.
pub const ELEMENTS_MAX: usize = 100_000;
/// Most attributes of an element; duplicates among them are looked for pairwise.
const ATTRIBUTES_MAX: usize = 16;
/// More children than any element has of which each may stand once.
const FIELDS_MAX: usize = 32;

/// Why a body is not a document that S3 takes. The client sees `MalformedXML`; the reason goes to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MalformedXml(String);

impl MalformedXml {
    /// A refusal with its reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for MalformedXml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MalformedXml {}

impl From<MalformedXml> for S3Error {
    fn from(error: MalformedXml) -> Self {
        Self::new(ErrorCode::MalformedXML).because(error)
    }
}

/// An element: local name, its type, its text (references resolved, CDATA joined in), and child elements in document order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// Name without namespace prefix.
    pub name: String,
    /// What its attribute `xsi:type` says, under whatever prefix.
    pub kind: Option<String>,
    /// All character data directly inside, verbatim but for XML's line-end rule.
    pub text: String,
    /// Child elements.
    pub children: Vec<Element>,
}

impl Element {
    /// The text of an element that must not have children.
    pub fn leaf(&self) -> Result<&str, MalformedXml> {
        match self.children.first() {
            None => Ok(&self.text),
            Some(child) => Err(MalformedXml::new(format!("{} inside {}", child.name, self.name))),
        }
    }

    /// The children of an element that must not have text of its own.
    pub fn branch(&self) -> Result<&[Element], MalformedXml> {
        if is_blank(&self.text) {
            Ok(&self.children)
        } else {
            Err(MalformedXml::new(format!("text directly inside {}", self.name)))
        }
    }

    /// The same where each may stand once, so that of two that contradict each other none is passed over.
    pub fn fields(&self) -> Result<&[Element], MalformedXml> {
        let fields = self.branch()?;
        let stands_again =
            |at: usize, field: &Element| fields.iter().skip(at + 1).any(|other| other.name == field.name);
        match fields.iter().take(FIELDS_MAX).enumerate().find(|(at, field)| stands_again(*at, field)) {
            None if fields.len() <= FIELDS_MAX => Ok(fields),
            None => Err(MalformedXml::new(format!("too many elements inside {}", self.name))),
            Some((_, field)) => Err(MalformedXml::new(format!("{} stands twice inside {}", field.name, self.name))),
        }
    }

    /// The refusal of an element that does not belong here.
    pub fn unexpected(&self) -> MalformedXml {
        MalformedXml::new(format!("unexpected element {}", self.name))
    }
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Reads a document whose root element is called `root`. Errs on anything that is not well-formed, on DTDs, on unknown
/// entities, and beyond the limits.
pub fn parse(body: &[u8], root: &str) -> Result<Element, MalformedXml> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = std::str::from_utf8(body).map_err(|e| MalformedXml::new(format!("not UTF-8: {e}")))?;
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.check_end_names = true;
    config.check_comments = true;
    let mut tree = Tree::default();
    loop {
        match reader.read_event().map_err(|e| MalformedXml::new(e.to_string()))? {
            Event::Start(start) => tree.open(&start)?,
            Event::End(_) => tree.close()?,
            Event::Text(part) => tree.text(&part.xml10_content())?,
            Event::CData(part) => tree.cdata(&part.xml10_content())?,
            Event::GeneralRef(reference) => tree.reference(&reference)?,
            Event::Decl(declaration) => check_encoding(declaration.encoding().transpose().ok().flatten().as_deref())?,
            Event::Comment(_) | Event::PI(_) => {}
            Event::DocType(_) => return Err(MalformedXml::new("a DTD is not accepted")),
            // Not produced with `expand_empty_elements`.
            Event::Empty(start) => return Err(MalformedXml::new(format!("unexpected {start:?}"))),
            Event::Eof => break,
        }
    }
    let element = tree.finish()?;
    if element.name == root { Ok(element) } else { Err(element.unexpected()) }
}

fn check_encoding(declared: Option<&str>) -> Result<(), MalformedXml> {
    match declared {
        None => Ok(()),
        Some(name) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => Ok(()),
        Some(name) => Err(MalformedXml::new(format!("encoding {name} is not accepted"))),
    }
}

/// The tree under construction.
#[derive(Default)]
struct Tree {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Tree {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), MalformedXml> {
        self.elements += 1;
        if self.root.is_some() {
            return Err(MalformedXml::new("a second root element"));
        }
        if self.open.len() >= DEPTH_MAX || self.elements > ELEMENTS_MAX {
            return Err(MalformedXml::new("too deep or too many elements"));
        }
        let mut kind = None;
        for (count, attribute) in start.attributes().enumerate() {
            let malformed = || MalformedXml::new("malformed or too many attributes");
            let attribute = attribute.ok().filter(|_| count < ATTRIBUTES_MAX).ok_or_else(malformed)?;
            let (name, prefix) = attribute.key.decompose();
            if prefix.is_some() && name.as_ref() == "type" {
                kind = Some(attribute.value.to_string());
            }
        }
        let name = start.local_name();
        let name: &str = name.as_ref();
        if name.is_empty() {
            return Err(MalformedXml::new("an element without name"));
        }
        self.open.push(Element { name: name.to_owned(), kind, ..Element::default() });
        Ok(())
    }

    fn close(&mut self) -> Result<(), MalformedXml> {
        let Some(element) = self.open.pop() else {
            return Err(MalformedXml::new("an end tag without start tag"));
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), MalformedXml> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if is_blank(text) => {}
            None => return Err(MalformedXml::new("text outside the root element")),
        }
        Ok(())
    }

    fn cdata(&mut self, text: &str) -> Result<(), MalformedXml> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None => return Err(MalformedXml::new("text outside the root element")),
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), MalformedXml> {
        let character = match &**reference {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            other => match other.strip_prefix('#').and_then(character_of) {
                Some(character) => character,
                None => return Err(MalformedXml::new("an unknown entity or character reference")),
            },
        };
        match self.open.last_mut() {
            Some(element) => element.text.push(character),
            None => return Err(MalformedXml::new("text outside the root element")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, MalformedXml> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(MalformedXml::new("the document ends early")),
        }
    }
}

/// The character that a reference names. Wider than XML 1.0: S3 keys may hold control characters, listings give them as
/// references, and a client must be able to send those back.
fn character_of(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text_of(body: &str) -> Result<String, MalformedXml> {
        parse(body.as_bytes(), "a").map(|e| e.text)
    }

    #[test]
    fn namespaces_comments_cdata_and_references() {
        for body in [
            "<a>x&y</a>".replace("x&y", "x&amp;y"),
            "<a><![CDATA[x&y]]></a>".to_owned(),
            "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- c --><a xmlns=\"urn:x\">x<!-- c -->&#38;y</a>\n"
                .to_owned(),
            "<s3:a xmlns:s3='http://s3.amazonaws.com/doc/2006-03-01/'>x&#x26;y</s3:a >".to_owned(),
        ] {
            assert_eq!(text_of(&body).unwrap(), "x&y", "{body}");
        }
        assert_eq!(text_of("<a>&#1;&#x0;&#13;&lt;&gt;&quot;&apos;</a>").unwrap(), "\u{1}\0\r<>\"'");
        assert_eq!(text_of("<a> \r\n </a>").unwrap(), " \n ");
        assert_eq!(text_of("<a/>").unwrap(), "");
    }

    #[test]
    fn what_is_refused() {
        for body in [
            "",
            " ",
            "a",
            "<a>",
            "</a>",
            "<a></b>",
            "<b></b>",
            "<a></a><a></a>",
            "<a></a>x",
            "x<a></a>",
            "<a>&foo;</a>",
            "<a>&#xZ;</a>",
            "<a>&#;</a>",
            "<a>&#+1;</a>",
            "<a>&#xD800;</a>",
            "<a>&</a>",
            "<a>a & b</a>",
            "<a b=c></a>",
            "<a b='1' b='2'></a>",
            "<a><!-- -- --></a>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<!DOCTYPE a><a></a>",
            "<a><![CDATA[x</a>",
            "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a></a>",
            "<a></a>&amp;",
        ] {
            assert!(text_of(body).is_err(), "{body}");
        }
        assert!(parse(b"<a>\xff</a>", "a").is_err());
    }

    #[test]
    fn limits_hold() {
        let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        assert!(text_of(&nested(DEPTH_MAX)).is_ok());
        assert!(text_of(&nested(DEPTH_MAX + 1)).is_err());
        let wide = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n));
        assert!(text_of(&wide(ELEMENTS_MAX - 1)).is_ok());
        assert!(text_of(&wide(ELEMENTS_MAX)).is_err());
        let attributes: String = (0..1000).map(|i| format!(" a{i}=''")).collect();
        assert!(text_of(&format!("<a{attributes}/>")).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes, "a");
        }

        #[test]
        fn never_panics_on_markup(text in "[<>/a&;#x0-9!\\[\\]CDAT\" =?-]{0,60}") {
            let _ = parse(text.as_bytes(), "a");
        }
    }
}
