//! What somebody can do to a file without a key.

use std::{collections::BTreeMap, process::Command};

use touchkeep_container::tar;

use super::Case;

type Members = BTreeMap<String, Vec<u8>>;

// Seeded, so that every run has the same cases.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        // SplitMix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    fn name(&mut self, members: &Members) -> String {
        members
            .keys()
            .nth(self.below(members.len()))
            .unwrap()
            .clone()
    }
}

fn members(archive: &[u8]) -> Members {
    let members = tar::read(archive).unwrap().into_iter();
    members
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect()
}

fn packed(members: &Members) -> Vec<u8> {
    tar::write(
        members
            .iter()
            .map(|(name, bytes)| (name.as_str(), &bytes[..])),
    )
    .unwrap()
}

/// The archive as it is, and so many changed in one way each.
pub(crate) fn changed_archives(archive: &[u8], count: usize) -> Vec<Case> {
    let mut dice = Dice(20_261_126);
    let mut cases = vec![Case::new("as it is", archive.to_vec(), Some(true))];
    for at in 0..count {
        let (name, changed) = changed(archive, at, &mut dice);
        let expected = (changed == archive).then_some(true);
        cases.push(Case::new(&format!("{at}: {name}"), changed, expected));
    }
    cases
}

fn changed(archive: &[u8], way: usize, dice: &mut Dice) -> (String, Vec<u8>) {
    let mut members = members(archive);
    let (one, two) = (dice.name(&members), dice.name(&members));
    let done = match way % 10 {
        0 | 1 => {
            let mut bytes = archive.to_vec();
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            return (format!("byte {at} flipped"), bytes);
        }
        2 => {
            let end = dice.below(archive.len());
            return (format!("cut at {end}"), archive[..end].to_vec());
        }
        3 => {
            members.remove(&one);
            format!("without {one}")
        }
        4 => {
            let bytes = members[&one].clone();
            let other = one.replace(|c: char| c.is_ascii_digit(), "7");
            members.insert(other.clone(), bytes);
            format!("{one} also as {other}")
        }
        5 => {
            let (a, b) = (members[&one].clone(), members[&two].clone());
            members.insert(one.clone(), b);
            members.insert(two.clone(), a);
            format!("{one} and {two} swapped")
        }
        6 => {
            let bytes = members.get_mut(&one).unwrap();
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
            format!("byte {at} of {one} flipped")
        }
        7 => {
            // As if the newest commit had never been made.
            let commits: Vec<_> = members
                .keys()
                .filter(|n| n.starts_with("c/"))
                .cloned()
                .collect();
            let commit = &commits[dice.below(commits.len())];
            let text = String::from_utf8(members.remove(commit).unwrap()).unwrap();
            for line in text.lines().filter_map(|line| line.strip_prefix("add ")) {
                members.remove(line.split_once(' ').unwrap().0);
            }
            format!("without {commit} and what it added")
        }
        8 => {
            members.get_mut(&one).unwrap().push(b'\n');
            format!("{one} with a newline more")
        }
        _ => {
            let bytes = members.remove(&one).unwrap();
            let upper = one.replacen('-', "--", 1);
            members.insert(upper.clone(), bytes);
            format!("{one} renamed to {upper}")
        }
    };
    (done, packed(&members))
}

/// The same members as other programs write them.
pub(crate) fn other_tars(archive: &[u8]) -> Vec<Case> {
    let folder = tempfile::tempdir().unwrap();
    let members = members(archive);
    for (name, bytes) in &members {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let names: Vec<_> = members.keys().collect();
    let mut cases = Vec::new();
    let plain = [
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=0644",
        "--mtime=@0",
    ];
    for (what, options) in [
        ("gnu", &["--format=gnu"][..]),
        ("pax", &["--format=pax"]),
        ("v7", &["--format=v7"]),
        ("ustar of ten blocks a record", &["--format=ustar"]),
        (
            "ustar, mode 0600",
            &["--format=ustar", "--mode=0600", "-b1"],
        ),
        (
            "ustar with a link",
            &["--format=ustar", "-b1", "--transform=s/genesis/genesys/"],
        ),
    ] {
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(folder.path())
            .args(plain)
            .args(options)
            .args(["-cf", "-"]);
        let output = tar.args(&names).output().unwrap();
        assert!(output.status.success());
        cases.push(Case::new(what, output.stdout, Some(false)));
    }
    let ends = archive.len() - 1024;
    for (what, end) in [
        ("no end", 0),
        ("one zero block", 512),
        ("three zero blocks", 1536),
    ] {
        let archive = [&archive[..ends], &vec![0; end]].concat();
        cases.push(Case::new(what, archive, Some(false)));
    }
    cases
}
