//! The frozen vaults: every version of this crate reads them and would write them the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use serde_json::Value;
use touchkeep_container::{Container, MemberName, words::Role};

fn read(archive: &[u8], expected: &str) -> (Container, Value) {
    let container = Container::parse(archive).unwrap();
    assert_eq!(container.to_bytes().unwrap(), archive);
    assert!(container.is_practice());
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(container.id().to_string(), expected["vault"]);
    (container, expected)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn the_frozen_vault_of_one_member_is_read_and_written_the_same() {
    let (container, expected) = read(
        include_bytes!("vectors/vault-1.tar"),
        include_str!("vectors/vault-1.json"),
    );
    let heads: Vec<_> = container.heads().iter().map(ToString::to_string).collect();
    assert_eq!(heads, [text(&expected["head"])]);
    assert_eq!(container.history().commits().len(), 3);
    let members = container.membership();
    let user = text(&expected["user"]).parse().unwrap();
    assert!(members.users.contains_key(&user));
    let device = text(&expected["device"]).parse().unwrap();
    assert!(members.devices.contains_key(&device));
    let environment = text(&expected["environment"]).parse().unwrap();
    assert_eq!(members.environments[&environment].epoch(), 1);
    let sealed = container
        .names()
        .filter(|n| matches!(n, MemberName::Sealed { .. }));
    assert_eq!((container.parts().len(), sealed.count()), (3, 1));
}

#[test]
fn the_frozen_vault_of_a_team_is_read_and_written_the_same() {
    let (container, expected) = read(
        include_bytes!("vectors/team-1.tar"),
        include_str!("vectors/team-1.json"),
    );
    let heads: Vec<_> = container.heads().iter().map(ToString::to_string).collect();
    let stated = expected["heads"].as_array().unwrap();
    assert_eq!(heads, stated.iter().map(text).collect::<Vec<_>>());
    assert_eq!(heads.len(), 2);
    let history = container.history();
    assert_eq!(history.pasts().len(), 1);
    assert!(history.all().len() > history.commits().len() + 90);

    let members = container.membership();
    assert_eq!(members.head.to_string(), expected["head_of_members"]);
    assert!(!container.is_forked());
    let retired = text(&expected["retired"]).parse().unwrap();
    assert!(members.devices[&retired].retired);
    for member in expected["members"].as_array().unwrap() {
        let user = text(&member["user"]).parse().unwrap();
        let role: Role = text(&member["role"]).parse().unwrap();
        assert_eq!(members.role(user), Some(role));
        let readable = members.environments.values();
        let readable = readable.filter(|environment| environment.readers.contains(&user));
        let expected = if role == Role::Writer { 2 } else { 1 };
        assert_eq!(readable.count(), expected);
    }
    // A lost device was a second epoch for what its owner can read.
    let epochs: Vec<_> = members.environments.values().map(|e| e.epoch()).collect();
    assert_eq!(epochs, [2, 2]);
}
