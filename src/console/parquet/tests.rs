use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Writes the compact protocol, as far as these tests take it.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    last: Vec<i16>,
}

impl Writer {
    fn open(mut self) -> Self {
        self.last.push(0);
        self
    }

    fn close(mut self) -> Self {
        self.last.pop();
        self.bytes.push(0);
        self
    }

    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        self.bytes.push(u8::try_from(value).unwrap());
        self
    }

    fn head(mut self, number: i16, code: u8) -> Self {
        let last = self.last.last_mut().unwrap();
        let further = number - *last;
        *last = number;
        match u8::try_from(further) {
            Ok(further @ 1..=15) => {
                self.bytes.push(further << 4 | code);
                self
            }
            _ => {
                self.bytes.push(code);
                let value = i64::from(number);
                self.varint(((value << 1) ^ (value >> 63)).cast_unsigned())
            }
        }
    }

    fn number(self, number: i16, value: i64) -> Self {
        self.head(number, 6).varint(((value << 1) ^ (value >> 63)).cast_unsigned())
    }

    fn text(mut self, number: i16, text: &[u8]) -> Self {
        self = self.head(number, 8).varint(text.len() as u64);
        self.bytes.extend_from_slice(text);
        self
    }

    fn list(mut self, number: i16, code: u8, size: usize) -> Self {
        self = self.head(number, 9);
        match u8::try_from(size) {
            Ok(size @ 0..15) => {
                self.bytes.push(size << 4 | code);
                self
            }
            _ => {
                self.bytes.push(0xf0 | code);
                self.varint(size as u64)
            }
        }
    }
}

/// A tree of columns: a name, and what is below it.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(String),
    Group(String, Vec<Tree>),
}

impl Tree {
    fn size(&self) -> usize {
        match self {
            Self::Leaf(_) => 1,
            Self::Group(_, below) => 1 + below.iter().map(Self::size).sum::<usize>(),
        }
    }

    fn write(&self, writer: Writer) -> Writer {
        match self {
            Self::Leaf(name) => writer.open().number(1, 2).number(3, 1).text(4, name.as_bytes()).close(),
            Self::Group(name, below) => {
                let writer = writer.open().number(3, 0).text(4, name.as_bytes()).number(5, below.len() as i64).close();
                below.iter().fold(writer, |writer, tree| tree.write(writer))
            }
        }
    }

    fn told(&self, depth: usize, into: &mut Vec<(String, usize, String)>) {
        match self {
            Self::Leaf(name) => into.push((name.clone(), depth, "int64".to_owned())),
            Self::Group(name, below) => {
                into.push((name.clone(), depth, "group".to_owned()));
                below.iter().for_each(|tree| tree.told(depth + 1, into));
            }
        }
    }
}

fn trees() -> impl Strategy<Value = Vec<Tree>> {
    let leaf = "[a-zä]{0,5}".prop_map(Tree::Leaf);
    let tree = leaf.prop_recursive(4, 40, 6, |inner| {
        ("[a-z]{1,5}", vec(inner, 0..6)).prop_map(|(name, below)| Tree::Group(name, below))
    });
    vec(tree, 0..20)
}

/// A footer of these columns, with so many groups of so many bytes each.
fn footer(columns: &[Tree], rows: i64, groups: usize, bytes: i64) -> Vec<u8> {
    let size = 1 + columns.iter().map(Tree::size).sum::<usize>();
    let mut writer = Writer::default().open().number(1, 2).list(2, 12, size);
    writer = writer.open().text(4, b"schema").number(5, columns.len() as i64).close();
    writer = columns.iter().fold(writer, |writer, tree| tree.write(writer));
    writer = writer.number(3, rows).list(4, 12, groups);
    for _ in 0..groups {
        writer = writer.open().list(1, 12, 1);
        writer = writer.open().number(2, 4).head(3, 12).open().number(1, 2).number(4, 6).number(7, 10).close().close();
        writer = writer.number(2, bytes).number(3, 7).close();
    }
    writer.text(6, b"written by a test").close().bytes
}

proptest! {
    #[test]
    fn what_was_written_is_read(columns in trees(), rows in 0..i64::MAX, groups in 0..20_usize, bytes in 0..1_i64 << 40) {
        let footer = footer(&columns, rows, groups, bytes);
        let summary = read(&footer).unwrap();
        let mut expected = Vec::new();
        columns.iter().for_each(|tree| tree.told(0, &mut expected));
        let found: Vec<_> = summary.columns.iter().map(|column| (column.name.clone(), column.depth, column.kind.clone())).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!((summary.rows, summary.row_groups), (rows.cast_unsigned(), groups as u64));
        prop_assert_eq!(summary.bytes, bytes.cast_unsigned() * groups as u64);
        prop_assert_eq!(summary.codecs, if groups == 0 { vec![] } else { vec!["Zstandard"] });
        prop_assert_eq!(summary.created_by, "written by a test");
    }

    #[test]
    fn a_part_of_a_footer_is_none(columns in trees(), groups in 0..4_usize, cut in any::<prop::sample::Index>()) {
        let footer = footer(&columns, 5, groups, 100);
        prop_assert_eq!(read(&footer[..cut.index(footer.len())]), Err(Unreadable::Broken));
    }

    #[test]
    fn damage_is_survived(columns in trees(), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut footer = footer(&columns, 5, 2, 100);
        for (at, byte) in flips {
            let at = at.index(footer.len());
            footer[at] = byte;
        }
        if let Ok(summary) = read(&footer) {
            prop_assert!(summary.columns.len() + summary.columns_left_out <= footer.len());
        }
    }

    #[test]
    fn noise_is_survived(bytes in vec(any::<u8>(), 0..400)) {
        let _ = (read(&bytes), footer_bytes(&bytes));
    }
}

