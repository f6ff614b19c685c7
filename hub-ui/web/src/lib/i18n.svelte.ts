// The language of the page: the browser's, or what was chosen on this device.
import type en from '../i18n/en.json';
import enUrl from '../i18n/en.json?url';
import frUrl from '../i18n/fr.json?url';
import type { Finding } from '../api/messages';
import { type Catalogue, fill, lookUp, type Params } from './words';
import { type FindingKind, variants } from './findings';
import { remember, remembered } from './memory';

export const LANGUAGES = { en: 'English', fr: 'Français' } as const;
export type Language = keyof typeof LANGUAGES;

export type Key = keyof typeof en;

/** Only the catalogue in use is loaded. */
const CATALOGUES: Record<Language, string> = { en: enUrl, fr: frUrl };

function preferred(): Language {
  const chosen = remembered('language');
  if (chosen === 'en' || chosen === 'fr') return chosen;
  return navigator.languages.find((tag) => /^(en|fr)\b/.test(tag))?.startsWith('fr') ? 'fr' : 'en';
}

class I18n {
  language: Language = $state('en');
  #catalogue: Catalogue = $state.raw({});
  /** Dates and numbers keep the region of the browser where it speaks the language chosen. */
  locale = $derived(navigator.languages.find((tag) => tag.startsWith(this.language)) ?? this.language);
  numbers = $derived(new Intl.NumberFormat(this.locale));
  #plurals = $derived(new Intl.PluralRules(this.language));

  /** Loads the language of this browser; the page is shown after that. */
  async start(): Promise<void> {
    await this.#load(preferred());
  }

  async choose(language: Language): Promise<void> {
    await this.#load(language);
    remember('language', language);
  }

  async #load(language: Language): Promise<void> {
    const response = await fetch(CATALOGUES[language]);
    if (!response.ok) throw new Error(`${response.url}: ${response.status}`);
    this.#catalogue = await response.json();
    this.language = language;
  }

  t(key: Key | `${string}.${string}`, params: Params = {}): string {
    return this.find(key, params) ?? key;
  }

  find(key: string, params: Params = {}): string | undefined {
    const text = lookUp(this.#catalogue, this.#plurals, key, params);
    return text === undefined ? undefined : fill(text, params, this.numbers);
  }

  /** A finding of the hub, in this language. English is the hub's own. */
  finding(kind: FindingKind, finding: Pick<Finding, 'code' | 'params' | 'text'>, device_count?: number): string {
    if (this.language === 'en') return finding.text;
    const { keys, params } = variants(kind, finding, device_count);
    return keys.map((key) => this.find(key, params)).find((text) => text !== undefined) ?? finding.text;
  }
}

export const i18n = new I18n();
export const t = (key: Key | `${string}.${string}`, params?: Params): string => i18n.t(key, params);
