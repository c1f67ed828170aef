//! Connections that are open, counted by where they come from, so that no client takes all of them.
//!
//! How many there may be in all is the server's to know: it accepts no more, and the rest wait. Of one address more than its share are
//! refused as soon as they are accepted, before anything is read of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use myfsio_actors::address::network;
use parking_lot::Mutex;

use crate::config::TrustedProxies;

/// The connections of all listeners.
#[derive(Debug)]
pub struct Connections {
    max: usize,
    proxies: TrustedProxies,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    by_address: HashMap<IpAddr, usize>,
    figures: ConnectionFigures,
}

/// How many there are, and were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionFigures {
    /// Open now.
    pub open: u64,
    /// Refused since the start, since their address had its share.
    pub refused: u64,
}

impl Connections {
    /// None yet, of which one address may have `max`; 0: as many as it likes. `proxies` that an operator listed may have as many as they
    /// like: all clients come from there.
    pub fn new(max: usize, proxies: TrustedProxies) -> Arc<Self> {
        Arc::new(Self { max, proxies, counts: Mutex::default() })
    }

    /// A place for a connection from `client`; none if that has its share.
    pub fn admit(self: &Arc<Self>, client: IpAddr) -> Option<Place> {
        let address = network(client);
        let is_limited = self.max > 0 && !self.proxies.may_name_client(client);
        let mut counts = self.counts.lock();
        let Counts { by_address, figures } = &mut *counts;
        let count = by_address.entry(address).or_default();
        if is_limited && *count >= self.max {
            figures.refused += 1;
            return None;
        }
        *count += 1;
        figures.open += 1;
        Some(Place { connections: Arc::clone(self), address })
    }

    /// How many there are.
    pub fn figures(&self) -> ConnectionFigures {
        self.counts.lock().figures
    }
}

/// The place of an open connection, free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.connections.counts.lock();
        counts.figures.open = counts.figures.open.saturating_sub(1);
        let left = counts.by_address.get_mut(&self.address).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            counts.by_address.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let connections = Connections::new(2, TrustedProxies::private_ranges());
        let client = ip("192.0.2.7");
        let held = [connections.admit(client).unwrap(), connections.admit(client).unwrap()];
        assert!(connections.admit(client).is_none());
        assert!(connections.admit(ip("::ffff:192.0.2.7")).is_none(), "the same in other words");
        assert!(connections.admit(ip("192.0.2.8")).is_some());
        assert_eq!(connections.figures(), ConnectionFigures { open: 2, refused: 2 });
        drop(held);
        assert!(connections.admit(client).is_some());
        assert_eq!(connections.figures().open, 0);
        assert!(connections.counts.lock().by_address.is_empty(), "who is gone is forgotten");
    }

    #[test]
    fn whoever_has_a_network_of_ipv6_is_one_client() {
        let connections = Connections::new(1, TrustedProxies::private_ranges());
        let _held = connections.admit(ip("2001:db8:1:2::3")).unwrap();
        assert!(connections.admit(ip("2001:db8:1:2:9::9")).is_none());
        assert!(connections.admit(ip("2001:db8:1:3::3")).is_some());
    }

    #[test]
    fn listed_proxies_and_a_limit_of_none_let_everybody_in() {
        let listed = TrustedProxies { networks: vec![Network::parse("10.0.0.1").unwrap()], explicit: true };
        let connections = Connections::new(1, listed);
        let _proxied = [ip("10.0.0.1"), ip("10.0.0.1")].map(|proxy| connections.admit(proxy).unwrap());
        let _held = connections.admit(ip("10.0.0.2")).unwrap();
        assert!(connections.admit(ip("10.0.0.2")).is_none());
        let unlimited = Connections::new(0, TrustedProxies::private_ranges());
        let _held = [ip("10.0.0.2"), ip("10.0.0.2")].map(|client| unlimited.admit(client).unwrap());
    }

    #[test]
    fn who_is_refused_leaves_no_trace_but_the_count() {
        let connections = Connections::new(1, TrustedProxies::private_ranges());
        let held = connections.admit(ip("192.0.2.7"));
        assert!(connections.admit(ip("192.0.2.7")).is_none());
        drop(held);
        assert!(connections.counts.lock().by_address.is_empty());
    }
}
