// The technician's page against a whole running site: what it shows while things break and mend.
//
// RELAIS_PAGE       the page's host and port, such as hall-3.test:8080; the host is mapped to this machine
// RELAIS_CONTROL    the control port of the simulated site
// RELAIS_PICTURES   where pictures are put, for people to look at; none without it
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { axe, eventually, launch, openPage, overflows } from './browser.mjs';
import { control } from './control.mjs';
import { relay } from './relay.mjs';

const host = needed('RELAIS_PAGE');
const site = needed('RELAIS_CONTROL');
const base = `http://${host}`;
const FOREIGN = 'somewhere-else.test';
const DEVICES = ['boiler', 'cold-room', 'meter', 'tank'];
const PLACES = ['/', '/devices', '/devices/meter', '/devices/boiler/history', '/data', '/hub'];
const SIZES = [
  { width: 390, height: 844 },
  { width: 820, height: 1180 },
  { width: 1280, height: 900 },
];

let browser;

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; tests/README.md says how to run this`);
  return value;
}

before(async () => {
  await control(site, 'reset');
  browser = await launch([host.split(':')[0], FOREIGN]);
});

after(async () => {
  await browser?.close();
  await control(site, 'reset');
});

/** What the Site page says: the verdict, the stops of the path, and each device's state, value and age. */
function told(page) {
  return page.evaluate(() => {
    const text = (element, selector) => element.querySelector(selector)?.textContent.trim().replace(/\s+/g, ' ') ?? '';
    const stops = [...document.querySelectorAll('ol.strip > li')];
    const rows = [...document.querySelectorAll('main ul.card > li > a[href^="/devices/"]')];
    return {
      verdict: document.querySelector('h1')?.textContent.trim() ?? '',
      path: Object.fromEntries(stops.map((stop) => [text(stop, '.name'), { level: stop.classList[0], says: text(stop, '.says') }])),
      needs: [...document.querySelectorAll('section[aria-labelledby="needs"] li')].map((need) => need.textContent.trim().replace(/\s+/g, ' ')),
      devices: Object.fromEntries(rows.map((row) => [text(row, '.name'), { state: text(row, '.state'), value: text(row, '.value .reading'), age: text(row, '.age .age') }])),
    };
  });
}

/** Waits for the Site page to say something; gives all it says then. */
function says(page, what, deadlineMs, check) {
  return eventually(what, deadlineMs, async () => {
    const now = await told(page);
    if (check(now)) return now;
    throw new Error(JSON.stringify(now));
  });
}

const allLive = (now) => DEVICES.every((name) => now.devices[name]?.state === 'Live');

/** The figures of the Data page by the words above them. */
function figures(page) {
  return page.evaluate(() => {
    const number = (text) => Number(text.replace(/\D/g, ''));
    const rows = [...document.querySelectorAll('dl.totals > div')];
    return Object.fromEntries(rows.map((row) => [row.querySelector('dt').textContent, number(row.querySelector('dd').textContent)]));
  });
}

test('live values of every device, with nothing to complain of', async () => {
  const { page, context, faults } = await openPage(browser, `${base}/`);
  const first = await says(page, 'four live devices with values', 20_000, (now) => allLive(now) && DEVICES.every((name) => /\d/.test(now.devices[name].value)));
  assert.match(first.verdict, /nothing is lost/i);
  await says(page, 'values that move', 20_000, (now) => DEVICES.some((name) => now.devices[name]?.value !== first.devices[name].value));
  await says(page, 'a whole path', 60_000, (now) => ['Devices', 'Hub', 'Stored', 'Link', 'Central'].every((stop) => now.path[stop]?.level === 'good'));
  assert.deepEqual(faults, []);
  await context.close();
});

test('every page, size, theme and language: no overflow, nothing for axe, no complaint', async () => {
  const found = [];
  for (const locale of ['en-GB', 'fr-FR']) {
    for (const theme of ['light', 'dark']) {
      for (const size of SIZES) {
        const { page, context, faults } = await openPage(browser, `${base}/`, { ...size, theme, locale });
        for (const place of PLACES) {
          await page.goto(base + place);
          await ready(page, place);
          const wrong = [...(await axe(page)), ...((await overflows(page)) ? ['overflow'] : []), ...faults.splice(0)];
          found.push(...wrong.map((what) => `${place} ${size.width} ${theme} ${locale}: ${what}`));
          if (locale === 'en-GB') await picture(page, place, size.width, theme);
        }
        await context.close();
      }
    }
  }
  assert.deepEqual(found, []);
});

test('at 320 px, which is 1280 at a zoom of 400 %, nothing sticks out', async () => {
  const found = [];
  for (const locale of ['en-GB', 'fr-FR']) {
    const { page, context } = await openPage(browser, `${base}/`, { width: 320, height: 560, locale });
    for (const place of PLACES) {
      await page.goto(base + place);
      await ready(page, place);
      if (await overflows(page)) found.push(`${place} ${locale}`);
    }
    await context.close();
  }
  assert.deepEqual(found, []);
});

test('texts 40 % longer than English break nothing', async () => {
  const { page, context } = await openPage(browser, `${base}/`, SIZES[0]);
  const found = [];
  await page.addInitScript(() => {
    const plain = globalThis.fetch;
    const longer = (text) => `${text} ${'longer '.repeat(Math.ceil((text.length * 0.4) / 7)).trim()}`;
    globalThis.fetch = async (url, ...rest) => {
      const answer = await plain(url, ...rest);
      if (!/\/assets\/en-[^/]*\.json$/.test(answer.url)) return answer;
      const texts = Object.entries(await answer.json()).map(([key, text]) => [key, longer(text)]);
      return new Response(JSON.stringify(Object.fromEntries(texts)));
    };
  });
  for (const place of PLACES) {
    await page.goto(base + place);
    await ready(page, place);
    if (await overflows(page)) found.push(place);
  }
  assert.match(await page.locator('nav').first().innerText(), /longer/);
  assert.deepEqual(found, []);
  await context.close();
});

async function ready(page, place) {
  await page.locator('h1').first().waitFor();
  await page.waitForFunction(() => !document.querySelector('h1')?.textContent.includes('…'));
  if (place.endsWith('/history')) await page.locator('figure canvas').waitFor();
  if (place === '/data') await page.locator('dl.totals').waitFor();
}

async function picture(page, place, width, theme) {
  const folder = process.env.RELAIS_PICTURES;
  const name = { '/': 'site', '/devices/meter': 'device', '/devices/boiler/history': 'history', '/data': 'data', outage: 'outage' }[place];
  if (!folder || !name) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}-${width}-${theme}.png` });
}

