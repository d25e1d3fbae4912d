//! The frozen vaults, and hundreds of changed ones, through a second reader: `crates/container/tests/read_vault.py`, written from
//! `docs/formats/vault.md` alone. Both say the same of each.
//!
//! `TOUCHKEEP_PYTHON` names a Python with `tests/requirements.txt`; `./dev test` makes one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod forge;

use std::{
    collections::{BTreeMap, HashSet},
    io::Write,
    process::{Command, Stdio},
};

use forge::{Case, Forge, PASSPHRASE, TEAM, VAULT};
use serde_json::{Value, json};
use touchkeep_container::{Container, ContainerError, tar};
use touchkeep_core::{ApiSecret, Passphrase, UnixMillis};
use touchkeep_device::{Auth, DeviceKind, RecoveryKit};
use touchkeep_vault::{AuditHead, Item, ItemKind, Locked, SecretPlace, Unlocked};

const READER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../container/tests/read_vault.py"
);

fn python() -> Command {
    let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.args(["-B", READER]);
    command
}

// What the second reader says of an archive that a secret opens.
fn opened(archive: &[u8], option: &str, secret: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    std::fs::write(&path, archive).unwrap();
    let mut python = python();
    python.arg(path).args([option, "0", "--secrets"]);
    python.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(secret.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn locked(archive: &[u8]) -> (tempfile::TempDir, Locked) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault");
    std::fs::write(&path, archive).unwrap();
    let locked = Locked::open(path).unwrap();
    (folder, locked)
}

fn by_passphrase(archive: &[u8]) -> (tempfile::TempDir, Unlocked) {
    let (folder, locked) = locked(archive);
    let mut devices = locked.devices().iter();
    let own = devices.find(|d| d.kind == DeviceKind::Software && !d.retired);
    let mut device = locked.software_device(own.unwrap().id).unwrap();
    let passphrase = Passphrase::new(PASSPHRASE.into());
    let auth = Auth::Passphrase(&passphrase);
    (folder, locked.unlock(&mut device, auth).unwrap())
}

fn by_words(archive: &[u8], words: &str) -> (tempfile::TempDir, Unlocked) {
    let (folder, locked) = locked(archive);
    let kit = RecoveryKit::from_words(words).unwrap();
    let mut device = kit.device().unwrap();
    (folder, locked.unlock(&mut device, Auth::Nothing).unwrap())
}

// What the library says, in the second reader's words.
fn public(container: &Container) -> Value {
    let members = container.membership();
    let texts = |hashes: Vec<touchkeep_container::Hash>| -> Vec<String> {
        hashes.iter().map(ToString::to_string).collect()
    };
    let ends = container.chain().ends().into_iter().map(|end| end.head);
    let users = members.users.iter();
    let users: BTreeMap<_, _> = users
        .map(|(id, user)| (id.to_string(), user.role.map(|role| role.to_string())))
        .collect();
    let devices = members.devices.iter();
    let devices: BTreeMap<_, _> = devices
        .map(|(id, device)| {
            let mut keys: Vec<_> = device.keys.iter().map(|k| k.purpose.to_string()).collect();
            keys.sort();
            let user = device.user.to_string();
            let kind = device.kind.to_string();
            let said = json!({"user": user, "kind": kind, "retired": device.retired, "keys": keys});
            (id.to_string(), said)
        })
        .collect();
    let environments = members.environments.iter();
    let environments: BTreeMap<_, _> = environments
        .map(|(id, environment)| {
            let readers: Vec<_> = environment
                .readers
                .iter()
                .map(ToString::to_string)
                .collect();
            let main = members.first_environment == Some(*id);
            let said = json!({"epoch": environment.epoch(), "readers": readers, "main": main});
            (id.to_string(), said)
        })
        .collect();
    json!({
        "vault": container.id().to_string(),
        "kind": if container.is_practice() { "practice" } else { "real" },
        "end": members.head.to_string(),
        "ends": texts(ends.collect()),
        "heads": texts(container.heads()),
        "commits": texts(container.history().all().into_iter().collect()),
        "threshold": members.threshold,
        "users": users,
        "devices": devices,
        "environments": environments,
    })
}

fn fields(item: &Item) -> Vec<(String, Option<String>)> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let word = |word: Value| word.as_str().map(ToOwned::to_owned);
    let sealed_to: Vec<_> = item.sealed_to.iter().map(ToString::to_string).collect();
    let tags: Vec<_> = item.tags.iter().cloned().collect();
    let time = |time: Option<UnixMillis>| time.map(|time| time.0.to_string());
    let is_exchange = item.kind == ItemKind::ExchangeKey;
    let mut fields: Vec<_> = [
        ("kind", word(json!(item.kind)).filter(|_| !is_exchange)),
        ("tags", text(&tags.join(" "))),
        ("trashed", time(item.trashed)),
        ("plaintext-seen", time(item.plaintext_seen)),
        ("name", text(&item.name)),
        ("venue", text(&item.venue)),
        ("key-set", text(&item.key_set)),
        ("class", word(json!(item.class)).filter(|_| is_exchange)),
        ("auth", word(json!(item.auth)).filter(|_| is_exchange)),
        ("api-key", text(&item.api_key)),
        ("base-url", item.base_url.clone()),
        ("created", Some(item.created.0.to_string())),
        (
            "rotate-after-days",
            item.rotate_after_days.map(|days| days.to_string()),
        ),
        ("note", text(&item.note)),
        ("sealed-to", text(&sealed_to.join(" "))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    // What has a name of its own in the file, and what was made up.
    let key = |name: &String| match name.as_str() {
        "permissions" => name.clone(),
        _ => format!("x.{name}"),
    };
    fields.extend(
        item.fields
            .iter()
            .map(|(name, value)| (key(name), Some(value.clone()))),
    );
    fields
}

// Everything that the library shows of an open vault is what the second reader shows.
fn compare(said: &Value, (_folder, vault): (tempfile::TempDir, Unlocked)) {
    for (key, ours) in public(vault.as_locked().container()).as_object().unwrap() {
        assert_eq!(&said[key], ours, "{key}");
    }
    assert_eq!(said["opened by"], vault.user().to_string());
    let open = said["open"].as_object().unwrap();
    let mut ids: Vec<_> = vault
        .environments()
        .iter()
        .map(ToString::to_string)
        .collect();
    ids.sort();
    assert_eq!(open.keys().cloned().collect::<Vec<_>>(), ids);

    let theirs = open
        .values()
        .map(|env| env["items"].as_object().unwrap().len());
    assert_eq!(theirs.sum::<usize>(), vault.items().len());
    let conflicts = vault.conflicts();
    for item in vault.items() {
        let id = item.id.to_string();
        let said = &open[&item.environment.to_string()]["items"][&id];
        for (field, value) in fields(item) {
            let said = said[&field].as_str();
            assert_eq!(
                said.filter(|text| !text.is_empty()),
                value.as_deref(),
                "{id} {field}"
            );
        }
        assert_eq!(said["in conflict"], conflicts.contains(&item.id));
        for (field, place) in item.places() {
            if *place == SecretPlace::Stored {
                let secret = vault.field_secret(item.id, field).unwrap();
                let key = match field {
                    "secret" => field.to_owned(),
                    further => format!("secret.{further}"),
                };
                assert_eq!(said[key], format!("stored:{}", secret.expose()));
            }
        }
    }
    let main = said["environments"].as_object().unwrap().iter();
    let (main, _) = main.clone().find(|(_, env)| env["main"] == true).unwrap();
    if let Some(main) = open.get(main) {
        let settings = main["settings"].as_object().unwrap();
        assert!(!settings.is_empty());
        for (name, value) in settings {
            assert_eq!(vault.setting(name), value.as_str(), "{name}");
        }
    }
}

#[test]
fn the_second_reader_opens_the_frozen_vault_of_one_member() {
    let said = opened(VAULT, "--passphrase-fd", PASSPHRASE);
    compare(&said, by_passphrase(VAULT));
    let expected: Value = serde_json::from_str(forge::VAULT_SAYS).unwrap();
    let environment = expected["environment"].as_str().unwrap();
    let open = &said["open"][environment];
    for item in expected["items"].as_array().unwrap() {
        let found = &open["items"][item["id"].as_str().unwrap()];
        assert_eq!(found["name"], item["name"]);
        match item["stored"].as_str() {
            Some(stored) => assert_eq!(found["secret"], format!("stored:{stored}")),
            None => assert_eq!(found["opened"], item["sealed"]),
        }
    }
    assert_eq!(open["settings"]["policy"], expected["settings"]["policy"]);
    assert_eq!(said["heads"], json!([expected["head"]]));
}

#[test]
fn the_second_reader_opens_the_frozen_vault_of_a_team_as_each_member() {
    let expected: Value = serde_json::from_str(forge::TEAM_SAYS).unwrap();
    let words = |pointer: &str| expected.pointer(pointer).unwrap().as_str().unwrap();
    let said = opened(TEAM, "--passphrase-fd", PASSPHRASE);
    compare(&said, by_passphrase(TEAM));
    for pointer in ["/kit", "/members/0/kit", "/members/1/kit"] {
        let said = opened(TEAM, "--kit-fd", words(pointer));
        compare(&said, by_words(TEAM, words(pointer)));
        let open = said["open"].as_object().unwrap().values();
        let items = open.flat_map(|env| env["items"].as_object().unwrap().values());
        for item in items {
            let name = item["name"].as_str().unwrap();
            let stored = expected["items"][name].as_str().unwrap();
            assert_eq!(item["secret"], format!("stored:{stored}"));
        }
    }
    assert_eq!(said["heads"], expected["heads"]);
    assert_eq!(said["end"], expected["head_of_members"]);
    let device = expected["retired"].as_str().unwrap();
    assert_eq!(said["devices"][device]["retired"], true);
}

#[test]
fn the_second_reader_shows_items_of_every_kind_and_what_was_replaced() {
    let secret = |text: &str| ApiSecret::new(text.into());
    let (folder, mut vault) = by_passphrase(VAULT);
    let (now, audit) = (UnixMillis(1_790_000_000_000), AuditHead::empty());
    let mut ids = Vec::new();
    for kind in ItemKind::ALL {
        let mut item = Item::new(vault.environment(), kind, format!("a {}", kind.word()));
        item.tags = ["one", "two"].map(str::to_owned).into();
        item.plaintext_seen = Some(now);
        item.fields.insert("permissions".into(), "first".into());
        item.fields.insert("desk".into(), "two\nlines".into());
        ids.push(item.id);
        vault.put(item.clone()).unwrap();
        vault.set_secret(item.id, secret("first")).unwrap();
        vault
            .set_field_secret(item.id, "passphrase", secret("further"))
            .unwrap();
    }
    vault.save(now, audit).unwrap();
    for id in &ids {
        let mut item = vault.item(*id).unwrap().clone();
        item.fields.insert("permissions".into(), "second".into());
        item.trashed = Some(now);
        vault.put(item).unwrap();
        vault.set_secret(*id, secret("second")).unwrap();
    }
    vault.save(now, audit).unwrap();
    let environment = vault.environment().to_string();
    let archive = std::fs::read(vault.path()).unwrap();
    let said = opened(&archive, "--passphrase-fd", PASSPHRASE);
    for id in &ids {
        let item = &said["open"][&environment]["items"][id.to_string()];
        assert_eq!(item["secret.secret.1"], "stored:first");
        assert_eq!(item["old.1.permissions"], "first");
        assert_eq!(
            (&item["old.1.trashed"], &item["version"]),
            (&json!(""), &json!("2"))
        );
    }
    compare(&said, (folder, vault));
}

// Both give each the same verdict; and `expected`, where the case says it.
fn judge(cases: &[Case]) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut python = python();
    python.arg("--verdicts");
    for (at, case) in cases.iter().enumerate() {
        let path = folder.path().join(at.to_string());
        std::fs::write(&path, &case.archive).unwrap();
        python.arg(path);
    }
    let output = python.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.lines().count(), cases.len(), "{errors}");
    let (mut wrong, mut accepted) = (Vec::new(), 0);
    for (case, theirs) in cases.iter().zip(said.lines()) {
        let ours = Container::parse(&case.archive);
        let name = &case.name;
        let accepts = ours.is_ok();
        accepted += usize::from(accepts);
        if accepts != (theirs == "accept") || case.expected.is_some_and(|it| it != accepts) {
            wrong.push(format!(
                "{name}: ours {:?}, theirs {theirs}",
                ours.as_ref().err()
            ));
        }
        if let Ok(container) = ours {
            assert_eq!(container.to_bytes().unwrap(), case.archive, "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (accepted, cases.len() - accepted)
}

#[test]
fn both_readers_say_the_same_of_changed_bytes_and_members() {
    let mut cases = forge::changed_archives(VAULT, 100);
    cases.extend(forge::changed_archives(TEAM, 100));
    let (accepted, refused) = judge(&cases);
    // The two that are not changed, and a few that are whole without what was taken off.
    assert!(accepted >= 2 && refused >= 180, "{accepted} {refused}");
}

#[test]
fn both_readers_say_the_same_of_commits_that_are_signed() {
    let forge = Forge::new();
    let (accepted, refused) = judge(&forge.commits());
    assert!(accepted >= 12 && refused >= 30, "{accepted} {refused}");
}

#[test]
fn both_readers_say_the_same_of_links_that_are_signed() {
    let forge = Forge::new();
    let (accepted, refused) = judge(&forge.links());
    assert!(accepted >= 12 && refused >= 30, "{accepted} {refused}");
}

#[test]
fn both_readers_say_the_same_of_chains_that_went_on_in_two_ways() {
    let forge = Forge::new();
    let (accepted, refused) = judge(&forge.forks());
    assert_eq!((accepted, refused), (4, 5));
}

/// As many recipients, and as many bytes, as are wanted: no key is behind them.
struct Padding {
    stanzas: usize,
    bytes: usize,
}

impl age::Recipient for Padding {
    fn wrap_file_key(
        &self,
        _: &age_core::format::FileKey,
    ) -> Result<(Vec<age_core::format::Stanza>, HashSet<String>), age::EncryptError> {
        let padding = |bytes: usize| age_core::format::Stanza {
            tag: "nobody".into(),
            args: (bytes > 0).then(|| "x".repeat(bytes)).into_iter().collect(),
            body: vec![],
        };
        let mut stanzas: Vec<_> = (1..self.stanzas).map(|_| padding(0)).collect();
        stanzas.push(padding(self.bytes));
        Ok((stanzas, HashSet::new()))
    }
}

// A segment without operations, to the environment and to nobody besides.
fn padded(forge: &Forge, stanzas: usize, bytes: usize) -> Vec<u8> {
    let own: age::x25519::Recipient = forge.vault.audit_recipient().parse().unwrap();
    let padding = Padding { stanzas, bytes };
    let recipients: [&dyn age::Recipient; 2] = [&own, &padding];
    let encryptor = age::Encryptor::with_recipients(recipients.into_iter()).unwrap();
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    writer
        .write_all(b"{\"at\":\"1.0\",\"set\":{\"x\":null}}\n")
        .unwrap();
    writer.finish().unwrap();
    file
}

// How long the header is that comes after so many bytes of padding.
fn header_bytes(file: &[u8], padding: usize) -> usize {
    let mac = file[padding..]
        .windows(5)
        .position(|bytes| bytes == b"\n--- ");
    let mac = padding + mac.unwrap() + 1;
    let end = file[mac..].iter().position(|byte| *byte == b'\n');
    mac + end.unwrap() + 1
}

// age adds a stanza of random length that says nothing: one length is drawn, and drawn again until it comes once more.
fn with_header_of(forge: &Forge, bytes: usize) -> Vec<u8> {
    let padding = bytes - (header_bytes(&padded(forge, 1, 1), 0) - 1);
    let mut tries = (0..5_000).map(|_| padded(forge, 1, padding));
    tries
        .find(|file| header_bytes(file, padding) == bytes)
        .unwrap()
}

#[test]
fn both_readers_keep_to_the_limits_of_headers_of_age_files() {
    let forge = Forge::new();
    let stanzas = |file: &[u8]| file.windows(4).filter(|bytes| *bytes == b"\n-> ").count();
    let own = stanzas(&padded(&forge, 1, 0)) - 1;
    let files = [
        ("1024 stanzas", padded(&forge, 1024 - own, 0), true),
        ("1025 stanzas", padded(&forge, 1025 - own, 0), false),
        ("1 MiB", with_header_of(&forge, 1 << 20), true),
        (
            "1 MiB and a byte",
            with_header_of(&forge, (1 << 20) + 1),
            false,
        ),
    ];
    let name = forge.segment(7, forge::ID);
    let archives = files
        .each_ref()
        .map(|(_, file, _)| forge.adding(&name, file));
    let theirs = opened_each(&archives);
    for (((what, _, is_taken), archive), theirs) in files.iter().zip(&archives).zip(theirs) {
        let (_folder, locked) = locked(archive);
        let mut device = locked.software_device(locked.devices()[0].id).unwrap();
        let passphrase = Passphrase::new(PASSPHRASE.into());
        let ours = locked.unlock(&mut device, Auth::Passphrase(&passphrase));
        let error = ours.err().map(|error| error.to_string());
        assert_eq!(error.is_none(), *is_taken, "{what}: {error:?}");
        assert_eq!(theirs.is_ok(), *is_taken, "{what}: {theirs:?}");
    }
}

#[test]
fn both_readers_say_the_same_of_lists_of_traces() {
    let forge = Forge::new();
    let (accepted, refused) = judge(&forge.traces());
    assert!(accepted >= 2 && refused >= 8, "{accepted} {refused}");
}

#[test]
fn an_archive_in_another_form_of_tar_is_refused_by_both() {
    let cases = forge::other_tars(VAULT);
    assert!(cases.len() >= 5);
    judge(&cases);
    let members = tar::read(VAULT).unwrap();
    assert_eq!(tar::write(members).unwrap(), VAULT);
}

// What the second reader says of each, opened: the state, or why not.
fn opened_each(archives: &[Vec<u8>]) -> Vec<Result<Value, String>> {
    let folder = tempfile::tempdir().unwrap();
    let mut python = python();
    python.arg("--verdicts");
    for (at, archive) in archives.iter().enumerate() {
        let path = folder.path().join(at.to_string());
        std::fs::write(&path, archive).unwrap();
        python.arg(path);
    }
    python.args(["--secrets", "--passphrase-fd", "0"]);
    python.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(PASSPHRASE.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Vec<_> = said
        .lines()
        .map(|line| match line.strip_prefix("accept ") {
            Some(state) => Ok(serde_json::from_str(state).unwrap()),
            None => Err(line.to_owned()),
        })
        .collect();
    assert_eq!(said.len(), archives.len());
    said
}

// Of what the second reader shows, what was written here; nothing that is empty.
fn written_here(said: &Value, ours: &Value, environment: &str) -> Value {
    let said = &said[environment];
    let known = |name: &str| ours["settings"].get(name).is_some() || name == "x";
    let of_vector = |item: &Value| item.get("venue").is_some();
    let not_empty = |fields: &Value| -> Value {
        let fields = fields.as_object().unwrap().iter();
        let fields = fields.filter(|(_, value)| !value.is_null() && **value != json!(false));
        fields
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let items = said["items"].as_object().unwrap().iter();
    let items: BTreeMap<_, _> = items
        .filter(|(_, item)| !of_vector(item))
        .map(|(id, item)| (id.clone(), not_empty(item)))
        .collect();
    let settings = not_empty(&said["settings"]);
    let settings = settings
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| known(name));
    let settings: BTreeMap<_, _> = settings.collect();
    json!({"items": items, "settings": settings})
}

#[test]
fn both_readers_say_the_same_of_operations() {
    let forge = Forge::new();
    let cases = forge.lines();
    let archives: Vec<_> = cases
        .iter()
        .map(|(case, _)| case.container.to_bytes().unwrap())
        .collect();
    for ((case, expected), said) in cases.iter().zip(opened_each(&archives)) {
        let ours = case.state();
        assert_eq!(ours.is_ok(), *expected, "{}: {ours:?}", case.name);
        match (said, ours) {
            (Ok(said), Ok(ours)) => {
                assert_eq!(
                    written_here(&said, &ours, &forge.environment),
                    ours,
                    "{}",
                    case.name
                );
            }
            (said, ours) => assert!(said.is_err() && ours.is_err(), "{}: {said:?}", case.name),
        }
    }
}

#[test]
fn both_readers_say_the_same_of_histories_that_part_and_meet() {
    let forge = Forge::new();
    let histories = forge.histories(40);
    let archives: Vec<_> = histories
        .iter()
        .map(|it| it.container.to_bytes().unwrap())
        .collect();
    let mut conflicts = 0;
    for (case, said) in histories.iter().zip(opened_each(&archives)) {
        let ours = case.state().unwrap();
        conflicts += usize::from(ours.to_string().contains("in conflict"));
        assert_eq!(
            written_here(&said.unwrap(), &ours, &forge.environment),
            ours,
            "{}",
            case.name
        );
    }
    assert!(conflicts >= 5, "{conflicts}");
}

// Whoever may write, or replace the file and knows an old writer, could close the vault to somebody so.
#[test]
fn bundles_and_environment_keys_that_the_chain_does_not_state_are_passed_over() {
    let forge = Forge::new();
    let members = forge.container().membership();
    let user = members.users.values().next().unwrap();
    let unlock = members.devices.values().next().unwrap();
    let unlock = unlock
        .key(touchkeep_container::words::Purpose::Unlock)
        .unwrap();
    let to = [
        user.recipient.clone().unwrap(),
        unlock.recipient.clone().unwrap(),
    ];
    let names = [
        format!("k/{}.1-{}.age", forge.environment, "a".repeat(26)),
        format!("u/{}-{}.age", forge.user, "a".repeat(26)),
    ];
    let other = age::x25519::Identity::generate().to_string();
    let other = age::secrecy::ExposeSecret::expose_secret(&other).to_owned() + "\n";
    for (name, to) in names.iter().zip(to) {
        for text in ["not a key", &other] {
            let file = forge::operations::encrypted(&to, text.as_bytes());
            let archive = forge.adding(name, &file);
            let (_folder, vault) = by_passphrase(&archive);
            assert_eq!(vault.items().len(), 2);
            assert!(opened_each(&[archive])[0].is_ok());
        }
    }
}

// As far as such a list is all that is left, nobody can tell; but whoever has the whole commit does not take it in.
#[test]
fn a_list_that_says_more_than_a_commit_does_not_merge_with_it() {
    let forged = Forge::new().inflated();
    judge(&[Case::new("inflated", forged.clone(), Some(true))]);
    let honest = Container::parse(VAULT).unwrap();
    let forged = Container::parse(&forged).unwrap();
    for merged in [honest.merge(&forged), forged.merge(&honest)] {
        assert_eq!(merged.unwrap_err(), ContainerError::Strangers);
    }
}
