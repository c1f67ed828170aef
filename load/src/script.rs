//! The requests of a round: what the n-th step sends, and what a good answer to it is. Heads of requests that come again are
//! written and signed once, before the round.

use crate::connection::{Answer, Failure, Wanted};
use crate::keys::{FOLDER_KEYS, Keys, scatter};
use crate::sign::query;
use crate::site::Site;
use crate::workload::{Listing, Operation, Pages, Workload};

/// Most heads that are kept: more would not fit the processor's caches anyway.
const KEPT_MAX: u64 = 20_000;
/// Different ranges that are read.
const RANGES: u64 = 4096;

/// The heads of requests, one behind the other.
#[derive(Default)]
struct Heads {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Heads {
    fn get(&self, n: u64) -> Option<&[u8]> {
        let n = usize::try_from(n).ok()?;
        let begin = n.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.bytes.get(begin..*self.ends.get(n)?)
    }
}

/// The requests of one operation against one endpoint, each of them a single exchange.
pub struct Script {
    operation: Operation,
    size: u64,
    range: Option<u64>,
    keys: Keys,
    listing: Listing,
    kept: Heads,
}

impl Script {
    /// The script of `operation`, which is neither a multipart one nor a mix, on `keys`.
    pub fn new(site: &Site, operation: Operation, workload: &Workload, keys: Keys) -> Self {
        let listing = workload.listing.clone();
        let range = workload.range.filter(|_| operation == Operation::Get);
        let mut script = Self { operation, size: workload.size, range, keys, listing, kept: Heads::default() };
        let distinct = script.distinct();
        if distinct <= KEPT_MAX {
            let mut kept = Heads::default();
            for n in 0..distinct {
                script.compose(site, n, &mut kept.bytes);
                kept.ends.push(kept.bytes.len());
            }
            script.kept = kept;
        }
        script
    }

    /// Puts the head of step `n` into `out`.
    pub fn request(&self, site: &Site, n: u64, out: &mut Vec<u8>) {
        out.clear();
        let n = match self.operation {
            Operation::Get | Operation::Head | Operation::List => scatter(n),
            _ => n,
        } % self.distinct();
        match self.kept.get(n) {
            Some(head) => out.extend_from_slice(head),
            None => self.compose(site, n, out),
        }
    }

    /// Length of a request's body.
    pub fn body_bytes(&self) -> u64 {
        if self.operation == Operation::Put { self.size } else { 0 }
    }

    /// What is wanted of an answer.
    pub fn wanted(&self) -> Wanted {
        Wanted { to_head: self.operation == Operation::Head, ..Wanted::default() }
    }

    /// Bytes of object or listing that a good answer stands for. Errs: Unexpected.
    pub fn check(&self, answer: &Answer) -> Result<u64, Failure> {
        match self.operation {
            Operation::Get | Operation::Head if answer.length != self.range.unwrap_or(self.size) => {
                Err(Failure::Unexpected("the object's length is another"))
            }
            Operation::List if answer.length == 0 => Err(Failure::Unexpected("no listing")),
            Operation::Head | Operation::Delete => Ok(0),
            Operation::Put => Ok(self.size),
            _ => Ok(answer.length),
        }
    }

    /// How many different requests there are.
    fn distinct(&self) -> u64 {
        match (self.operation, self.listing.pages) {
            (Operation::List, Pages::First) => 1,
            (Operation::List, Pages::All | Pages::Folders) => self.keys.count.div_ceil(FOLDER_KEYS).max(1),
            _ if self.range.is_some() => self.keys.count.saturating_mul(RANGES),
            _ => self.keys.count.max(1),
        }
    }

    fn compose(&self, site: &Site, n: u64, out: &mut Vec<u8>) {
        let object = |method: &str, out: &mut Vec<u8>, length: Option<u64>| {
            site.write_request(out, method, &site.path(&self.keys.key(n % self.keys.count.max(1))), "", length);
        };
        match self.operation {
            Operation::List => site.write_request(out, "GET", &site.path(""), &self.listing_query(n), None),
            Operation::Head => object("HEAD", out, None),
            Operation::Delete => object("DELETE", out, None),
            Operation::Put => object("PUT", out, Some(self.size)),
            Operation::Get | Operation::Part | Operation::Multipart | Operation::Mixed => {
                object("GET", out, None);
                if let Some(bytes) = self.range {
                    self.ask_for_range(n, bytes, out);
                }
            }
        }
    }

    /// Puts a header at the end of a head; presigned requests do not sign it.
    fn ask_for_range(&self, n: u64, bytes: u64, out: &mut Vec<u8>) {
        let start = scatter(n) % (self.size.saturating_sub(bytes) + 1);
        out.truncate(out.len().saturating_sub(2));
        out.extend_from_slice(format!("Range: bytes={start}-{}\r\n\r\n", start + bytes - 1).as_bytes());
    }

