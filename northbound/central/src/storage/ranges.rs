//! Table `ranges`: what is known of which numbers: a block and where its bytes are, or why there is none.

use hub_model::{BootId, BootStamp, GapCause, HubId, LogEpoch, RangeSet, SeqRange, UtcMs};
use northbound_sync::Kind;
use northbound_wire::Lane;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::StorageError;
use super::cell::{Cells, class, epoch, moment, number, size};
use super::database::Db;
use super::objects::ObjectId;

/// How far a block of class meta has come. Numbers are on disk and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Decoded {
    /// Nothing is to be decoded: another class.
    Never = 0,
    /// Its definitions are not in the tables yet.
    Waiting = 1,
    /// They are.
    Done = 2,
    /// Its checksum holds, and still it does not decode.
    Failed = 3,
}

impl Decoded {
    fn from_number(number: u8) -> Option<Decoded> {
        [Decoded::Never, Decoded::Waiting, Decoded::Done, Decoded::Failed]
            .into_iter()
            .find(|d| *d as u8 == number)
    }
}

/// A block: where its bytes are, and what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRow {
    /// The object its bytes are in.
    pub object: ObjectId,
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub length: u64,
    /// Boot of its stamps.
    pub boot: BootId,
    /// Earliest, in ms.
    pub t_min_ms: u64,
    /// Latest, in ms.
    pub t_max_ms: u64,
    /// Earliest and latest time stated by devices.
    pub wall: Option<(UtcMs, UtcMs)>,
    /// How many records.
    pub records: u64,
    /// How far its decoding has come.
    pub decoded: Decoded,
}

/// Why there are no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// Why.
    pub cause: GapCause,
    /// The last moment known before.
    pub since: Option<BootStamp>,
    /// The first moment known after.
    pub until: BootStamp,
}

/// What is known of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeBody {
    /// Its block is here.
    Block(BlockRow),
    /// It is gone.
    Gap(GapRow),
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeRow {
    /// Its numbers.
    pub range: SeqRange,
    /// What is known of them.
    pub body: RangeBody,
    /// When it came here.
    pub received: UtcMs,
}

impl RangeRow {
    /// The kind, by which ranges are placed.
    pub const fn kind(&self) -> Kind {
        match &self.body {
            RangeBody::Block(_) => Kind::Stored,
            RangeBody::Gap(gap) => Kind::of_gap(gap.cause),
        }
    }

    /// The block.
    pub const fn block(&self) -> Option<&BlockRow> {
        match &self.body {
            RangeBody::Block(block) => Some(block),
            RangeBody::Gap(_) => None,
        }
    }
}

/// What is deleted lies over everything else.
fn layer(kind: Kind) -> i64 {
    i64::from(kind == Kind::Deleted)
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT hub_id, epoch, class, from_seq, to_seq, kind, received_ms, cause, since_boot, since_mono, until_boot,
                 until_mono, object_id, offset_bytes, length_bytes, boot, t_min_mono, t_max_mono, wall_min_ms,
                 wall_max_ms, records, decoded FROM ranges ",
            $rest
        )
    };
}

/// Rows of one layer that share a number with `$6..$7`. The row that begins last at or before `$6` is the only one
/// that can reach in from below.
const OVERLAPPING: &str = columns!(
    "WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = $5 AND from_seq < $7
         AND from_seq >= COALESCE((SELECT MAX(from_seq) FROM ranges WHERE org_id = $1 AND hub_id = $2 AND epoch = $3
             AND class = $4 AND layer = $5 AND from_seq <= $6), $6)
         AND to_seq > $6
     ORDER BY from_seq LIMIT $8"
);

/// How many those are, and one more where the one from below ends before `$6`.
const COUNT_OVERLAPPING: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM ranges
     WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = $5 AND from_seq < $7
         AND from_seq >= COALESCE((SELECT MAX(from_seq) FROM ranges WHERE org_id = $1 AND hub_id = $2 AND epoch = $3
             AND class = $4 AND layer = $5 AND from_seq <= $6), $6)
     LIMIT $8)";

