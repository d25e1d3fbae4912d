//! Tests of whole containers.

use super::*;
use crate::{note::VerifyKey, tar, testing::World};

fn parse(bytes: &[u8]) -> Result<Container, ContainerError> {
    Container::parse(bytes)
}

fn bytes(container: &Container) -> Vec<u8> {
    container.to_bytes().unwrap()
}

fn with_segment(world: &World, container: &Container, random: u8) -> Container {
    let add = vec![(world.segment(random), vec![random; 40])];
    let ms = 1_790_000_000_100 + u64::from(random);
    container
        .commit(world.new_commit(ms, add), world.author_sign())
        .unwrap()
}

#[test]
fn what_is_written_is_read_and_written_the_same() {
    let world = World::new();
    let container = with_segment(&world, &world.container(), 1);
    let archive = bytes(&container);
    let read = parse(&archive).unwrap();
    assert_eq!(bytes(&read), archive);
    assert_eq!((read.id(), read.is_practice()), (Some(world.vault), true));
    assert_eq!(read.heads().len(), 1);
    assert_eq!(read.member(&world.segment(1)), Some(&[1; 40][..]));
    assert_eq!(read.parts().len(), 1);
}

#[test]
fn every_flipped_byte_is_refused() {
    let world = World::new();
    let archive = bytes(&with_segment(&world, &world.container(), 1));
    for at in 0..archive.len() {
        for mask in [1, 0x20, 0x80] {
            let mut flipped = archive.clone();
            flipped[at] ^= mask;
            assert!(parse(&flipped).is_err(), "byte {at} ^ {mask}");
        }
    }
}

#[test]
fn every_truncation_and_anything_appended_is_refused() {
    let world = World::new();
    let archive = bytes(&world.container());
    for len in 0..archive.len() {
        assert!(parse(&archive[..len]).is_err(), "{len}");
    }
    for more in [1, 512, 10_240] {
        assert!(parse(&[archive.clone(), vec![0; more]].concat()).is_err());
    }
}

#[test]
fn a_member_taken_away_added_or_swapped_is_refused() {
    let world = World::new();
    let archive = bytes(&with_segment(&world, &world.container(), 1));
    let members = tar::read(&archive).unwrap();
    let repacked = |members: Vec<(&str, &[u8])>| parse(&tar::write(members).unwrap());
    for at in 0..members.len() {
        let mut fewer = members.clone();
        let (name, _) = fewer.remove(at);
        // Without its last commit a file is older, and its segment is one too many.
        assert!(repacked(fewer).is_err(), "{name}");
        let mut other = members.clone();
        other[at].1 = b"something else\n";
        assert!(repacked(other).is_err(), "{name}");
    }
    let foreign = world.segment(9).to_string();
    let mut more = members.clone();
    more.push((&foreign, b"x"));
    assert_eq!(
        repacked(more).unwrap_err(),
        ContainerError::Unlisted(foreign)
    );
}

#[test]
fn members_of_another_vault_do_not_fit() {
    let [one, two] = [World::new(), World::new()];
    let [a, b] = [&one, &two].map(|world| bytes(&world.container()));
    let [a, b] = [&a, &b].map(|archive| tar::read(archive).unwrap());
    for (name, contents) in &b {
        let mut spliced: Vec<_> = a.iter().copied().filter(|(n, _)| n != name).collect();
        spliced.push((name, contents));
        let is_same = a.contains(&(*name, *contents));
        assert_eq!(
            parse(&tar::write(spliced).unwrap()).is_ok(),
            is_same,
            "{name}"
        );
    }
    let [a, b] = [&one, &two].map(World::container);
    assert_eq!(a.merge(&b).unwrap_err(), ContainerError::Strangers);
}

#[test]
fn a_commit_by_somebody_else_is_refused() {
    let [world, stranger] = [World::new(), World::new()];
    let container = world.container();
    let forged = container.commit(world.new_commit(1, vec![]), stranger.author_sign());
    assert!(matches!(
        forged.unwrap_err(),
        ContainerError::Commit {
            source: NoteError::Forged,
            ..
        }
    ));
    let mut other = world.new_commit(1, vec![]);
    other.author = stranger.user;
    assert!(container.commit(other, stranger.author_sign()).is_err());
}

