//! Documents that the command line prints, judged by somebody else's validator: each one that any test has asked for.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

/// The schema of what a verb prints, by the words that it begins with. The longest that fits counts.
const SCHEMAS: &[(&str, &str)] = &[
    ("init", "vault"),
    ("unlock", "vault"),
    ("recover unlock", "vault"),
    ("lock", "done"),
    ("status", "status"),
    ("doctor", "doctor"),
    ("agent stop", "done"),
    ("arm", "armed"),
    ("add", "item"),
    ("rm", "item"),
    ("restore", "item"),
    ("set-api-key", "item"),
    ("list", "list"),
    ("trash", "list"),
    ("device reseal", "list"),
    ("show", "show"),
    ("edit", "show"),
    ("history", "history"),
    ("public-key", "public-key"),
    ("env list", "environments"),
    ("env add", "environment"),
    ("env rename", "environment"),
    ("proxy add", "client"),
    ("proxy bind", "let-in"),
    ("proxy list", "clients"),
    ("proxy revoke", "done"),
    ("grant add", "grant"),
    ("grant ask", "done"),
    ("grant list", "grants"),
    ("grant revoke", "done"),
    ("policy show", "policy"),
    ("policy check", "policy-check"),
    ("policy limits", "policy-usage"),
    ("policy explain", "policy-explanation"),
    ("policy replay", "policy-replay"),
    ("policy set", "done"),
    ("policy edit", "done"),
    ("policy start", "done"),
    ("venue list", "venues"),
    ("venue show", "venue"),
    ("audit list", "audit-rows"),
    ("audit show", "audit-detail"),
    ("audit verify", "audit-verdict"),
    ("audit checkpoint", "audit-checkpoint"),
    ("remind", "remind"),
    ("device list", "devices"),
    ("device enroll", "enrolled"),
    ("device inspect", "card"),
    ("device keys-for", "keys-for"),
    ("device attest", "attested"),
    ("device retire", "retired"),
    ("device join", "joined"),
    ("device pin", "done"),
    ("device unblock", "done"),
    ("device set-pin", "done"),
    ("device accept-module", "done"),
    ("recover list", "recover-list"),
    ("recover drill", "rehearsal"),
    ("backup list", "backups"),
    ("backup restore", "done"),
    ("merge", "merged"),
    ("import", "import"),
    ("export", "export"),
    ("webhook verify", "webhook"),
    ("read", "read"),
    ("approve", "approve"),
    ("recover kit", "rehearsal"),
    ("agent install", "done"),
    ("agent uninstall", "done"),
    ("git install", "done"),
    ("git merge-driver", "done"),
    ("git show", "outline"),
    ("man", "done"),
];

/// What an option makes of it.
const OTHERWISE: &[(&str, &str, &str)] = &[
    ("rm", "--forever", "done"),
    ("history", "--restore", "show"),
    ("policy start", "--print", "policy"),
    ("audit export", "-o", "written"),
    ("audit prove", "-o", "written"),
];

/// Verbs whose output is somebody else's form, a story, or that of the program that they run.
const OF_OTHERS: &[&str] = &[
    "agent",
    "audit export",
    "audit prove",
    "completions",
    "credential",
    "demo",
    "inject",
    "proxy exec",
    "run",
];

/// Whether it is known what a verb prints with `--json`.
#[must_use]
pub fn is_known(verb: &str) -> bool {
    let begins = |known: &&str| verb == *known || verb.starts_with(&format!("{known} "));
    OF_OTHERS.iter().any(begins) || SCHEMAS.iter().any(|(known, _)| *known == verb)
}

/// The schema of what `touchkeep ARGS` prints, where it is one of ours.
///
/// # Panics
/// At a verb that nobody has given one.
pub(crate) fn of(args: &[&str]) -> Option<&'static str> {
    let line = args.join(" ");
    let begins = |verb: &&str| {
        line.strip_prefix(verb)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let otherwise = OTHERWISE
        .iter()
        .find(|(verb, option, _)| begins(verb) && args.contains(option));
    let usual = SCHEMAS
        .iter()
        .find(|(verb, _)| begins(verb))
        .map(|(_, schema)| *schema);
    let found = otherwise.map(|(_, _, schema)| *schema).or(usual);
    if found.is_none() && OF_OTHERS.iter().any(begins) {
        return None;
    }
    assert!(found.is_some(), "no schema is known for: touchkeep {line}");
    found
}

/// Says that each document is what `docs/schema/cli.json` promises of its schema.
///
/// # Panics
/// When one is not, or the validator takes what is of no schema.
pub fn judge<'a>(documents: impl IntoIterator<Item = (&'a str, &'a Value)>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test");
    let mut judge = Command::new(python)
        .arg(root.join("tests/json_schema.py"))
        .arg(root.join("docs/schema/cli.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let documents: Vec<_> = documents.into_iter().collect();
    // One that fits no schema shows that this judge refuses at all.
    let wrong = json!({"name": 1});
    let mut asked = judge.stdin.take().unwrap();
    for (schema, document) in [("item", &wrong)].iter().chain(&documents) {
        writeln!(asked, "{}", json!({"schema": schema, "document": document})).unwrap();
    }
    drop(asked);
    let said = judge.wait_with_output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let mut verdicts = said.lines();
    assert_ne!(verdicts.next(), Some("valid"));
    let verdicts: Vec<_> = verdicts.collect();
    assert_eq!(verdicts.len(), documents.len(), "{said}");
    for (verdict, (schema, document)) in verdicts.into_iter().zip(documents) {
        assert_eq!(verdict, "valid", "{schema}: {document:#}");
    }
}
