//! The frozen vault: every version of this crate reads it and would write it the same.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use touchkeep_container::{Container, MemberName};

#[test]
fn the_frozen_vault_is_read_and_written_the_same() {
    let archive = include_bytes!("vectors/vault-1.tar");
    let expected: serde_json::Value =
        serde_json::from_str(include_str!("vectors/vault-1.json")).unwrap();
    let container = Container::parse(archive).unwrap();
    assert_eq!(container.to_bytes().unwrap(), archive);
    assert!(container.is_practice());
    assert_eq!(container.id().unwrap().to_string(), expected["vault"]);
    let heads: Vec<_> = container.heads().iter().map(ToString::to_string).collect();
    assert_eq!(heads, [expected["head"].as_str().unwrap()]);
    assert_eq!(container.history().commits().len(), 3);
    let members = container.membership().unwrap();
    let ids = |field: &str| expected[field].as_str().unwrap().to_owned();
    assert!(members.users.contains_key(&ids("user").parse().unwrap()));
    assert!(
        members
            .devices
            .contains_key(&ids("device").parse().unwrap())
    );
    let environment = ids("environment").parse().unwrap();
    assert_eq!(members.environments[&environment].epoch, 1);
    let sealed = container
        .names()
        .filter(|n| matches!(n, MemberName::Sealed { .. }));
    assert_eq!((container.parts().len(), sealed.count()), (3, 1));
}
