import { expect, test } from 'vitest';
import { backfilled, broken, extent, pauses, points, SPANS, stepFor } from '../src/lib/history';

const at = (seconds: number) => new Date(seconds * 1000).toISOString();

test('short spans are drawn reading by reading, long ones in at most 800 bins', () => {
  expect(stepFor(SPANS['10min'])).toBeNull();
  expect(stepFor(SPANS['1h'])).toBeNull();
  expect(stepFor(SPANS['6h'])).toBe(30_000);
  expect(stepFor(SPANS['24h'])).toBe(120_000);
  expect(stepFor(SPANS['7d'])).toBe(900_000);
  for (const days of [30, 400, 4000]) expect((days * 86_400_000) / (stepFor(days * 86_400_000) ?? 1)).toBeLessThanOrEqual(800);
});

test('readings are sorted by time, whatever order and type they came in', () => {
  const rows = points([
    { type: 'f64', unit: 'V', time: [at(3), at(1), null], value: [3.5, null, 7] },
    { type: 'bool', unit: '', time: [at(2)], value: [true] },
    { type: 'string', unit: '', time: [at(2)], value: ['text'] },
  ]);
  expect(rows.map((row) => [row.at, row.mid])).toEqual([[1000, null], [2000, 1], [3000, 3.5]]);
});

test('bins keep their least and most', () => {
  const rows = points([{ type: 'f64', unit: '', time: [at(0), at(60)], min: [1, 2], mean: [2, 3], max: [5, 4] }]);
  expect(rows[0]).toEqual({ at: 0, low: 1, mid: 2, high: 5 });
  expect(extent(rows)).toEqual({ least: 1, most: 5, mean: 2.5 });
});

test('a pause is left blank, and told', () => {
  const rows = points([{ type: 'f64', unit: '', time: [at(0), at(1), at(9), at(10)], value: [1, 2, 3, 4] }]);
  expect(broken(rows, 3000).map((row) => row.mid)).toEqual([1, 2, null, 3, 4]);
  expect(pauses(rows, 3000)).toEqual([{ from: 1000, to: 9000 }]);
  expect(broken(rows, 8000)).toEqual(rows);
  expect(broken([], 1)).toEqual([]);
  expect(extent([])).toBeNull();
});

test('readings that came in late are joined into pieces', () => {
  const time = [at(0), at(1), at(2), at(50), at(100)];
  const received_time = [at(100), at(100), null, at(51), at(200)];
  expect(backfilled([{ type: 'f64', unit: '', time, received_time }], 5000)).toEqual([{ from: 0, to: 1000 }, { from: 100_000, to: 100_000 }]);
});