test('a device that falls silent becomes late, then silent, is named, and comes back', async () => {
  const { page, context, faults } = await openPage(browser, `${base}/`);
  await says(page, 'four live devices', 30_000, allLive);
  await control(site, 'silence cold-room');
  await says(page, 'late first', 30_000, (now) => now.devices['cold-room'].state === 'Late');
  const silent = await says(page, 'then silent', 60_000, (now) => now.devices['cold-room'].state === 'Silent' && now.needs.length > 0);
  assert.match(silent.verdict, /cold-room/);
  assert.ok(silent.needs.some((need) => need.includes('cold-room')), silent.needs.join('; '));
  assert.equal(silent.devices['cold-room'].value, '–', 'an old number must not pass for a new one');
  assert.notEqual(silent.path.Devices.level, 'good');
  assert.equal(silent.path.Hub.level, 'good');
  for (const name of DEVICES.filter((name) => name !== 'cold-room')) assert.equal(silent.devices[name].state, 'Live', name);

  await control(site, 'wake cold-room');
  const back = await says(page, 'live again', 30_000, (now) => allLive(now) && now.needs.length === 0);
  assert.equal(back.path.Devices.level, 'good');
  await page.goto(`${base}/devices/cold-room/history`);
  await page.getByRole('button', { name: '10 min' }).click();
  await eventually('the silence is a pause in the chart', 20_000, async () => /\b1 pause/.test(await page.locator('main').innerText()));
  assert.deepEqual(faults, []);
  await context.close();
});

