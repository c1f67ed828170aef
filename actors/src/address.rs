//! Which addresses are on the public internet, which are of this machine and its networks, and which count as one client. Pure.
//!
//! Whoever may name an address to the node could otherwise have it send requests to its own surroundings. Names are judged by the
//! addresses that they resolve to at each connection, so a name that changes its mind helps nobody.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds tell machines their secrets, beside link-local addresses: those of AWS and Google by IPv6, Alibaba's, and Azure's.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// Whether an address is on the public internet (IANA special-purpose address registries).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        address if METADATA.contains(&address) => false,
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Whether an address is of this machine or of a private network (RFC 1918, 4193, 6598). Neither public nor that are, among others,
/// link-local addresses, and wherever else clouds tell machines their secrets.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        address if METADATA.contains(&address) => false,
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_loopback() || address.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Whether an address may be asked where private networks are allowed.
pub fn is_public_or_private(address: IpAddr) -> bool {
    is_public(address) || is_private(address)
}

/// What counts as one client where clients are counted: an IPv4 address, of IPv6 the /64 that one client usually has whole.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let embedded = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match (a, b) {
        // Translated (RFC 6052) and tunnelled (RFC 3056) addresses are what they carry.
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => is_public_v4(embedded(g, h)),
        (0x2002, _) => is_public_v4(embedded(b, c)),
        // Teredo, benchmarking, ORCHID, documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // Only this block is unicast on the internet.
        _ => (0x2000..0x4000).contains(&a),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn where_clouds_tell_secrets_nobody_asks() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "fe80::a9fe:a9fe",
            "fd00:ec2::254",
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "168.63.129.16",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
        ] {
            assert!(!is_public_or_private(address.parse().unwrap()), "{address}");
        }
        assert!(is_private("fd00:ec2::253".parse().unwrap()) && is_private("100.100.100.201".parse().unwrap()));
    }

    #[test]
    fn addresses() {
        for public in
            ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.5",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn what_tells_secrets_is_neither() {
        for metadata in [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
        ] {
            let address = metadata.parse().unwrap();
            assert!(!is_public(address) && !is_private(address), "{metadata}");
        }
        assert!(is_private("100.100.100.201".parse().unwrap()) && is_private("fd00:ec2::253".parse().unwrap()));
    }

    #[test]
    fn one_client() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[test]
    fn private_addresses() {
        for private in
            ["127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1"]
        {
            assert!(is_private(private.parse().unwrap()), "{private}");
        }
        for other in ["0.0.0.0", "8.8.8.8", "169.254.169.254", "224.0.0.1", "::", "fe80::1", "::ffff:169.254.169.254"] {
            assert!(!is_private(other.parse().unwrap()), "{other}");
        }
        assert!(is_private("::ffff:10.0.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn no_address_is_both(bits: u128) {
            let address = IpAddr::from(Ipv6Addr::from_bits(bits));
            prop_assert!(!(is_public(address) && is_private(address)));
        }

        #[test]
        fn a_mapped_address_is_the_address(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(is_public(address.to_ipv6_mapped().into()), is_public(address.into()));
        }
    }
}
