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
    assert_eq!((read.id(), read.is_practice()), (world.vault, true));
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
    let member = |device| {
        let revision = touchkeep_core::Id::from_bytes([1; 16]);
        (MemberName::Device { device, revision }, b"age".to_vec())
    };
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
fn one_name_for_two_members_is_a_conflict_but_for_the_page_of_words() {
    let world = World::new();
    let common = world.container();
    let changed = |name: MemberName, text: u8| {
        let add = vec![(name, vec![text])];
        common
            .commit(world.new_commit(u64::from(text), add), world.author_sign())
            .unwrap()
    };
    let [a, b] = [8, 9].map(|text| changed(world.segment(1), text));
    let refused = a.merge(&b).unwrap_err();
    assert_eq!(
        refused,
        ContainerError::Conflict(world.segment(1).to_string())
    );

    let [a, b] = [8, 9].map(|text| changed(MemberName::Readme, text));
    let both = a.merge(&b).unwrap();
    assert_eq!(bytes(&both), bytes(&b.merge(&a).unwrap()));
    let shown = both.member(&MemberName::Readme).unwrap().to_vec();
    let greater = [vec![8], vec![9]]
        .into_iter()
        .max_by_key(|text| Hash::of(text));
    assert_eq!(Some(shown), greater);
    let joined = parse(&bytes(&both))
        .unwrap()
        .commit(world.new_commit(5, vec![]), world.author_sign())
        .unwrap();
    assert_eq!(
        joined.member(&MemberName::Readme),
        both.member(&MemberName::Readme)
    );
    assert_eq!(joined.heads().len(), 1);
    drop(parse(&bytes(&joined)).unwrap());
}

fn link(world: &World, container: &Container, joined: Vec<Hash>) -> Vec<u8> {
    let before = container.membership();
    let change = crate::link::Change {
        vault: world.vault,
        number: before.number + 1,
        previous: before.head,
        joined,
        time: UnixMillis(9),
        statements: vec![crate::Statement::User(UserId::random())],
    };
    world.sign(change.to_text()).into_bytes()
}

#[test]
fn a_chain_that_went_on_in_two_ways_takes_no_commit_until_it_is_joined() {
    let world = World::new();
    let common = world.container();
    let linked = |container: &Container, joined| {
        let mut new = world.new_commit(9, vec![]);
        new.links = vec![link(&world, container, joined)];
        container.commit(new, world.author_sign())
    };
    let [a, b] = [(); 2].map(|()| linked(&common, vec![]).unwrap());
    assert_eq!(a.membership().users.len(), 2);
    let both = parse(&bytes(&a.merge(&b).unwrap())).unwrap();
    assert_eq!(bytes(&both), bytes(&b.merge(&a).unwrap()));
    assert!(both.is_forked());
    let refused = both.commit(world.new_commit(9, vec![]), world.author_sign());
    assert_eq!(refused.unwrap_err(), ContainerError::Forked);
    let other = both.chain().ends().into_iter().map(|end| end.head);
    let other = other.filter(|head| *head != both.membership().head);
    let joined = linked(&both, other.collect()).unwrap();
    let joined = parse(&bytes(&joined)).unwrap();
    assert!(!joined.is_forked());
    assert_eq!(joined.membership().users.len(), 3);
    // Who has only one of the two gets the rest.
    assert_eq!(bytes(&a.merge(&joined).unwrap()), bytes(&joined));
}

fn saved(world: &World, container: &Container, ms: u64, prune: bool) -> Container {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&ms.to_be_bytes());
    let part = Part {
        environment: world.environment,
        number: 1,
        random: touchkeep_core::Id::from_bytes(id),
    };
    let mut new = world.new_commit(ms, vec![(MemberName::Segment(part), vec![7])]);
    // The segment before goes, so that the file stays small.
    new.drop = container.parts().iter().map(|part| part.name).collect();
    new.prune = prune;
    container.commit(new, world.author_sign()).unwrap()
}

#[test]
fn old_commits_are_folded_and_merging_with_an_old_copy_gives_the_same() {
    let world = World::new();
    let mut container = world.container();
    let (mut copies, mut unfolded) = (vec![container.clone()], container.clone());
    for ms in 1..300 {
        container = saved(&world, &container, ms, true);
        unfolded = unfolded.merge(&container).unwrap();
        if ms % 37 == 0 {
            copies.push(parse(&bytes(&container)).unwrap());
        }
    }
    assert!(container.commits.len() < 140, "{}", container.commits.len());
    assert_eq!(container.history().all().len(), 300);
    assert_eq!(container.parts().len(), 1);
    assert!(bytes(&container).len() < 500_000);
    for copy in &copies {
        // An older copy of the same adds nothing.
        assert_eq!(bytes(&copy.merge(&container).unwrap()), bytes(&container));
        assert_eq!(bytes(&container.merge(copy).unwrap()), bytes(&container));
        // One that went on by itself is joined.
        let branch = saved(&world, copy, 10_000, false);
        let both = parse(&bytes(&branch.merge(&container).unwrap())).unwrap();
        assert_eq!(bytes(&both), bytes(&container.merge(&branch).unwrap()));
        assert_eq!(both.heads().len(), 2);
        assert_eq!(both.parts().len(), 2);
        let joined = both
            .commit(world.new_commit(10_001, vec![]), world.author_sign())
            .unwrap();
        let joined = parse(&bytes(&joined)).unwrap();
        assert_eq!((joined.heads().len(), joined.parts().len()), (1, 2));
        assert!(joined.commits.len() < 200);
    }
}

