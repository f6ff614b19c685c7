//! Hands into the tables, for tests of what damage does.

use hub_model::{Class, LogEpoch, SeqRange};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::quarantine::{self, Quarantined};
use super::{Table, Tables, confirmed, gap, place_key, store_info, time_index};

impl Tables {
    /// Puts any bytes into the store's row.
    pub(crate) fn put_info_for_test(&self, key: &[u8], value: &[u8]) {
        self.put_for_test(store_info::STORE_INFO, key, value);
    }

    /// Takes out whatever a table holds that begins at `from`.
    pub(crate) fn lose_row_for_test(&self, epoch: LogEpoch, class: Class, from: u64, table: &'static str) {
        let txn = self.begin().expect("it begins");
        let first = place_key(epoch, class, from);
        let last = gap::encode_key(epoch, class, SeqRange::new(from, u64::MAX));
        let mut rows = 0;
        let table: Table = TableDefinition::new(table);
        txn.open_table(table)
            .expect("it opens")
            .retain_in(first.as_slice()..=last.as_slice(), |_, _| {
                rows += 1;
                false
            })
            .expect("it goes");
        assert_eq!(rows, 1);
        txn.commit().expect("it commits");
    }

    /// Makes an index row one that does not decode.
    pub(crate) fn garble_index_for_test(&self, epoch: LogEpoch, class: Class, from: u64) {
        self.put_for_test(time_index::TIME_INDEX, &place_key(epoch, class, from), b"garbled");
    }

    /// As a file of an earlier version is.
    pub(crate) fn drop_new_tables_for_test(&self) {
        let txn = self.begin().expect("it begins");
        for table in [confirmed::CONFIRMED, quarantine::QUARANTINE] {
            assert!(txn.delete_table(table).expect("it goes"));
        }
        txn.commit().expect("it commits");
    }

    /// What is in quarantine.
    pub(crate) fn quarantine_for_test(&self) -> Vec<(u64, Quarantined)> {
        let read = self.db().expect("it is open").begin_read().expect("it begins");
        let table = read.open_table(quarantine::QUARANTINE).expect("it opens");
        let mut kept = Vec::new();
        for row in table.iter().expect("it lists") {
            let (key, value) = row.expect("it reads");
            let number = u64::from_be_bytes(key.value().try_into().expect("eight bytes"));
            kept.push((number, quarantine::decode_value(value.value()).expect("it decodes")));
        }
        kept
    }

    fn put_for_test(&self, table: Table, key: &[u8], value: &[u8]) {
        let txn = self.begin().expect("it begins");
        txn.open_table(table).expect("it opens").insert(key, value).expect("it inserts");
        txn.commit().expect("it commits");
    }
}
