//! Evidence: what is taken out of a log verifies without it, by us and by a verifier that shares no code, and what was changed
//! in it is named (faults ).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::fs;

use support::{Author, P256, World};
use touchkeep_audit::{
    BundleVerdict, CheckpointSigner, Damage, Log, What, bundle::end_line, bundle::read_key,
    verify_bundle,
};

/// A bundle of these rows, up to the checkpoint of this size.
fn bundle(
    world: &World,
    log: &Log,
    size: u64,
    seqs: &[u64],
    complete: Option<(u64, u64)>,
    disclose: bool,
) -> Vec<String> {
    let keys = [world.author.key()];
    let earlier = log.checkpoint_before(size).unwrap();
    let whole = complete == Some((1, size));
    let header = log.bundle_header(&keys, size, complete, earlier.as_ref());
    let identity = disclose.then_some(&world.identity);
    let mut lines = vec![header.unwrap()];
    lines.extend(log.bundle_rows((size, whole), seqs, identity).unwrap());
    lines.push(end_line(seqs.len() as u64));
    lines
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn verdict(lines: &[String]) -> BundleVerdict {
    verify_bundle(text(lines).as_bytes(), &[]).unwrap()
}

fn damage(lines: &[String]) -> Damage {
    match verdict(lines) {
        BundleVerdict::Damaged(damage) => damage,
        BundleVerdict::Sound(shown) => panic!("not found: {shown:?}"),
    }
}

/// A log of 600 rows, with its last checkpoint at 600.
fn world() -> (World, Log) {
    let (world, _) = World::with_blocks(600);
    let log = world.open();
    (world, log)
}

#[test]
fn all_rows_some_rows_and_one_row_verify() {
    let (world, log) = world();
    for (seqs, complete, disclose) in [
        ((1..=600).collect::<Vec<_>>(), Some((1, 600)), true),
        ((1..=600).collect(), Some((1, 600)), false),
        ((100..=300).collect(), Some((100, 300)), false),
        (vec![3, 77, 600], None, true),
        (vec![1], None, true),
    ] {
        let lines = bundle(&world, &log, 600, &seqs, complete, disclose);
        let BundleVerdict::Sound(shown) = verdict(&lines) else {
            panic!("{:?}", verdict(&lines))
        };
        assert_eq!(shown.head, log.head());
        assert_eq!(shown.origin, log.origin());
        assert_eq!(shown.rows, seqs.len() as u64);
        assert_eq!(shown.complete, complete.is_some());
        assert_eq!(shown.disclosed, if disclose { shown.rows } else { 0 });
        assert_eq!(shown.signers, [world.author.key().to_vkey()]);
        assert_eq!(shown.earlier.last(), Some(&500));
        let shown = text(&lines);
        assert_eq!(
            shown.contains("money key") || shown.contains("trade key"),
            disclose
        );
        assert!(!shown.contains("AGE-SECRET-KEY"));
    }
}

#[test]
fn a_key_that_is_known_is_insisted_on() {
    let (world, log) = world();
    let lines = text(&bundle(&world, &log, 600, &[7], None, false));
    let known = read_key(&world.author.key().to_vkey()).unwrap();
    let by = |key| verify_bundle(lines.as_bytes(), &[key]).unwrap();
    assert!(matches!(by(known), BundleVerdict::Sound(_)));
    assert!(matches!(
        by(Author::new(9).key()),
        BundleVerdict::Damaged(Damage {
            seq: None,
            what: What::Checkpoint
        })
    ));
    for bad in ["", "a+b", "name+00000000+AQAA", "name+zz+!!"] {
        assert_eq!(read_key(bad), None, "{bad}");
    }
}

#[test]
fn a_device_signs_with_p256() {
    let (world, log) = world();
    let device = P256::new();
    log.checkpoint(&device).unwrap();
    let keys = [device.key()];
    let mut lines = vec![log.bundle_header(&keys, 600, None, None).unwrap()];
    lines.extend(
        log.bundle_rows((600, false), &[8], Some(&world.identity))
            .unwrap(),
    );
    lines.push(end_line(1));
    let BundleVerdict::Sound(shown) = verdict(&lines) else {
        panic!()
    };
    assert_eq!(shown.signers, [device.key().to_vkey()]);
    assert_eq!(read_key(&device.key().to_vkey()), Some(device.key()));
    agree(&world, &[lines]);
}

#[test]
fn what_is_missing_reordered_cut_or_put_in_is_named() {
    let (world, log) = world();
    let whole = bundle(
        &world,
        &log,
        600,
        &(1..=600).collect::<Vec<_>>(),
        Some((1, 600)),
        false,
    );
    let place = |lines: &[String], seq: u64| {
        let start = format!("{{\"row\":{seq},");
        lines
            .iter()
            .position(|line| line.starts_with(&start))
            .unwrap()
    };
    let part = bundle(
        &world,
        &log,
        600,
        &(100..=300).collect::<Vec<_>>(),
        Some((100, 300)),
        false,
    );
    for (lines, first, last) in [(&whole, 1, 600), (&part, 100, 300)] {
        let mut missing = lines.clone();
        missing.remove(place(lines, 200));
        assert_eq!(damage(&missing), support::at(200, What::Missing));
        let mut swapped = lines.clone();
        swapped.swap(place(lines, 200), place(lines, 201));
        assert_eq!(damage(&swapped).seq, Some(200));
        let mut doubled = lines.clone();
        doubled.insert(place(lines, 200), lines[place(lines, 200)].clone());
        assert_eq!(damage(&doubled).seq, Some(201));
        let mut cut = lines.clone();
        cut.truncate(place(lines, 250) + 1);
        assert_eq!(damage(&cut), support::at(251, What::Cut { expected: last }));
        cut.push(end_line(250 - first + 1));
        assert_eq!(damage(&cut), support::at(251, What::Cut { expected: last }));
        let mut more = lines.clone();
        more.push(lines[place(lines, 200)].clone());
        damage(&more);
    }
    // Of some rows nobody can say which should be there; that the text was cut can be said.
    let mut some = bundle(&world, &log, 600, &[5, 9], None, false);
    some.pop();
    assert_eq!(damage(&some).seq, None);
    assert_eq!(damage(&[]).seq, None);
    assert_eq!(damage(&["{}".to_owned()]).seq, None);
}

/// Everything that stands in a bundle, changed a little: of each line each place in turn.
fn mutations(lines: &[String], step: usize) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        for at in (0..line.len()).step_by(step) {
            let mut bytes = line.clone().into_bytes();
            bytes[at] = match bytes[at] {
                b'A' => b'B',
                b'0' => b'1',
                b'"' => b'\'',
                _ => b'A',
            };
            let Ok(line) = String::from_utf8(bytes) else {
                continue;
            };
            let mut mutated = lines.to_vec();
            mutated[number] = line;
            all.push(mutated);
        }
    }
    all
}