#[test]
fn keys_under_a_passphrase_belong_to_a_software_device() {
    let world = World::new();
    let member = |id| (MemberName::Device(id), b"age".to_vec());
    let container = world.container();
    let add = |id| container.commit(world.new_commit(2, vec![member(id)]), world.author_sign());
    assert!(add(world.device).is_ok());
    assert!(add(touchkeep_core::DeviceId::random()).is_err());
}

#[test]
fn two_copies_become_one_whichever_way_round() {
    let world = World::new();
    let common = with_segment(&world, &world.container(), 1);
    let [a, b] = [2, 3].map(|random| with_segment(&world, &common, random));
    let both = a.merge(&b).unwrap();
    assert_eq!(bytes(&both), bytes(&b.merge(&a).unwrap()));
    assert_eq!(both.heads().len(), 2);
    // A file with two heads is legal.
    let read = parse(&bytes(&both)).unwrap();
    assert_eq!(read.parts().len(), 3);
    let joined = read
        .commit(world.new_commit(5, vec![]), world.author_sign())
        .unwrap();
    assert_eq!(joined.heads().len(), 1);
    assert_eq!(parse(&bytes(&joined)).unwrap().parts().len(), 3);
    // Merging again changes nothing.
    assert_eq!(bytes(&joined.merge(&a).unwrap()), bytes(&joined));
    assert_eq!(bytes(&common.merge(&a).unwrap()), bytes(&a));
}

#[test]
fn what_one_copy_dropped_stays_dropped() {
    let world = World::new();
    let common = with_segment(&world, &world.container(), 1);
    let mut drops = world.new_commit(7, vec![(world.segment(2), vec![2])]);
    drops.drop = vec![world.segment(1)];
    let a = common.commit(drops, world.author_sign()).unwrap();
    let b = with_segment(&world, &common, 3);
    let both = parse(&bytes(&a.merge(&b).unwrap())).unwrap();
    let names: Vec<_> = both.parts().iter().map(|part| part.name).collect();
    assert_eq!(names, [world.segment(2), world.segment(3)]);
}

#[test]
fn one_name_for_two_members_is_a_conflict() {
    let world = World::new();
    let common = world.container();
    let [a, b] = [8, 9].map(|text| {
        let add = vec![(MemberName::Readme, vec![text])];
        common
            .commit(world.new_commit(u64::from(text), add), world.author_sign())
            .unwrap()
    });
    let refused = a.merge(&b).unwrap_err();
    assert_eq!(refused, ContainerError::Conflict("README.txt".into()));
}

#[test]
fn a_key_of_openssl_signs_a_link() {
    use std::process::{Command, Stdio};
    // Every file in a folder of this test's own; openssl makes the key, the signature and the public half.
    let folder = std::env::temp_dir().join(format!("tk-note-{}", touchkeep_core::Id::random()));
    std::fs::create_dir(&folder).unwrap();
    let openssl = |args: &[&str]| {
        let mut command = Command::new("openssl");
        let done = command
            .args(args)
            .current_dir(&folder)
            .stderr(Stdio::null())
            .status();
        assert!(done.unwrap().success(), "openssl {args:?}");
    };
    openssl(&[
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        "key.pem",
    ]);
    openssl(&[
        "ec", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "spki",
    ]);
    let text = "touchkeep/members/v1 x\nnumber 1\n";
    std::fs::write(folder.join("text"), text).unwrap();
    openssl(&[
        "dgst",
        "-sha256",
        "-sign",
        "key.pem",
        "-out",
        "signature",
        "text",
    ]);
    let spki = std::fs::read(folder.join("spki")).unwrap();
    let signature = std::fs::read(folder.join("signature")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();

    let key = VerifyKey::from_spki("device", &spki).unwrap();
    // The key id of type 0x02 is of the SubjectPublicKeyInfo alone (C2SP signed-note).
    assert_eq!(key.id(), Hash::of(&spki).0[..4]);
    let signatures = vec![NoteSignature::new(&key, signature)];
    let note = Note {
        text: text.into(),
        signatures,
    };
    let mut read = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(read.verify(&key), Ok(()));
    read.text.push('\n');
    assert_eq!(read.verify(&key), Err(NoteError::Forged));
}

proptest::proptest! {
    #[test]
    fn arbitrary_members_never_panic(names in proptest::collection::btree_map("[a-z]/[a-z0-9.-]{1,30}|genesis|README.txt", "[ -~\n]{0,60}", 0..4)) {
        let members = names.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
        if let Ok(archive) = tar::write(members) {
            proptest::prop_assert!(parse(&archive).is_err());
        }
    }
}
