// The main window.

import { mount } from 'svelte';
import './shared/tokens.css';
import type { MainBackend } from './ipc/backend';
import { mainBackend } from './ipc/tauri';
import MainWindow from './views/MainWindow.svelte';

async function backend(): Promise<MainBackend> {
  if (import.meta.env.MODE === 'mock') {
    const { mockMain } = await import('./ipc/mock');
    const scene = new URLSearchParams(location.search).get('scene') ?? 'open';
    return mockMain(scene as Parameters<typeof mockMain>[0], Date.now());
  }
  return mainBackend;
}

void backend().then((chosen) => {
  const target = document.getElementById('app');
  if (target) mount(MainWindow, { target, props: { backend: chosen } });
});