// A-11 over bundles: both verifiers find the same, and nothing that was changed is sound.
#[test]
fn every_changed_place_is_found_by_both_verifiers() {
    let (world, log) = world();
    let small = |log: &Log| {
        let mut lines = bundle(
            &world,
            log,
            300,
            &(1..=300).collect::<Vec<_>>(),
            Some((1, 300)),
            false,
        );
        lines.truncate(8); // and what is left has no end
        lines
    };
    let proof = bundle(&world, &log, 600, &[42], None, true);
    let two = bundle(&world, &log, 600, &[255, 257], None, true);
    let mut cases = vec![proof.clone(), two.clone(), small(&log)];
    cases.extend(mutations(&proof, 3));
    cases.extend(mutations(&two, 17));
    assert!(cases.len() > 800, "{}", cases.len());
    let sound = agree(&world, &cases);
    // What is not covered: the names of keys that did not sign, and the order of what JSON does not order.
    assert_eq!(sound, 2, "only the untouched ones are sound");
}

/// Both verifiers say the same of each; how many are sound.
fn agree(world: &World, cases: &[Vec<String>]) -> usize {
    let paths: Vec<_> = (0..cases.len())
        .map(|n| world.folder.path().join(format!("{n}.bundle")))
        .collect();
    for (path, lines) in paths.iter().zip(cases) {
        fs::write(path, text(lines)).unwrap();
    }
    let mut sound = 0;
    for (paths, cases) in paths.chunks(500).zip(cases.chunks(500)) {
        let output = support::second_verifier_of_bundles()
            .args(paths)
            .output()
            .expect("python3 runs the second verifier");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().count(), cases.len());
        for (lines, said) in cases.iter().zip(said.lines()) {
            let ours = match verdict(lines) {
                BundleVerdict::Sound(shown) => {
                    sound += 1;
                    format!(
                        "sound {} {} {}",
                        shown.head.size, shown.rows, shown.disclosed
                    )
                }
                BundleVerdict::Damaged(Damage { seq: Some(seq), .. }) => format!("damaged {seq}"),
                BundleVerdict::Damaged(_) => "damaged file".to_owned(),
            };
            assert_eq!(
                said.split(' ').next(),
                ours.split(' ').next(),
                "{said} / {ours}\n{}",
                text(lines)
            );
            if ours.starts_with("sound") {
                assert_eq!(said, ours);
            }
        }
    }
    sound
}
