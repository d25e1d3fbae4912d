//! A small vault for tests of this crate: one user, one Ed25519 device, one environment.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use touchkeep_core::{DeviceId, EnvironmentId, Id, UnixMillis, UserId, VaultId};

use crate::{
    commit::AuditHead,
    container::{Container, NewCommit},
    link::{Change, Genesis},
    membership::Membership,
    name::{MemberName, Part},
    note::{Note, NoteSignature, VerifyKey},
    statement::{DeviceKey, Statement},
    words::{Algorithm, DeviceKind, Purpose, Touch, VaultKind},
};

pub(crate) struct World {
    pub(crate) vault: VaultId,
    pub(crate) user: UserId,
    pub(crate) device: DeviceId,
    pub(crate) environment: EnvironmentId,
    device_pair: Ed25519KeyPair,
    author_pair: Ed25519KeyPair,
}

fn pair(seed: &Id) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[*seed.as_bytes(), *seed.as_bytes()].concat()).unwrap()
}

fn public(pair: &Ed25519KeyPair) -> [u8; 32] {
    pair.public_key().as_ref().try_into().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of([(); 6].map(|()| Id::random()))
    }

    pub(crate) fn of(ids: [Id; 6]) -> Self {
        Self {
            vault: VaultId(ids[0]),
            user: UserId(ids[1]),
            device: DeviceId(ids[2]),
            environment: EnvironmentId(ids[3]),
            device_pair: pair(&ids[4]),
            author_pair: pair(&ids[5]),
        }
    }

    pub(crate) fn sign(&self, text: String) -> String {
        self.sign_as_device(text, self.device)
    }

    pub(crate) fn sign_as_device(&self, text: String, device: DeviceId) -> String {
        let key = VerifyKey::ed25519(device.to_string(), public(&self.device_pair)).unwrap();
        let signature = self.device_pair.sign(text.as_bytes()).as_ref().to_vec();
        let signatures = vec![NoteSignature::new(&key, signature)];
        Note { text, signatures }.to_string()
    }

    /// Signed by this world's device and by others'.
    pub(crate) fn sign_with(&self, text: String, others: &[&World]) -> String {
        let line = |world: &World| {
            let key = VerifyKey::ed25519(world.device.to_string(), public(&world.device_pair));
            let signature = world.device_pair.sign(text.as_bytes()).as_ref().to_vec();
            NoteSignature::new(&key.unwrap(), signature)
        };
        let mut signatures = vec![line(self)];
        signatures.extend(others.iter().map(|other| line(other)));
        Note {
            text: text.clone(),
            signatures,
        }
        .to_string()
    }

    pub(crate) fn genesis(&self) -> Vec<u8> {
        let spki = [
            &[
                0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
            ][..],
            &public(&self.device_pair),
        ]
        .concat();
        let key = DeviceKey {
            purpose: Purpose::SignVault,
            algorithm: Algorithm::Ed25519,
            touch: Touch::Never,
            key_ref: "sign-vault".into(),
            spki,
            recipient: None,
            identity: None,
        };
        let genesis = Genesis {
            vault: self.vault,
            kind: VaultKind::Practice,
            time: UnixMillis(1_790_000_000_000),
            statements: vec![
                Statement::User(self.user),
                Statement::Device {
                    id: self.device,
                    user: self.user,
                    kind: DeviceKind::Software,
                    serial: None,
                },
                Statement::Key(self.device, key),
            ],
        };
        self.sign(genesis.to_text()).into_bytes()
    }

    pub(crate) fn first_change(&self, founded: &Membership) -> Change {
        Change {
            vault: self.vault,
            number: 1,
            previous: founded.head,
            joined: vec![],
            time: UnixMillis(1_790_000_000_000),
            statements: vec![
                Statement::Author(self.user, public(&self.author_pair)),
                Statement::UserRecipient(self.user, "age1user".into()),
                Statement::Environment(self.environment),
                Statement::Grant(self.environment, self.user),
                Statement::EnvironmentRecipient(self.environment, 1, "age1environment".into()),
            ],
        }
    }

    pub(crate) fn membership(&self) -> Membership {
        let founded = Membership::found(&self.genesis()).unwrap();
        let change = self.sign(self.first_change(&founded).to_text());
        founded.next(change.as_bytes()).unwrap().0
    }

    pub(crate) fn new_commit(&self, ms: u64, add: Vec<(MemberName, Vec<u8>)>) -> NewCommit {
        NewCommit {
            author: self.user,
            audit: AuditHead::empty(),
            time: UnixMillis(ms),
            add,
            drop: vec![],
            links: vec![],
            prune: false,
        }
    }

    pub(crate) fn segment(&self, random: u8) -> MemberName {
        MemberName::Segment(Part {
            environment: self.environment,
            number: 1,
            random: Id::from_bytes([random; 16]),
        })
    }

    pub(crate) fn author_sign(&self) -> impl Fn(&[u8]) -> Vec<u8> {
        |text| self.author_pair.sign(text).as_ref().to_vec()
    }

    pub(crate) fn container(&self) -> Container {
        let genesis = self.genesis();
        let founded = Membership::found(&genesis).unwrap();
        let change = self.sign(self.first_change(&founded).to_text());
        let mut first = self.new_commit(
            1_790_000_000_001,
            vec![
                (MemberName::Readme, b"how to recover\n".to_vec()),
                (
                    MemberName::User {
                        user: self.user,
                        revision: Id::from_bytes([1; 16]),
                    },
                    b"not quite age\n".to_vec(),
                ),
            ],
        );
        first.links = vec![change.into_bytes()];
        Container::found(genesis, first, self.author_sign()).unwrap()
    }
}
