//! Who holds a connection to the API, and who is given up for others: those that stay silent, the oldest first. No
//! clock and no sockets in here.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::denials::network;

/// Connections at once.
pub(super) const CONNECTIONS_MAX: usize = 256;

/// Silent ones of one address at once, its handshakes included: some browsers and command lines behind one router.
const SILENT_PER_ADDRESS: usize = 32;

/// The connections there are.
#[derive(Debug, Default)]
pub(super) struct Doorway {
    next: u64,
    entries: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    /// When it fell silent, as a count; `None` while it is answered.
    silent_since: Option<u64>,
}

impl Doorway {
    /// A connection comes: its number, and that of one that has to go for it. `None` when nobody is silent.
    pub(super) fn enter(&mut self, address: IpAddr) -> Option<(u64, Option<u64>)> {
        let address = network(address);
        let silent =
            self.entries.iter().filter_map(|(number, e)| Some((e.silent_since?, *number, e.address)));
        let of_address = silent.clone().filter(|(_, _, of)| *of == address);
        let gone = if of_address.clone().count() >= SILENT_PER_ADDRESS {
            of_address.min()
        } else if self.entries.len() >= CONNECTIONS_MAX {
            Some(silent.min()?)
        } else {
            None
        };
        let gone = gone.map(|(_, number, _)| number);
        if let Some(gone) = gone {
            self.entries.remove(&gone);
        }
        self.next += 1;
        self.entries.insert(self.next, Entry { address, silent_since: Some(self.next) });
        Some((self.next, gone))
    }

    /// A request is complete, and is being answered.
    pub(super) fn asked(&mut self, number: u64) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.silent_since = None;
        }
    }

    /// It was answered.
    pub(super) fn answered(&mut self, number: u64) {
        self.next += 1;
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.silent_since = Some(self.next);
        }
    }

    /// A connection is gone.
    pub(super) fn leave(&mut self, number: u64) {
        self.entries.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn the_oldest_silent_of_an_address_goes_first() {
        let mut doorway = Doorway::default();
        let (other, _) = doorway.enter(address(1)).unwrap();
        let first: Vec<u64> = (0..32).map(|_| doorway.enter(address(2)).unwrap().0).collect();
        doorway.asked(first[0]);
        assert_eq!(doorway.enter(address(2)).unwrap().1, None, "one of them is answered");
        assert_eq!(doorway.enter(address(2)).unwrap().1, Some(first[1]));
        doorway.answered(first[0]);
        assert_eq!(doorway.enter(address(2)).unwrap().1, Some(first[2]), "and was heard just now");
        assert!(doorway.entries.contains_key(&other));
    }

    #[test]
    fn when_all_places_are_taken_silence_goes_and_answers_stay() {
        let mut doorway = Doorway::default();
        let numbers: Vec<u64> = (0..=255).map(|n| doorway.enter(address(n)).unwrap().0).collect();
        assert_eq!(doorway.enter(address(7)).unwrap().1, Some(numbers[0]));
        let all: Vec<u64> = doorway.entries.keys().copied().collect();
        all.iter().for_each(|number| doorway.asked(*number));
        assert_eq!(doorway.enter(address(7)), None, "everybody is being answered");
        doorway.leave(numbers[9]);
        assert!(doorway.enter(address(7)).is_some_and(|(_, gone)| gone.is_none()));
    }
}
