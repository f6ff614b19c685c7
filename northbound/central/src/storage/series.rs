//! Table `series`: definitions of series, which blocks name by numbers of their hub and epoch.

use hub_model::{DeviceId, HubId, LogEpoch, Series, SeriesId, SeriesKey, ValueType};
use sqlx::sqlite::SqliteRow;

use super::StorageError;
use super::cell::{Cells, epoch, size};
use super::database::Db;

/// A series and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesRow {
    /// The hub.
    pub hub: HubId,
    /// The epoch its number belongs to.
    pub epoch: LogEpoch,
    /// The definition.
    pub series: Series,
}

/// A series with what a list says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesListing {
    /// The series.
    pub row: SeriesRow,
    /// Its device's present name, once that is known.
    pub device_name: Option<String>,
}

macro_rules! columns {
    ($rest:literal) => {
        concat!(
            "SELECT s.hub_id, s.epoch, s.series_id, s.device_id, s.metric, s.value_type, s.unit, s.dictionary, d.name
             FROM series s LEFT JOIN devices d
                 ON d.org_id = s.org_id AND d.device_id = s.device_id AND d.hub_id = s.hub_id ",
            $rest
        )
    };
}

/// Where a list of series goes on: hub, epoch as stored, number.
pub(crate) type SeriesPlace = (HubId, LogEpoch, SeriesId);

impl Db<'_> {
    /// Takes in a definition. A number never changes its meaning within an epoch, so the first word holds.
    pub(crate) async fn put_series(
        &mut self,
        hub: HubId,
        of: LogEpoch,
        series: &Series,
    ) -> Result<(), StorageError> {
        let statement = sqlx::query(
            "INSERT INTO series (org_id, hub_id, epoch, series_id, device_id, metric, value_type, unit, dictionary)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (org_id, hub_id, epoch, series_id) DO NOTHING",
        );
        let Series { id, key, dictionary } = series;
        let dictionary =
            serde_json::to_string(dictionary).map_err(|_| StorageError::Malformed("dictionary"))?;
        let statement = statement.bind(self.org).bind(hub.to_string()).bind(epoch(of)).bind(i64::from(id.0));
        let statement = statement.bind(key.device.to_string()).bind(key.metric.as_str());
        let statement = statement.bind(i64::from(key.value_type.number())).bind(key.unit.as_str());
        statement.bind(dictionary).execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Series, of one device or all, behind a place, by hub, epoch and number.
    pub(crate) async fn series(
        &mut self,
        hub: Option<HubId>,
        device: Option<DeviceId>,
        after: Option<SeriesPlace>,
        limit: usize,
    ) -> Result<Vec<SeriesListing>, StorageError> {
        let query = sqlx::query(columns!(
            "WHERE s.org_id = $1 AND ($2 IS NULL OR s.hub_id = $2) AND ($3 IS NULL OR s.device_id = $3)
                 AND (s.hub_id > $4 OR (s.hub_id = $4 AND (s.epoch > $5 OR (s.epoch = $5 AND s.series_id > $6))))
             ORDER BY s.hub_id, s.epoch, s.series_id LIMIT $7"
        ));
        let (after_hub, after_epoch, after_id) = match after {
            Some((hub, of, id)) => (hub.to_string(), epoch(of), i64::from(id.0)),
            None => (String::new(), i64::MIN, -1),
        };
        let query = query.bind(self.org).bind(hub.map(|h| h.to_string())).bind(device.map(|d| d.to_string()));
        let query = query.bind(after_hub).bind(after_epoch).bind(after_id).bind(size(limit));
        let rows = query.fetch_all(&mut *self.conn).await?;
        let listing =
            |row: &SqliteRow| Ok(SeriesListing { row: read(row)?, device_name: Cells(row).get("name")? });
        rows.iter().map(listing).collect()
    }

    /// The series of one metric of a device: more than one after a change of type, unit or epoch.
    pub(crate) async fn series_of_metric(
        &mut self,
        hub: HubId,
        device: DeviceId,
        metric: &str,
    ) -> Result<Vec<SeriesRow>, StorageError> {
        let query = sqlx::query(columns!(
            "WHERE s.org_id = $1 AND s.device_id = $2 AND s.metric = $3 AND s.hub_id = $4
             ORDER BY s.epoch, s.series_id"
        ));
        let query = query.bind(self.org).bind(device.to_string()).bind(metric).bind(hub.to_string());
        let rows = query.fetch_all(&mut *self.conn).await?;
        rows.iter().map(read).collect()
    }

    /// The numbers of all series of an epoch.
    pub(crate) async fn series_ids(
        &mut self,
        hub: HubId,
        of: LogEpoch,
    ) -> Result<Vec<SeriesId>, StorageError> {
        let query = sqlx::query_scalar(
            "SELECT series_id FROM series WHERE org_id = $1 AND hub_id = $2 AND epoch = $3 ORDER BY series_id",
        );
        let query = query.bind(self.org).bind(hub.to_string()).bind(epoch(of));
        let ids: Vec<u32> = query.fetch_all(&mut *self.conn).await?;
        Ok(ids.into_iter().map(SeriesId).collect())
    }
}

fn read(row: &SqliteRow) -> Result<SeriesRow, StorageError> {
    let cells = Cells(row);
    let id = u32::try_from(cells.count("series_id")?).map_err(|_| StorageError::Malformed("series_id"))?;
    let key = SeriesKey {
        device: cells.parsed("device_id")?,
        metric: cells.parsed("metric")?,
        value_type: cells.kind("value_type", ValueType::from_number)?,
        unit: cells.parsed("unit")?,
    };
    let dictionary = serde_json::from_str(cells.get("dictionary")?);
    let dictionary = dictionary.map_err(|_| StorageError::Malformed("dictionary"))?;
    Ok(SeriesRow {
        hub: cells.hub()?,
        epoch: cells.epoch()?,
        series: Series { id: SeriesId(id), key, dictionary },
    })
}
