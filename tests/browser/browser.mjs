// Debian's Chromium, driven by playwright-core, with the site's host name mapped to this machine.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// A Chromium that asks nobody but the hub.
const QUIET = ['--disable-quic', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** A browser that finds each of the hosts at 127.0.0.1. */
export function launch(hosts) {
  const rules = hosts.map((host) => `MAP ${host} 127.0.0.1`).join(', ');
  // Chromium's own sandbox does not start for root, which tests in a container often are.
  const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const executablePath = process.env.RELAIS_CHROMIUM ?? '/usr/bin/chromium';
  return chromium.launch({ executablePath, args: [...QUIET, ...sandbox, `--host-resolver-rules=${rules}`] });
}

/** A fresh page with its faults: what the console or the page itself complained of. */
export async function openPage(browser, url, { width = 1280, height = 900, theme = 'light', locale = 'en-GB' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale });
  const page = await context.newPage();
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(url);
  return { page, context, faults };
}

/** What axe finds wrong, one line for each rule. Its code goes in beside the page, which lets no script in by itself. */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.target.join(' ')).join(', ')}`);
}

/** Whether something sticks out to the side. */
export function overflows(page) {
  return page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
}

/** Waits until the check returns something true, and gives it; the last thing seen is in the error. */
export async function eventually(what, deadlineMs, check) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    let seen;
    try {
      seen = await check();
      if (seen) return seen;
    } catch (error) {
      seen = error;
    }
    if (performance.now() > end) throw new Error(`not within ${deadlineMs / 1000} s: ${what}; seen last: ${seen}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
