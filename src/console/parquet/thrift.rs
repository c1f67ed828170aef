//! The compact protocol of Thrift (Apache Thrift, "Thrift Compact protocol encoding"), as far as reading takes it. Pure.
//!
//! INVARIANT: nothing is allocated for what bytes only claim, and every value takes at least one byte, so that reading costs no
//! more than the input is long. Texts are parts of the input.

/// Structures within each other that are gone through. Footers have five.
const DEPTH_MAX: u8 = 16;

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is damaged")]
pub struct Broken;

/// What kind of value a field or an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a field, the value itself.
    Yes,
    /// The same.
    No,
    /// One byte.
    Byte,
    /// A number of any size, in as few bytes as it takes.
    Number,
    /// Eight bytes.
    Double,
    /// A text or bytes, behind their length.
    Text,
    /// A list or a set.
    List,
    /// Keys and values.
    Map,
    /// A structure.
    Struct,
    /// Sixteen bytes.
    Uuid,
}

impl Kind {
    fn of(code: u8) -> Result<Self, Broken> {
        Ok(match code & 0x0f {
            1 => Self::Yes,
            2 => Self::No,
            3 => Self::Byte,
            4..=6 => Self::Number,
            7 => Self::Double,
            8 => Self::Text,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return Err(Broken),
        })
    }
}

/// Reads values one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// From the beginning of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Goes through the fields of a structure. `read` takes the value of a field and answers true, or leaves it and answers false.
    pub fn fields(&mut self, read: impl FnMut(&mut Self, i16, Kind) -> Result<bool, Broken>) -> Result<(), Broken> {
        self.fields_within(DEPTH_MAX, read)
    }

    fn fields_within(
        &mut self,
        depth: u8,
        mut read: impl FnMut(&mut Self, i16, Kind) -> Result<bool, Broken>,
    ) -> Result<(), Broken> {
        let mut number: i16 = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            let kind = Kind::of(head)?;
            number = match head >> 4 {
                0 => i16::try_from(signed(self.varint()?)).map_err(|_| Broken)?,
                further => number.checked_add(i16::from(further)).ok_or(Broken)?,
            };
            if !read(self, number, kind)? {
                self.skip(kind, depth)?;
            }
        }
    }

    /// A whole number.
    pub fn number(&mut self, kind: Kind) -> Result<i64, Broken> {
        match kind {
            Kind::Byte => Ok(i64::from(self.byte()?.cast_signed())),
            Kind::Number => Ok(signed(self.varint()?)),
            _ => Err(Broken),
        }
    }

    /// Bytes of a text.
    pub fn text(&mut self, kind: Kind) -> Result<&'a [u8], Broken> {
        if kind != Kind::Text {
            return Err(Broken);
        }
        let length = self.varint()?;
        self.take(length)
    }

    /// Kind and number of a list's elements, which follow. The number is what the bytes say: no reason to make room for so many.
    pub fn list(&mut self, kind: Kind) -> Result<(Kind, u64), Broken> {
        if kind != Kind::List {
            return Err(Broken);
        }
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.varint()?,
            few => u64::from(few),
        };
        // An empty list may leave its kind open.
        let kind = if size == 0 { Kind::Byte } else { Kind::of(head)? };
        Ok((kind, size))
    }

    fn skip(&mut self, kind: Kind, depth: u8) -> Result<(), Broken> {
        let depth = depth.checked_sub(1).ok_or(Broken)?;
        match kind {
            Kind::Yes | Kind::No => Ok(()),
            Kind::Byte => self.take(1).map(drop),
            Kind::Number => self.varint().map(drop),
            Kind::Double => self.take(8).map(drop),
            Kind::Uuid => self.take(16).map(drop),
            Kind::Text => self.text(kind).map(drop),
            Kind::Struct => self.fields_within(depth, |_, _, _| Ok(false)),
            Kind::List => {
                let (kind, size) = self.list(kind)?;
                (0..size).try_for_each(|_| self.skip_element(kind, depth))
            }
            Kind::Map => {
                let size = self.varint()?;
                if size == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                let (keys, values) = (Kind::of(kinds >> 4)?, Kind::of(kinds)?);
                (0..size).try_for_each(|_| {
                    self.skip_element(keys, depth)?;
                    self.skip_element(values, depth)
                })
            }
        }
    }

    /// As a field is, but that a yes or no takes a byte.
    fn skip_element(&mut self, kind: Kind, depth: u8) -> Result<(), Broken> {
        match kind {
            Kind::Yes | Kind::No => self.take(1).map(drop),
            kind => self.skip(kind, depth),
        }
    }

    fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.0.split_first().ok_or(Broken)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(length).map_err(|_| Broken)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Broken)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first; the highest bit says that more follow.
    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(Broken);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken)
    }
}

/// A number that was written with its sign in the lowest bit ("zigzag").
fn signed(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}
