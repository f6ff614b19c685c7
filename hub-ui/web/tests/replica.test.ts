import { expect, test } from 'vitest';
import type { Device, Series, Site, StreamMessage } from '../src/api/messages';
import { apply, emptyReplica } from '../src/lib/replica';

const message = (part: Partial<StreamMessage>): StreamMessage => ({
  resync: false, now_ms: 0, time: null, site: null, data: null, devices: [], series: [], removed_devices: [], removed_series: [], ...part,
});
const device = (id: string, name = id) => ({ id, name }) as Device;

test('what a message does not name stays as it is', () => {
  const replica = emptyReplica();
  apply(replica, message({ resync: true, site: { name: 'Hall 3' } as Site, devices: [device('a'), device('b')] }));
  apply(replica, message({ devices: [device('b', 'new')] }));
  expect(replica.site?.name).toBe('Hall 3');
  expect([...replica.devices.values()].map((one) => one.name)).toEqual(['a', 'new']);
});

test('removed is gone, and so is everything that a resync does not name', () => {
  const replica = emptyReplica();
  apply(replica, message({ resync: true, devices: [device('a'), device('b')], series: [{ series: 1 } as Series] }));
  apply(replica, message({ removed_devices: ['a'], removed_series: [1] }));
  expect([[...replica.devices.keys()], replica.series.size]).toEqual([['b'], 0]);
  apply(replica, message({ resync: true }));
  expect([replica.devices.size, replica.site]).toEqual([0, null]);
});
