// Error code -> what happened and what to do, where the agent itself did not say it in better words.

import type { Trouble } from '../ipc/backend';
import type { Code } from '../ipc/types';

/** Two sentences: what happened, and what to do. */
export interface Words {
  what: string;
  todo: string;
}

const WORDS: Record<Code, Words> = {
  locked: { what: 'The vault is locked.', todo: 'Unlock it first.' },
  'no-vault': { what: 'There is no vault there.', todo: 'Make one in a terminal: touchkeep init' },
  'vault-exists': { what: 'There is a vault there already.', todo: 'Choose another path.' },
  damaged: { what: 'A file is damaged or not authentic.', todo: 'Restore a copy; do not go on with this one.' },
  'too-new': { what: 'A file was written by a newer version.', todo: 'Update Touchkeep.' },
  'not-found': { what: 'It is not there any more.', todo: 'Somebody else may have removed or answered it.' },
  ambiguous: { what: 'The name means more than one thing.', todo: 'Use the id.' },
  invalid: { what: 'What was given cannot be used.', todo: 'Check it and try again.' },
  'no-device': { what: 'No device of this vault is connected.', todo: 'Connect your key and try again.' },
  'device-busy': { what: 'Another program holds the device.', todo: 'Close it and try again.' },
  'device-removed': { what: 'The device was taken away.', todo: 'Connect it again and start over.' },
  'device-failed': { what: 'The device failed.', todo: 'Run in a terminal: touchkeep doctor' },
  'wrong-pin': { what: 'The PIN was wrong.', todo: 'Look at the tries that are left before the next one.' },
  'wrong-passphrase': { what: 'The passphrase was wrong.', todo: 'Try again.' },
  'pin-blocked': { what: 'The PIN is blocked.', todo: 'Unblock it with the PUK.' },
  'factory-pin': { what: 'The device still has the PIN of the factory.', todo: 'Change PIN and PUK first: touchkeep device set-pin' },
  'no-touch': { what: 'Nobody touched the key in time.', todo: 'Nothing was signed. Start over when you are at the key.' },
  refused: { what: 'It was refused.', todo: 'Nothing was signed.' },
  denied: { what: 'A rule refused it.', todo: 'The policy says which one: touchkeep policy explain' },
  'timed-out': { what: 'Nobody answered in time.', todo: 'Silence is a refusal: nothing was signed.' },
  unreadable: { what: 'The request could not be understood.', todo: 'What cannot be read is not signed.' },
  'audit-failed': { what: 'The audit log cannot be written, so nothing was done.', todo: 'Check the disk, then try again.' },
  unreachable: { what: 'There was no answer.', todo: 'Try again in a moment.' },
  'protocol-mismatch': { what: 'Agent and window are of different versions.', todo: 'Close this window, end the agent, start again.' },
  'not-permitted': { what: 'That is not allowed here.', todo: '' },
  system: { what: 'The operating system refused.', todo: '' },
};

/** What happened, and what to do: the agent's own words where it has some. */
export function words(trouble: Trouble): Words {
  const own = WORDS[trouble.failure.code] as Words | undefined;
  return {
    what: trouble.failure.what || own?.what || `It failed (${trouble.failure.code}).`,
    todo: trouble.failure.fix || own?.todo || '',
  };
}
