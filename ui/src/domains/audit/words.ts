// What the audit log's decisions and kinds are called.

import type { IconName } from '../../shared/icons';
import type { Tone } from '../../shared/tone';

/** A decision's word, with the icon and the colour that go with it. */
export interface DecisionWords {
  word: string;
  icon: IconName;
  tone: Tone;
}

const DECISIONS: Record<string, DecisionWords> = {
  allowed: { word: 'Allowed', icon: 'check', tone: 'good' },
  approved: { word: 'Approved', icon: 'check', tone: 'info' },
  touched: { word: 'Touched', icon: 'touch', tone: 'accent' },
  denied: { word: 'Denied', icon: 'cross', tone: 'bad' },
  refused: { word: 'Refused', icon: 'cross', tone: 'bad' },
  done: { word: 'Done', icon: 'check', tone: 'plain' },
  failed: { word: 'Failed', icon: 'warn', tone: 'warn' },
  unknown: { word: 'Unknown', icon: 'question', tone: 'warn' },
  info: { word: 'Noted', icon: 'minus', tone: 'plain' },
};

/** The decisions to filter by, in the order to be shown. */
export const DECISION_NAMES = Object.keys(DECISIONS);

/** A decision in words. One that this version does not know keeps its name. */
export function decisionWords(decision: string): DecisionWords {
  return DECISIONS[decision] ?? { word: sentenceCase(decision), icon: 'info', tone: 'plain' };
}

const KINDS: Record<string, string> = {
  intent: 'Request, before it is sent',
  outcome: 'How a request went',
  begun: 'Change begun',
  'request-denied': 'Request denied by a rule',
  'request-refused': 'Request refused by a person',
  'request-unreadable': 'Request not understood',
  'vault-created': 'Vault made',
  unlocked: 'Vault unlocked',
  'unlock-failed': 'Unlock failed',
  locked: 'Vault locked',
  'item-added': 'Key added',
  'item-changed': 'Key changed',
  'item-removed': 'Key removed',
  'secret-revealed': 'Secret shown',
  'secret-used': 'Secret used',
  webhook: 'Webhook delivery',
  armed: 'Trade keys armed',
  disarmed: 'Trade keys disarmed',
  'grant-given': 'Program allowed',
  'grant-revoked': 'Program not allowed any more',
  'client-added': 'Client let in',
  'client-removed': 'Client’s access ended',
  'device-added': 'Device enrolled',
  'device-retired': 'Device retired',
  'pin-changed': 'PIN changed',
  'recovery-tried': 'Recovery rehearsed',
  restored: 'Older copy restored',
  merged: 'Copy merged',
  'policy-changed': 'Policy changed',
  reminder: 'Reminder',
  checkpoint: 'Log signed by a device',
  'clock-back': 'Clock went backwards',
};

/** The kinds to filter by, in the order to be shown. */
export const KIND_NAMES = Object.keys(KINDS);

/** A kind of event in words. One that this version does not know keeps its name. */
export function kindWords(kind: string): string {
  return KINDS[kind] ?? sentenceCase(kind);
}

/** A detail's name in words: `venue-status` -> `Venue status`. */
export function detailWords(name: string): string {
  return sentenceCase(name);
}

function sentenceCase(name: string): string {
  const spaced = name.replace(/[._-]+/g, ' ').trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
