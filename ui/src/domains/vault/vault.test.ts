import { describe, expect, it } from 'vitest';
import { deviceDetail, deviceWords, splitPath } from './vault';

describe('vault', () => {
  it('says which devices are software only', () => {
    const device = (kind: string) => ({ id: 'd', kind, label: 'l', serial: null });
    expect(['piv', 'pkcs11', 'software', 'new'].map((kind) => deviceWords(device(kind)).software)).toEqual([false, false, true, false]);
  });

  it('says a serial number once', () => {
    const device = (label: string, serial: string | null) => deviceDetail({ id: 'd', kind: 'piv', label, serial });
    expect([device('YubiKey', '7'), device('YubiKey (7)', '7'), device('YubiKey', null)]).toEqual([
      'YubiKey PIV · serial 7',
      'YubiKey PIV',
      'YubiKey PIV',
    ]);
  });

  it('splits a path', () => {
    expect(splitPath('/a/b/vault.touchkeep')).toEqual({ folder: '/a/b/', file: 'vault.touchkeep' });
    expect(splitPath('vault')).toEqual({ folder: '', file: 'vault' });
  });
});
