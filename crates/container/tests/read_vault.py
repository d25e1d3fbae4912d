"""A second reader of vault files, written from docs/formats/vault.md alone: it checks a file, and opens it with one key.

    read_vault.py FILE [--kit-fd N | --passphrase-fd N] [--secrets]     prints the vault as JSON, or why it is refused (exit 4)
    read_vault.py --verdicts FILE... [--passphrase-fd N]                 prints `accept` or `refuse <why>` for each; opened, the
                                                                          state of what is accepted behind it as JSON

Needs Python's package `cryptography`, and for opening `age` and the package `mnemonic`. Secrets come in on file descriptors only.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "reader"))

from chain import Chain
from history import History
from state import Opened, kit_keys, passphrase_keys
from texts import Refused, read_archive


class Vault:
    def __init__(self, data):
        self.members = read_archive(data)
        self.chain = Chain(self.members)
        self.history = History(self.members, self.chain)
        self.now = self.chain.at[self.chain.end]


def public_part(vault):
    now = vault.now
    return {
        "vault": vault.chain.vault,
        "kind": vault.chain.kind,
        "end": vault.chain.end,
        "ends": vault.chain.ends,
        "heads": vault.history.heads,
        "commits": sorted(vault.history.parents),
        "threshold": now.threshold,
        "users": now.roles,
        "devices": {
            id: {"user": d.user, "kind": d.kind, "retired": d.retired, "keys": sorted(d.keys)}
            for id, d in now.devices.items()
        },
        "environments": {
            e: {"epoch": len(epochs), "readers": sorted(now.grants[e]), "main": e == now.main}
            for e, epochs in now.environments.items()
        },
    }


def secret_on(fd):
    with os.fdopen(fd, "rb") as file:
        return file.read().rstrip(b"\n")


def open_part(vault, keys, reveal):
    opened = Opened(vault, [unlock for unlock, _ in keys], [seal for _, seal in keys])
    return opened.user, {e: env.show(reveal) for e, env in opened.environments.items()}


def read(arguments):
    vault = Vault(arguments.files[0].read_bytes())
    shown = public_part(vault)
    keys = None
    if arguments.kit_fd is not None:
        keys = [kit_keys(secret_on(arguments.kit_fd).decode())]
    elif arguments.passphrase_fd is not None:
        keys = passphrase_keys(vault, secret_on(arguments.passphrase_fd))
    if keys:
        shown["opened by"], shown["open"] = open_part(vault, keys, arguments.secrets)
    json.dump(shown, sys.stdout, indent=1, sort_keys=True)
    print()


def verdicts(arguments):
    passphrase = arguments.passphrase_fd is not None and secret_on(arguments.passphrase_fd)
    keys = None
    for path in arguments.files:
        try:
            vault = Vault(path.read_bytes())
            if not passphrase:
                print("accept")
                continue
            keys = keys or passphrase_keys(vault, passphrase)
            _, state = open_part(vault, keys, arguments.secrets)
            print("accept", json.dumps(state))
        except Refused as e:
            print(f"refuse {e}".replace("\n", " "))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    parser.add_argument("--kit-fd", type=int, metavar="N", help="24 words")
    parser.add_argument("--passphrase-fd", type=int, metavar="N")
    parser.add_argument("--secrets", action="store_true", help="print stored and sealed secrets, too")
    parser.add_argument("--verdicts", action="store_true")
    arguments = parser.parse_args()
    if arguments.verdicts:
        verdicts(arguments)
        return 0
    try:
        read(arguments)
        return 0
    except Refused as e:
        print(f"refused: {e}", file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(main())
