// What the approval window calls things.

import type { PromptWent, Resting, Scope } from '../../ipc/types';
import type { IconName } from '../../shared/icons';
import type { Tone } from '../../shared/tone';

/** An outcome in words. */
export interface OutcomeWords {
  title: string;
  hint: string;
  icon: IconName;
  tone: Tone;
}

const OUTCOMES: Record<string, OutcomeWords> = {
  approved: { title: 'Approved', hint: 'It is in the timeline.', icon: 'check', tone: 'good' },
  done: { title: 'Done', hint: 'It is in the timeline.', icon: 'check', tone: 'good' },
  answered: { title: 'Answered', hint: '', icon: 'check', tone: 'good' },
  allowed: { title: 'Allowed', hint: 'It is in the timeline.', icon: 'check', tone: 'good' },
  refused: { title: 'Refused', hint: 'Nothing was signed or given out.', icon: 'cross', tone: 'bad' },
  'timed-out': { title: 'Refused: the time ran out', hint: 'Silence is a refusal. Nothing was signed or given out.', icon: 'clock', tone: 'bad' },
  locked: { title: 'Refused: the vault was locked', hint: 'What waits at a lock ends with it. Nothing was signed or given out.', icon: 'lock', tone: 'bad' },
  gone: { title: 'The agent is gone', hint: 'What was not approved is refused. The timeline says what was signed.', icon: 'plug', tone: 'warn' },
  failed: { title: 'It failed', hint: 'The timeline says why.', icon: 'warn', tone: 'warn' },
};

/** How a question ended. */
export function outcomeWords(outcome: string): OutcomeWords {
  return OUTCOMES[outcome] ?? { title: `Closed: ${outcome}`, hint: 'The timeline says why.', icon: 'info', tone: 'plain' };
}

/** A refusal, or a silence, that has brought its asker a rest. */
export function restWords(outcome: string, rests: Resting): OutcomeWords {
  const said = outcomeWords(outcome);
  const count = Math.ceil(rests.seconds_left / 60);
  const minutes = count === 1 ? 'a minute' : `${count} minutes`;
  const which = rests.refused ? 'third' : 'second in a row';
  return { ...said, hint: `${said.hint} It was the ${which}, so ${rests.asker} asks nobody for ${minutes}. \`touchkeep approve\` in a terminal ends that.` };
}

/** The same of a yes, until it is known how it went: a touch alone is not the end of it. */
export function outcomeSoFar(outcome: string): OutcomeWords {
  const said = outcomeWords(outcome);
  if (said.tone !== 'good') return said;
  return { ...said, title: outcome === 'done' ? 'Touched' : said.title, hint: 'How it goes is said here in a moment.' };
}

/** How it went with what was answered with yes. */
export function wentWords(went: PromptWent): OutcomeWords {
  if (went.code === null) return { title: 'Done', hint: went.what, icon: 'check', tone: 'good' };
  const title = went.code === 'unreachable' ? 'Not known to be done' : 'Not done';
  return { title, hint: went.what, icon: 'warn', tone: 'warn' };
}

const OPERATIONS: Record<string, string> = {
  read: 'Read',
  trade: 'Trade',
  cancel: 'Cancel',
  leverage: 'Leverage',
  transfer: 'Transfer',
  withdraw: 'Withdrawal',
  'key-admin': 'Key administration',
  unknown: 'Not understood',
};

/** The kind of an operation in words. */
export function operationWords(operation: string): string {
  return OPERATIONS[operation] ?? operation;
}

/** Whether the operation moves money or rights, or cannot be told not to. */
export function isDangerous(operation: string): boolean {
  return !['read', 'trade', 'cancel', 'leverage'].includes(operation);
}

const SCOPES: Record<Scope, string> = { once: 'Allow once', process: 'Allow this process', terminal: 'Allow this terminal' };

/** How much a yes is. */
export function scopeWords(scope: Scope): string {
  return SCOPES[scope];
}

/** What more than a single yes means. */
export function scopeHint(scopes: Scope[], minutes: number): string {
  const where = scopes.includes('terminal') ? 'whatever is started in this terminal' : 'this process';
  return `More than once holds for these values and ${where}, for ${minutes} min or until the vault is locked.`;
}
