// The approval window.

import { mount } from 'svelte';
import './shared/tokens.css';
import { approvalBackend } from './ipc/tauri';
import ApprovalWindow from './views/ApprovalWindow.svelte';

async function start(target: HTMLElement): Promise<void> {
  if (import.meta.env.MODE === 'mock') {
    const { MockApproval, questions } = await import('./ipc/mock');
    const scene = new URLSearchParams(location.search).get('scene') ?? 'withdraw';
    mount(ApprovalWindow, { target, props: { backend: new MockApproval(questions(scene, Date.now())) } });
  } else {
    mount(ApprovalWindow, { target, props: { backend: approvalBackend } });
  }
}

const target = document.getElementById('app');
if (target) void start(target);
