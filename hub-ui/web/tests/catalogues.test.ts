// Both languages are complete, and nothing in them is left over.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import en from '../src/i18n/en.json';
import fr from '../src/i18n/fr.json';

const catalogues: Record<string, Record<string, string>> = { en, fr };

/** Keys that are made from what the hub says. `hub codes` below checks those. */
const MADE = /^(verdict|need|hop|trouble|cause|quality|class|state|clock|link|path|nav|history|theme|span)\./;

function sources(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  const code = files.filter((file) => file.isFile() && /\.(ts|svelte)$/.test(file.name));
  return code.map((file) => readFileSync(join(file.parentPath, file.name), 'utf8')).join('\n');
}

const code = sources(new URL('../src', import.meta.url).pathname);
const base = (key: string) => key.replace(/\.(one|other)$/, '');

test('the languages have the same keys, in the same order', () => {
  expect(Object.keys(fr)).toEqual(Object.keys(en));
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
  const lonely = [...keys].filter((key) => /\.(one|other)$/.test(key) && !(keys.has(`${base(key)}.one`) && keys.has(`${base(key)}.other`)));
  expect(lonely).toEqual([]);
});

test('no text is empty or ends in a space', () => {
  for (const [language, catalogue] of Object.entries(catalogues)) {
    for (const [key, text] of Object.entries(catalogue)) expect(text, `${language} ${key}`).toMatch(/\S$/);
  }
});
