// The vault and its devices in words.

import type { EnrolledDevice, VaultSummary } from '../../ipc/types';
import type { IconName } from '../../shared/icons';

/** A kind of device in words. */
export interface DeviceWords {
  kind: string;
  icon: IconName;
  /** Weaker than hardware, and said so. */
  software: boolean;
}

const KINDS: Record<string, DeviceWords> = {
  piv: { kind: 'YubiKey PIV', icon: 'device', software: false },
  pkcs11: { kind: 'PKCS#11 token', icon: 'chip', software: false },
  kit: { kind: 'Recovery kit, on paper', icon: 'disk', software: false },
  software: { kind: 'Software', icon: 'disk', software: true },
};

/** A device's kind in words. */
export function deviceWords(device: EnrolledDevice): DeviceWords {
  return KINDS[device.kind] ?? { kind: device.kind, icon: 'chip', software: false };
}

/** Kind and serial number, the number only where the label does not have it. */
export function deviceDetail(device: EnrolledDevice): string {
  const { kind } = deviceWords(device);
  return device.serial === null || device.label.includes(device.serial) ? kind : `${kind} · serial ${device.serial}`;
}

/** What a person should do about the vault as a whole, most urgent first. */
export function vaultTrouble(vault: VaultSummary): { title: string; hint: string } | null {
  if (vault.read_only !== null) return { title: 'Nothing can be changed', hint: vault.read_only };
  if (vault.rehearsed === false && !vault.practice) {
    return {
      title: 'No way back was tried',
      hint: 'If this device is lost, so is the vault. In a terminal: touchkeep recover kit',
    };
  }
  return null;
}

/** The last part of a path, and the folder before it. */
export function splitPath(path: string): { folder: string; file: string } {
  const at = path.lastIndexOf('/');
  return { folder: path.slice(0, at + 1), file: path.slice(at + 1) };
}
