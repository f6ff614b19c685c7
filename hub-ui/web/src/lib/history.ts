// Readings of a span, made ready to be drawn: sorted by time, and broken where nothing was read.

/** Spans that people pick, in ms. */
export const SPANS = { '10min': 600_000, '1h': 3_600_000, '6h': 21_600_000, '24h': 86_400_000, '7d': 604_800_000 } as const;
export type SpanName = keyof typeof SPANS;

/** The widths of bins that the page asks for, in seconds; each divides the next, so that bins stay comparable. */
const STEPS_S = [10, 30, 60, 120, 300, 900, 3600];

/** About one bin for each pixel of a phone in landscape; the hub gives at most 2,000. */
const BINS_MAX = 800;

/** Spans up to this long are drawn reading by reading. */
const RAW_MAX_MS = SPANS['1h'];

/** The width of bins to ask for; null for the readings themselves. */
export function stepFor(spanMs: number): number | null {
  if (spanMs <= RAW_MAX_MS) return null;
  const steps = STEPS_S.map((seconds) => seconds * 1000);
  return steps.find((step) => spanMs / step <= BINS_MAX) ?? Math.ceil(spanMs / BINS_MAX / 3_600_000) * 3_600_000;
}

/** The columns of one series, either of readings or of bins. */
export interface Columns {
  type: string;
  unit: string;
  time: (string | null)[];
  received_time?: (string | null)[];
  value?: unknown[];
  min?: number[];
  max?: number[];
  mean?: number[];
}

/** One moment; `null` where the reading failed. */
export interface Point {
  /** ms since 1970. */
  at: number;
  mid: number | null;
  low: number | null;
  high: number | null;
}

/** A piece of time, in ms since 1970. */
export interface Piece {
  from: number;
  to: number;
}

/** A reading that came in this long after it was taken was waiting somewhere. */
const BACKFILLED_AFTER_MS = 30_000;

function numeric(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return null;
}

/** All readings or bins of a metric in order of time, whatever types it had. Those without a time are left out. */
export function points(all: readonly Columns[]): Point[] {
  const rows: Point[] = [];
  for (const columns of all) {
    if (columns.type === 'string') continue;
    columns.time.forEach((time, i) => {
      if (time === null) return;
      const at = Date.parse(time);
      if (columns.mean) {
        rows.push({ at, mid: columns.mean[i] ?? null, low: columns.min?.[i] ?? null, high: columns.max?.[i] ?? null });
      } else {
        const value = numeric(columns.value?.[i]);
        rows.push({ at, mid: value, low: value, high: value });
      }
    });
  }
  return rows.sort((a, b) => a.at - b.at);
}

/** Where readings came in late, joined into pieces. */
export function backfilled(all: readonly Columns[], joinMs: number): Piece[] {
  const moments: number[] = [];
  for (const columns of all) {
    columns.time.forEach((time, i) => {
      const received = columns.received_time?.[i];
      if (time === null || !received) return;
      if (Date.parse(received) - Date.parse(time) > BACKFILLED_AFTER_MS) moments.push(Date.parse(time));
    });
  }
  const pieces: Piece[] = [];
  for (const at of moments.sort((a, b) => a - b)) {
    const last = pieces.at(-1);
    if (last && at - last.to <= joinMs) last.to = at;
    else pieces.push({ from: at, to: at });
  }
  return pieces;
}

/**
 * Puts an empty point into each pause longer than `pauseMs`, so that no line is drawn across it: what was not read is
 * blank, never guessed.
 */
export function broken(rows: readonly Point[], pauseMs: number): Point[] {
  const out: Point[] = [];
  for (const row of rows) {
    const last = out.at(-1);
    if (last && row.at - last.at > pauseMs) out.push({ at: (last.at + row.at) / 2, mid: null, low: null, high: null });
    out.push(row);
  }
  return out;
}

/** The pauses that `broken` left blank. */
export function pauses(rows: readonly Point[], pauseMs: number): Piece[] {
  return rows.slice(1).flatMap((row, i) => {
    const from = rows[i]?.at ?? row.at;
    return row.at - from > pauseMs ? [{ from, to: row.at }] : [];
  });
}

export interface Extent {
  least: number;
  most: number;
  mean: number;
}

/** Least, most and mean of what was read; null for nothing. The mean is that of the points, not of time. */
export function extent(rows: readonly Point[]): Extent | null {
  let [least, most, sum, count] = [Infinity, -Infinity, 0, 0];
  for (const { low, mid, high } of rows) {
    if (low === null || mid === null || high === null) continue;
    least = Math.min(least, low);
    most = Math.max(most, high);
    sum += mid;
    count += 1;
  }
  return count > 0 ? { least, most, mean: sum / count } : null;
}
