//! ZIP archives as they are written to a stream (APPNOTE 6.3.10): members stored as they are, sizes of any length (ZIP64), names in
//! UTF-8. Only what the directory at the end needs is kept of a member, so memory does not depend on what is archived. Pure.

use bytes::{BufMut as _, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};

/// Names in UTF-8, and the checksum behind the bytes.
const FLAGS: u16 = 0x0808;
/// What is needed to read it: ZIP64.
const VERSION: u16 = 45;
/// The system whose file modes it has (Unix), and the version.
const MADE_BY: u16 = 0x0300 | VERSION;
/// A plain file that its owner may write and all may read.
const MODE: u32 = 0o100_644 << 16;
/// In the place of a number that stands in the ZIP64 field.
const LONG: u32 = u32::MAX;

struct Member {
    name: String,
    time: (u16, u16),
    crc: u32,
    size: u64,
    offset: u64,
}

/// An archive, as far as it is written.
#[derive(Default)]
pub struct Archive {
    members: Vec<Member>,
    written: u64,
    open: Option<Digest>,
}

impl Archive {
    /// What stands before the bytes of a member of this size. `seconds`: when it was changed, since 1970.
    pub fn begin(&mut self, key: &str, seconds: u64, size: u64) -> BytesMut {
        let name = safe_name(key);
        let time = dos_time(seconds);
        let mut head = BytesMut::new();
        head.put_u32_le(0x0403_4b50);
        head.put_u16_le(VERSION);
        put_common(&mut head, time, 0);
        put_sizes(&mut head, &name, 20);
        head.put_slice(name.as_bytes());
        head.put_u16_le(1);
        head.put_u16_le(16);
        head.put_u64_le(size);
        head.put_u64_le(size);
        self.members.push(Member { name, time, crc: 0, size, offset: self.written });
        self.open = Some(Digest::new(CrcAlgorithm::Crc32IsoHdlc));
        self.written += head.len() as u64;
        head
    }

    /// Notes bytes of the member that was begun.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if let Some(digest) = &mut self.open {
            digest.update(bytes);
        }
        self.written += bytes.len() as u64;
    }

    /// What stands behind them.
    pub fn end(&mut self) -> BytesMut {
        let crc = self.open.take().map_or(0, |digest| u32::try_from(digest.finalize()).unwrap_or(0));
        let mut tail = BytesMut::new();
        if let Some(member) = self.members.last_mut() {
            member.crc = crc;
            tail.put_u32_le(0x0807_4b50);
            tail.put_u32_le(crc);
            tail.put_u64_le(member.size);
            tail.put_u64_le(member.size);
        }
        self.written += tail.len() as u64;
        tail
    }

    /// The directory, which ends the archive.
    pub fn finish(self) -> BytesMut {
        let (begin, count) = (self.written, self.members.len() as u64);
        let mut out = BytesMut::new();
        for member in &self.members {
            out.put_u32_le(0x0201_4b50);
            out.put_u16_le(MADE_BY);
            out.put_u16_le(VERSION);
            put_common(&mut out, member.time, member.crc);
            put_sizes(&mut out, &member.name, 28);
            // Comment, disk and kind: none.
            out.put_bytes(0, 6);
            out.put_u32_le(MODE);
            out.put_u32_le(LONG);
            out.put_slice(member.name.as_bytes());
            out.put_u16_le(1);
            out.put_u16_le(24);
            out.put_u64_le(member.size);
            out.put_u64_le(member.size);
            out.put_u64_le(member.offset);
        }
        let size = out.len() as u64;
        out.put_u32_le(0x0606_4b50);
        out.put_u64_le(44);
        out.put_u16_le(MADE_BY);
        out.put_u16_le(VERSION);
        out.put_bytes(0, 8);
        out.put_u64_le(count);
        out.put_u64_le(count);
        out.put_u64_le(size);
        out.put_u64_le(begin);
        out.put_u32_le(0x0706_4b50);
        out.put_u32_le(0);
        out.put_u64_le(begin + size);
        out.put_u32_le(1);
        out.put_u32_le(0x0605_4b50);
        out.put_bytes(0, 4);
        out.put_u16_le(u16::MAX);
        out.put_u16_le(u16::MAX);
        out.put_u32_le(LONG);
        out.put_u32_le(LONG);
        out.put_u16_le(0);
        out
    }
}

