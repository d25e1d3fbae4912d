//! Links on the chain of `vault-1`: what each statement may say, and what it may not.

use touchkeep_container::Hash;

use super::{
    Case,
    signed::{ED25519, Edits, Forge, ID, X25519, replaced},
};

impl Forge {
    /// Links on `vault-1`, signed by its device.
    pub(crate) fn links(&self) -> Vec<Case> {
        let key = |purpose: &str, kind: &str, key: &str| {
            format!("key {ID} {purpose} {kind} never place {key} - -")
        };
        let (user, device) = (format!("user {ID}"), format!("device {ID} USER software -"));
        let sign = key("sign-vault", "ed25519", ED25519);
        let unlock = key("unlock", "x25519", X25519);
        let own = Hash::of(b"key").to_string();
        let author = "author USER ed25519 AUTHOR".to_owned();
        let strange = format!("author {ID} ed25519 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let epoch = "recipient environment ENV 2 age1other".to_owned();
        let certificate = |bytes: usize| "AAAA".repeat(bytes / 3);
        let attest = |words: &str| format!("attest {ID} unlock {words}");
        let own_key = "key DEVICE seal x25519 never x AAAA - -".to_owned();
        let cases: Vec<(&str, bool, Vec<String>)> = vec![
            ("nothing", true, vec![]),
            ("a user", true, vec![user.clone()]),
            ("a user twice", false, vec![user.clone(), user.clone()]),
            ("the user again", false, vec!["user USER".into()]),
            ("a device", true, vec![device.clone()]),
            (
                "a device of nobody",
                false,
                vec![format!("device {ID} {ID} piv -")],
            ),
            (
                "a serial",
                true,
                vec![format!("device {ID} USER piv 12%2034")],
            ),
            (
                "an empty serial",
                true,
                vec![format!("device {ID} USER piv %")],
            ),
            (
                "a dash as serial",
                true,
                vec![format!("device {ID} USER piv %2D")],
            ),
            (
                "a serial in another form",
                false,
                vec![format!("device {ID} USER piv %41")],
            ),
            (
                "lower hex",
                false,
                vec![format!("device {ID} USER piv %c3%a4")],
            ),
            (
                "not UTF-8",
                false,
                vec![format!("device {ID} USER piv %C3")],
            ),
            (
                "a long serial",
                true,
                vec![format!("device {ID} USER piv {}", "x".repeat(4096))],
            ),
            (
                "a longer serial",
                false,
                vec![format!("device {ID} USER piv {}", "x".repeat(4097))],
            ),
            (
                "another kind",
                false,
                vec![format!("device {ID} USER tpm -")],
            ),
            (
                "keys",
                true,
                vec![device.clone(), unlock.clone(), sign.clone()],
            ),
            ("a key apart", false, vec![own_key]),
            (
                "a key before its device",
                false,
                vec![unlock.clone(), device.clone()],
            ),
            (
                "a purpose twice",
                false,
                vec![
                    device.clone(),
                    sign.clone(),
                    key("sign-vault", "ed25519", X25519),
                ],
            ),
            (
                "a key for two purposes",
                false,
                vec![
                    device.clone(),
                    unlock.clone(),
                    key("seal", "x25519", X25519),
                ],
            ),
            (
                "signing with x25519",
                false,
                vec![device.clone(), key("sign-vault", "x25519", X25519)],
            ),
            (
                "signing with another kind than said",
                false,
                vec![device.clone(), key("sign-vault", "p256", ED25519)],
            ),
            (
                "signing with rsa",
                false,
                vec![device.clone(), key("sign-vault", "rsa2048", "AAAA")],
            ),
            (
                "an unlock key of any bytes",
                true,
                vec![device.clone(), key("unlock", "rsa2048", "AAAA")],
            ),
            (
                "a key of no bytes",
                true,
                vec![device.clone(), key("unlock", "rsa2048", "")],
            ),
            (
                "a place that is none",
                false,
                vec![
                    device.clone(),
                    format!("key {ID} unlock x25519 never - {X25519} - -"),
                ],
            ),
            (
                "base64 in another form",
                false,
                vec![device.clone(), key("unlock", "x25519", "AAB=")],
            ),
            (
                "attested",
                true,
                vec![device.clone(), unlock.clone(), attest("AAAA")],
            ),
            (
                "attested by four",
                true,
                vec![
                    device.clone(),
                    unlock.clone(),
                    attest("AAAA AAAA AAAA AAAA"),
                ],
            ),
            (
                "attested by five",
                false,
                vec![
                    device.clone(),
                    unlock.clone(),
                    attest("AAAA AAAA AAAA AAAA AAAA"),
                ],
            ),
            (
                "attested by none",
                false,
                vec![
                    device.clone(),
                    unlock.clone(),
                    format!("attest {ID} unlock"),
                ],
            ),
            (
                "attested by an empty one",
                false,
                vec![device.clone(), unlock.clone(), attest("")],
            ),
            (
                "a large certificate",
                true,
                vec![device.clone(), unlock.clone(), attest(&certificate(4095))],
            ),
            (
                "a larger one",
                false,
                vec![device.clone(), unlock.clone(), attest(&certificate(4098))],
            ),
            (
                "attested twice",
                false,
                vec![
                    device.clone(),
                    unlock.clone(),
                    attest("AAAA"),
                    attest("AAAA"),
                ],
            ),
            (
                "attested without a key",
                false,
                vec![device.clone(), attest("AAAA")],
            ),
            (
                "retired with nothing new",
                false,
                vec![device.clone(), sign.clone(), "retired DEVICE".into()],
            ),
            (
                "retired with all that it needs",
                true,
                vec![
                    device.clone(),
                    sign.clone(),
                    "retired DEVICE".into(),
                    author.clone(),
                    "recipient user USER age1other".into(),
                    epoch.clone(),
                ],
            ),
            (
                "retired without an epoch",
                false,
                vec![
                    device.clone(),
                    sign.clone(),
                    "retired DEVICE".into(),
                    author.clone(),
                    "recipient user USER age1other".into(),
                ],
            ),
            (
                "retired without an author",
                false,
                vec![
                    device.clone(),
                    sign.clone(),
                    "retired DEVICE".into(),
                    "recipient user USER age1other".into(),
                    epoch.clone(),
                ],
            ),
            (
                "the last device retired",
                false,
                vec![
                    "retired DEVICE".into(),
                    author.clone(),
                    "recipient user USER age1other".into(),
                    epoch.clone(),
                ],
            ),
            (
                "a device retired at once",
                false,
                vec![
                    device.clone(),
                    format!("retired {ID}"),
                    author.clone(),
                    "recipient user USER age1other".into(),
                    epoch.clone(),
                ],
            ),
            (
                "an unknown device retired",
                false,
                vec![format!("retired {ID}")],
            ),
            (
                "a newcomer's recipient, by nobody",
                false,
                vec![user.clone(), format!("recipient user {ID} age1other")],
            ),
            (
                "a newcomer's device",
                true,
                vec![user.clone(), format!("device {ID} {ID} kit -")],
            ),
            (
                "an author by nobody",
                false,
                vec![user.clone(), strange.clone()],
            ),
            ("an author of nobody", false, vec![strange]),
            (
                "a role",
                true,
                vec![user.clone(), format!("role {ID} admin")],
            ),
            ("a role of nobody", false, vec![format!("role {ID} admin")]),
            ("no admin left", false, vec!["role USER writer".into()]),
            ("another role", false, vec!["role USER owner".into()]),
            ("threshold 1", true, vec!["threshold 1".into()]),
            ("threshold 0", false, vec!["threshold 0".into()]),
            ("threshold 2", false, vec!["threshold 2".into()]),
            ("threshold 01", false, vec!["threshold 01".into()]),
            ("an environment", true, vec![format!("environment {ID}")]),
            (
                "the environment again",
                false,
                vec!["environment ENV".into()],
            ),
            ("a grant again", false, vec!["grant ENV USER".into()]),
            ("a grant to nobody", false, vec![format!("grant ENV {ID}")]),
            (
                "a grant of nothing",
                false,
                vec![format!("grant {ID} USER")],
            ),
            (
                "a grant",
                true,
                vec![format!("environment {ID}"), format!("grant {ID} USER")],
            ),
            (
                "revoked without an epoch",
                false,
                vec!["revoke ENV USER".into()],
            ),
            (
                "revoked",
                true,
                vec!["revoke ENV USER".into(), epoch.clone()],
            ),
            (
                "revoked, and another's epoch",
                false,
                vec![
                    format!("environment {ID}"),
                    "revoke ENV USER".into(),
                    format!("recipient environment {ID} 1 age1other"),
                ],
            ),
            (
                "revoked of who could not",
                false,
                vec![user.clone(), format!("revoke ENV {ID}")],
            ),
            ("an epoch", true, vec![epoch.clone()]),
            (
                "an epoch again",
                false,
                vec!["recipient environment ENV 1 age1other".into()],
            ),
            (
                "an epoch too far",
                false,
                vec!["recipient environment ENV 3 age1other".into()],
            ),
            (
                "no recipient",
                false,
                vec!["recipient environment ENV 2 -".into()],
            ),
            (
                "a recipient of nobody",
                false,
                vec![format!("recipient user {ID} age1other")],
            ),
            (
                "a recipient of a device",
                false,
                vec![format!("recipient device {ID} age1other")],
            ),
            (
                "who is gone reads on",
                false,
                vec![
                    user.clone(),
                    format!("grant ENV {ID}"),
                    format!("role {ID} gone"),
                ],
            ),
            (
                "who is gone",
                true,
                vec![user.clone(), format!("role {ID} gone")],
            ),
            ("an unknown statement", false, vec![format!("owner {own}")]),
            ("an empty statement", false, vec![String::new()]),
            ("4096 statements", true, vec!["threshold 1".into(); 4096]),
            ("4097 statements", false, vec!["threshold 1".into(); 4097]),
        ];
        let mut all = Vec::new();
        for (name, expected, statements) in cases {
            let statements: Vec<_> = statements.iter().map(String::as_str).collect();
            let (link, bytes) = self.signed_link(self.link_text(&statements, &|_| {}));
            all.push(Case::new(name, self.adding(&link, &bytes), Some(expected)));
        }
        all.extend(self.links_with_other_lines());
        all
    }

    fn links_with_other_lines(&self) -> Vec<Case> {
        let genesis = Hash::of(&self.members["genesis"]).to_string();
        let hash = Hash::of(b"nobody").to_string();
        let insert = |line: String| move |lines: &mut Vec<String>| lines.insert(3, line.clone());
        let edits: Edits = vec![
            ("number 3", false, Box::new(replaced("number", "number 3"))),
            (
                "number 02",
                false,
                Box::new(replaced("number", "number 02")),
            ),
            (
                "on nothing",
                false,
                Box::new(replaced("prev", &format!("prev {hash}"))),
            ),
            (
                "on genesis",
                false,
                Box::new(replaced("prev", &format!("prev {genesis}"))),
            ),
            (
                "joins its own line",
                false,
                Box::new(insert(format!("join {}", self.link))),
            ),
            (
                "joins genesis",
                false,
                Box::new(insert(format!("join {genesis}"))),
            ),
            (
                "joins nothing",
                false,
                Box::new(insert(format!("join {hash}"))),
            ),
            (
                "of another vault",
                false,
                Box::new(replaced("touchkeep", &format!("touchkeep/members/v1 {ID}"))),
            ),
            (
                "newer",
                false,
                Box::new(replaced(
                    "touchkeep",
                    &format!("touchkeep/members/v2 {}", self.vault.id()),
                )),
            ),
            (
                "time 2^64-1",
                true,
                Box::new(replaced("time", "time 18446744073709551615")),
            ),
            (
                "time 2^64",
                false,
                Box::new(replaced("time", "time 18446744073709551616")),
            ),
        ];
        let cases = edits.into_iter();
        cases
            .map(|(name, expected, edit)| {
                let (link, bytes) = self.signed_link(self.link_text(&[], &*edit));
                Case::new(
                    &format!("link {name}"),
                    self.adding(&link, &bytes),
                    Some(expected),
                )
            })
            .collect()
    }
}
