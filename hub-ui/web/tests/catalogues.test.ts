// Both languages are complete, and nothing in them is left over.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import en from '../src/i18n/en.json';
import fr from '../src/i18n/fr.json';

const catalogues: Record<string, Record<string, string>> = { en, fr };

/** What the hub finds it says in English itself; other languages have it here. */
const FOUND = /^(verdict|need|hop|trouble)\./;

/** Keys that are made from what the hub says, or from names in the code. */
const MADE = /^(verdict|need|hop|trouble|cause|quality|class|state|clock|link|path|nav|history|theme|span)\./;

function sources(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const code = files.filter((file) => file.isFile() && /\.(ts|svelte)$/.test(file.name));
  return code.map((file) => readFileSync(join(file.parentPath, file.name), 'utf8')).join('\n');
}

const code = sources(new URL('../src', import.meta.url).pathname);
const base = (key: string) => key.replace(/\.(one|other)$/, '');

test('the languages have the same keys, in the same order', () => {
  expect(Object.keys(fr).filter((key) => !FOUND.test(key))).toEqual(Object.keys(en));
});

test('what the hub can find is there in French, and nothing else', () => {
  const folder = new URL('../../../hub/src/findings', import.meta.url).pathname;
  const rust = (name: string) => (readFileSync(join(folder, name), 'utf8').split('#[cfg(test)]')[0] ?? '');
  const codes = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map((match) => match[1] ?? '');
  const made = /\b(?:finding|hop|one_or_many)\(\s*"([a-z-]+)"/g;
  const shared = codes(rust('mod.rs'), made);
  const link = codes(rust('verdict.rs'), /\("([a-z-]+)", Level::/g);
  const needs = [...codes(rust('needs.rs'), made), ...codes(rust('needs.rs'), /\("([a-z-]+)", &troubles\./g), 'loss', 'damaged'];
  const found = {
    verdict: [...shared, ...codes(rust('verdict.rs'), made), ...link],
    need: needs,
    hop: codes(rust('path.rs'), made),
  };
  for (const [kind, codes] of Object.entries(found)) {
    const known = Object.keys(fr).filter((key) => key.startsWith(`${kind}.`)).map((key) => key.split('.')[1] ?? '');
    expect([...new Set(known)].sort(), kind).toEqual([...new Set(codes)].sort());
  }
});

test('each text has the places for parameters that its twin has', () => {
  const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
  for (const key of Object.keys(en)) expect(places(catalogues['fr']?.[key] ?? ''), key).toEqual(places(catalogues['en']?.[key] ?? ''));
});

test('each key that the code names is there', () => {
  const named = [...code.matchAll(/\bt\('([a-z0-9.-]+)'/g)].map((match) => match[1] ?? '');
  const known = new Set(Object.keys(en).map(base));
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter((key) => !known.has(key))).toEqual([]);
});

test('no key is left over', () => {
  const unused = Object.keys(en).map(base).filter((key) => !MADE.test(key) && !code.includes(`'${key}'`));
  expect(unused).toEqual([]);
});

test('plurals come in pairs', () => {
  const keys = new Set(Object.keys(en));
  for (const key of Object.keys(fr)) keys.add(key);
  const lonely = [...keys].filter((key) => /\.(one|other)$/.test(key) && !(keys.has(`${base(key)}.one`) && keys.has(`${base(key)}.other`)));
  expect(lonely).toEqual([]);
});

test('no text is empty or ends in a space', () => {
  for (const [language, catalogue] of Object.entries(catalogues)) {
    for (const [key, text] of Object.entries(catalogue)) expect(text, `${language} ${key}`).toMatch(/\S$/);
  }
});
