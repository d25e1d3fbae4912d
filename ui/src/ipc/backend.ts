// What the two windows may ask of the desktop shell: one typed function per command. The real one is `tauri.ts`; `mock.ts`
// stands in for component tests and for the preview in a browser.

import type {
  AuditPage,
  AuditVerdict,
  Failure,
  ItemSummary,
  KeyAge,
  Prompt,
  PromptClosed,
  PromptWent,
  Scope,
  Status,
} from './types';

/** How things are, and which other vault than the agent's this window was started for, if it was. */
export type WindowStatus = Status & { meant: string | null };

/** Why a command came to nothing. */
export interface Trouble {
  /** Whether the agent was there to answer at all. */
  agent: boolean;
  failure: Failure;
}

/** Something happened that the main window should look at again. */
export type News =
  | { kind: 'changed' }
  | { kind: 'agent'; there: boolean };

/** A page of the audit log to ask for. */
export interface AuditQuery {
  /** Rows below this number; the newest where null. */
  before: number | null;
  limit: number;
  /** Only these kinds; all where empty. */
  kinds: string[];
}

/** What the main window may do. It cannot answer a question. */
export interface MainBackend {
  status(): Promise<WindowStatus>;
  /** Starts the agent where none runs. */
  startAgent(): Promise<void>;
  unlock(): Promise<void>;
  lock(): Promise<void>;
  items(): Promise<ItemSummary[]>;
  auditPage(query: AuditQuery): Promise<AuditPage>;
  auditVerify(): Promise<AuditVerdict>;
  reminders(): Promise<KeyAge[]>;
  /** Puts the proxy's address on the clipboard. */
  copyProxyAddress(): Promise<void>;
  /** Brings the window with the open question to the front. */
  showQuestion(): Promise<void>;
  /** Resolves once the listener is up; gives the way to end it. */
  onNews(handler: (news: News) => void): Promise<() => void>;
}

/** The question that the approval window shows now. */
export interface CurrentPrompt {
  prompt: Prompt;
  /** How many further questions wait behind it. */
  behind: number;
  /** For this long no approval is taken, so that a click that was meant for something else approves nothing. */
  guard_ms: number;
}

/** What the approval window may do: see the one question, approve or allow it, refuse it. */
export interface ApprovalBackend {
  currentPrompt(): Promise<CurrentPrompt | null>;
  /** Yes to this request; with minutes, to those like it for as long as well. */
  approve(prompt: string, digest: string, minutes?: number): Promise<void>;
  allow(prompt: string, scope: Scope): Promise<void>;
  refuse(prompt: string): Promise<void>;
  /** There is a new question, or one fewer. */
  onPrompt(handler: () => void): Promise<() => void>;
  onClosed(handler: (closed: PromptClosed) => void): Promise<() => void>;
  /** It is known how it went with what was answered with yes. */
  onWent(handler: (went: PromptWent) => void): Promise<() => void>;
}

/** Whatever a rejected command threw, as a Trouble. */
export function asTrouble(thrown: unknown): Trouble {
  if (typeof thrown === 'object' && thrown !== null && 'failure' in thrown && 'agent' in thrown) {
    return thrown as Trouble;
  }
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  return { agent: true, failure: { code: 'system', what, fix: '' } };
}
