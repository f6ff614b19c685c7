// What this browser remembers of the choices made here. Browsers may refuse to: then a choice lasts as long as the page.

const PREFIX = 'relais.';

export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string): void {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // Storage is off or full, which is the user's to decide.
  }
}
