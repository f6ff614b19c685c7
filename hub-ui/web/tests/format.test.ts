import { expect, test } from 'vitest';
import { momentText, shownDigits, sizeText, span, valueText } from '../src/lib/format';

const words = { on: 'on', off: 'off' };

test('numbers show about four digits', () => {
  const shown = (value: number) => valueText(value, 'en', words);
  expect(shown(231.90309)).toBe('231.9');
  expect(shown(21.5)).toBe('21.5');
  expect(shown(-17.20249)).toBe('-17.2');
  expect(shown(1.6249)).toBe('1.625');
  expect(shown(123456.78)).toBe('123,456.8');
  expect(shown(12345678.9)).toBe('12,345,679');
  expect(shown(0)).toBe('0');
  expect(shown(0.00001)).toBe('1E-5');
  expect(shownDigits(9.9996)).toBe(3);
});

test('what is no number is shown as it is', () => {
  expect(valueText(true, 'en', words)).toBe('on');
  expect(valueText('18446744073709551615', 'en', words)).toBe('18446744073709551615');
  expect(valueText(null, 'en', words)).toBe('–');
});

test('ages have two units at most', () => {
  expect(span(0)).toEqual({ key: 'span.seconds', params: { s: 0 } });
  expect(span(59_999)).toEqual({ key: 'span.seconds', params: { s: 59 } });
  expect(span(61_000)).toEqual({ key: 'span.minutes-seconds', params: { min: 1, s: 1 } });
  expect(span(3_599_000)).toEqual({ key: 'span.minutes', params: { min: 59 } });
  expect(span(3_600_000)).toEqual({ key: 'span.hours', params: { h: 1, min: 0 } });
  expect(span(90_000_000)).toEqual({ key: 'span.days-hours', params: { d: 1, h: 1 } });
  expect(span(864_000_000)).toEqual({ key: 'span.days', params: { d: 10 } });
});

test('sizes have three digits', () => {
  expect(sizeText(0, 'en')).toBe('0 B');
  expect(sizeText(999, 'en')).toBe('999 B');
  expect(sizeText(1_000, 'en')).toBe('0.98 KiB');
  expect(sizeText(177_000_000, 'en')).toBe('169 MiB');
  expect(sizeText(8 * 2 ** 30, 'en')).toBe('8 GiB');
});

test('only today is told without a date', () => {
  const now = new Date(2026, 10, 22, 12, 0, 0).getTime();
  expect(momentText(now - 3_600_000, now, 'en-GB')).toBe('11:00:00');
  expect(momentText(now - 86_400_000, now, 'en-GB')).toContain('21 Nov');
  expect(momentText(now - 366 * 86_400_000, now, 'en-GB')).toContain('2025');
});
