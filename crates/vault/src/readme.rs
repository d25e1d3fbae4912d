//! The text of `README.txt`: how to get everything out of a vault with `tar` and `age` alone.

use std::fmt::Write as _;

use touchkeep_container::{
    Membership,
    words::{DeviceKind, Purpose},
};
use touchkeep_core::text::visible;

const INTRODUCTION: &str = "\
This file is a Touchkeep vault: a plain tar archive of age files (https://age-encryption.org)
and of signed texts. Nothing but tar and age is needed to get the values back. Work in a folder
that is not on a disk, and remove it afterwards:

    mkdir -m 700 /dev/shm/recovery && cd /dev/shm/recovery && tar xf /path/to/the/vault

1. Open the user's bundle u/<user>-<revision>.age with a device of the user. (Of several of one user
   the one that was written last opens the rest.)
";

const SOFTWARE: &str = "
   Passphrase: age asks for it.

       age -d -i d/<device>-*.age u/<user>-*.age > user.txt
";

const PLUGIN: &str = "
   YubiKey: install age-plugin-yubikey, and write the identity line from the end of this text,
   with the word unlock, into identity.txt. The key asks for its PIN and may ask for a touch.

       age -d -i identity.txt u/<user>-*.age > user.txt
";

const KIT: &str = "
   Recovery kit: write the first AGE-SECRET-KEY-1 line of the paper into kit.txt. (The 24 words are
   the same secret: BIP 39, English.)

       age -d -i kit.txt u/<user>-*.age > user.txt
";

const TOKEN: &str = "
   PKCS#11 token: stock age cannot ask the token by itself; the stanza is the standard one of
   C2SP age (p256tag, or ssh-rsa for an RSA key), and the key is the one on the token with the
   reference given below.
";

const REST: &str = "
2. Open the environments' keys with what was in the bundle (those of environments that the user may
   not read do not open), and the operations with those keys:

       for k in k/*.age; do age -d -i user.txt \"$k\" || true; done > environments.txt
       for f in [bs]/*/*.age; do age -d -i environments.txt \"$f\" || true; done > operations.jsonl

   Each line sets fields of one item, or settings. Of several lines for one field the one with the
   latest clock (\"at\", compared as two numbers) holds, and an item with a later \"removed\" is
   gone. A secret that is stored is the text after \"stored:\".

3. A secret with \"sealed:<revision>\" is in t/<item>-<revision>.age, one file for each value.
";

const SEALED_SOFTWARE: &str = "
   Passphrase: the second line of the device's file is the identity that opens it.

       age -d d/<device>-*.age | sed -n 's/^# seal //p' > seal.txt
       age -d -i seal.txt t/<item>-<revision>.age
";

const SEALED_PLUGIN: &str = "
   YubiKey: as in step 1, with the identity line that has the word seal. One touch for each.

       age -d -i seal.txt t/<item>-<revision>.age
";

const SEALED_KIT: &str = "
   Recovery kit: with the second AGE-SECRET-KEY-1 line of the paper in seal.txt.

       age -d -i seal.txt t/<item>-<revision>.age
";

/// The text for a vault with these members. It names the chain's head, so that no two chains have the same text.
pub(crate) fn text(members: &Membership) -> String {
    let mut text = INTRODUCTION.to_owned();
    // What was retired opens nothing that is in the vault now.
    let opens = |kind| {
        let mut devices = members.devices.values();
        devices.any(|device| device.kind == kind && !device.retired)
    };
    let [software, piv, token, kit] = [
        DeviceKind::Software,
        DeviceKind::Piv,
        DeviceKind::Pkcs11,
        DeviceKind::Kit,
    ]
    .map(opens);
    let parts = [
        (software, SOFTWARE),
        (piv, PLUGIN),
        (kit, KIT),
        (token, TOKEN),
        (true, REST),
        (software, SEALED_SOFTWARE),
        (piv, SEALED_PLUGIN),
        (kit, SEALED_KIT),
    ];
    for (is_there, part) in parts {
        if is_there {
            text.push_str(part);
        }
    }
    text.push_str("\nDevices (all of this is public):\n");
    // Writing to a String does not fail.
    for (id, device) in &members.devices {
        let serial = visible(device.serial.as_deref().unwrap_or("-"));
        let _ = writeln!(
            text,
            "\n  device {id} of user {}: {}, serial {serial}{}",
            device.user,
            device.kind,
            if device.retired { ", retired" } else { "" }
        );
        for key in &device.keys {
            if key.purpose == Purpose::SignVault {
                continue;
            }
            let recipient = visible(key.recipient.as_deref().unwrap_or("-"));
            let place = visible(&key.key_ref);
            let _ = writeln!(text, "    {} (key {place}): {recipient}", key.purpose);
            if let Some(identity) = &key.identity {
                let _ = writeln!(
                    text,
                    "    {} identity line: {}",
                    key.purpose,
                    visible(identity)
                );
            }
        }
    }
    let _ = writeln!(
        text,
        "\nVault {}, membership {}.",
        members.vault, members.head
    );
    text
}