#[test]
fn what_a_folded_commit_dropped_stays_dropped() {
    let world = World::new();
    let mut container = world.container();
    let mut parts = Vec::new();
    for ms in 1..340 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::to_be_bytes(ms));
        let part = Part {
            environment: world.environment,
            number: 1,
            random: touchkeep_core::Id::from_bytes(id),
        };
        let mut new = world.new_commit(ms, vec![(MemberName::Segment(part), vec![7])]);
        // Many stay for long, so that a list tells of them as live, and go together.
        if parts.len() == 64 {
            new.drop = std::mem::take(&mut parts);
        }
        parts.push(MemberName::Segment(part));
        new.prune = true;
        container = container.commit(new, world.author_sign()).unwrap();
    }
    let container = parse(&bytes(&container)).unwrap();
    assert_eq!(container.parts().len(), parts.len());
    assert_eq!(container.history().all().len(), 340);
    assert!(container.history().pasts().len() > 2 && container.commits.len() < 140);
}

#[test]
fn two_machines_that_fold_apart_lose_nothing_and_revive_nothing() {
    let world = World::new();
    let mut common = world.container();
    for ms in 1..100 {
        common = saved(&world, &common, ms, true);
    }
    let [mut a, mut b] = [common.clone(), common.clone()];
    for ms in 1..100 {
        a = saved(&world, &a, 1000 + ms, true);
        b = saved(&world, &b, 2000 + ms, true);
    }
    assert!(a.commits.len() < 150 && b.commits.len() < 150);
    let both = parse(&bytes(&a.merge(&b).unwrap())).unwrap();
    assert_eq!(bytes(&both), bytes(&b.merge(&a).unwrap()));
    // The segment that both had seen and dropped is gone; the newest of each is there.
    assert_eq!(both.parts().len(), 2);
    let joined = saved(&world, &both, 9000, true);
    let joined = parse(&bytes(&joined)).unwrap();
    assert_eq!((joined.heads().len(), joined.parts().len()), (1, 1));
    assert_eq!(joined.history().all().len(), 299);
    // The copy that both come from still fits.
    assert_eq!(bytes(&common.merge(&joined).unwrap()), bytes(&joined));
}

