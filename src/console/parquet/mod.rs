//! What a Parquet file says of itself at its end: columns, types, rows (Apache Parquet, "File Format", "Metadata", and
//! `parquet.thrift`, `FileMetaData`). Pure.
//!
//! INVARIANT: whatever the bytes are, nothing panics, and what is made of them is bounded by [`COLUMNS_MAX`] and [`NAME_CHARS_MAX`].

mod thrift;

#[cfg(test)]
mod tests;

use thrift::{Broken, Kind, Reader};

/// Bytes at the end of a file that say where its footer begins.
pub const TAIL_BYTES: u64 = 8;
/// Largest footer that is read, in bytes. One of ten thousand columns and a few row groups fits.
pub const FOOTER_BYTES_MAX: u64 = 4 << 20;
/// Columns that are told; those behind them are counted.
pub const COLUMNS_MAX: usize = 1_000;
/// Characters of a name that are told.
pub const NAME_CHARS_MAX: usize = 200;
/// Groups within each other.
const DEPTH_MAX: usize = 64;
/// What compresses pages, by number (`CompressionCodec`).
const CODECS: [&str; 8] = ["none", "Snappy", "gzip", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4 raw"];

/// Why nothing is told of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not end as a Parquet file does.
    NotParquet,
    /// Its footer is encrypted.
    Encrypted,
    /// Its footer is larger than what is read.
    TooLarge,
    /// It is damaged, or of a kind that is to come.
    Broken,
}

impl From<Broken> for Unreadable {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Rows.
    pub rows: u64,
    /// Groups of rows.
    pub row_groups: u64,
    /// Bytes of the columns, unpacked.
    pub bytes: u64,
    /// Columns that hold values.
    pub values: usize,
    /// Columns and groups of columns, in their order.
    pub columns: Vec<Column>,
    /// How many more there are.
    pub columns_left_out: usize,
    /// What wrote it.
    pub created_by: String,
    /// What its columns are compressed with.
    pub codecs: Vec<&'static str>,
}

/// A column, or a group of columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, as it stands there.
    pub name: String,
    /// Groups around it.
    pub depth: usize,
    /// What its values are.
    pub kind: String,
    /// How often it is there in a row.
    pub presence: Presence,
}

/// How often a column is there (`FieldRepetitionType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Once.
    Required,
    /// Once or not at all.
    Optional,
    /// As often as it likes.
    Repeated,
}

