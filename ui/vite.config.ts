/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// Two pages, one per window: the approval window loads nothing that belongs to the main one. Mode `mock` serves the same
// pages in an ordinary browser against `ipc/mock.ts`; a production build contains none of it.
export default defineConfig({
  plugins: [svelte()],
  clearScreen: false,
  build: {
    target: 'es2022',
    // A data: URL would want a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { input: { index: 'index.html', approval: 'approval.html' } },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
  },
  // Without it, vitest resolves Svelte's server build.
  resolve: process.env.VITEST ? { conditions: ['browser'] } : {},
});
