// The only place that calls `invoke` or listens to events.

import { invoke } from '@tauri-apps/api/core';
import { listen } from '@tauri-apps/api/event';

import type { ApprovalBackend, CurrentPrompt, MainBackend, News, WindowStatus } from './backend';
import type { AuditPage, AuditVerdict, ItemSummary, KeyAge, PromptClosed, PromptWent } from './types';

/** The main window's commands. */
export const mainBackend: MainBackend = {
  status: () => invoke<WindowStatus>('status'),
  startAgent: () => invoke<void>('start_agent'),
  unlock: () => invoke<void>('unlock'),
  lock: () => invoke<void>('lock'),
  items: () => invoke<ItemSummary[]>('items'),
  auditPage: (query) => invoke<AuditPage>('audit_page', { query }),
  auditVerify: () => invoke<AuditVerdict>('audit_verify'),
  reminders: () => invoke<KeyAge[]>('reminders'),
  copyProxyAddress: () => invoke<void>('copy_proxy_address'),
  showQuestion: () => invoke<void>('show_question'),
  onNews: (handler) => listen<News>('news', (event) => handler(event.payload)),
};

/** The approval window's commands. */
export const approvalBackend: ApprovalBackend = {
  currentPrompt: () => invoke<CurrentPrompt | null>('current_prompt'),
  approve: (prompt, digest, minutes) => invoke<void>('approve', { prompt, digest, minutes: minutes ?? null }),
  allow: (prompt, scope) => invoke<void>('allow', { prompt, scope }),
  refuse: (prompt) => invoke<void>('refuse', { prompt }),
  onPrompt: (handler) => listen('prompt', () => handler()),
  onClosed: (handler) => listen<PromptClosed>('prompt-closed', (event) => handler(event.payload)),
  onWent: (handler) => listen<PromptWent>('prompt-went', (event) => handler(event.payload)),
};
