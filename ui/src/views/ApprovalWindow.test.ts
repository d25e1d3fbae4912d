import { flushSync, mount, unmount } from 'svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MockApproval, POLICY_CHANGE, questions, touchPrompt, useOfValues, withdrawal } from '../ipc/mock';
import ApprovalWindow from './ApprovalWindow.svelte';

const GUARD_MS = 600;

describe('approval window', () => {
  let window: Record<string, unknown> | undefined;

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    if (window) void unmount(window);
    window = undefined;
    document.body.replaceChildren();
    delete document.body.dataset.ready;
    vi.useRealTimers();
  });

  async function show(backend: MockApproval): Promise<void> {
    window = mount(ApprovalWindow, { target: document.body, props: { backend, outcomeMs: 1000 } });
    await settle();
  }
  async function settle(ms = 0): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
    flushSync();
  }
  const find = (id: string) => document.querySelector<HTMLElement>(`[data-testid="${id}"]`);
  const button = (id: string) => find(id) as HTMLButtonElement;
  const press = (key: string) => globalThis.window.dispatchEvent(new KeyboardEvent('keydown', { key }));

  it('says what is asked, and that it is ready', async () => {
    await show(new MockApproval(questions('withdraw', Date.now())));
    expect(document.body.dataset.ready).toBe('true');
    expect(find('sentence')?.textContent).toContain('Withdraw 0.5 BTC on Binance to bc1q');
    expect(find('facts')?.textContent).toContain('bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq');
    expect(find('unusual')?.textContent).toContain('First time');
    expect(find('practice')).not.toBeNull();
  });

  it('takes no approval before the guard is over, and has no default button', async () => {
    const backend = new MockApproval(questions('withdraw', Date.now()));
    await show(backend);
    expect(button('approve').disabled).toBe(true);
    expect(document.activeElement).toBe(document.body);
    button('approve').click();
    press('Enter');
    await settle(GUARD_MS - 1);
    button('approve').click();
    expect(backend.answers).toEqual([]);
    await settle(1);
    expect(button('approve').disabled).toBe(false);
  });

  it('shows a program that asks for values, and allows as much as is pressed, after the guard', async () => {
    const backend = new MockApproval(questions('use', Date.now()));
    await show(backend);
    expect(find('values')?.textContent).toContain('binance-read: secret');
    expect(find('executable')?.textContent).toBe('/usr/bin/python3.11');
    expect(find('process')?.textContent).toContain('bash (2811)');
    expect(find('scope-hint')?.textContent).toContain('60 min');
    button('allow-terminal').click();
    press('Enter');
    expect(backend.answers).toEqual([]);
    await settle(GUARD_MS);
    button('allow-process').click();
    await settle();
    expect(backend.answers).toEqual(['allow use process']);
    expect(find('outcome')?.dataset.outcome).toBe('allowed');
  });

  it('offers no more for a sealed value than this once', async () => {
    const backend = new MockApproval([useOfValues(Date.now(), { scopes: ['once'], unusual: ['sealed: asked for each time'] })]);
    await show(backend);
    await settle(GUARD_MS);
    expect([find('allow-process'), find('allow-terminal'), find('scope-hint')]).toEqual([null, null, null]);
    expect(find('unusual')?.textContent).toContain('sealed');
    press('Escape');
    await settle();
    expect(backend.answers).toEqual(['refuse use']);
  });

  it('says loudly that exactly the same was asked for before', async () => {
    await show(new MockApproval(questions('again', Date.now())));
    expect(find('again')?.textContent).toContain('last 14 s ago');
    expect(find('again')?.getAttribute('role')).toBe('alert');
  });

  it('offers what a yes may cover for a time, and nothing of the sort where a touch is needed', async () => {
    const backend = new MockApproval(questions('order', Date.now()));
    await show(backend);
    expect(find('more')?.textContent).toContain('buy up to 0.01 BTCUSDT at 61000 or less');
    expect(button('approve-15').disabled).toBe(true);
    button('approve-15').click();
    expect(backend.answers).toEqual([]);
    await settle(GUARD_MS);
    button('approve-15').click();
    await settle();
    expect(backend.answers[0]).toMatch(/^approve p1 [0-9a-f]{64} 15 min$/);
    await settle(1000);
    expect(find('more')).toBeNull();
    expect(find('kept')?.textContent).toContain('main-money');
  });

  it('approves exactly the digest that was shown, then waits for the touch', async () => {
    const backend = new MockApproval(questions('withdraw', Date.now()));
    await show(backend);
    await settle(GUARD_MS);
    button('approve').click();
    await settle();
    expect(backend.answers).toEqual(['approve p1 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08']);
    expect(find('touch')?.textContent).toContain('Touch your key now');
    backend.close('done');
    await settle();
    expect(find('outcome')?.dataset.outcome).toBe('done');
  });

  it('says how it went, once the venue has answered', async () => {
    const backend = new MockApproval(questions('withdraw', Date.now()));
    await show(backend);
    await settle(GUARD_MS);
    button('approve').click();
    await settle();
    backend.close('done');
    await settle();
    expect(find('outcome')?.textContent).toContain('Touched');
    expect(find('outcome')?.dataset.went).toBeUndefined();
    backend.went({ prompt: 'another', code: null, what: 'x' });
    await settle(5000);
    expect(find('outcome')?.textContent).toContain('Touched');
    backend.went({ prompt: 'p1', code: 'denied', what: 'Signed and sent. The venue refused it: -4026 too little.' });
    await settle();
    expect(find('outcome')?.dataset.went).toBe('denied');
    expect(find('outcome')?.textContent).toContain('Not done');
    expect(find('outcome')?.textContent).toContain('-4026 too little');
  });

  it('says of a refusal nothing that is to come', async () => {
    const backend = new MockApproval(questions('withdraw', Date.now()));
    await show(backend);
    press('Escape');
    await settle();
    expect(find('outcome')?.textContent).not.toContain('in a moment');
  });

  it('lists what a touch means in full, where that is more than a sentence', async () => {
    await show(new MockApproval(questions('policy', Date.now())));
    expect(find('touch-why')?.textContent).toBe('Replace the policy: 1 rule added, 2 rules changed');
    const lines = [...(find('touch-details')?.querySelectorAll('li') ?? [])].map((line) => line.textContent);
    expect(lines).toEqual(POLICY_CHANGE.split('\n').slice(1));
    void unmount(window!);
    await show(new MockApproval(questions('touch', Date.now())));
    expect(find('touch-details')).toBeNull();
  });

  it('scrolls what is asked with the keyboard, which answers nothing', async () => {
    for (const [scene, id] of [
      ['hostile', 'question'],
      ['policy', 'touch'],
    ] as const) {
      const backend = new MockApproval(questions(scene, Date.now()));
      await show(backend);
      press('PageDown');
      press('ArrowDown');
      expect(find(id)?.scrollTop).toBeGreaterThan(48);
      press('ArrowUp');
      await settle(GUARD_MS);
      expect(backend.answers).toEqual([]);
      void unmount(window!);
    }
    window = undefined;
  });

  it('says where a PIN is to be typed that the token asks for itself', async () => {
    const prompt = touchPrompt(Date.now(), 'Unlock the vault');
    const question = { kind: 'touch' as const, device: 'token', why: 'Unlock the vault', pad: true };
    await show(new MockApproval([{ ...prompt, question }]));
    expect(find('touch')?.textContent).toContain('Type the PIN at your token');
  });

  it('refuses with Escape, even within the guard', async () => {
    const backend = new MockApproval(questions('withdraw', Date.now()));
    await show(backend);
    press('Escape');
    await settle();
    expect(backend.answers).toEqual(['refuse p1']);
    expect(find('outcome')?.textContent).toContain('Nothing was signed');
  });

  it('says who asks nobody after a third refusal', async () => {
    const backend = new MockApproval(questions('withdraw', Date.now()));
    await show(backend);
    backend.close('refused', { asker: 'client grid-bot', seconds_left: 300, refused: true });
    await settle();
    expect(find('outcome')?.textContent).toContain('Nothing was signed');
    expect(find('outcome')?.textContent).toContain('client grid-bot asks nobody for 5 minutes');
  });

  it('shows that silence was a refusal', async () => {
    const backend = new MockApproval(questions('withdraw', Date.now()));
    await show(backend);
    await settle(60_000);
    expect(button('approve').disabled).toBe(true);
    backend.close('timed-out');
    await settle();
    expect(find('outcome')?.textContent).toContain('time ran out');
  });

  it('asks one after the other, each with a guard of its own', async () => {
    const backend = new MockApproval(questions('order', Date.now()));
    await show(backend);
    expect(find('approval')?.textContent).toContain('1 more waits behind this one');
    await settle(GUARD_MS);
    button('approve').click();
    await settle(999);
    expect(find('outcome')).not.toBeNull();
    await settle(1);
    expect(find('sentence')?.textContent).toContain('Withdraw');
    expect(button('approve').disabled).toBe(true);
    await settle(GUARD_MS);
    expect(button('approve').disabled).toBe(false);
  });

  it('shows text from outside as text', async () => {
    await show(new MockApproval([withdrawal(Date.now(), { sentence: 'a <img src=x onerror=alert(1)>', client: '<script>x</script>' })]));
    expect(find('approval')?.querySelector('img, script')).toBeNull();
    expect(find('sentence')?.textContent).toBe('a <img src=x onerror=alert(1)>');
  });
});