    fn listing_query(&self, n: u64) -> String {
        let first = n * FOLDER_KEYS;
        let prefix = match self.listing.pages {
            Pages::Folders => self.keys.folder(first),
            Pages::First | Pages::All => self.keys.prefix.clone(),
        };
        let keys_max = self.listing.keys_max.to_string();
        let mut parameters = vec![("list-type", "2"), ("max-keys", &keys_max), ("prefix", &prefix)];
        if let Some(delimiter) = &self.listing.delimiter {
            parameters.push(("delimiter", delimiter));
        }
        // Behind the key before: the page begins with the folder's first key. The first page has no key before it.
        let before = first.checked_sub(1).map(|before| self.keys.key(before)).unwrap_or_default();
        if self.listing.pages == Pages::All && !before.is_empty() {
            parameters.push(("start-after", &before));
        }
        query(&parameters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KeyShape;
    use crate::site::tests::plain_site;
    use crate::workload::tests::workload;

    fn script(operation: Operation, change: impl FnOnce(&mut Workload)) -> Script {
        let mut workload = workload(operation);
        change(&mut workload);
        Script::new(&plain_site(), operation, &workload, workload.keys.clone())
    }

    fn line(script: &Script, n: u64) -> String {
        let mut out = b"left over".to_vec();
        script.request(&plain_site(), n, &mut out);
        String::from_utf8(out).unwrap().lines().next().unwrap().to_owned()
    }

    #[test]
    fn writes_go_round_their_keys_in_order() {
        let script = script(Operation::Put, |_| {});
        assert_eq!(line(&script, 0), "PUT /b/p/00000000 HTTP/1.1");
        assert_eq!(line(&script, 19), "PUT /b/p/00000019 HTTP/1.1");
        assert_eq!(line(&script, 20), "PUT /b/p/00000000 HTTP/1.1");
        assert_eq!(script.body_bytes(), 10);
    }

    #[test]
    fn kept_heads_are_those_that_would_be_written() {
        let kept = script(Operation::Get, |_| {});
        let lines: Vec<String> = (0..500).map(|n| line(&kept, n)).collect();
        let mut written = kept;
        written.kept = Heads::default();
        assert_eq!(lines, (0..500).map(|n| line(&written, n)).collect::<Vec<_>>());
        for n in 0..20 {
            let wanted = format!("GET /b/p/{n:08} HTTP/1.1");
            assert!(lines.contains(&wanted), "every key is read: {wanted}");
        }
    }

    #[test]
    fn ranges_are_anywhere_in_the_object() {
        let script = script(Operation::Get, |workload| (workload.range, workload.keys.count) = (Some(4), 1));
        let mut starts = std::collections::BTreeSet::new();
        for n in 0..200 {
            let mut out = Vec::new();
            script.request(&plain_site(), n, &mut out);
            let head = String::from_utf8(out).unwrap();
            let (line, range) = head.split_once("Range: bytes=").unwrap();
            assert!(line.starts_with("GET /b/p/00000000 HTTP/1.1\r\n") && range.ends_with("\r\n\r\n"), "{head}");
            let (start, end) = range.trim().split_once('-').unwrap();
            let (start, end): (u64, u64) = (start.parse().unwrap(), end.parse().unwrap());
            assert_eq!(end, start + 3);
            starts.insert(start);
        }
        assert_eq!(starts.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6], "of 10 bytes");
        assert_eq!(script.check(&Answer { length: 4, ..Answer::default() }), Ok(4));
        assert!(script.check(&Answer { length: 10, ..Answer::default() }).is_err());
    }

    #[test]
    fn listings_ask_for_the_pages_they_are_told() {
        let all = script(Operation::List, |workload| {
            (workload.listing.pages, workload.keys.count) = (Pages::All, 2000);
        });
        let mut lines: Vec<String> = (0..50).map(|n| line(&all, n)).collect();
        lines.sort();
        lines.dedup();
        assert_eq!(
            lines,
            [
                "GET /b?list-type=2&max-keys=1000&prefix=p%2F HTTP/1.1",
                "GET /b?list-type=2&max-keys=1000&prefix=p%2F&start-after=p%2F00000999 HTTP/1.1",
            ]
        );
        let folders = script(Operation::List, |workload| {
            workload.listing = Listing { pages: Pages::Folders, delimiter: Some("/".into()), keys_max: 10 };
            workload.keys.shape = KeyShape::Deep;
        });
        let folder = "GET /b?delimiter=%2F&list-type=2&max-keys=10&prefix=p%2F0000%2Fsub%2Fdir%2F HTTP/1.1";
        assert_eq!(line(&folders, 5), folder);
    }

    #[test]
    fn an_answer_of_the_wrong_length_does_not_count() {
        let answer = |length| Answer { length, ..Answer::default() };
        for operation in [Operation::Get, Operation::Head] {
            assert!(script(operation, |_| {}).check(&answer(9)).is_err());
        }
        assert_eq!(script(Operation::Get, |_| {}).check(&answer(10)), Ok(10));
        assert_eq!(script(Operation::Head, |_| {}).check(&answer(10)), Ok(0));
        assert_eq!(script(Operation::Put, |_| {}).check(&answer(0)), Ok(10));
        assert!(script(Operation::List, |_| {}).check(&answer(0)).is_err());
    }
}
