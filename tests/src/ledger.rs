//! The ledger and the gaps, as `relais-hub data … --json` tells them.

use serde_json::Value;

/// What became of every sequence number given out, by class.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// One row per class.
    pub rows: Vec<LedgerRow>,
}

/// One class.
#[derive(Clone, Debug)]
pub struct LedgerRow {
    /// The class's name.
    pub class: String,
    /// The next number to be given out.
    pub next: u64,
    /// Records in the write-ahead log.
    pub tail: u64,
    /// Records in sealed blocks.
    pub stored: u64,
    /// Records let go by retention.
    pub expired: u64,
    /// Numbers covered by gap rows.
    pub gaps: u64,
    /// Numbers central has confirmed, wherever their records are now.
    pub confirmed: u64,
}

impl LedgerRow {
    /// Whether every number is accounted for.
    pub const fn balanced(&self) -> bool {
        self.next == self.tail + self.stored + self.expired + self.gaps
    }
}

impl Ledger {
    #[track_caller]
    pub(crate) fn parse(json: &Value) -> Ledger {
        let number = |row: &Value, key: &str| {
            row[key].as_u64().unwrap_or_else(|| panic!("ledger row without {key}: {row}"))
        };
        let rows = list(json, "classes")
            .iter()
            .map(|row| LedgerRow {
                class: row["class"].as_str().unwrap_or_default().to_owned(),
                next: number(row, "next"),
                tail: number(row, "tail"),
                stored: number(row, "stored"),
                expired: number(row, "expired"),
                gaps: number(row, "gaps"),
                confirmed: number(row, "confirmed"),
            })
            .collect();
        Ledger { rows }
    }

    /// The row of a class.
    #[track_caller]
    pub fn class(&self, name: &str) -> &LedgerRow {
        self.rows
            .iter()
            .find(|row| row.class == name)
            .unwrap_or_else(|| panic!("no class {name} in {self:?}"))
    }

    /// Whether every class is balanced.
    pub fn balanced(&self) -> bool {
        self.rows.iter().all(LedgerRow::balanced)
    }
}

/// A range of numbers that hold nothing, and why.
#[derive(Clone, Debug)]
pub struct Gap {
    /// The class's name.
    pub class: String,
    /// Why.
    pub cause: String,
    /// First number.
    pub from: u64,
    /// One past the last number.
    pub to: u64,
}

impl Gap {
    #[track_caller]
    pub(crate) fn parse_all(json: &Value) -> Vec<Gap> {
        list(json, "gaps")
            .iter()
            .map(|row| Gap {
                class: row["class"].as_str().unwrap_or_default().to_owned(),
                cause: row["cause"].as_str().unwrap_or_default().to_owned(),
                from: row["from"].as_u64().unwrap_or_else(|| panic!("gap without from: {row}")),
                to: row["to"].as_u64().unwrap_or_else(|| panic!("gap without to: {row}")),
            })
            .collect()
    }
}

#[track_caller]
fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json[key].as_array().unwrap_or_else(|| panic!("no {key} in {json}"))
}