const LAYERS: [i64; 2] = [0, 1];

/// Blocks by number.
const BLOCKS: &str = columns!(
    "WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = 0 AND from_seq >= $5
         AND object_id IS NOT NULL
     ORDER BY from_seq LIMIT $6"
);

/// The same, of those with stamps of a boot between two moments.
const BLOCKS_OF_BOOT: &str = columns!(
    "WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = 0 AND from_seq >= $5
         AND +boot = $7 AND t_max_mono >= $8 AND t_min_mono <= $9
     ORDER BY from_seq LIMIT $6"
);

/// The same, of those with times stated by devices between two times.
const BLOCKS_OF_WALL: &str = columns!(
    "WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = 0 AND from_seq >= $5
         AND +wall_max_ms >= $7 AND wall_min_ms < $8
     ORDER BY from_seq LIMIT $6"
);

/// Where the blocks of a span begin, in no order, out of an index that has all of it. A `+` keeps a column from being
/// what the index is chosen by.
const PLACES_OF_BOOT: &str = "SELECT from_seq FROM ranges
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND +from_seq >= $5
        AND boot = $7 AND t_max_mono >= $8 AND t_min_mono <= $9
    LIMIT $6";

const PLACES_OF_WALL: &str = "SELECT from_seq FROM ranges
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND +from_seq >= $5
        AND wall_max_ms IS NOT NULL AND wall_max_ms >= $7 AND wall_min_ms < $8
    LIMIT $6";

const BLOCK_AT: &str = columns!(
    "WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = 0 AND from_seq = $5
         AND object_id IS NOT NULL"
);

const GAP_RANGES: &str = columns!(
    "WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND cause IS NOT NULL AND from_seq >= $5
     ORDER BY from_seq LIMIT $6"
);

const UNDECODED: &str = columns!(
    "WHERE org_id = $1 AND decoded = 1 AND (hub_id, epoch, from_seq) > ($2, $3, $4)
     ORDER BY hub_id, epoch, from_seq LIMIT $5"
);

const REMOVE: &str = "DELETE FROM ranges
    WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = $5 AND from_seq >= $6
        AND from_seq <= $7";

const OF_OBJECT: &str = columns!("WHERE org_id = $1 AND object_id = $2 ORDER BY offset_bytes");

/// Statements that must not read a whole table, with the index each goes by.
#[cfg(test)]
pub(super) const LOOKUPS: &[(&str, &str)] = &[
    (OVERLAPPING, "sqlite_autoindex_ranges_1"),
    (COUNT_OVERLAPPING, "sqlite_autoindex_ranges_1"),
    (BLOCKS, "sqlite_autoindex_ranges_1"),
    (BLOCKS_OF_BOOT, "sqlite_autoindex_ranges_1"),
    (BLOCKS_OF_WALL, "sqlite_autoindex_ranges_1"),
    (PLACES_OF_BOOT, "COVERING INDEX ranges_by_time"),
    (PLACES_OF_WALL, "COVERING INDEX ranges_by_wall"),
    (BLOCK_AT, "sqlite_autoindex_ranges_1"),
    (GAP_RANGES, "ranges_gaps"),
    (UNDECODED, "ranges_undecoded"),
    (OF_OBJECT, "ranges_by_object"),
    (REMOVE, "sqlite_autoindex_ranges_1"),
];

/// Which blocks are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockSpan {
    /// All.
    All,
    /// Those with stamps of a boot between these milliseconds, both included.
    Boot(BootId, u64, u64),
    /// Those with stated times from the first to before the second.
    Wall(UtcMs, UtcMs),
}

