// Looks up texts in a flat catalogue and fills in parameters. No state: `i18n.svelte.ts` has the language.

export type Catalogue = Readonly<Record<string, string>>;
export type Params = Readonly<Record<string, string | number>>;

/**
 * The text of a key. With a number `count` among the parameters, `key.one` or `key.other` goes before `key`, by the
 * rules of the language. Undefined when the catalogue has neither.
 */
export function lookUp(catalogue: Catalogue, plurals: Intl.PluralRules, key: string, params: Params): string | undefined {
  const count = params['count'];
  const plural = typeof count === 'number' ? catalogue[`${key}.${plurals.select(count) === 'one' ? 'one' : 'other'}`] : undefined;
  return plural ?? catalogue[key];
}

/** Puts parameters into `{name}` places; numbers as the language writes them. */
export function fill(text: string, params: Params, numbers: Intl.NumberFormat): string {
  return text.replace(/\{(\w+)\}/g, (place, name: string) => {
    const value = params[name];
    if (value === undefined) return place;
    return typeof value === 'number' ? numbers.format(value) : value;
  });
}