/// Bytes of the footer that stands before these last eight.
pub fn footer_bytes(tail: &[u8]) -> Result<u64, Unreadable> {
    let tail = tail.last_chunk::<8>().ok_or(Unreadable::NotParquet)?;
    let [a, b, c, d, magic @ ..] = *tail;
    match &magic {
        b"PAR1" => {}
        b"PARE" => return Err(Unreadable::Encrypted),
        _ => return Err(Unreadable::NotParquet),
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > FOOTER_BYTES_MAX { Err(Unreadable::TooLarge) } else { Ok(length) }
}

/// What the footer's bytes say.
pub fn read(footer: &[u8]) -> Result<Summary, Unreadable> {
    let (mut schema, mut rows, mut groups) = (None, None, None);
    let mut created_by = String::new();
    Reader::new(footer).fields(|reader, number, kind| {
        match number {
            2 => schema = Some(read_schema(reader, kind)?),
            3 => rows = Some(reader.number(kind)?),
            4 => groups = Some(read_groups(reader, kind)?),
            6 => created_by = name(reader.text(kind)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (Some(schema), Some(rows), Some(groups)) = (schema, rows, groups) else { return Err(Unreadable::Broken) };
    Ok(Summary {
        rows: u64::try_from(rows).map_err(|_| Unreadable::Broken)?,
        row_groups: groups.count,
        bytes: groups.bytes,
        values: schema.values,
        columns: schema.columns,
        columns_left_out: schema.left_out,
        created_by,
        codecs: groups.codecs(),
    })
}

fn name(text: &[u8]) -> String {
    // A character takes at most four bytes, so that this is all of those that are told.
    let text = text.get(..NAME_CHARS_MAX * 4).unwrap_or(text);
    String::from_utf8_lossy(text).chars().take(NAME_CHARS_MAX).collect()
}

#[derive(Default)]
struct Schema {
    columns: Vec<Column>,
    left_out: usize,
    values: usize,
}

/// The tree of columns, which is written depth first: each element says how many there are below it.
fn read_schema(reader: &mut Reader<'_>, kind: Kind) -> Result<Schema, Broken> {
    let (kind, size) = reader.list(kind)?;
    if size == 0 || kind != Kind::Struct {
        return Err(Broken);
    }
    let root = Element::read(reader)?;
    // What is still to come, of each group that is open.
    let mut open = vec![root.children.unwrap_or(0)];
    let mut schema = Schema::default();
    for _ in 1..size {
        while open.pop_if(|left| *left == 0).is_some() {}
        let left = open.last_mut().ok_or(Broken)?;
        *left -= 1;
        let element = Element::read(reader)?;
        let depth = open.len() - 1;
        schema.values += usize::from(element.children.is_none());
        if schema.columns.len() < COLUMNS_MAX {
            schema.columns.push(Column { depth, kind: element.kind(), presence: element.presence, name: element.name });
        } else {
            schema.left_out += 1;
        }
        open.extend(element.children);
        if open.len() > DEPTH_MAX {
            return Err(Broken);
        }
    }
    if open.iter().any(|left| *left > 0) { Err(Broken) } else { Ok(schema) }
}

/// A `SchemaElement`.
struct Element {
    physical: Option<i64>,
    length: i64,
    presence: Presence,
    name: String,
    /// Of a group, how many are below it.
    children: Option<u64>,
    converted: Option<i64>,
    scale: i64,
    precision: i64,
    logical: Option<String>,
}

impl Element {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Broken> {
        let mut element = Self {
            physical: None,
            length: 0,
            presence: Presence::Required,
            name: String::new(),
            children: None,
            converted: None,
            scale: 0,
            precision: 0,
            logical: None,
        };
        reader.fields(|reader, number, kind| {
            match number {
                1 => element.physical = Some(reader.number(kind)?),
                2 => element.length = reader.number(kind)?,
                3 => {
                    element.presence = match reader.number(kind)? {
                        0 => Presence::Required,
                        1 => Presence::Optional,
                        2 => Presence::Repeated,
                        _ => return Err(Broken),
                    }
                }
                4 => element.name = name(reader.text(kind)?),
                5 => element.children = Some(u64::try_from(reader.number(kind)?).map_err(|_| Broken)?),
                6 => element.converted = Some(reader.number(kind)?),
                7 => element.scale = reader.number(kind)?,
                8 => element.precision = reader.number(kind)?,
                10 => element.logical = read_logical(reader, kind)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        // Some writers say of a column that nothing is below it.
        if element.physical.is_some() {
            element.children = None;
        }
        Ok(element)
    }

    /// What its values are, as people call it.
    fn kind(&self) -> String {
        if let Some(logical) = &self.logical {
            return logical.clone();
        }
        // Before there were logical types (`ConvertedType`).
        let converted = match self.converted {
            Some(0) => "string",
            Some(1 | 2) => "map",
            Some(3) => "list",
            Some(4) => "enum",
            Some(5) => return format!("decimal({}, {})", self.precision, self.scale),
            Some(6) => "date",
            Some(7) => "time(ms, UTC)",
            Some(8) => "time(µs, UTC)",
            Some(9) => "timestamp(ms, UTC)",
            Some(10) => "timestamp(µs, UTC)",
            Some(11) => "uint8",
            Some(12) => "uint16",
            Some(13) => "uint32",
            Some(14) => "uint64",
            Some(15) => "int8",
            Some(16) => "int16",
            Some(17) => "int32",
            Some(18) => "int64",
            Some(19) => "JSON",
            Some(20) => "BSON",
            Some(21) => "interval",
            _ => "",
        };
        let physical = match self.physical {
            _ if !converted.is_empty() => converted,
            None => "group",
            Some(0) => "boolean",
            Some(1) => "int32",
            Some(2) => "int64",
            Some(3) => "int96",
            Some(4) => "float",
            Some(5) => "double",
            Some(6) => "bytes",
            Some(7) => return format!("bytes({})", self.length),
            Some(_) => "unknown",
        };
        physical.to_owned()
    }
}

/// A `LogicalType`: one of many structures.
fn read_logical(reader: &mut Reader<'_>, kind: Kind) -> Result<Option<String>, Broken> {
    if kind != Kind::Struct {
        return Err(Broken);
    }
    let mut told = None;
    reader.fields(|reader, number, kind| {
        let plain = match number {
            1 => "string",
            2 => "map",
            3 => "list",
            4 => "enum",
            6 => "date",
            11 => "null",
            12 => "JSON",
            13 => "BSON",
            14 => "UUID",
            15 => "float16",
            16 => "variant",
            17 => "geometry",
            18 => "geography",
            5 | 7 | 8 | 10 if kind == Kind::Struct => {
                let parameters = Parameters::read(reader)?;
                told = Some(match number {
                    5 => format!("decimal({}, {})", parameters.second, parameters.first),
                    7 => format!("time({})", parameters.precision()),
                    8 => format!("timestamp({})", parameters.precision()),
                    _ => format!("{}int{}", if parameters.is_yes { "" } else { "u" }, parameters.first),
                });
                return Ok(true);
            }
            _ => return Ok(false),
        };
        told = Some(plain.to_owned());
        Ok(false)
    })?;
    Ok(told)
}

/// What stands in a logical type: two numbers, or a number and a yes, or a yes and a unit of time.
#[derive(Default)]
struct Parameters {
    first: i64,
    second: i64,
    is_yes: bool,
    unit: i16,
}

impl Parameters {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Broken> {
        let mut parameters = Self::default();
        reader.fields(|reader, number, kind| {
            match (number, kind) {
                (_, Kind::Yes | Kind::No) => parameters.is_yes = kind == Kind::Yes,
                (1, Kind::Number | Kind::Byte) => parameters.first = reader.number(kind)?,
                (2, Kind::Number | Kind::Byte) => parameters.second = reader.number(kind)?,
                (2, Kind::Struct) => reader.fields(|_, number, _| {
                    parameters.unit = number;
                    Ok(false)
                })?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(parameters)
    }

    fn precision(&self) -> String {
        let unit = match self.unit {
            1 => "ms",
            2 => "µs",
            3 => "ns",
            _ => "?",
        };
        format!("{unit}{}", if self.is_yes { ", UTC" } else { "" })
    }
}

#[derive(Default)]
struct Groups {
    count: u64,
    bytes: u64,
    /// A bit for each codec; the highest for those that are not known.
    codecs: u16,
}

impl Groups {
    fn codecs(&self) -> Vec<&'static str> {
        let named = CODECS.iter().enumerate().filter(|(at, _)| self.codecs & (1 << at) != 0).map(|(_, name)| *name);
        named.chain((self.codecs & (1 << 15) != 0).then_some("unknown")).collect()
    }
}

/// The list of `RowGroup`s.
fn read_groups(reader: &mut Reader<'_>, kind: Kind) -> Result<Groups, Broken> {
    let (kind, size) = reader.list(kind)?;
    if size > 0 && kind != Kind::Struct {
        return Err(Broken);
    }
    let mut groups = Groups { count: size, ..Groups::default() };
    for _ in 0..size {
        reader.fields(|reader, number, kind| {
            match number {
                1 => read_chunks(reader, kind, &mut groups.codecs)?,
                2 => {
                    let bytes = u64::try_from(reader.number(kind)?).map_err(|_| Broken)?;
                    groups.bytes = groups.bytes.saturating_add(bytes);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
    }
    Ok(groups)
}

/// The `ColumnChunk`s of a group, of which only their codecs are told.
fn read_chunks(reader: &mut Reader<'_>, kind: Kind, codecs: &mut u16) -> Result<(), Broken> {
    let (kind, size) = reader.list(kind)?;
    if size > 0 && kind != Kind::Struct {
        return Err(Broken);
    }
    for _ in 0..size {
        reader.fields(|reader, number, kind| match (number, kind) {
            (3, Kind::Struct) => reader
                .fields(|reader, number, kind| {
                    if number != 4 {
                        return Ok(false);
                    }
                    let codec = reader.number(kind)?;
                    let bit = usize::try_from(codec).ok().filter(|codec| *codec < CODECS.len()).unwrap_or(15);
                    *codecs |= 1 << bit;
                    Ok(true)
                })
                .map(|()| true),
            _ => Ok(false),
        })?;
    }
    Ok(())
}