test('a meter that does not answer is silent, and one that answers with an exception is at fault', async () => {
  const { page, context, faults } = await openPage(browser, `${base}/`);
  await control(site, 'silence meter');
  await says(page, 'the meter is silent', 30_000, (now) => now.devices.meter.state === 'Silent' && now.needs.some((need) => need.includes('meter')));
  await control(site, 'wake meter');
  await says(page, 'all live', 40_000, allLive);
  await control(site, 'fault meter exception:4');
  await says(page, 'the meter is at fault', 30_000, (now) => now.devices.meter.state === 'Fault');
  await control(site, 'clear');
  await says(page, 'all live', 40_000, allLive);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a link that is cut is told, what waits grows, and all of it arrives afterwards', async () => {
  const { page, context, faults } = await openPage(browser, `${base}/`);
  await says(page, 'the link is up', 60_000, (now) => now.path.Link.level === 'good');
  await control(site, 'cut');
  const stuck = await says(page, 'nothing is confirmed any more', 40_000, (now) => now.path.Central.level === 'warn');
  assert.match(stuck.path.Central.says, /to send/);
  // A link is idle for a minute before it counts as down.
  const away = await says(page, 'the link is away', 90_000, (now) => now.path.Link.level === 'bad' || now.path.Link.level === 'warn');
  assert.equal(away.path.Stored.level, 'good', 'an outage is no fault of the store');
  await says(page, 'the verdict says that records wait', 60_000, (now) => /central/i.test(now.verdict) && /\d/.test(now.verdict));
  for (const [width, theme] of SIZES.flatMap(({ width }) => [[width, 'light'], [width, 'dark']])) {
    const shown = await openPage(browser, `${base}/`, { width, theme });
    await says(shown.page, 'the outage', 20_000, (now) => /central/i.test(now.verdict));
    await picture(shown.page, 'outage', width, theme);
    await shown.context.close();
  }
  await page.goto(`${base}/data`);
  await page.locator('dl.totals').waitFor();
  const before = await figures(page);
  await eventually('more waits', 30_000, async () => {
    const now = await figures(page);
    return now.Waiting > before.Waiting && now.Stored > before.Stored && now.Confirmed === before.Confirmed;
  });
  const atEnd = await figures(page);
  await control(site, 'mend');
  await eventually('everything of the outage is confirmed', 90_000, async () => (await figures(page)).Confirmed >= atEnd.Stored);
  assert.match(await page.locator('main').innerText(), /Nothing is lost/);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a full disk is told as such, and nothing acknowledged is lost by it', async (t) => {
  const { page, context, faults } = await openPage(browser, `${base}/`);
  await says(page, 'all is well', 60_000, (now) => allLive(now) && now.path.Stored.level === 'good');
  try {
    await control(site, 'fill');
  } catch (error) {
    // Only root may mount the small disk that can be filled; the site says so instead of pretending.
    assert.match(error.message, /mount|root/);
    t.diagnostic(error.message);
    return await context.close();
  }
  const full = await says(page, 'the disk is full', 60_000, (now) => now.path.Stored.level === 'bad');
  assert.match(full.verdict + full.needs.join(), /full|disk/i);
  await control(site, 'free');
  await says(page, 'all is well again', 60_000, (now) => now.path.Stored.level === 'good' && allLive(now));
  const after = await told(page);
  assert.match(after.verdict, /nothing is lost/i);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a browser that loses the hub says so, and goes on where it was', async () => {
  const [name, port] = host.split(':');
  const network = await relay(Number(port));
  const { page, context } = await openPage(browser, `http://${name}:${network.port}/`);
  await says(page, 'all live', 60_000, allLive);
  const resumed = [];
  page.on('request', async (request) => {
    const url = new URL(request.url());
    if (url.pathname === '/api/v1/stream') resumed.push(url.searchParams.get('last_event_id') ?? (await request.allHeaders())['last-event-id'] ?? '');
  });
  network.cut();
  const alert = page.getByRole('alert');
  await alert.waitFor({ timeout: 40_000 });
  assert.match(await alert.innerText(), /does not reach the hub[^]*ago/);
  assert.equal(await page.locator('main ul.card.dim').count(), 1, 'old values are dimmed');
  network.mend();
  await alert.waitFor({ state: 'detached', timeout: 40_000 });
  const back = await says(page, 'all live again', 30_000, allLive);
  assert.deepEqual(Object.keys(back.devices).sort(), DEVICES);
  // The browser's own tries do not show their Last-Event-ID here; those of the page have it in the address.
  assert.match(resumed.at(-1) ?? '', /^[0-9a-f]+-[0-9]+$/, JSON.stringify(resumed));
  await context.close();
  await network.close();
});

