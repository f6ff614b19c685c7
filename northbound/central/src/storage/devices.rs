//! Table `devices`: the devices of each hub with their present names. A definition further on in the log replaces an
//! earlier one, in whatever order they are decoded.

use hub_model::{Device, DeviceId, DeviceName, HubId};
use northbound_wire::Lane;
use sqlx::sqlite::SqliteRow;

use super::StorageError;
use super::cell::{Cells, epoch, number, size};
use super::database::Db;

/// A device and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// The hub that tells of it.
    pub hub: HubId,
    /// Its identity.
    pub id: DeviceId,
    /// Its present name, unique within the hub.
    pub name: DeviceName,
}

/// A device with what a list says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceListing {
    /// The device.
    pub device: DeviceRow,
    /// How many series it has, of all epochs.
    pub series_count: u64,
}

impl Db<'_> {
    /// Takes in a definition that stands at `seq` of `lane`.
    pub(crate) async fn put_device(
        &mut self,
        hub: HubId,
        lane: Lane,
        seq: u64,
        device: &Device,
    ) -> Result<(), StorageError> {
        // Of different epochs, the one that is decoded later counts: their numbers cannot be compared.
        let statement = sqlx::query(
            "INSERT INTO devices (org_id, device_id, hub_id, name, epoch, seq) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (org_id, device_id, hub_id) DO UPDATE SET name = excluded.name, epoch = excluded.epoch,
                 seq = excluded.seq
             WHERE devices.epoch <> excluded.epoch OR devices.seq <= excluded.seq",
        );
        let statement = statement.bind(self.org).bind(device.id.to_string()).bind(hub.to_string());
        let statement = statement.bind(device.name.as_str()).bind(epoch(lane.epoch)).bind(number(seq));
        statement.execute(&mut *self.conn).await?;
        Ok(())
    }

    /// Devices, of one hub or all, behind a device, by id.
    pub(crate) async fn devices(
        &mut self,
        hub: Option<HubId>,
        after: Option<(DeviceId, HubId)>,
        limit: usize,
    ) -> Result<Vec<DeviceListing>, StorageError> {
        let query = sqlx::query(
            "SELECT device_id, hub_id, name, (SELECT COUNT(*) FROM series s WHERE s.org_id = d.org_id
                 AND s.device_id = d.device_id AND s.hub_id = d.hub_id) AS series_count
             FROM devices d
             WHERE org_id = $1 AND ($2 IS NULL OR hub_id = $2)
                 AND (device_id > $3 OR (device_id = $3 AND hub_id > $4))
             ORDER BY device_id, hub_id LIMIT $5",
        );
        let (after, after_hub) = after.map(|(d, h)| (d.to_string(), h.to_string())).unwrap_or_default();
        let query = query.bind(self.org).bind(hub.map(|h| h.to_string())).bind(after).bind(after_hub);
        let rows = query.bind(size(limit)).fetch_all(&mut *self.conn).await?;
        let listing = |row: &SqliteRow| {
            let series_count = Cells(row).count("series_count")?;
            Ok(DeviceListing { device: read(row)?, series_count })
        };
        rows.iter().map(listing).collect()
    }

    /// Devices of an id or a name, of one hub or all; more than one when a name is used at several sites.
    pub(crate) async fn devices_called(
        &mut self,
        name_or_id: &str,
        hub: Option<HubId>,
    ) -> Result<Vec<DeviceRow>, StorageError> {
        let query = sqlx::query(
            "SELECT device_id, hub_id, name FROM devices
             WHERE org_id = $1 AND (device_id = $2 OR name = $2) AND ($3 IS NULL OR hub_id = $3)
             ORDER BY device_id, hub_id LIMIT 10",
        );
        let query = query.bind(self.org).bind(name_or_id).bind(hub.map(|h| h.to_string()));
        let rows = query.fetch_all(&mut *self.conn).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &SqliteRow) -> Result<DeviceRow, StorageError> {
    let cells = Cells(row);
    Ok(DeviceRow { hub: cells.hub()?, id: cells.parsed("device_id")?, name: cells.parsed("name")? })
}
