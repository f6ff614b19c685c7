//! The seven classes of record. Their numbers are on disk and on the wire and never change.

/// What kind of record this is, and so how urgently it travels and whether it may ever be given up.
///
/// Each class has its own dense sequence within a log epoch. Ordered by number: the lower, the more precious.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Events of severity alarm: durable at once, sent before everything else.
    Alarm = 0,
    /// Events of severity info and warning.
    Event = 1,
    /// Who did what: the hash-chained journal.
    Audit = 2,
    /// Definitions other records need to be understood: devices, series, clock records.
    Meta = 3,
    /// Samples of the ordinary kind.
    Telemetry = 4,
    /// Samples that may wait longest and go first when room runs out.
    Bulk = 5,
    /// Minute and hour partials derived at the hub.
    Rollup = 6,
}

impl Class {
    /// Every class, in the order of their numbers.
    pub const ALL: [Class; 7] =
        [Class::Alarm, Class::Event, Class::Audit, Class::Meta, Class::Telemetry, Class::Bulk, Class::Rollup];

    /// The fixed number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The number as an index into a table with one row per class.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The class of a fixed number; `None` for a number no version has given out.
    pub fn from_number(number: u8) -> Option<Class> {
        Class::ALL.get(usize::from(number)).copied()
    }

    /// Whether records of this class may be given up before they are confirmed when room runs out.
    pub const fn evictable(self) -> bool {
        matches!(self, Class::Telemetry | Class::Bulk | Class::Rollup)
    }

    /// The lowercase word used in the API, the command line and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Alarm => "alarm",
            Class::Event => "event",
            Class::Audit => "audit",
            Class::Meta => "meta",
            Class::Telemetry => "telemetry",
            Class::Bulk => "bulk",
            Class::Rollup => "rollup",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fixed() {
        let numbers: Vec<(u8, &str)> = Class::ALL.iter().map(|c| (c.number(), c.name())).collect();
        assert_eq!(
            numbers,
            [
                (0, "alarm"),
                (1, "event"),
                (2, "audit"),
                (3, "meta"),
                (4, "telemetry"),
                (5, "bulk"),
                (6, "rollup")
            ]
        );
        for class in Class::ALL {
            assert_eq!(Class::from_number(class.number()), Some(class));
        }
        assert_eq!(Class::from_number(7), None);
    }

    #[test]
    fn the_precious_classes_are_never_evicted() {
        let evictable: Vec<u8> = Class::ALL.iter().filter(|c| c.evictable()).map(|c| c.number()).collect();
        assert_eq!(evictable, [4, 5, 6]);
    }
}
