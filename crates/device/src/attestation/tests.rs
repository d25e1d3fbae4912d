use std::{collections::BTreeMap, fs, path::Path};

use aws_lc_rs::digest::{SHA256, digest};

use super::*;

const README: &str = include_str!("../../certificates/README.md");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The rows of the table: file and SHA-256.
fn listed() -> BTreeMap<String, String> {
    let rows = README
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|row| row.split_once("` | `"));
    rows.map(|(file, rest)| (file.into(), rest.split('`').next().unwrap().into()))
        .collect()
}

fn carried(name: &str) -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates");
    fs::read(dir.join(name)).unwrap()
}

#[test]
fn what_we_carry_is_what_the_readme_lists_and_nothing_else() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("certificates");
    let files = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().file_name());
    let files = files.filter_map(|name| name.into_string().ok().filter(|n| n.ends_with(".der")));
    let there: BTreeMap<_, _> = files
        .map(|name| {
            let sum = hex(digest(&SHA256, &carried(&name)).as_ref());
            (name, sum)
        })
        .collect();
    assert_eq!(there, listed());
    for issuer in ISSUERS {
        let sum = hex(digest(&SHA256, issuer.der).as_ref());
        assert!(listed().values().any(|listed| *listed == sum));
    }
}

#[test]
fn the_two_versions_of_the_piv_root_are_one_name_and_one_key() {
    let (old, new) = (
        carried("yubico-piv-root-263751-2016.der"),
        carried("yubico-piv-root-263751-2018.der"),
    );
    let (old, new) = (
        Certificate::read(&old).unwrap(),
        Certificate::read(&new).unwrap(),
    );
    assert_eq!((old.subject, old.spki), (new.subject, new.spki));
    for version in [old, new] {
        assert!(version.is_signed_by(version.spki));
    }
}

#[test]
fn each_certificate_between_leads_to_a_root_and_each_root_is_named_as_we_name_it() {
    for issuer in ISSUERS {
        let certificate = Certificate::read(issuer.der).unwrap();
        match issuer.root {
            Some((root, _)) => assert_eq!(certificate.subject_name(), Some(root.name())),
            None => {
                let trust = Trust::YubicoAndPractice;
                let root = anchored(&certificate, 1, trust).unwrap();
                let expected = match issuer.practice {
                    true => Root::PracticeAttestation1,
                    false => Root::YubicoAttestation1,
                };
                assert_eq!(root, expected);
                let without_practice = anchored(&certificate, 1, Trust::Yubico);
                assert_eq!(without_practice.is_ok(), !issuer.practice);
                // One more below it than its path length, or the root's, admits.
                assert_eq!(
                    anchored(&certificate, 3, trust),
                    Err(AttestationError::NotAllowed)
                );
            }
        }
    }
}

#[test]
fn a_path_below_a_root_is_as_long_as_its_certificate_says_but_for_the_one_that_is_named() {
    for issuer in ISSUERS {
        let Some((root, path_length)) = issuer.root else {
            continue;
        };
        let rule = Certificate::read(issuer.der).unwrap().may_sign.unwrap();
        let said = rule.path_length.unwrap();
        assert!(rule.authority);
        let expected = if root == Root::YubicoU2f {
            (0, 1)
        } else {
            (path_length, path_length)
        };
        assert_eq!((said, path_length), expected, "{root:?}");
    }
}

#[test]
fn lengths_in_another_form_than_the_shortest_are_refused() {
    assert_eq!(x509::element(&[4, 1, 7]), Some((4, &[7][..], &[][..])));
    for long in [
        &[4, 0x81, 1, 7][..],
        &[4, 0x82, 0, 1, 7],
        &[4, 0x80, 7, 0, 0],
    ] {
        assert_eq!(x509::element(long), None);
    }
}
