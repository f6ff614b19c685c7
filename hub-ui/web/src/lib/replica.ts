// What this page holds of the hub's state: a copy that stream messages bring up to date. No I/O, no clock.
import type { Data, Device, Series, Site, StreamMessage } from '../api/messages';

/** The copy. `series` belong to the one device that the stream was asked for. */
export interface Replica {
  site: Site | null;
  data: Data | null;
  devices: Map<string, Device>;
  series: Map<number, Series>;
}

export function emptyReplica(): Replica {
  return { site: null, data: null, devices: new Map(), series: new Map() };
}

/** Brings the copy up to date. A message with `resync` has everything, so that what it does not name is gone. */
export function apply(replica: Replica, message: StreamMessage): void {
  if (message.resync) {
    replica.site = null;
    replica.data = null;
    replica.devices.clear();
    replica.series.clear();
  }
  if (message.site) replica.site = message.site;
  if (message.data) replica.data = message.data;
  for (const device of message.devices) replica.devices.set(device.id, device);
  for (const series of message.series) replica.series.set(series.series, series);
  for (const id of message.removed_devices) replica.devices.delete(id);
  for (const id of message.removed_series) replica.series.delete(id);
}
