import { expect, test } from 'vitest';
import { variants } from '../src/lib/findings';

const keys = (code: string, params: Record<string, string | number>) => variants('verdict', { code, params }).keys;

test('one of several is named, all are told as all', () => {
  expect(keys('silent', { silent: 1, count: 5, device: 'boiler' })).toEqual(['verdict.silent.named', 'verdict.silent']);
  expect(keys('silent', { silent: 5, count: 5 })).toEqual(['verdict.silent.all', 'verdict.silent']);
  expect(keys('silent', { silent: 1, count: 1, device: 'boiler' })).toEqual(['verdict.silent.all', 'verdict.silent']);
  expect(keys('silent', { silent: 2, count: 5 })).toEqual(['verdict.silent']);
  expect(keys('not-tested', { not_tested: 3, count: 3 })).toEqual(['verdict.not-tested.all', 'verdict.not-tested']);
});

test('what waits is counted, and nothing is told as nothing', () => {
  expect(variants('verdict', { code: 'away', params: { waiting: 3 } })).toEqual({ keys: ['verdict.away'], params: { waiting: 3, count: 3 } });
  expect(keys('away', { waiting: 0 })).toEqual(['verdict.away.none', 'verdict.away']);
});

test('needs count their devices', () => {
  expect(variants('need', { code: 'device-fault', params: { why: 'x' } }, 2).params).toEqual({ why: 'x', count: 2 });
});
