import { beforeAll, expect, test, vi } from 'vitest';

vi.stubGlobal('location', { pathname: '/' });
let router: typeof import('../src/lib/router.svelte');
beforeAll(async () => {
  router = await import('../src/lib/router.svelte');
});

test('every page has its path', () => {
  const { parse } = router;
  expect(parse('/')).toEqual({ page: 'site' });
  expect(parse('/devices/')).toEqual({ page: 'devices' });
  expect(parse('/devices/boiler')).toEqual({ page: 'device', name: 'boiler', tab: 'now' });
  expect(parse('/devices/boiler/history')).toEqual({ page: 'device', name: 'boiler', tab: 'history' });
  expect(parse('/data')).toEqual({ page: 'data' });
  expect(parse('/hub')).toEqual({ page: 'hub' });
});

test('what is no page is told', () => {
  const { parse } = router;
  for (const path of ['/x', '/devices/a/b', '/devices/a/history/b', '/data/x', '/devices/%E0%A4%A']) expect(parse(path), path).toEqual({ page: 'unknown' });
});

test('names with odd characters come back', () => {
  const { devicePath, parse } = router;
  for (const name of ['a b', 'ä/ö', '50%', '?#']) expect(parse(devicePath(name, 'history'))).toEqual({ page: 'device', name, tab: 'history' });
});
