//! The tree is the architecture: an arrow between crates points down, and the few rules that `ARCHITECTURE.md` calls
//! invariants are read off `cargo metadata`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail loudly")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Bottom to top. Within one layer arrows are allowed where they are listed in `WITHIN`.
const LAYERS: &[&[&str]] = &[
    &["parallel"],
    &[
        "core",
        "wire",
        "container",
        "venue",
        "policy",
        "webhook",
        "rotation",
        "import",
    ],
    &["locked"],
    &[
        "device",
        "device-piv",
        "device-pkcs11",
        "vault",
        "audit",
        "client",
        "inject",
    ],
    &["pipeline"],
    &["agent"],
    &["values", "cli", "desktop"],
];

/// Arrows inside a layer, each on purpose.
const WITHIN: &[(&str, &str)] = &[
    ("wire", "core"),
    ("container", "core"),
    ("venue", "core"),
    ("policy", "core"),
    ("policy", "venue"), // rules speak of operations
    ("webhook", "core"),
    ("rotation", "core"),
    ("import", "core"),
    ("device-piv", "device"),
    ("device-pkcs11", "device"),
    ("cli", "values"),   // the verbs that programs call are both programs'
    ("vault", "device"), // recipients and identities are devices'
];

/// Beside the layers.
const BESIDE: &[&str] = &["practice", "tests"];

/// Every normal and build dependency between our crates, without the `touchkeep-` prefix.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .no_deps()
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap();
    let ours = |name: &str| name.strip_prefix("touchkeep-").map(str::to_owned);
    metadata
        .packages
        .iter()
        .map(|package| {
            let below = package
                .dependencies
                .iter()
                .filter(|d| d.kind != DependencyKind::Development)
                .filter_map(|d| ours(&d.name));
            (ours(&package.name).unwrap(), below.collect())
        })
        .collect()
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[test]
fn every_crate_has_its_place() {
    for name in arrows().keys() {
        assert!(
            layer_of(name).is_some() || BESIDE.contains(&name.as_str()),
            "crate {name} is in no layer: add it to LAYERS and ARCHITECTURE.md"
        );
    }
}

#[test]
fn no_arrow_points_up() {
    for (from, below) in arrows() {
        let Some(from_layer) = layer_of(&from) else {
            continue;
        };
        for to in below {
            let to_layer = layer_of(&to)
                .unwrap_or_else(|| panic!("{from} depends on {to}, which no product may"));
            let listed = from_layer == to_layer && WITHIN.contains(&(&from, &to));
            assert!(
                to_layer < from_layer || listed,
                "{from} -> {to} points up or sideways"
            );
        }
    }
}

#[test]
fn the_practice_shares_no_code_with_what_it_tests() {
    assert_eq!(arrows().get("practice"), Some(&BTreeSet::new()));
}

