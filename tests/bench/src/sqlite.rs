//! The reference: SQLite as a careful engineer would set it up, WAL and `synchronous=FULL`, no index to slow it down.

use std::path::Path;

use rusqlite::{Connection, Statement, params};

use crate::load::Point;

/// A database in a folder of its own.
#[derive(Debug)]
pub(crate) struct Sqlite(Connection);

impl Sqlite {
    /// Makes the database.
    pub(crate) fn create(folder: &Path) -> Sqlite {
        std::fs::create_dir_all(folder).expect("a folder can be made");
        let connection = Connection::open(folder.join("reference.db")).expect("SQLite opens");
        let mode: String = connection
            .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
            .expect("SQLite has the WAL mode");
        assert_eq!(mode, "wal");
        connection
            .execute_batch(
                "PRAGMA synchronous=FULL;
                 CREATE TABLE samples (series INTEGER, ts INTEGER, value REAL, quality INTEGER);",
            )
            .expect("SQLite makes a table");
        Sqlite(connection)
    }

    /// Stores batches, one transaction each: on the device when this returns.
    pub(crate) fn store(&self, batches: impl Iterator<Item = Vec<Point>>) {
        let mut insert =
            self.0.prepare("INSERT INTO samples VALUES (?1, ?2, ?3, ?4)").expect("the statement is right");
        for batch in batches {
            self.store_one(&mut insert, &batch);
        }
    }

    fn store_one(&self, insert: &mut Statement<'_>, batch: &[Point]) {
        self.0.execute_batch("BEGIN").expect("SQLite begins");
        for point in batch {
            let at = i64::try_from(point.at_ms).expect("a time of this age");
            insert.execute(params![point.series, at, point.value, 0]).expect("SQLite inserts");
        }
        self.0.execute_batch("COMMIT").expect("SQLite commits");
    }
}
