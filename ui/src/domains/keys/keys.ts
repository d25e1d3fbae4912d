// Keys by key set, with what their class and their place mean in words.

import type { ItemSummary } from '../../ipc/types';
import type { IconName } from '../../shared/icons';
import { daysLeft, nextOf } from '../../shared/due';
import { days, wholeDays } from '../../shared/time';
import type { Tone } from '../../shared/tone';

/** The keys of one venue account. */
export interface KeySet {
  venue: string;
  name: string;
  items: ItemSummary[];
}

/** A word with its icon and colour. */
export interface Label {
  word: string;
  icon: IconName;
  tone: Tone;
  /** One sentence more. */
  meaning: string;
}

const CLASS_ORDER = ['read', 'trade', 'move-money', 'key-admin'];

const CLASSES: Record<string, Label> = {
  read: { word: 'Read', icon: 'eye', tone: 'plain', meaning: 'Sees balances and orders. Changes nothing.' },
  trade: { word: 'Trade', icon: 'swap', tone: 'info', meaning: 'Places and cancels orders. Cannot withdraw.' },
  'move-money': { word: 'Move money', icon: 'out', tone: 'warn', meaning: 'Withdraws and transfers.' },
  'key-admin': { word: 'Key admin', icon: 'tool', tone: 'warn', meaning: 'Makes and deletes keys at the venue.' },
};

const KINDS: Record<string, Label & { many: string }> = {
  'api-key': { word: 'API key', many: 'API keys', icon: 'keys', tone: 'plain', meaning: 'Shown to a service by a program.' },
  'oauth-client': { word: 'OAuth client', many: 'OAuth clients', icon: 'plug', tone: 'plain', meaning: 'Gets tokens from a service.' },
  'otp-seed': { word: 'One-time codes', many: 'One-time codes', icon: 'clock', tone: 'plain', meaning: 'Makes the codes of a second factor.' },
  'ssh-key': { word: 'SSH key', many: 'SSH keys', icon: 'keys', tone: 'plain', meaning: 'A private key in PEM.' },
  note: { word: 'Note', many: 'Notes', icon: 'file', tone: 'plain', meaning: 'A text.' },
  login: { word: 'Login', many: 'Logins', icon: 'lock', tone: 'plain', meaning: 'A name and a password.' },
};

const PLACES: Record<string, Label> = {
  stored: { word: 'In the vault', icon: 'file', tone: 'plain', meaning: 'Usable while the vault is unlocked.' },
  sealed: { word: 'Sealed', icon: 'touch', tone: 'accent', meaning: 'Opened for one use at a time, with a touch.' },
  'on-device': { word: 'On the device', icon: 'chip', tone: 'accent', meaning: 'Never leaves the device. Where it moves money, one touch for every signature.' },
  missing: { word: 'Missing', icon: 'warn', tone: 'bad', meaning: 'There is no secret for this key yet.' },
};

/** Groups items by venue account, others by kind; within one, the least dangerous key first. */
export function byKeySet(items: ItemSummary[]): KeySet[] {
  const sets = new Map<string, KeySet>();
  for (const item of items) {
    const name = item.venue === '' ? (KINDS[item.kind]?.many ?? item.kind) : item.key_set;
    const id = JSON.stringify([item.venue, name]);
    const set = sets.get(id) ?? { venue: item.venue, name, items: [] };
    set.items.push(item);
    sets.set(id, set);
  }
  const rank = (item: ItemSummary) => (CLASS_ORDER.indexOf(item.class) + CLASS_ORDER.length + 1) % (CLASS_ORDER.length + 1);
  const last = (set: KeySet) => Number(set.venue === '');
  const sorted = [...sets.values()].sort((a, b) => last(a) - last(b) || a.venue.localeCompare(b.venue) || a.name.localeCompare(b.name));
  for (const set of sorted) {
    set.items.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  }
  return sorted;
}

/** What a key may do, or what kind of item it is. */
export function classLabel(name: string): Label {
  return CLASSES[name] ?? KINDS[name] ?? { word: name, icon: 'info', tone: 'warn', meaning: 'This version does not know that class.' };
}

/** Where the secret half of a key is. */
export function placeLabel(name: string): Label {
  return PLACES[name] ?? { word: name, icon: 'info', tone: 'warn', meaning: 'This version does not know that place.' };
}

/** How old a key is against its rule. */
export interface Age {
  /** `41 days old`. */
  age: string;
  /** `due in 49 days`, `expires in 12 days`, whichever comes first; or that there is no rule. */
  due: string;
  /** 0 to 1, of the time from making to then; none without. */
  part: number | null;
  tone: Tone;
}

/** How old a key is, in words and as a part of its time. */
export function ageOf(created: number, due: number | null, expires: number | null, now: number): Age {
  const old = Math.max(0, wholeDays(created, now));
  const age = old === 0 ? 'made today' : `${days(old)} old`;
  const left = (at: number | null) => (at === null ? null : daysLeft(at, now));
  const next = nextOf(due, left(due), expires, left(expires));
  if (next === null) return { age, due: 'no rule', part: null, tone: 'plain' };
  const part = next.at <= created ? 1 : Math.min(1, Math.max(0, (now - created) / (next.at - created)));
  return { age, due: next.words, part, tone: next.label.tone };
}

/** A venue's name as its owner writes it. */
export function venueName(venue: string): string {
  if (venue === '') return 'Other items';
  return venue.charAt(0).toUpperCase() + venue.slice(1);
}