impl Db<'_> {
    /// Every row that shares a number with `range`, at most `limit` of them per layer.
    pub(crate) async fn overlapping(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
        limit: usize,
    ) -> Result<Vec<RangeRow>, StorageError> {
        let mut found = Vec::new();
        for layer in LAYERS {
            found.extend(self.overlapping_layer(hub, lane, range, layer, limit).await?);
        }
        Ok(found)
    }

    /// How many rows [`Db::overlapping`] finds, or two more: at most `limit` per layer.
    pub(crate) async fn count_overlapping(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
        limit: usize,
    ) -> Result<usize, StorageError> {
        let mut found = 0;
        for layer in LAYERS {
            let query = sqlx::query_scalar(COUNT_OVERLAPPING).bind(self.org).bind(hub.to_string());
            let query = query.bind(epoch(lane.epoch)).bind(class(lane.class)).bind(layer);
            let query = query.bind(number(range.from)).bind(number(range.to)).bind(size(limit));
            let count: i64 = query.fetch_one(&mut *self.conn).await?;
            found += usize::try_from(count).map_err(|_| StorageError::Malformed("count"))?;
        }
        Ok(found)
    }

    async fn overlapping_layer(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
        layer: i64,
        limit: usize,
    ) -> Result<Vec<RangeRow>, StorageError> {
        let query = sqlx::query(OVERLAPPING).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let query = query.bind(class(lane.class)).bind(layer);
        let query = query.bind(number(range.from)).bind(number(range.to)).bind(size(limit));
        let rows = query.fetch_all(&mut *self.conn).await?;
        bare(&rows)
    }

    /// Blocks of a span that begin at `from_seq` or later, by number.
    pub(crate) async fn blocks(
        &mut self,
        hub: HubId,
        lane: Lane,
        span: BlockSpan,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<RangeRow>, StorageError> {
        let statement = match span {
            BlockSpan::All => BLOCKS,
            BlockSpan::Boot(..) => BLOCKS_OF_BOOT,
            BlockSpan::Wall(..) => BLOCKS_OF_WALL,
        };
        let query = self.of_span(statement, hub, lane, span, from_seq, limit);
        let rows = query.fetch_all(&mut *self.conn).await?;
        bare(&rows)
    }

    /// Where the blocks of a span begin that begin at `from_seq` or later, by number; `None` when there are more than
    /// `limit`: then they are better looked for with [`Db::blocks`], which finds the first ones soon.
    pub(crate) async fn block_places(
        &mut self,
        hub: HubId,
        lane: Lane,
        span: BlockSpan,
        from_seq: u64,
        limit: usize,
    ) -> Result<Option<Vec<u64>>, StorageError> {
        let statement = match span {
            BlockSpan::All => return Ok(None),
            BlockSpan::Boot(..) => PLACES_OF_BOOT,
            BlockSpan::Wall(..) => PLACES_OF_WALL,
        };
        let query = self.of_span(statement, hub, lane, span, from_seq, limit.saturating_add(1));
        let rows = query.fetch_all(&mut *self.conn).await?;
        if rows.len() > limit {
            return Ok(None);
        }
        let places: Result<Vec<u64>, _> = rows.iter().map(|row| Cells(row).count("from_seq")).collect();
        let mut places = places?;
        places.sort_unstable();
        Ok(Some(places))
    }

    /// The block that begins at a number.
    pub(crate) async fn block_at(
        &mut self,
        hub: HubId,
        lane: Lane,
        from_seq: u64,
    ) -> Result<Option<RangeRow>, StorageError> {
        let query = sqlx::query(BLOCK_AT).bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let query = query.bind(class(lane.class)).bind(number(from_seq));
        let row = query.fetch_optional(&mut *self.conn).await?;
        Ok(row.map(|row| read(&row)).transpose()?.map(|(_, _, row)| row))
    }

    /// A statement of a span with its values: `$1` to `$4` the lane, `$5` and `$6` as named, then those of the span.
    fn of_span(
        &self,
        statement: &'static str,
        hub: HubId,
        lane: Lane,
        span: BlockSpan,
        from_seq: u64,
        limit: usize,
    ) -> Query<'static, Sqlite, SqliteArguments> {
        let query = sqlx::query(statement).bind(self.org.to_owned()).bind(hub.to_string());
        let query =
            query.bind(epoch(lane.epoch)).bind(class(lane.class)).bind(number(from_seq)).bind(size(limit));
        match span {
            BlockSpan::All => query,
            BlockSpan::Boot(boot, from, to) => {
                query.bind(boot.to_string()).bind(number(from)).bind(number(to))
            }
            BlockSpan::Wall(from, to) => query.bind(from.0).bind(to.0),
        }
    }

    /// Ranges without blocks, by number, whose numbers end behind `after`.
    pub(crate) async fn gap_ranges(
        &mut self,
        hub: HubId,
        lane: Lane,
        from_seq: u64,
        limit: usize,
    ) -> Result<Vec<RangeRow>, StorageError> {
        let query = sqlx::query(GAP_RANGES);
        let query =
            query.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch)).bind(class(lane.class));
        let rows = query.bind(number(from_seq)).bind(size(limit)).fetch_all(&mut *self.conn).await?;
        bare(&rows)
    }

    /// Every block in an object.
    pub(crate) async fn blocks_of_object(
        &mut self,
        object: ObjectId,
    ) -> Result<Vec<(HubId, Lane, RangeRow)>, StorageError> {
        let query = sqlx::query(OF_OBJECT);
        let rows = query.bind(self.org).bind(object.to_string()).fetch_all(&mut *self.conn).await?;
        rows.iter().map(read).collect()
    }

    /// Blocks of class meta that wait to be decoded, behind one of them.
    pub(crate) async fn undecoded(
        &mut self,
        after: Option<(HubId, LogEpoch, u64)>,
        limit: usize,
    ) -> Result<Vec<(HubId, Lane, RangeRow)>, StorageError> {
        let query = sqlx::query(UNDECODED);
        let (hub, after_epoch, seq) = match after {
            Some((hub, after_epoch, seq)) => (hub.to_string(), epoch(after_epoch), number(seq)),
            None => (String::new(), i64::MIN, 0),
        };
        let query = query.bind(self.org).bind(hub).bind(after_epoch).bind(seq).bind(size(limit));
        let rows = query.fetch_all(&mut *self.conn).await?;
        rows.iter().map(read).collect()
    }

    pub(crate) async fn set_decoded(
        &mut self,
        hub: HubId,
        lane: Lane,
        (from_seq, object): (u64, ObjectId),
        decoded: Decoded,
    ) -> Result<(), StorageError> {
        // The object tells the block from one that has taken its place meanwhile.
        let statement = sqlx::query(
            "UPDATE ranges SET decoded = $6
             WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 AND class = $4 AND layer = 0 AND from_seq = $5
                 AND object_id = $7",
        );
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(number(from_seq));
        let statement = statement.bind(i64::from(decoded as u8)).bind(object.to_string());
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Numbers within a range that are deleted, though their block is here.
    pub(crate) async fn deleted_within(
        &mut self,
        hub: HubId,
        lane: Lane,
        range: SeqRange,
    ) -> Result<RangeSet, StorageError> {
        let rows = self.overlapping_layer(hub, lane, range, layer(Kind::Deleted), usize::MAX).await?;
        Ok(rows.iter().map(|row| row.range).collect())
    }

    pub(crate) async fn insert_range(
        &mut self,
        hub: HubId,
        lane: Lane,
        row: &RangeRow,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO ranges (org_id, hub_id, epoch, class, layer, from_seq, to_seq, kind, received_ms, cause,
                 since_boot, since_mono, until_boot, until_mono, object_id, offset_bytes, length_bytes, boot, t_min_mono,
                 t_max_mono, wall_min_ms, wall_max_ms, records, decoded)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                 $22, $23, $24)",
        );
        let (block, gap) = match row.body {
            RangeBody::Block(block) => (Some(block), None),
            RangeBody::Gap(gap) => (None, Some(gap)),
        };
        let (since_boot, since_mono) = moment(gap.and_then(|g| g.since));
        let (until_boot, until_mono) = moment(gap.map(|g| g.until));
        let wall = block.and_then(|b| b.wall);
        let kind = row.kind();
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(layer(kind));
        let statement = statement.bind(number(row.range.from)).bind(number(row.range.to));
        let statement = statement.bind(i64::from(kind.number())).bind(row.received.0);
        let statement = statement.bind(gap.map(|g| i64::from(g.cause.number())));
        let statement = statement.bind(since_boot).bind(since_mono).bind(until_boot).bind(until_mono);
        let statement = statement.bind(block.map(|b| b.object.to_string()));
        let statement = statement.bind(block.map(|b| number(b.offset))).bind(block.map(|b| number(b.length)));
        let statement = statement.bind(block.map(|b| b.boot.to_string()));
        let statement =
            statement.bind(block.map(|b| number(b.t_min_ms))).bind(block.map(|b| number(b.t_max_ms)));
        let statement = statement.bind(wall.map(|(min, _)| min.0)).bind(wall.map(|(_, max)| max.0));
        let statement = statement.bind(block.map(|b| number(b.records)));
        let statement = statement.bind(block.map(|b| i64::from(b.decoded as u8)));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    pub(crate) async fn remove_range(
        &mut self,
        hub: HubId,
        lane: Lane,
        row: &RangeRow,
    ) -> Result<(), StorageError> {
        self.remove_ranges(hub, lane, row, row).await
    }

    /// Takes all rows of a layer out from the first to the last.
    pub(crate) async fn remove_ranges(
        &mut self,
        hub: HubId,
        lane: Lane,
        first: &RangeRow,
        last: &RangeRow,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(REMOVE);
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(lane.epoch));
        let statement = statement.bind(class(lane.class)).bind(layer(first.kind()));
        let statement = statement.bind(number(first.range.from)).bind(number(last.range.from));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }
}

