// A backend without an agent, for component tests and for looking at the pages in an ordinary browser:
// `npm run preview:mock`, then `/?scene=locked` or `/approval.html?scene=withdraw`. No production build contains it.

import type { ApprovalBackend, AuditQuery, CurrentPrompt, MainBackend, News, Trouble, WindowStatus } from './backend';
import type { Approval, AuditPage, AuditRow, ItemSummary, KeyAge, Prompt, PromptClosed, PromptWent, Resting, Scope, UseRequest } from './types';

const DAY = 86_400_000;

/** The scenes of the main window. */
export type Scene = 'open' | 'many' | 'locked' | 'no-vault' | 'no-agent' | 'empty' | 'damaged' | 'shared' | 'meant' | 'meant-alone';

/** A main window's backend that plays a scene. */
export function mockMain(scene: Scene, now: number): MainBackend {
  let unlocked = scene === 'open' || scene === 'many' || scene === 'empty' || scene === 'damaged' || scene === 'shared';
  const handlers = new Set<(news: News) => void>();
  const tell = () => handlers.forEach((handler) => handler({ kind: 'changed' }));
  const answer = async <T>(value: () => T, wantsVault = true): Promise<T> => {
    if (scene === 'no-agent') throw trouble(false, 'unreachable', 'The agent is not running.', 'Start it with: touchkeep agent');
    if (wantsVault && !unlocked) throw trouble(true, 'locked', 'The vault is locked.', 'Unlock it first.');
    return value();
  };
  const empty = scene === 'empty';
  return {
    status: () => answer(() => status(scene, unlocked), false),
    startAgent: () => answer(() => undefined, false),
    unlock: async () => {
      unlocked = true;
      tell();
    },
    lock: async () => {
      unlocked = false;
      tell();
    },
    items: () => answer(() => (empty ? [] : items(now))),
    auditPage: (query) => answer(() => page(empty ? [] : rows(now), query, unlocked), false),
    auditVerify: () =>
      answer(
        () =>
          scene === 'damaged'
            ? { sound: false, size: 96, signed: 64, root: ROOT, first_bad: 41, problem: 'row 41 does not hash to its leaf' }
            : { sound: true, size: 96, signed: 64, root: ROOT, first_bad: null, problem: null },
        false,
      ),
    reminders: () => answer(() => (empty ? [] : ages(now))),
    copyProxyAddress: () => answer(() => undefined, false),
    showQuestion: () => answer(() => undefined, false),
    onNews: async (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
  };
}

/** An approval window's backend with a queue that answers as the agent does. */
export class MockApproval implements ApprovalBackend {
  readonly answers: string[] = [];
  #queue: Prompt[];
  #prompt = new Set<() => void>();
  #closed = new Set<(closed: PromptClosed) => void>();
  #went = new Set<(went: PromptWent) => void>();

  constructor(queue: Prompt[]) {
    this.#queue = queue;
  }

  async currentPrompt(): Promise<CurrentPrompt | null> {
    const prompt = this.#queue[0];
    if (!prompt) return null;
    return { prompt, behind: this.#queue.length - 1, guard_ms: 600 };
  }

  async approve(prompt: string, digest: string, minutes?: number): Promise<void> {
    this.answers.push(`approve ${prompt} ${digest}${minutes === undefined ? '' : ` ${minutes} min`}`);
    const question = this.#queue[0]?.question;
    this.close('approved');
    if (question?.kind === 'approval' && question.touch) this.open(touchPrompt(Date.now(), question.sentence));
  }

  async allow(prompt: string, scope: Scope): Promise<void> {
    this.answers.push(`allow ${prompt} ${scope}`);
    this.close('allowed');
  }

  async refuse(prompt: string): Promise<void> {
    this.answers.push(`refuse ${prompt}`);
    this.close('refused');
  }

  async onPrompt(handler: () => void): Promise<() => void> {
    this.#prompt.add(handler);
    return () => this.#prompt.delete(handler);
  }

  async onClosed(handler: (closed: PromptClosed) => void): Promise<() => void> {
    this.#closed.add(handler);
    return () => this.#closed.delete(handler);
  }

  async onWent(handler: (went: PromptWent) => void): Promise<() => void> {
    this.#went.add(handler);
    return () => this.#went.delete(handler);
  }

  /** The agent says how it went with what was allowed. */
  went(went: PromptWent): void {
    this.#went.forEach((handler) => handler(went));
  }

  /** The agent asks something more. A touch comes first. */
  open(prompt: Prompt): void {
    if (prompt.question.kind === 'touch') this.#queue.unshift(prompt);
    else this.#queue.push(prompt);
    this.#prompt.forEach((handler) => handler());
  }

  /** The agent closes the first question. */
  close(outcome: string, rests: Resting | null = null): void {
    const first = this.#queue.shift();
    if (first) this.#closed.forEach((handler) => handler({ prompt: first.id, outcome, rests }));
  }
}

/** A question about a withdrawal that has everything that a question may have. */
export function withdrawal(now: number, over: Partial<Approval> = {}): Prompt {
  return {
    id: 'p1',
    number: 1,
    asked: now,
    deadline: now + 60_000,
    question: {
      kind: 'approval',
      sentence: 'Withdraw 0.5 BTC on Binance to bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq (network BTC)',
      operation: 'withdraw',
      facts: [
        ['Asset', 'BTC'],
        ['Amount', '0.5'],
        ['To', 'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq'],
        ['Network', 'BTC'],
        ['Venue', 'binance'],
        ['Request', 'POST /sapi/v1/capital/withdraw/apply'],
      ],
      again: '',
      unusual: ['First time to this address', '0.5 BTC is more than all withdrawals of the last 30 days together'],
      client: 'grid-bot',
      process: ['systemd --user', 'python3 /home/kim/bots/grid.py', 'pid 48213, started 09:14'],
      executable: '/usr/bin/python3.11',
      place: 'unit grid-bot.service',
      key: 'main-money',
      kept: 'never leaves YubiKey (87654321), and waits for a touch at each use',
      rule: 'withdrawals: touch',
      touch: true,
      digest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
      practice: true,
      more: null,
      ...over,
    },
  };
}

/** What a touch may be for: a sentence, and what it means in full. */
export const POLICY_CHANGE = [
  'Replace the policy: 1 rule added, 2 rules changed',
  'withdraw: the mildest was touch and becomes approve',
  '"small orders": max_notional was 500 and becomes 25000',
  '"cold": destinations also "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq" network "BTC"',
  '"night" is new and says allow for trade (clients "grid-bot"; symbols "BTCUSDT", "ETHUSDT"; hours 22:00-06:00)',
].join('\n');

/** The device waits for a finger. */
export function touchPrompt(now: number, why: string): Prompt {
  return {
    id: 'touch',
    number: 2,
    asked: now,
    deadline: now + 15_000,
    question: { kind: 'touch', device: 'YubiKey 5 (practice) 87654321', why, pad: false },
  };
}

/** A program that asks for values. */
export function useOfValues(now: number, over: Partial<UseRequest> = {}): Prompt {
  return {
    id: 'use',
    number: 1,
    asked: now,
    deadline: now + 60_000,
    question: {
      kind: 'use',
      sentence: 'python3 asks for 2 values',
      values: ['binance-read: secret', 'binance-read: api-key'],
      purpose: 'for a program that it starts',
      client: 'python3',
      executable: '/usr/bin/python3.11',
      process: ['systemd (1203) /usr/lib/systemd/systemd', 'bash (2811) /usr/bin/bash', 'python3 (48213) /usr/bin/python3.11'],
      place: 'terminal pts/3',
      unusual: [],
      scopes: ['once', 'process', 'terminal'],
      minutes: 60,
      pid: 48213,
      practice: false,
      ...over,
    },
  };
}

/** The questions of a scene of the approval window. */
export function questions(scene: string, now: number): Prompt[] {
  const order = withdrawal(now, {
    sentence: 'Buy 0.01 BTC for USDT on Binance at 61000',
    operation: 'trade',
    facts: [
      ['Pair', 'BTCUSDT'],
      ['Side', 'buy'],
      ['Amount', '0.01'],
      ['Price', '61000'],
    ],
    unusual: [],
    key: 'main-trade',
    rule: 'orders over 500 USDT: approve',
    touch: false,
    practice: false,
    kept: 'in the vault',
    more: { what: 'buy up to 0.01 BTCUSDT at 61000 or less on binance', minutes: [5, 15, 60], uses: 20 },
  });
  const hostile = withdrawal(now, {
    sentence: `Withdraw 184467440737095516.16 <img src=x onerror=alert(1)> on Binance to ${'bc1q\\u{202e}'.repeat(14)} (network ${'BEP20'.repeat(6)})`,
    facts: Array.from({ length: 14 }, (_, n): [string, string] => [`Fact ${n} <b>`, 'x'.repeat(n * 9)]),
    process: ['/usr/lib/systemd/systemd --user', `/opt/${'very-long-folder-name/'.repeat(6)}python3 grid.py`],
    client: 'grid-bot'.repeat(9),
  });
  switch (scene) {
    case 'order':
      return [order, { ...withdrawal(now), id: 'p2' }];
    case 'again':
      return [withdrawal(now, { again: 'exactly the same was asked for once within the hour, last 14 s ago' })];
    case 'hostile':
      return [hostile];
    case 'use':
      return [useOfValues(now)];
    case 'touch':
      return [touchPrompt(now, 'Unlock the vault')];
    case 'policy':
      return [touchPrompt(now, POLICY_CHANGE)];
    case 'none':
      return [];
    default:
      return [withdrawal(now)];
  }
}

function trouble(agent: boolean, code: Trouble['failure']['code'], what: string, fix: string): Trouble {
  return { agent, failure: { code, what, fix } };
}

const ROOT = '5c1d2f0a9b7e4c3d8f6a1b0e7d9c2a4f3e5b8d7c6a1f0e9d8c7b6a5f4e3d2c1b';

// How many keys the status tells of; a scene with more than it shows is a large vault.
const COUNTS: Partial<Record<Scene, number>> = { empty: 0, many: 12_345 };

// As the agent says it when another machine signs with a key of this vault.
const SHARED = {
  what: 'kraken refused 3 requests of prod/kraken-trade: the number was not above the last one that it has seen.',
  fix:
    'Numbers given out here only rise, so another machine or program signs with the same key, or did so while its clock was ahead. ' +
    'Give each machine a key of its own.',
};

function status(scene: Scene, unlocked: boolean): WindowStatus {
  const path = '/home/kim/.local/share/touchkeep/vault.touchkeep';
  const vault = {
    id: 'gaytemzugu3doobzmfrggzdfmy',
    path,
    practice: true,
    devices: [
      { id: 'd1', kind: 'piv', label: 'YubiKey 5 (practice)', serial: '87654321', seals: 'touch', retired: false },
      { id: 'd2', kind: 'software', label: 'Passphrase', serial: null, seals: 'session', retired: false },
    ],
    items: unlocked ? (COUNTS[scene] ?? 6) : null,
    read_only: null,
    rehearsed: unlocked ? true : null,
  };
  return {
    vault: scene === 'no-vault' || (scene === 'meant-alone' && !unlocked) ? null : vault,
    path,
    unlocked,
    proxy: 'http://127.0.0.1:43117',
    armed: null,
    note: null,
    waiting: scene === 'open' ? 1 : 0,
    attention: scene === 'shared' ? [SHARED] : [],
    late: unlocked ? { expired: 0, overdue: 1 } : null,
    resting: [],
    version: '0.1.0',
    meant: scene === 'meant' || (scene === 'meant-alone' && !unlocked) ? '/home/kim/team.touchkeep' : null,
  };
}

function items(now: number): ItemSummary[] {
  const item = (name: string, over: Partial<ItemSummary>): ItemSummary => ({
    id: name,
    name,
    kind: 'exchange-key',
    environment: 'prod',
    tags: [],
    trashed: null,
    plaintext_seen: null,
    venue: 'binance',
    key_set: 'main',
    class: 'trade',
    secret: 'stored',
    api_key_hint: 'vmPU…rXWy',
    created: now - 41 * DAY,
    due: now + 49 * DAY,
    expires: null,
    ...over,
  });
  return [
    item('main-read', { class: 'read', created: now - 200 * DAY, due: null, api_key_hint: 'a81F…99cQ' }),
    item('main-trade', { expires: now + 12 * DAY }),
    item('main-money', { class: 'move-money', secret: 'on-device', created: now - 83 * DAY, due: now + 7 * DAY, api_key_hint: 'Q0zk…T4mN' }),
    item('hedge-trade', { key_set: 'hedge sub-account', created: now - 96 * DAY, due: now - 6 * DAY, api_key_hint: 'Kd3x…0pLs' }),
    item('hedge-withdraw', { key_set: 'hedge sub-account', class: 'move-money', secret: 'sealed', created: now - 12 * DAY, due: now + 78 * DAY }),
    item('kraken-trade', { venue: 'kraken', key_set: 'main', secret: 'missing', api_key_hint: '', created: now - 1000, due: now + 90 * DAY }),
  ];
}

function ages(now: number): KeyAge[] {
  return items(now).map((item) => ({
    item: item.id,
    name: item.name,
    venue: item.venue,
    created: item.created,
    due: item.due,
    days_left: item.due === null ? null : Math.ceil((item.due - now) / DAY),
    expires: item.expires,
    expires_in_days: item.expires === null ? null : Math.ceil((item.expires - now) / DAY),
  }));
}

const EVENTS: [kind: string, decision: string, what: string, client: string | null, item: string | null][] = [
  ['outcome', 'done', '', 'grid-bot', 'main-money'],
  ['intent', 'touched', 'Withdraw 0.5 BTC on Binance to bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq (network BTC)', 'grid-bot', 'main-money'],
  ['request-denied', 'denied', 'Withdraw 0.5 BTC on Binance to bc1qevil000000000000000000000000000000 (network BTC): not on the list', 'grid-bot', null],
  ['intent', 'allowed', 'Buy 0.01 BTC for USDT on Binance at 61000', 'grid-bot', 'main-trade'],
  ['request-refused', 'refused', 'Transfer 200 USDT from spot to futures on Binance', 'hedger', 'hedge-trade'],
  ['outcome', 'failed', 'Cancel order 8812 on Binance: the venue answered 503', 'grid-bot', 'main-trade'],
  ['intent', 'approved', 'Cancel order 8812 on Binance', 'hedger', 'hedge-trade'],
  ['unlocked', 'info', 'Opened the vault with YubiKey 5 (practice).', null, null],
  ['client-added', 'done', 'grid-bot may use the key set main.', 'grid-bot', null],
  ['begun', 'info', 'Begun: grid-bot may use the key set main.', 'grid-bot', null],
];

function rows(now: number): AuditRow[] {
  return Array.from({ length: 96 }, (_, n): AuditRow => {
    const seq = 96 - n;
    const [kind, decision, what, client, item] = EVENTS[n % EVENTS.length] ?? EVENTS[0]!;
    return {
      seq,
      time: now - n * n * 95_000 - 40_000,
      kind,
      decision,
      what,
      client,
      item,
      of: kind === 'outcome' || kind === 'client-added' ? seq - 1 : null,
      details: client !== null ? [['Request', 'POST /api/v3/order'], ['Rule', 'orders up to 500 USDT: allow'], ['Digest', ROOT]] : [],
      leaf: ROOT.slice(seq % 7) + ROOT.slice(0, seq % 7),
    };
  });
}

function page(all: AuditRow[], query: AuditQuery, unlocked: boolean): AuditPage {
  const { before, kinds } = query;
  const found = all.filter((row) => (before === null || row.seq < before) && (kinds.length === 0 || kinds.includes(row.kind)));
  const shown = found.slice(0, query.limit);
  const closed = (row: AuditRow): AuditRow => ({ ...row, what: null, client: null, item: null, details: [] });
  return { rows: unlocked ? shown : shown.map(closed), size: all.length, signed: Math.min(64, all.length) };
}
