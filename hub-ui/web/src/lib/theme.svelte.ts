// Light or dark: the system's choice, or what was chosen on this device.
import { remember, remembered } from './memory';

export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

class ThemeChoice {
  theme: Theme = $state(THEMES.find((theme) => theme === remembered('theme')) ?? 'system');
  /** Counts changes, also the system's own: what draws on a canvas draws anew. */
  version = $state(0);

  start(): void {
    this.#show();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.version++);
  }

  choose(theme: Theme): void {
    this.theme = theme;
    remember('theme', theme);
    this.#show();
  }

  #show(): void {
    document.documentElement.dataset['theme'] = this.theme;
    this.version++;
  }
}

export const themeChoice = new ThemeChoice();
