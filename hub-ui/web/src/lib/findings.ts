// Which text of a catalogue says what the hub has found.
import type { Finding } from '../api/messages';
import type { Params } from './words';

export type FindingKind = 'verdict' | 'need' | 'hop' | 'trouble';

/** Keys to try, the most fitting first, and what to fill in. */
export interface Variants {
  keys: string[];
  params: Params;
}

/**
 * Beside plurals, texts differ when one device is named (`.named`), when all devices are meant (`.all`), and when nothing
 * waits (`.none`). What is counted is `count`, else what waits, else the devices concerned.
 */
export function variants(kind: FindingKind, finding: Pick<Finding, 'code' | 'params'>, deviceCount?: number): Variants {
  const { code, params } = finding;
  const base = `${kind}.${code}`;
  const waiting = params['waiting'];
  const count = params['count'] ?? waiting ?? deviceCount;
  const keys = [base];
  if (params['device'] !== undefined && count !== 1) keys.unshift(`${base}.named`);
  else if (count !== undefined && params[code.replaceAll('-', '_')] === count) keys.unshift(`${base}.all`);
  if (waiting === 0) keys.unshift(`${base}.none`);
  return { keys, params: count === undefined ? params : { ...params, count } };
}
