// The main window.

import { mount } from 'svelte';
import './shared/tokens.css';
import { mainBackend } from './ipc/tauri';
import MainWindow from './views/MainWindow.svelte';

async function start(target: HTMLElement): Promise<void> {
  if (import.meta.env.MODE === 'mock') {
    const { mockMain } = await import('./ipc/mock');
    const asked = new URLSearchParams(location.search);
    const scene = (asked.get('scene') ?? 'open') as Parameters<typeof mockMain>[0];
    const page = (asked.get('page') ?? 'overview') as 'overview';
    mount(MainWindow, { target, props: { backend: mockMain(scene, Date.now()), start: page } });
  } else {
    mount(MainWindow, { target, props: { backend: mainBackend } });
  }
}

const target = document.getElementById('app');
if (target) void start(target);
