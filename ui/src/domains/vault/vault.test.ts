import { describe, expect, it } from 'vitest';
import { deviceDetail, deviceWords, splitPath, vaultTrouble } from './vault';

describe('vault', () => {
  it('says which devices are software only', () => {
    const device = (kind: string) => ({ id: 'd', kind, label: 'l', serial: null, seals: null, retired: false });
    expect(['piv', 'pkcs11', 'software', 'new'].map((kind) => deviceWords(device(kind)).software)).toEqual([false, false, true, false]);
  });

  it('says a serial number once', () => {
    const device = (label: string, serial: string | null) => deviceDetail({ id: 'd', kind: 'piv', label, serial, seals: null, retired: false });
    expect([device('YubiKey', '7'), device('YubiKey (7)', '7'), device('YubiKey', null)]).toEqual([
      'YubiKey PIV · serial 7',
      'YubiKey PIV',
      'YubiKey PIV',
    ]);
  });

  it('says what is wrong with the vault as a whole, once it is known', () => {
    const vault = { id: 'v', path: '/v', practice: false, devices: [], items: 1, read_only: null, rehearsed: true };
    const titles = [
      vault,
      { ...vault, rehearsed: null },
      { ...vault, rehearsed: false },
      { ...vault, rehearsed: false, practice: true },
      { ...vault, rehearsed: false, read_only: 'It is older.' },
    ].map((vault) => vaultTrouble(vault)?.title ?? null);
    expect(titles).toEqual([null, null, 'No way back was tried', null, 'Nothing can be changed']);
  });

  it('splits a path', () => {
    expect(splitPath('/a/b/vault.touchkeep')).toEqual({ folder: '/a/b/', file: 'vault.touchkeep' });
    expect(splitPath('vault')).toEqual({ folder: '', file: 'vault' });
  });
});
