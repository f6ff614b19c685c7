import { expect, test } from 'vitest';
import { fill, lookUp } from '../src/lib/words';

const english = new Intl.PluralRules('en');
const french = new Intl.PluralRules('fr');
const catalogue = { 'a.one': '{count} record', 'a.other': '{count} records', b: 'plain' };

test('a count picks the plural, by the rules of the language', () => {
  expect(lookUp(catalogue, english, 'a', { count: 1 })).toBe('{count} record');
  expect(lookUp(catalogue, english, 'a', { count: 0 })).toBe('{count} records');
  expect(lookUp(catalogue, french, 'a', { count: 0 })).toBe('{count} record');
  expect(lookUp(catalogue, french, 'a', { count: 1.5 })).toBe('{count} record');
  expect(lookUp(catalogue, english, 'b', { count: 3 })).toBe('plain');
  expect(lookUp(catalogue, english, 'c', {})).toBeUndefined();
});

test('French millions take the plain plural', () => {
  expect(lookUp(catalogue, french, 'a', { count: 1_000_000 })).toBe('{count} records');
});

test('parameters are put in, and a missing one stays to be seen', () => {
  const numbers = new Intl.NumberFormat('en');
  expect(fill('{count} of {all} in {where}', { count: 1234, where: '$& {count}' }, numbers)).toBe('1,234 of {all} in $& {count}');
});
