//! Who changed something, and when, for nodes that replicate to each other: node ids, changes, and what a change has seen.
//!
//! A change of a key has a clock and an origin, and is ordered by them. Clocks of a key ascend on every node, whatever its wall
//! clock says (a hybrid logical clock: Kulkarni et al., "Logical Physical Clocks"), so a change is greater than all that it has seen.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::InvalidId;

/// A node, told from all others by a random number that it draws once. Its text is 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(NonZeroU64);

impl NodeId {
    /// The node of this number; none for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let number = (text.len() == 16 && text.bytes().all(is_digit)).then(|| u64::from_str_radix(text, 16).ok());
        number.flatten().and_then(Self::new).ok_or(InvalidId)
    }
}

/// A change of a key. The greater one wins, on every node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    /// Nanoseconds since the Unix epoch, or more: a change is later than all that its node knew of the key.
    pub clock: u64,
    /// Where it was made.
    pub origin: NodeId,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.clock, self.origin)
    }
}

impl FromStr for Change {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (clock, origin) = text.split_once('.').ok_or(InvalidId)?;
        let is_plain = clock.bytes().all(|b| b.is_ascii_digit()) && (clock == "0" || !clock.starts_with('0'));
        let clock = is_plain.then(|| clock.parse().ok()).flatten().ok_or(InvalidId)?;
        Ok(Self { clock, origin: origin.parse()? })
    }
}

/// What was seen of the changes of a key: of each origin all up to a clock (a version vector). Changes of one origin follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Seen(Vec<(NodeId, u64)>);

impl Seen {
    /// Origins that are remembered. Beyond, the one that was heard of longest ago is forgotten: what comes of it again looks like a
    /// conflict then, which loses nothing.
    pub const ORIGINS_MAX: usize = 8;

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The latest clock that was seen of an origin.
    pub fn get(&self, origin: NodeId) -> Option<u64> {
        self.0.iter().find(|(of, _)| *of == origin).map(|(_, clock)| *clock)
    }

    /// Whether a change was seen.
    pub fn covers(&self, change: Change) -> bool {
        self.get(change.origin).is_some_and(|clock| clock >= change.clock)
    }

    /// Sees a change, and with it all earlier ones of its origin.
    pub fn insert(&mut self, change: Change) {
        match self.0.binary_search_by_key(&change.origin, |(origin, _)| *origin) {
            Ok(at) => {
                if let Some((_, clock)) = self.0.get_mut(at) {
                    *clock = change.clock.max(*clock);
                }
            }
            Err(at) => self.0.insert(at, (change.origin, change.clock)),
        }
        if self.0.len() > Self::ORIGINS_MAX
            && let Some(oldest) = self.0.iter().enumerate().min_by_key(|(_, (_, clock))| *clock).map(|(at, _)| at)
        {
            self.0.remove(oldest);
        }
    }

    /// Sees what another has seen.
    pub fn union(&mut self, other: &Self) {
        other.iter().for_each(|change| self.insert(change));
    }

    /// What was seen of all origins but one.
    #[must_use]
    pub fn without(mut self, origin: NodeId) -> Self {
        self.0.retain(|(of, _)| *of != origin);
        self
    }

    /// The latest change of each origin, in order of origins.
    pub fn iter(&self) -> impl Iterator<Item = Change> {
        self.0.iter().map(|(origin, clock)| Change { clock: *clock, origin: *origin })
    }
}

impl FromIterator<Change> for Seen {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        let mut seen = Self::default();
        changes.into_iter().for_each(|change| seen.insert(change));
        seen
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (origin, clock)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{origin}={clock}")?;
        }
        Ok(())
    }
}

impl FromStr for Seen {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut seen = Self::default();
        for entry in text.split(',').filter(|_| !text.is_empty()) {
            let (origin, clock) = entry.split_once('=').ok_or(InvalidId)?;
            let change: Change = format!("{clock}.{origin}").parse()?;
            if seen.get(change.origin).is_some() || seen.0.len() == Self::ORIGINS_MAX {
                return Err(InvalidId);
            }
            seen.insert(change);
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(clock: u64, origin: u64) -> Change {
        Change { clock, origin: NodeId::new(origin).unwrap() }
    }

    #[test]
    fn texts_come_back() {
        let one = change(1_700_000_000_000_000_007, 0xab);
        assert_eq!(one.to_string(), "1700000000000000007.00000000000000ab");
        assert_eq!(one.to_string().parse(), Ok(one));
        let seen: Seen = [one, change(0, u64::MAX), change(3, 0xab)].into_iter().collect();
        assert_eq!(seen.to_string(), "00000000000000ab=1700000000000000007,ffffffffffffffff=0");
        assert_eq!(seen.to_string().parse(), Ok(seen));
        assert_eq!("".parse(), Ok(Seen::default()));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "1",
            "1.",
            ".00000000000000ab",
            "+1.00000000000000ab",
            "01.00000000000000ab",
            "1.ab",
            "1.00000000000000AB",
            "1.0000000000000000",
            "18446744073709551616.00000000000000ab",
            "1.00000000000000ab ",
        ] {
            assert_eq!(text.parse::<Change>(), Err(InvalidId), "{text:?}");
        }
        let many: Vec<_> = (1..=9).map(|n| format!("{n:016x}=1")).collect();
        for text in [
            ",",
            "00000000000000ab",
            "00000000000000ab=",
            "00000000000000ab=1,",
            &many.join(","),
            "00000000000000ab=1,00000000000000ab=2",
        ] {
            assert_eq!(text.parse::<Seen>(), Err(InvalidId), "{text:?}");
        }
        assert_eq!(many[..8].join(",").parse::<Seen>().map(|seen| seen.iter().count()), Ok(8));
    }

    #[test]
    fn the_oldest_origin_is_forgotten() {
        let mut seen: Seen = (1..=8).map(|n| change(100 - n, n)).collect();
        seen.insert(change(50, 9));
        assert_eq!(seen.get(NodeId::new(9).unwrap()), None, "it was the oldest");
        seen.insert(change(200, 9));
        assert!(seen.covers(change(199, 9)) && !seen.covers(change(1, 8)) && seen.covers(change(93, 7)));
    }
}