test('language and look are chosen here and remembered', async () => {
  const { page, context } = await openPage(browser, `${base}/hub`);
  await page.getByRole('button', { name: 'Français' }).click();
  await page.getByRole('heading', { name: 'Langue' }).waitFor();
  await page.getByRole('button', { name: 'Sombre' }).click();
  const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.goto(`${base}/data`);
  await page.getByRole('heading', { name: 'Données' }).waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'fr');
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), dark);
  assert.equal(dark, 'rgb(15, 19, 24)');
  await context.close();
});

test('in French, not a word of the hub stays English', async () => {
  const { page, context } = await openPage(browser, `${base}/`, { locale: 'fr-FR' });
  await control(site, 'cut');
  await control(site, 'silence cold-room');
  const now = await says(page, 'it says both in French', 150_000, (now) => now.devices['cold-room']?.state === 'Muet' && now.path.Liaison?.level !== 'good');
  await control(site, 'reset');
  const words = [now.verdict, ...now.needs, ...Object.values(now.path).map((stop) => stop.says)].join(' ');
  assert.doesNotMatch(words, /\b(is|are|the|of|live|lost|records|working|reach|wait)\b/);
  await context.close();
});

test('keys reach everything: / searches, tab shows where one is', async () => {
  const { page, context } = await openPage(browser, `${base}/`);
  await says(page, 'all live', 60_000, allLive);
  await page.keyboard.press('/');
  await page.getByRole('searchbox').waitFor();
  await page.keyboard.type('meter');
  await eventually('only the meter is left', 5_000, async () => (await page.locator('main ul.card > li').count()) === 1);
  await page.keyboard.press('Tab');
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.equal(outline, 'solid');
  await context.close();
});

test('a foreign host name gets nothing', async () => {
  const { page, context } = await openPage(browser, 'about:blank');
  const answer = await page.goto(`http://${FOREIGN}:${host.split(':')[1]}/`);
  assert.equal(answer.status(), 421);
  assert.doesNotMatch(await answer.text(), /<script/);
  await context.close();
});

test('another page may not read the hub', async () => {
  const { page, context } = await openPage(browser, `${base}/`);
  await page.route('http://other.test/**', (route) => route.fulfill({ body: '<!doctype html>', contentType: 'text/html' }));
  await page.goto('http://other.test/');
  for (const path of ['/api/v1/status', '/api/v1/stream']) {
    const read = await page.evaluate((url) => fetch(url, { signal: AbortSignal.timeout(3000) }).then(() => 'read', () => 'refused'), base + path);
    assert.equal(read, 'refused', path);
  }
  await context.close();
});
