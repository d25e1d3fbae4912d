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
  failed: { word: 'Failed', icon: 'warn', tone: 'warn' },
  info: { word: 'Noted', icon: 'minus', tone: 'plain' },
};

/** The decisions to filter by, in the order to be shown. */
export const DECISION_NAMES = Object.keys(DECISIONS);

/** A decision in words. One that this version does not know keeps its name. */
export function decisionWords(decision: string): DecisionWords {
  return DECISIONS[decision] ?? { word: sentenceCase(decision), icon: 'info', tone: 'plain' };
}

/** A kind of event in words: `vault.unlock` -> `Vault unlock`. */
export function kindWords(kind: string): string {
  return sentenceCase(kind);
}

function sentenceCase(name: string): string {
  const spaced = name.replace(/[._-]+/g, ' ').trim();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
