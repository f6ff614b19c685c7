// The live connection to the hub: one event stream, kept open while somebody looks, resumed where it broke off.
import { SvelteMap } from 'svelte/reactivity';
import type { Device, Series, StreamMessage } from '../api/messages';
import { apply, type Replica } from './replica';

/** The hub says something every 5 s. After this long without a word it counts as out of reach. */
const SILENCE_MAX_MS = 12_000;

/** Between tries to reach the hub again. */
const RETRY_MS = 2_000;

/** A page that nobody sees lets go of its stream after this long: the hub has 32 of them. */
const HIDDEN_MAX_MS = 30_000;

/** `connecting` until the first word; `lost` once there was one and then none for 12 s. */
export type Reach = 'connecting' | 'live' | 'lost';

class Live implements Replica {
  site: Replica['site'] = $state.raw(null);
  data: Replica['data'] = $state.raw(null);
  devices = new SvelteMap<string, Device>();
  series = new SvelteMap<number, Series>();
  reach: Reach = $state('connecting');
  /** The hub's monotonic clock, moved on by this browser's; ages are reckoned in it, so wall clocks do not matter. */
  nowMs = $state(0);
  /** When this browser last heard the hub, by its own clock. */
  heardAt = $state(0);

  #source: EventSource | null = null;
  #device: string | null = null;
  /** A device that the hub does not know, as far as one can tell from a stream it refused. */
  #unknown: string | null = null;
  #lastId = '';
  #hubMinusLocal = 0;
  #hubTime: { utc: number; local: number } | null = null;
  #openedAt = 0;
  #hiddenSince: number | null = null;

  start(): void {
    setInterval(() => this.#tick(), 1_000);
    document.addEventListener('visibilitychange', () => this.#visibility());
    this.#open();
  }

  /** Asks for the series of one device as well; `null` for none. Starts anew when that changes. */
  watch(device: string | null): void {
    if (device === this.#device) return;
    this.#device = device;
    this.#unknown = null;
    this.#lastId = '';
    this.series.clear();
    if (this.#openedAt > 0) this.#open();
  }

  /** The hub's time in ms since 1970, or null while its clock is unset. */
  hubTime(): number | null {
    return this.#hubTime && this.#hubTime.utc + (performance.now() - this.#hubTime.local);
  }

  /** How long ago a moment of the hub's monotonic clock was. */
  ageMs(at: number | null | undefined): number | null {
    return at === null || at === undefined ? null : Math.max(0, this.nowMs - at);
  }

  #open(): void {
    this.#source?.close();
    this.#openedAt = performance.now();
    const query = new URLSearchParams();
    if (this.#device !== null && this.#device !== this.#unknown) query.set('device', this.#device);
    if (this.#lastId !== '') query.set('last_event_id', this.#lastId);
    const source = new EventSource(`/api/v1/stream${query.size > 0 ? `?${query}` : ''}`);
    source.addEventListener('change', (event) => {
      if (source === this.#source) this.#take(event);
    });
    source.addEventListener('error', () => {
      // Refused, not cut off. Without the device there is at least the site, and perhaps the news that there is no such device.
      const refused = source === this.#source && source.readyState === EventSource.CLOSED;
      if (!refused || this.#device === null || this.#device === this.#unknown) return;
      this.#unknown = this.#device;
      this.#open();
    });
    this.#source = source;
  }

  /** Asks for the device again once the hub knows it: it is new, or the stream was refused for another reason. */
  #retryUnknown(): void {
    if (this.#unknown === null || ![...this.devices.values()].some((device) => device.name === this.#unknown)) return;
    this.#unknown = null;
    this.#lastId = '';
    this.#open();
  }

  #take(event: MessageEvent<string>): void {
    const message: StreamMessage = JSON.parse(event.data);
    const local = performance.now();
    this.#lastId = event.lastEventId;
    this.#hubMinusLocal = message.now_ms - local;
    this.#hubTime = message.time ? { utc: Date.parse(message.time), local } : null;
    apply(this, message);
    this.nowMs = message.now_ms;
    this.heardAt = local;
    this.reach = 'live';
  }

  #tick(): void {
    const local = performance.now();
    if (this.heardAt > 0) this.nowMs = local + this.#hubMinusLocal;
    if (this.#hiddenSince !== null) {
      if (this.#source && local - this.#hiddenSince > HIDDEN_MAX_MS) {
        this.#source.close();
        this.#source = null;
      }
      return;
    }
    this.#retryUnknown();
    const sinceWord = local - Math.max(this.heardAt, this.#openedAt);
    if (this.#source?.readyState === EventSource.CLOSED ? sinceWord > RETRY_MS : sinceWord > SILENCE_MAX_MS) this.#open();
    const silent = local - this.heardAt > SILENCE_MAX_MS;
    if (silent && (this.heardAt > 0 || local > SILENCE_MAX_MS)) this.reach = 'lost';
  }

  #visibility(): void {
    if (document.hidden) {
      this.#hiddenSince = performance.now();
      return;
    }
    this.#hiddenSince = null;
    if (!this.#source) this.#open();
  }
}

export const live = new Live();