fn put_common(out: &mut BytesMut, time: (u16, u16), crc: u32) {
    out.put_u16_le(FLAGS);
    out.put_u16_le(0);
    out.put_u16_le(time.0);
    out.put_u16_le(time.1);
    out.put_u32_le(crc);
}

fn put_sizes(out: &mut BytesMut, name: &str, extra: u16) {
    out.put_u32_le(LONG);
    out.put_u32_le(LONG);
    // A key has at most 1024 bytes.
    out.put_u16_le(u16::try_from(name.len()).unwrap_or(u16::MAX));
    out.put_u16_le(extra);
}

/// The name of a member: a path that leads nowhere but down from where the archive is unpacked.
fn safe_name(key: &str) -> String {
    let part = |part: &str| match part {
        "" | "." | ".." => "_".to_owned(),
        part => part.chars().map(|c| if c.is_control() || matches!(c, '\\' | ':') { '_' } else { c }).collect(),
    };
    let (inner, end) = match key.strip_suffix('/') {
        Some(inner) => (inner, "/"),
        None => (key, ""),
    };
    let name = inner.split('/').map(part).collect::<Vec<_>>().join("/");
    format!("{name}{end}")
}

/// Time and date as DOS had them: two seconds exact, from 1980 on.
fn dos_time(seconds: u64) -> (u16, u16) {
    let time = i64::try_from(seconds).ok().and_then(|seconds| time::OffsetDateTime::from_unix_timestamp(seconds).ok());
    let Some(time) = time.filter(|time| (1980..2108).contains(&time.year())) else { return (0, 0x21) };
    let year = u16::try_from(time.year() - 1980).unwrap_or(0);
    let of_day = u16::from(time.hour()) << 11 | u16::from(time.minute()) << 5 | u16::from(time.second() / 2);
    (of_day, year << 9 | u16::from(u8::from(time.month())) << 5 | u16::from(time.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below() {
        for (key, name) in [
            ("a/b.txt", "a/b.txt"),
            ("../../etc/passwd", "_/_/etc/passwd"),
            ("/lead", "_/lead"),
            ("a//b", "a/_/b"),
            ("C:\\x\n", "C__x_"),
            ("folder/", "folder/"),
        ] {
            assert_eq!(safe_name(key), name);
        }
    }

    #[test]
    fn times() {
        assert_eq!(dos_time(0), (0, 0x21));
        // 2026-11-26 10:20:30 UTC.
        assert_eq!(dos_time(1_795_688_430), (10 << 11 | 20 << 5 | 15, 46 << 9 | 11 << 5 | 26));
    }

    #[test]
    fn an_archive_of_two() {
        let mut archive = Archive::default();
        let mut out = archive.begin("a.txt", 1_795_688_430, 5);
        archive.bytes(b"hello");
        out.extend_from_slice(b"hello");
        out.extend_from_slice(&archive.end());
        out.extend_from_slice(&archive.begin("b/", 0, 0));
        out.extend_from_slice(&archive.end());
        let begin = out.len() as u64;
        let directory = archive.finish();
        // The checksum of "hello" (CRC-32), behind its bytes and in the directory.
        let crc = 0x3610_a686_u32.to_le_bytes();
        assert!(out.windows(4).any(|bytes| bytes == crc) && directory.windows(4).any(|bytes| bytes == crc));
        let end64 = directory.len() - 22 - 20 - 56;
        assert_eq!(directory[end64..end64 + 4], 0x0606_4b50_u32.to_le_bytes());
        assert_eq!(directory[end64 + 48..end64 + 56], begin.to_le_bytes());
    }
}
