//! What a server has counted since its start.

use std::collections::BTreeMap;

/// What happened at a server since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whole requests that arrived, to whatever unit.
    pub requests: u64,
    /// Answers whose first byte was due: whole, bent and exceptions. Counted before that byte is sent.
    pub answers: u64,
    /// Frames that were no Modbus TCP; each cost its sender the connection.
    pub malformed: u64,
    /// The same per unit that was asked, up to 256.
    pub units: BTreeMap<u8, UnitCounts>,
    /// How often each fault was applied, by its name. Counted when the request arrives.
    pub faults: BTreeMap<&'static str, u64>,
    /// Connections.
    pub connections: ConnectionCounts,
}

/// What happened to one unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitCounts {
    /// Requests to it.
    pub requests: u64,
    /// Answers of it.
    pub answers: u64,
}

/// Connections of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Open now.
    pub now: u64,
    /// The most that were open at once.
    pub most: u64,
    /// All that were served.
    pub total: u64,
    /// Closed at once, because there were enough.
    pub refused: u64,
}

impl Counts {
    /// How often any fault was applied.
    pub fn faults_applied(&self) -> u64 {
        self.faults.values().sum()
    }

    /// One unit's; zeros where nobody asked it.
    pub fn unit(&self, unit: u8) -> UnitCounts {
        self.units.get(&unit).copied().unwrap_or_default()
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        let unit = |(unit, of): (&u8, &UnitCounts)| {
            format!(r#""{unit}":{{"requests":{},"answers":{}}}"#, of.requests, of.answers)
        };
        let units: Vec<String> = self.units.iter().map(unit).collect();
        let faults: Vec<String> = self.faults.iter().map(|(name, n)| format!(r#""{name}":{n}"#)).collect();
        let ConnectionCounts { now, most, total, refused } = self.connections;
        format!(
            concat!(
                r#"{{"requests":{},"answers":{},"malformed":{},"#,
                r#""connections":{{"now":{},"most":{},"total":{},"refused":{}}},"#,
                r#""faults":{{{}}},"units":{{{}}}}}"#
            ),
            self.requests,
            self.answers,
            self.malformed,
            now,
            most,
            total,
            refused,
            faults.join(","),
            units.join(",")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_one_line_of_json() {
        let counts = Counts {
            requests: 3,
            answers: 2,
            malformed: 1,
            units: [(4, UnitCounts { requests: 3, answers: 2 }), (9, UnitCounts::default())].into(),
            faults: [("late", 1), ("silent", 2)].into(),
            connections: ConnectionCounts { now: 1, most: 2, total: 5, refused: 4 },
        };
        let expected = concat!(
            r#"{"requests":3,"answers":2,"malformed":1,"#,
            r#""connections":{"now":1,"most":2,"total":5,"refused":4},"faults":{"late":1,"silent":2},"#,
            r#""units":{"4":{"requests":3,"answers":2},"9":{"requests":0,"answers":0}}}"#
        );
        assert_eq!(counts.to_json(), expected);
        assert_eq!(counts.faults_applied(), 3);
    }
}
