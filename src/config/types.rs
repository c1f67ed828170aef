//! Types of settings that the standard library does not have.

use std::fmt;
use std::net::IpAddr;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What is printed in place of a secret.
pub const MASK: &str = "********";

/// A secret: printing it in any form shows a mask, comparing it takes the same time wherever it differs, and it is wiped when it is
/// dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The secret itself. The only way to it, so that its uses are easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Power loss.
    Strict,
    /// A crash of the process only.
    Relaxed,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A share of things, exact to a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

impl Share {
    const WHOLE: u32 = 1_000_000;

    /// A share from 0 to 1.
    pub fn of(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then(|| Self((share * f64::from(Self::WHOLE)).round() as u32))
    }

    /// Whether it takes a thing with this random number.
    pub fn takes(self, number: u64) -> bool {
        number % u64::from(Self::WHOLE) < u64::from(self.0)
    }
}

/// A range of addresses (RFC 4632, RFC 4291 §2.3): those that share the first `prefix_bits` bits with `address`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// The range of `prefix_bits` around `address`; `None` when that is more bits than the address has.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        (prefix_bits <= bits_max).then_some(Self { address, prefix_bits })
    }

    /// Reads `address` or `address/bits`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        match bits {
            None => Self::new(address, whole),
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => Self::new(address, bits.parse().ok()?),
            Some(_) => None,
        }
    }

    /// Whether `peer` lies in the range. An IPv4 address mapped into IPv6 counts as the IPv4 address.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(range), IpAddr::V4(peer)) => {
                let host_bits = 32 - u32::from(self.prefix_bits);
                (range.to_bits() ^ peer.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(range), IpAddr::V6(peer)) => {
                let host_bits = 128 - u32::from(self.prefix_bits);
                (range.to_bits() ^ peer.to_bits()).checked_shr(host_bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// The proxies whose forwarded headers are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Their ranges.
    pub networks: Vec<Network>,
    /// Whether an operator listed them. The private ranges of the default serve only for the host and scheme of generated
    /// URLs; the client's address and `aws:SecureTransport` believe a forwarded header only from proxies listed explicitly.
    pub explicit: bool,
}

impl TrustedProxies {
    /// Loopback, the private ranges of RFC 1918 and RFC 4193, and link-local addresses.
    pub const PRIVATE: [&str; 8] = [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ];

    /// What holds when no operator listed any.
    pub fn private_ranges() -> Self {
        Self { networks: Self::PRIVATE.iter().filter_map(|range| Network::parse(range)).collect(), explicit: false }
    }

    /// Whether `peer` may say with forwarded headers under which host and scheme it was asked.
    pub fn may_name_host(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(peer))
    }

    /// Whether `peer` may also say which client asked it, and whether that came over TLS.
    pub fn may_name_client(&self, peer: IpAddr) -> bool {
        self.explicit && self.may_name_host(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (range, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.0"),
            ("172.16.0.0/12", "172.31.255.255", "172.32.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("fc00::/7", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
        ] {
            let range = Network::parse(range).unwrap();
            assert!(range.contains(ip(inside)), "{range} {inside}");
            assert!(!range.contains(ip(outside)), "{range} {outside}");
        }
        assert!(Network::parse("0.0.0.0/0").unwrap().contains(ip("203.0.113.9")));
        assert!(Network::parse("::/0").unwrap().contains(ip("2001:db8::1")));
        assert!(Network::parse("10.0.0.0/8").unwrap().contains(ip("::ffff:10.1.2.3")), "mapped addresses count");
        assert!(!Network::parse("::/0").unwrap().contains(ip("10.1.2.3")));
    }

    #[test]
    fn malformed_networks_are_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "host"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_listed_proxies_speak_for_the_client() {
        let default = TrustedProxies::private_ranges();
        assert_eq!(default.networks.len(), TrustedProxies::PRIVATE.len());
        assert!(default.may_name_host(ip("192.168.1.1")));
        assert!(!default.may_name_client(ip("192.168.1.1")));
        assert!(!default.may_name_host(ip("203.0.113.9")));
        let listed = TrustedProxies { networks: vec![Network::parse("203.0.113.9").unwrap()], explicit: true };
        assert!(listed.may_name_client(ip("203.0.113.9")));
        assert!(!listed.may_name_client(ip("127.0.0.1")));
    }

    #[test]
    fn a_share_takes_its_share() {
        for (share, taken) in [(0.0, 0), (0.25, 250_000), (1.0, 1_000_000)] {
            let share = Share::of(share).unwrap();
            assert_eq!((0..1_000_000).filter(|number| share.takes(*number)).count(), taken, "{share:?}");
        }
        assert!([-0.1, 1.1, f64::NAN].into_iter().all(|share| Share::of(share).is_none()));
    }

    #[test]
    fn secrets_never_print() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), MASK);
        assert_eq!(secret, Secret::new("hunter2"));
        assert_ne!(secret, Secret::new("hunter3"));
    }
}
