// Which page is open, by the path in the address bar.

export type Route =
  | { page: 'site' }
  | { page: 'devices' }
  | { page: 'device'; name: string; tab: 'now' | 'history' }
  | { page: 'data' }
  | { page: 'hub' }
  | { page: 'unknown' };

export function parse(path: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const [place, name, tab] = parts;
  if (parts.length === 0) return { page: 'site' };
  if (place === 'devices' && parts.length === 1) return { page: 'devices' };
  if (place === 'devices' && name !== undefined && (tab === undefined || tab === 'history') && parts.length <= 3) {
    const decoded = decode(name);
    if (decoded !== null) return { page: 'device', name: decoded, tab: tab === undefined ? 'now' : 'history' };
  }
  if (parts.length === 1 && (place === 'data' || place === 'hub')) return { page: place };
  return { page: 'unknown' };
}

function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    // A lone % is no encoding: the address was typed or cut.
    return null;
  }
}

export function devicePath(name: string, tab: 'now' | 'history' = 'now'): string {
  return `/devices/${encodeURIComponent(name)}${tab === 'history' ? '/history' : ''}`;
}

class Router {
  route: Route = $state.raw(parse(location.pathname));

  start(): void {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#click(event));
  }

  go(path: string): void {
    history.pushState(null, '', path);
    this.#read();
    scrollTo(0, 0);
  }

  #read(): void {
    this.route = parse(location.pathname);
  }

  /** Links within the page do not load it again; those opened in a new tab do. */
  #click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.origin !== location.origin || link.target !== '' || link.hasAttribute('download')) return;
    if (parse(link.pathname).page === 'unknown') return;
    event.preventDefault();
    this.go(link.pathname);
  }
}

export const router = new Router();