#[test]
fn claims_cost_nothing() {
    // A list of 2^60 structures, a text of 2^60 bytes, a group that a billion columns are below.
    for bytes in [
        Writer::default().open().head(2, 9).bytes,
        Writer::default().open().head(6, 8).bytes,
        Writer::default().open().head(4, 9).bytes,
    ] {
        for tail in [&[0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xfc], &[]] {
            let claim: Vec<u8> = bytes.iter().chain(tail).copied().collect();
            assert_eq!(read(&claim), Err(Unreadable::Broken), "{claim:?}");
        }
    }
    let columns = [Tree::Leaf("x".to_owned())];
    let sound = footer(&columns, 1, 0, 0);
    assert!(read(&sound).is_ok());
    let root =
        Writer::default().open().number(1, 2).list(2, 12, 2).open().text(4, b"s").number(5, 1_000_000_000).close();
    let claim = columns[0].write(root).number(3, 1).list(4, 12, 0).close().bytes;
    assert_eq!(read(&claim), Err(Unreadable::Broken));
}

#[test]
fn depth_is_bounded() {
    // Structures within each other, as a field that nobody knows; one byte each.
    let deep: Vec<u8> = std::iter::repeat_n(0x1c, 100_000).collect();
    assert_eq!(read(&[&[0x7c][..], &deep].concat()), Err(Unreadable::Broken));
    let group = (0..DEPTH_MAX).fold(Tree::Leaf("x".to_owned()), |inner, _| Tree::Group("g".to_owned(), vec![inner]));
    assert_eq!(read(&footer(&[group], 1, 0, 0)), Err(Unreadable::Broken));
}

#[test]
fn long_schemas_and_names_are_cut() {
    let columns: Vec<_> = (0..COLUMNS_MAX + 5).map(|at| Tree::Leaf(format!("column-{at}"))).collect();
    let summary = read(&footer(&columns, 1, 0, 0)).unwrap();
    assert_eq!((summary.columns.len(), summary.columns_left_out, summary.values), (COLUMNS_MAX, 5, COLUMNS_MAX + 5));
    let summary = read(&footer(&[Tree::Leaf("ä".repeat(5_000))], 1, 0, 0)).unwrap();
    assert_eq!(summary.columns[0].name, "ä".repeat(NAME_CHARS_MAX));
}

#[test]
fn types() {
    let logical = |fill: &dyn Fn(Writer) -> Writer| {
        let writer = Writer::default().open().number(1, 2).text(4, b"x").number(6, 18).head(10, 12).open();
        Element::read(&mut Reader::new(&fill(writer).close().close().bytes)).unwrap().kind()
    };
    assert_eq!(logical(&|writer| writer.head(1, 12).open().close()), "string");
    assert_eq!(logical(&|writer| writer.head(5, 12).open().number(1, 2).number(2, 10).close()), "decimal(10, 2)");
    let time = |writer: Writer| writer.head(8, 12).open().head(1, 1).head(2, 12).open().head(3, 12).open();
    assert_eq!(logical(&|writer| time(writer).close().close().close()), "timestamp(ns, UTC)");
    assert_eq!(logical(&|writer| writer.head(10, 12).open().number(1, 16).head(2, 2).close()), "uint16");
    assert_eq!(logical(&|writer| writer.head(99, 12).open().close()), "int64", "one that is to come");
    let plain = |physical, length| {
        let bytes = Writer::default().open().number(1, physical).number(2, length).text(4, b"x").close().bytes;
        Element::read(&mut Reader::new(&bytes)).unwrap().kind()
    };
    assert_eq!((plain(0, 0), plain(7, 16), plain(99, 0)), ("boolean".into(), "bytes(16)".into(), "unknown".into()));
}

#[test]
fn tails() {
    assert_eq!(footer_bytes(b"....\x05\0\0\0PAR1"), Ok(5));
    assert_eq!(footer_bytes(b"\x05\0\0\0PARE"), Err(Unreadable::Encrypted));
    assert_eq!(footer_bytes(b"\xff\xff\xff\xffPAR1"), Err(Unreadable::TooLarge));
    for tail in [&b""[..], b"PAR1", b"\x05\0\0\0PAR2"] {
        assert_eq!(footer_bytes(tail), Err(Unreadable::NotParquet));
    }
}
