//! Denials in the audit, without letting whoever is denied fill the disk.
//!
//! Each address gets some entries of its own per minute, all addresses together some more; what is beyond is counted
//! and becomes one entry. No clock in here: moments come in.

use std::collections::BTreeSet;
use std::net::IpAddr;

/// How long a window is.
pub(crate) const WINDOW_MS: u64 = 60_000;

/// Entries per address and window: enough to see what is tried.
const ENTRIES_PER_ADDRESS: u32 = 20;

/// Entries of all addresses per window: 172,800 a day at worst, some 40 MB.
const ENTRIES_PER_WINDOW: u32 = 120;

/// Addresses told apart among those that are only counted; more are at least this many.
const ADDRESSES_MAX: usize = 1_024;

/// Who was denied lately.
#[derive(Debug, Default)]
pub struct Denials {
    window_began_ms: u64,
    entries: Vec<(IpAddr, u32)>,
    unlisted: u64,
    unlisted_from: BTreeSet<IpAddr>,
}

/// Denials of a window that have no entry of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// How many.
    pub count: u64,
    /// From how many addresses, at least.
    pub addresses: usize,
}

impl Denials {
    /// Counts a denial; whether it gets an entry of its own.
    pub fn denied(&mut self, address: IpAddr, now_ms: u64) -> bool {
        // Whoever has an IPv6 address has 2^64 of them.
        let address = network(address);
        if now_ms >= self.window_began_ms + WINDOW_MS && self.unlisted == 0 {
            self.begin(now_ms);
        }
        let listed: u32 = self.entries.iter().map(|(_, count)| count).sum();
        let of_address = self.entries.iter_mut().find(|(known, _)| *known == address);
        if listed < ENTRIES_PER_WINDOW {
            match of_address {
                Some((_, count)) if *count < ENTRIES_PER_ADDRESS => {
                    *count += 1;
                    return true;
                }
                Some(_) => {}
                None => {
                    self.entries.push((address, 1));
                    return true;
                }
            }
        }
        self.unlisted += 1;
        if self.unlisted_from.len() < ADDRESSES_MAX {
            self.unlisted_from.insert(address);
        }
        false
    }

    /// Ends a window that is over; what it has for an entry.
    pub fn end_window(&mut self, now_ms: u64) -> Option<Unlisted> {
        if now_ms < self.window_began_ms + WINDOW_MS {
            return None;
        }
        let unlisted = Unlisted { count: self.unlisted, addresses: self.unlisted_from.len() };
        self.begin(now_ms);
        (unlisted.count > 0).then_some(unlisted)
    }

    fn begin(&mut self, now_ms: u64) {
        *self = Denials { window_began_ms: now_ms, ..Denials::default() };
    }
}

/// What stands for a peer: of IPv6, the network of 64 bits that it has to itself.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_gets_a_few_entries_a_minute() {
        let mut denials = Denials::default();
        let listed = (0..100).filter(|n| denials.denied(address("192.0.2.1"), *n)).count();
        assert_eq!(listed, 20);
        assert!(denials.denied(address("192.0.2.2"), 100), "others have their own");
        assert_eq!(denials.end_window(59_999), None);
        assert_eq!(denials.end_window(60_000), Some(Unlisted { count: 80, addresses: 1 }));
        assert_eq!(denials.end_window(120_000), None, "nothing to tell");
        assert!(denials.denied(address("192.0.2.1"), 120_000));
    }

    #[test]
    fn many_addresses_do_not_help() {
        let mut denials = Denials::default();
        let mut listed = 0;
        for n in 0..10_000u32 {
            listed += u32::from(denials.denied(IpAddr::from(n.to_be_bytes()), 0));
        }
        assert_eq!(listed, ENTRIES_PER_WINDOW);
        let unlisted = denials.end_window(60_000).unwrap();
        assert_eq!((unlisted.count, unlisted.addresses), (9_880, ADDRESSES_MAX));
        let mut denials = Denials::default();
        let neighbours = (0..100u16).map(|n| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]));
        assert_eq!(neighbours.filter(|a| denials.denied(*a, 0)).count(), 20);
    }
}
