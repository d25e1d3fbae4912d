//! Files of format 1, made once: whatever changes in the code, these are read as they were then, by both verifiers.
//! `TOUCHKEEP_FREEZE=1` makes them anew, which is a change of the format.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::{fs, path::PathBuf};

use support::{VAULT, World};
use touchkeep_audit::{
    BundleVerdict, CheckpointSigner, Log, Query, Verdict, bundle::end_line, verify, verify_bundle,
};

fn frozen(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen")).join(name)
}

fn freeze() {
    let (world, _) = World::with_blocks(260);
    let log = world.open();
    log.export(&frozen("log.sqlite")).unwrap();
    let root = data_encoding::HEXLOWER.encode(&log.head().root);
    fs::write(frozen("root.txt"), root + "\n").unwrap();
    let keys = [world.author.key()];
    for (name, complete, seqs) in [
        (
            "whole.bundle",
            Some((1, 200)),
            (1..=200).collect::<Vec<_>>(),
        ),
        ("one.bundle", None, vec![42]),
    ] {
        let whole = complete.is_some();
        let earlier = log.checkpoint_before(200).unwrap();
        let header = log.bundle_header(&keys, 200, complete, earlier.as_ref());
        let identity = (!whole).then_some(&world.identity);
        let mut lines = vec![header.unwrap()];
        lines.extend(log.bundle_rows((200, whole), &seqs, identity).unwrap());
        lines.push(end_line(seqs.len() as u64));
        fs::write(frozen(name), lines.join("\n") + "\n").unwrap();
    }
}

#[test]
fn files_of_format_1_are_read_as_they_were() {
    if std::env::var_os("TOUCHKEEP_FREEZE").is_some() {
        freeze();
    }
    let author = support::Author::new(7);
    let verdict = verify(&frozen("log.sqlite"), &[author.key()], &[]).unwrap();
    let Verdict::Sound { head, signed: 200 } = verdict else {
        panic!("{verdict:?}")
    };
    let root = fs::read_to_string(frozen("root.txt")).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&head.root), root.trim());

    // Opened from a copy, for opening makes files beside it.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("log.sqlite");
    fs::copy(frozen("log.sqlite"), &copy).unwrap();
    let log = Log::open_locked(&copy, VAULT).unwrap();
    let all = Query {
        limit: 1000,
        ..Query::default()
    };
    let rows = log.list(&all, Some(&support::identity())).unwrap().rows;
    assert_eq!(rows.len(), 260);
    let row = &rows[260 - 42];
    assert_eq!(row.seq, 42);
    assert_eq!(
        row.event.as_ref().unwrap().item_name.as_deref(),
        Some("trade key")
    );

    for (name, rows, disclosed) in [("whole.bundle", 200, 0), ("one.bundle", 1, 1)] {
        let bundle = fs::read(frozen(name)).unwrap();
        let verdict = verify_bundle(&bundle[..], &[author.key()]).unwrap();
        let BundleVerdict::Sound(shown) = verdict else {
            panic!("{name}: {verdict:?}")
        };
        assert_eq!((shown.rows, shown.disclosed), (rows, disclosed));
    }
    let said = |mut verifier: std::process::Command, files: &[&str]| {
        verifier.args(["--key", &author.key().to_vkey()]);
        let output = verifier.args(files.iter().map(|name| frozen(name)));
        String::from_utf8(output.output().unwrap().stdout).unwrap()
    };
    let log = said(support::second_verifier(), &["log.sqlite"]);
    assert_eq!(log, "sound 260 200\n");
    let bundles = ["whole.bundle", "one.bundle"];
    let bundles = said(support::second_verifier_of_bundles(), &bundles);
    assert_eq!(bundles, "sound 200 200 0\nsound 200 1 1\n");
}
