import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// `npm run dev` shows the page with live reload and takes its data from a hub that runs on this machine.
const hub = 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    // Everything is a file of its own under a hashed name: the content security policy allows no inline code or data.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Some 3 kB gzip smaller than what esbuild makes of it.
    minify: 'terser',
    terserOptions: { module: true, ecma: 2020, compress: { passes: 3 } },
  },
  server: { proxy: { '/api': hub, '/openapi.json': hub } },
});
