// In which order devices stand.
import type { Device, State } from '../api/messages';

const RANK: Record<State, number> = { silent: 0, fault: 1, late: 2, 'not-tested': 3, live: 4 };

/** What needs somebody first, then by name as people sort: pump 2 before pump 10. */
export function worstFirst(devices: readonly Device[], locale: string): Device[] {
  const names = new Intl.Collator(locale, { numeric: true });
  return devices.toSorted((a, b) => RANK[a.state] - RANK[b.state] || names.compare(a.name, b.name));
}
