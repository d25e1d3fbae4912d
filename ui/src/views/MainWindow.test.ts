import { flushSync, mount, unmount } from 'svelte';
import { afterEach, describe, expect, it } from 'vitest';
import type { MainBackend } from '../ipc/backend';
import { mockMain, type Scene } from '../ipc/mock';
import MainWindow from './MainWindow.svelte';

const HOSTILE = '<img src=x onerror="globalThis.struck=1"><script>globalThis.struck=1</script><iframe src="javascript:1"></iframe>';

/** A backend in whose answers every text begins like that. */
function hostile(of: MainBackend): MainBackend {
  const bend = <T>(value: T): T => (typeof value === 'object' ? (JSON.parse(JSON.stringify(value), (_, it: unknown) => (typeof it === 'string' ? HOSTILE + it : it)) as T) : value);
  return {
    ...of,
    status: async () => bend(await of.status()),
    items: async () => bend(await of.items()),
    auditPage: async (query) => bend(await of.auditPage(query)),
    auditVerify: async () => bend(await of.auditVerify()),
    reminders: async () => bend(await of.reminders()),
  };
}

describe('main window', () => {
  let window: Record<string, unknown> | undefined;

  afterEach(() => {
    if (window) void unmount(window);
    window = undefined;
    document.body.replaceChildren();
    delete document.body.dataset.ready;
  });

  async function show(scene: Scene, bend = (backend: MainBackend) => backend): Promise<void> {
    window = mount(MainWindow, { target: document.body, props: { backend: bend(mockMain(scene, Date.now())) } });
    await settle();
  }
  async function settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    flushSync();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    flushSync();
  }
  const find = (id: string) => document.querySelector<HTMLElement>(`[data-testid="${id}"]`);
  const count = (id: string) => document.querySelectorAll(`[data-testid="${id}"]`).length;
  async function press(key: string, ctrlKey = false): Promise<void> {
    globalThis.window.dispatchEvent(new KeyboardEvent('keydown', { key, ctrlKey }));
    await settle();
  }

  it('goes to its pages with the number keys', async () => {
    await show('open');
    expect(document.body.dataset.ready).toBe('true');
    expect(find('page-overview')).not.toBeNull();
    await press('2');
    expect(count('key')).toBe(6);
    await press('3');
    expect(count('audit-row')).toBe(50);
    await press('4');
    expect(count('reminder')).toBe(6);
  });

  it('says when there are more keys than it shows', async () => {
    await show('open');
    await press('2');
    expect(find('keys-cut')).toBeNull();
    void unmount(window ?? {});
    document.body.replaceChildren();
    await show('many');
    await press('2');
    expect(count('key')).toBe(6);
    expect(find('keys-cut')?.textContent).toContain('the first 6 of 12,345');
  });

  it('locks with Ctrl+L and hides what is encrypted', async () => {
    await show('open');
    await press('2');
    await press('l', true);
    expect(find('rail-vault')?.dataset.unlocked).toBe('false');
    expect(find('locked')).not.toBeNull();
    expect(count('key')).toBe(0);
    await press('3');
    expect(find('audit-row')?.textContent).toContain('(encrypted)');
  });

  it('pages the timeline down to its first row, each row once', async () => {
    await show('open');
    await press('3');
    (find('older') as HTMLButtonElement).click();
    await settle();
    expect(count('audit-row')).toBe(96);
    expect(find('older')).toBeNull();
    expect(count('signed-line')).toBe(1);
  });

  it('filters by decision and opens a row', async () => {
    await show('open');
    await press('3');
    (find('filter-refused') as HTMLButtonElement).click();
    await settle();
    const rows = [...document.querySelectorAll<HTMLElement>('[data-testid="audit-row"]')];
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((row) => row.dataset.decision === 'refused')).toBe(true);
    rows[0]?.querySelector('button')?.click();
    await settle();
    expect(find('audit-details')?.textContent).toContain('hedger');
    await press('Escape');
    expect(find('audit-details')).toBeNull();
  });

  it('shows hostile text as text, on every page', async () => {
    await show('damaged', hostile);
    for (const key of ['1', '2', '3', '4']) {
      await press(key);
      document.querySelector<HTMLElement>('[data-testid="key"] button, [data-testid="audit-row"] button')?.click();
      (find('verify') as HTMLButtonElement | null)?.click();
      await settle();
      expect(document.body.textContent).toContain(HOSTILE);
      expect(document.querySelectorAll('img, script, iframe')).toHaveLength(0);
    }
    expect('struck' in globalThis).toBe(false);
  });

  it('says what the verifier found', async () => {
    await show('damaged');
    await press('3');
    (find('verify') as HTMLButtonElement).click();
    await settle();
    expect(find('verdict')?.textContent).toContain('row #41');
  });

  it('unlocks the vault that it was started for, where the agent has another or none', async () => {
    await show('meant');
    expect(find('meant')?.textContent).toContain('/home/kim/team.touchkeep');
    // What unlocks another vault does not stand beside the agent's.
    expect(find('unlock')).toBeNull();
    (find('unlock-meant') as HTMLButtonElement).click();
    await settle();
    expect(find('rail-vault')?.dataset.unlocked).toBe('true');
    void unmount(window!);
    document.body.replaceChildren();
    await show('meant-alone');
    expect(find('no-vault')).toBeNull();
    expect(find('locked')?.textContent).toContain('/home/kim/team.touchkeep');
    (find('unlock') as HTMLButtonElement).click();
    await settle();
    expect(find('vault-state')?.dataset.unlocked).toBe('true');
    expect(find('meant')).toBeNull();
  });

  it('says what to do without an agent, a vault or keys', async () => {
    await show('no-agent');
    expect(find('no-agent')?.textContent).toContain('touchkeep agent');
    void unmount(window!);
    await show('no-vault');
    expect(find('no-vault')?.textContent).toContain('touchkeep init');
    void unmount(window!);
    await show('empty');
    await press('2');
    expect(find('keys-empty')?.textContent).toContain('touchkeep add');
  });
});