#[test]
fn front_ends_know_the_wire_and_the_client_alone() {
    let front = |name: &str| arrows().remove(name).unwrap();
    let known = |extra: &[&str]| {
        ["core", "wire", "client"]
            .iter()
            .chain(extra)
            .map(|s| (*s).to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert!(
        front("desktop").is_subset(&known(&[])),
        "{:?}",
        front("desktop")
    );
    assert!(
        front("values").is_subset(&known(&["inject"])),
        "{:?}",
        front("values")
    );
    assert!(
        front("cli").is_subset(&known(&["values", "agent", "import", "inject", "locked"])),
        "the command line can also be the agent, reads foreign files itself, starts programs with values, wipes what it frees, and links nothing else: {:?}",
        front("cli")
    );
}

#[test]
fn only_the_pipeline_brings_audit_and_devices_together() {
    for (from, below) in arrows() {
        let both = below.contains("audit") && below.contains("device");
        assert!(
            !both || ["pipeline", "agent"].contains(&from.as_str()),
            "{from} knows both audit and device"
        );
    }
    assert!(!arrows().remove("device").unwrap().contains("audit"));
}

#[test]
fn pure_crates_do_no_io() {
    const IO: &[&str] = &[
        "tokio",
        "rusqlite",
        "hyper",
        "pcsc",
        "cryptoki",
        "rustix",
        "tempfile",
        "notify-rust",
    ];
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    for package in &metadata.packages {
        let Some(name) = package.name.strip_prefix("touchkeep-") else {
            continue;
        };
        if layer_of(name) != layer_of("core") {
            continue;
        }
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal)
        {
            assert!(
                !IO.contains(&dependency.name.as_str()),
                "{name} is pure, but depends on {}",
                dependency.name
            );
        }
    }
}

#[test]
fn nothing_listens_to_the_log_crate() {
    // `yubikey` writes APDUs, VERIFY with its PIN among them, to `log` at trace level.
    let metadata = MetadataCommand::new()
        .other_options(["--locked".to_owned()])
        .exec()
        .unwrap();
    for package in &metadata.packages {
        assert!(
            !["tracing-log", "env_logger", "fern", "simplelog", "log4rs"]
                .contains(&package.name.as_str()),
            "{} would print what yubikey logs",
            package.name
        );
    }
}

/// What is written as `Debug` has it although a person may read it: words of ours, and no text that somebody chose.
const AS_DEBUG: &[(&str, &[&str])] = &[
    // Kinds of keys, of signatures, and what a key is for.
    (
        "crates/device-piv/src/card.rs",
        &["{algorithm:?}", "{algorithm:?}"],
    ),
    ("crates/device-piv/src/device.rs", &["{scheme:?}"]),
    (
        "crates/device-piv/src/plan.rs",
        &[
            "{is:?}",
            "{ought:?}",
            "{is:?}",
            "{ought:?}",
            "{is:?}",
            "{ought:?}",
        ],
    ),
    ("crates/device-piv/src/sign.rs", &["{algorithm:?}"]),
    (
        "crates/device-pkcs11/src/device.rs",
        &["{scheme:?}", "{algorithm:?}"],
    ),
    (
        "crates/device-pkcs11/src/enrol.rs",
        &["{purpose:?}", "{purpose:?}"],
    ),
    ("crates/device/src/kit.rs", &["{scheme:?}"]),
    ("crates/device/src/software.rs", &["{scheme:?}"]),
    ("crates/vault/src/error.rs", &["{0:?}"]),
    // A word of the wire.
    (
        "crates/agent/src/calls/devices.rs",
        &["{pin:?}", "{origin:?}"],
    ),
    // For who writes our data, types and tests.
    ("crates/venue/src/table.rs", &["{row:?}", "{row:?}"]),
    ("crates/wire/src/rpc.rs", &["{what:?}"]),
    ("crates/wire/src/typescript.rs", &["{code:?}", "{:?}"]),
    (
        "crates/device/src/conformance.rs",
        &["{purpose:?}", "{one:?}", "{:?}", "{scheme:?}", "{made:?}"],
    ),
];

#[test]
fn a_name_that_a_person_reads_is_quoted_and_not_written_as_debug_has_it() {
    // `Debug` escapes what `core::text::quoted` shows, and what is shown escapes that once more.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let found: BTreeMap<String, Vec<String>> = product_files(root)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            let path = path.strip_prefix(root).unwrap().display().to_string();
            (path, debug_placeholders(product))
        })
        .filter(|(_, found)| !found.is_empty())
        .collect();
    let meant: BTreeMap<String, Vec<String>> = AS_DEBUG
        .iter()
        .map(|(path, all)| {
            (
                (*path).to_owned(),
                all.iter().map(|one| (*one).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(
        found, meant,
        "a text that somebody chose goes through core::text::quoted; what is a word of ours goes into AS_DEBUG"
    );
}

// Without tests, and without what stands beside the product.
fn product_files(root: &Path) -> Vec<PathBuf> {
    let sources = fs::read_dir(root.join("crates")).unwrap();
    let mut folders: Vec<PathBuf> = sources
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("practice"))
        .map(|path| path.join("src"))
        .chain([root.join("src-tauri/src")])
        .collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            // `cctv` are somebody else's vectors.
            if ["tests", "cctv"].contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 300, "so few files: {}", files.len());
    files
}

fn debug_placeholders(text: &str) -> Vec<String> {
    let ends = text.match_indices('}').map(|(end, _)| end);
    ends.filter_map(|end| {
        let start = text.get(..end)?.rfind('{')?;
        let inner = text.get(start + 1..end)?;
        let (name, form) = inner.split_once(':')?;
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        (is_name && form.ends_with('?')).then(|| format!("{{{inner}}}"))
    })
    .collect()
}
