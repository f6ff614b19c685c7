// Numbers, ages, sizes and times as people read them.
import type { Value } from '../api/messages';
import type { Params } from './words';

/** Digits that a row shows after the point of a number: about four in all, and one of those that have more before it. */
export function shownDigits(value: number): number {
  const size = Math.abs(value);
  if (size < 10) return 3;
  if (size < 100) return 2;
  return size < 1e6 ? 1 : 0;
}

/** A value as a row shows it; a dash for none. Large integers come as text and stay as they are. */
export function valueText(value: Value['value'] | undefined, locale: string, words: { on: string; off: string }): string {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'boolean') return value ? words.on : words.off;
  if (typeof value === 'string') return value;
  if (value !== 0 && (Math.abs(value) >= 1e12 || Math.abs(value) < 1e-4)) {
    return new Intl.NumberFormat(locale, { notation: 'scientific', maximumFractionDigits: 3 }).format(value);
  }
  return new Intl.NumberFormat(locale, { maximumFractionDigits: shownDigits(value) }).format(value);
}

/** An age or length of time: the key of its text and the numbers in it, never more than two units. */
export function span(ms: number): { key: SpanKey; params: Params } {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return { key: 'span.seconds', params: { s: seconds } };
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return { key: 'span.minutes-seconds', params: { min: minutes, s: seconds % 60 } };
  if (minutes < 60) return { key: 'span.minutes', params: { min: minutes } };
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return { key: 'span.hours', params: { h: hours, min: minutes % 60 } };
  const days = Math.floor(hours / 24);
  if (days < 10) return { key: 'span.days-hours', params: { d: days, h: hours % 24 } };
  return { key: 'span.days', params: { d: days } };
}

export type SpanKey =
  | 'span.seconds'
  | 'span.minutes-seconds'
  | 'span.minutes'
  | 'span.hours'
  | 'span.days-hours'
  | 'span.days';

/** A size in binary units, three digits. */
export function sizeText(bytes: number, locale: string): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return `${new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(size)} ${units[unit]}`;
}

/** A moment in the browser's own time zone: today's without the date. */
export function momentText(utcMs: number, nowMs: number, locale: string): string {
  const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  const date: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'short' };
  const sameDay = new Date(utcMs).toDateString() === new Date(nowMs).toDateString();
  const sameYear = new Date(utcMs).getFullYear() === new Date(nowMs).getFullYear();
  const options = sameDay ? time : sameYear ? { ...date, ...time } : { ...date, year: 'numeric' as const, ...time };
  return new Intl.DateTimeFormat(locale, options).format(utcMs);
}