/// Rows whose lane is known.
fn bare(rows: &[SqliteRow]) -> Result<Vec<RangeRow>, StorageError> {
    rows.iter().map(|row| Ok(read(row)?.2)).collect()
}

fn read(row: &SqliteRow) -> Result<(HubId, Lane, RangeRow), StorageError> {
    let cells = Cells(row);
    let body = if cells.get::<Option<i64>>("cause")?.is_some() {
        RangeBody::Gap(read_gap(&cells)?)
    } else {
        RangeBody::Block(read_block(&cells)?)
    };
    let row = RangeRow { range: cells.range()?, body, received: cells.time("received_ms")? };
    if cells.kind("kind", Kind::from_number)? != row.kind() {
        return Err(StorageError::Malformed("kind"));
    }
    Ok((cells.hub()?, cells.lane()?, row))
}

fn read_gap(cells: &Cells<'_>) -> Result<GapRow, StorageError> {
    let until = cells.moment_or_none("until_boot", "until_mono")?;
    Ok(GapRow {
        cause: cells.kind("cause", GapCause::from_number)?,
        since: cells.moment_or_none("since_boot", "since_mono")?,
        until: until.ok_or(StorageError::Malformed("until_boot"))?,
    })
}

fn read_block(cells: &Cells<'_>) -> Result<BlockRow, StorageError> {
    let walls = (cells.time_or_none("wall_min_ms")?, cells.time_or_none("wall_max_ms")?);
    Ok(BlockRow {
        object: cells.parsed("object_id")?,
        offset: cells.count("offset_bytes")?,
        length: cells.count("length_bytes")?,
        boot: cells.boot("boot")?,
        t_min_ms: cells.count("t_min_mono")?,
        t_max_ms: cells.count("t_max_mono")?,
        wall: walls.0.zip(walls.1),
        records: cells.count("records")?,
        decoded: cells.kind("decoded", Decoded::from_number)?,
    })
}
