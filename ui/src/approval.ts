// The approval window.

import { mount } from 'svelte';
import './shared/tokens.css';
import type { ApprovalBackend } from './ipc/backend';
import { approvalBackend } from './ipc/tauri';
import ApprovalWindow from './views/ApprovalWindow.svelte';

async function backend(): Promise<ApprovalBackend> {
  if (import.meta.env.MODE === 'mock') {
    const { MockApproval, questions } = await import('./ipc/mock');
    const scene = new URLSearchParams(location.search).get('scene') ?? 'withdraw';
    return new MockApproval(questions(scene, Date.now()));
  }
  return approvalBackend;
}

void backend().then((chosen) => {
  const target = document.getElementById('app');
  if (target) mount(ApprovalWindow, { target, props: { backend: chosen } });
});