#[test]
fn a_commit_that_a_list_tells_of_is_not_kept_whole() {
    let world = World::new();
    let mut container = world.container();
    let mut old = None;
    for ms in 1..140 {
        old = old.or_else(|| {
            container
                .commits
                .iter()
                .next()
                .map(|(h, b)| (*h, b.clone()))
        });
        container = saved(&world, &container, ms, true);
    }
    let (hash, commit) = old.unwrap();
    let archive = bytes(&container);
    let mut members = tar::read(&archive).unwrap();
    let name = MemberName::Commit(hash).to_string();
    assert!(members.iter().all(|(known, _)| *known != name));
    members.push((&name, &commit));
    assert_eq!(
        parse(&tar::write(members).unwrap()).unwrap_err(),
        ContainerError::Unlisted(name.clone())
    );
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

// More could not be named by the next commit; and each is checked with all that came before it.
#[test]
fn a_file_with_more_heads_than_a_commit_can_name_is_refused() {
    let world = World::new();
    let base = world.container();
    let at = |random: u8| with_segment(&world, &base, random);
    let merged = (1..64).fold(at(0), |merged, random| merged.merge(&at(random)).unwrap());
    assert_eq!(parse(&bytes(&merged)).unwrap().heads().len(), 64);
    let refused = ContainerError::Tar(TarError::TooLarge);
    assert_eq!(merged.merge(&at(64)).unwrap_err(), refused);
    let new = world.new_commit(1_790_000_000_009, vec![]);
    assert_eq!(
        merged
            .commit(new, world.author_sign())
            .unwrap()
            .heads()
            .len(),
        1
    );
}

// A link, signed by this world's device.
fn signed(
    signer: &World,
    before: &Membership,
    (number, joined): (u32, Vec<Hash>),
    statements: Vec<crate::Statement>,
) -> Vec<u8> {
    let change = crate::link::Change {
        vault: before.vault,
        number,
        previous: before.head,
        joined,
        time: UnixMillis(9),
        statements,
    };
    signer.sign(change.to_text()).into_bytes()
}

fn after(
    container: &Container,
    links: Vec<Vec<u8>>,
    (author, key): (UserId, &World),
) -> Result<Container, ContainerError> {
    let mut new = key.new_commit(9, vec![]);
    new.author = author;
    new.links = links;
    container.commit(new, key.author_sign())
}

// What states the device of another world as one of this user.
fn device_of(other: &World, user: UserId) -> Vec<crate::Statement> {
    let key = other.membership().devices[&other.device].keys[0].clone();
    vec![
        crate::Statement::Device {
            id: other.device,
            user,
            kind: crate::words::DeviceKind::Software,
            serial: None,
        },
        crate::Statement::Key(other.device, key),
    ]
}

fn author_of(world: &World, user: UserId) -> crate::Statement {
    let key = world.membership().users[&world.user].author.unwrap();
    crate::Statement::Author(user, key)
}

// The vault whose first device was retired by its second one, as it was before that and as it is after.
fn with_a_retired_device(world: &World, spare: &World) -> (Container, Container) {
    use crate::Statement::{EnvironmentRecipient, Retired, UserRecipient};
    let (user, common) = (world.user, world.container());
    let link = signed(
        world,
        common.membership(),
        (2, vec![]),
        device_of(spare, user),
    );
    let before = after(&common, vec![link], (user, world)).unwrap();
    let statements = vec![
        Retired(world.device),
        author_of(spare, user),
        UserRecipient(user, "age1new".into()),
        EnvironmentRecipient(world.environment, 2, "age1new".into()),
    ];
    let link = signed(spare, before.membership(), (3, vec![]), statements);
    let retired = after(&before, vec![link], (user, spare)).unwrap();
    (before, retired)
}

fn newcomer() -> Vec<crate::Statement> {
    vec![crate::Statement::User(UserId::random())]
}

const LAPSED: ContainerError = ContainerError::Membership(MembershipError::Lapsed);

// With the finder of a lost device the branch goes on where it was not retired yet, and joins the other one, of which nothing would hold.
#[test]
fn a_retired_device_does_not_join_its_retirement_away() {
    let [world, spare] = [World::new(), World::new()];
    let (before, retired) = with_a_retired_device(&world, &spare);
    let members = before.membership();
    let beside = signed(&world, members, (3, vec![]), newcomer());
    let (next, _) = members.next(&beside).unwrap();
    let joined = vec![retired.membership().head];
    let join = signed(&world, &next, (4, joined), newcomer());
    let refused = after(&retired, vec![beside, join], (world.user, &world));
    assert_eq!(refused.unwrap_err(), LAPSED);
}

// At genesis there is no environment yet of which the other branch could have other keys.
#[test]
fn a_retired_device_does_not_begin_again_at_genesis() {
    let [world, spare, other] = [World::new(), World::new(), World::new()];
    let (_, retired) = with_a_retired_device(&world, &spare);
    let user = world.user;
    let founded = Membership::found(&world.genesis()).unwrap();
    let statements = vec![
        author_of(&other, user),
        crate::Statement::Environment(other.environment),
        crate::Statement::Grant(other.environment, user),
    ];
    let mut first = other.new_commit(9, vec![]);
    first.author = user;
    first.links = vec![signed(&world, &founded, (1, vec![]), statements)];
    let hostile = Container::found(world.genesis(), first, other.author_sign()).unwrap();
    for merged in [retired.merge(&hostile), hostile.merge(&retired)] {
        assert_eq!(merged.unwrap_err(), LAPSED);
    }
}

// Under a new key no end of the chain knows him as somebody who wrote before.
#[test]
fn who_is_admin_no_more_does_not_go_on_from_an_old_link_under_a_new_key() {
    let [world, other, fresh] = [World::new(), World::new(), World::new()];
    let (common, second) = (world.container(), other.user);
    let mut statements = vec![crate::Statement::User(second)];
    statements.extend(device_of(&other, second));
    statements.push(crate::Statement::Role(second, crate::words::Role::Admin));
    let link = signed(&world, common.membership(), (2, vec![]), statements);
    let before = after(&common, vec![link], (world.user, &world)).unwrap();
    let reader = vec![crate::Statement::Role(second, crate::words::Role::Reader)];
    let demoted = signed(&world, before.membership(), (3, vec![]), reader);
    let demoted = after(&before, vec![demoted], (world.user, &world)).unwrap();
    let link = signed(
        &other,
        before.membership(),
        (3, vec![]),
        vec![author_of(&fresh, second)],
    );
    let beside = after(&before, vec![link], (second, &fresh)).unwrap();
    for merged in [demoted.merge(&beside), beside.merge(&demoted)] {
        assert_eq!(merged.unwrap_err(), LAPSED);
    }
    // An admin who is one in both may have changed something beside it.
    let link = signed(&world, before.membership(), (3, vec![]), newcomer());
    let beside = after(&before, vec![link], (world.user, &world)).unwrap();
    assert!(demoted.merge(&beside).unwrap().is_forked());
}
