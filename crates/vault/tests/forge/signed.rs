//! Texts that were signed with the keys of `vault-1`, whose passphrase is in its vector: right ones, and ones that no honest
//! program would have signed.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_container::{
    Container, Hash, MemberName, Note, NoteSignature, VerifyKey, tar, words::Purpose,
};
use touchkeep_core::Passphrase;
use touchkeep_device::{Auth, Device, KeyRef, SignatureScheme, SoftwareDevice};
use touchkeep_vault::{Locked, Unlocked};

use super::{PASSPHRASE, VAULT};

pub(crate) type Adds = Vec<(String, Vec<u8>)>;
pub(crate) type Edit<'a> = &'a dyn Fn(&mut Vec<String>);
pub(crate) type Edits = Vec<(&'static str, bool, Box<dyn Fn(&mut Vec<String>)>)>;

pub(crate) const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const OTHER: &str = "bbbbbbbbbbbbbbbbbbbbbbbbba";
pub(crate) const X25519: &str = "MCowBQYDK2VuAyEAXrlQ9LzpXPO/KnOgWBdTitkg8Bgezw4kP3TRjBJFY1A=";
pub(crate) const ED25519: &str = "MCowBQYDK2VwAyEADPaNTvMjH4+S9eluuAX86EytriStwfukSFw0x+3+ejo=";
pub(crate) const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// `vault-1`, open.
pub(crate) struct Forge {
    _folder: tempfile::TempDir,
    pub(crate) vault: Unlocked,
    device: std::cell::RefCell<SoftwareDevice>,
    pub(crate) members: BTreeMap<String, Vec<u8>>,
    pub(crate) user: String,
    pub(crate) device_id: String,
    pub(crate) environment: String,
    pub(crate) head: String,
    pub(crate) link: String,
}

impl Forge {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        std::fs::write(&path, VAULT).unwrap();
        let locked = Locked::open(&path).unwrap();
        let own = locked.devices()[0].id;
        let mut device = locked.software_device(own).unwrap();
        let passphrase = Passphrase::new(PASSPHRASE.into());
        let vault = locked
            .unlock(&mut device, Auth::Passphrase(&passphrase))
            .unwrap();
        let container = vault.as_locked().container();
        let members = tar::read(VAULT).unwrap().into_iter();
        Self {
            members: members.map(|(n, b)| (n.to_owned(), b.to_vec())).collect(),
            user: vault.user().to_string(),
            device_id: own.to_string(),
            environment: vault.environment().to_string(),
            head: container.heads()[0].to_string(),
            link: container.membership().head.to_string(),
            device: std::cell::RefCell::new(device),
            _folder: folder,
            vault,
        }
    }

    pub(crate) fn author_sign(&self, text: &[u8]) -> Vec<u8> {
        self.vault.author_sign(text)
    }

    pub(crate) fn container(&self) -> &Container {
        self.vault.as_locked().container()
    }

    pub(crate) fn author_line(&self, text: &str) -> NoteSignature {
        let key = VerifyKey::ed25519(self.user.clone(), self.vault.author_public_key()).unwrap();
        NoteSignature::new(&key, self.vault.author_sign(text.as_bytes()))
    }

    pub(crate) fn device_line(&self, text: &str) -> NoteSignature {
        let members = self.container().membership();
        let id = self.device_id.parse().unwrap();
        let place = members.devices[&id]
            .key(Purpose::SignVault)
            .unwrap()
            .key_ref
            .clone();
        let passphrase = Passphrase::new(PASSPHRASE.into());
        let signature = self.device.borrow_mut().sign(
            &KeyRef(place),
            SignatureScheme::Ed25519,
            text.as_bytes(),
            Auth::Passphrase(&passphrase),
        );
        NoteSignature::new(&members.device_verify_key(id).unwrap(), signature.unwrap())
    }

    // A link on the last one, with these statements.
    pub(crate) fn link_text(&self, statements: &[&str], edit: Edit<'_>) -> String {
        let mut lines = vec![
            format!("touchkeep/members/v1 {}", self.vault.id()),
            "number 2".to_owned(),
            format!("prev {}", self.link),
            "time 1790000000001".to_owned(),
        ];
        let fill = |text: &&str| {
            let author = BASE64_STANDARD.encode(self.vault.author_public_key());
            text.replace("AUTHOR", &author)
                .replace("USER", &self.user)
                .replace("DEVICE", &self.device_id)
                .replace("ENV", &self.environment)
        };
        lines.extend(statements.iter().map(fill));
        edit(&mut lines);
        lines.join("\n") + "\n"
    }

    pub(crate) fn signed_link(&self, text: String) -> (String, Vec<u8>) {
        let signatures = vec![self.device_line(&text)];
        let bytes = Note { text, signatures }.to_string().into_bytes();
        (format!("m/2-{}", Hash::of(&bytes)), bytes)
    }

    // The file after a commit that adds and drops these, its lines edited before they are signed.
    pub(crate) fn committed(
        &self,
        adds: Adds,
        drops: &[&str],
        edit: Edit<'_>,
        lines: impl Fn(&str) -> Vec<NoteSignature>,
    ) -> Vec<u8> {
        let mut members = self.members.clone();
        let mut entries: BTreeMap<String, String> = members
            .iter()
            .filter(|(name, _)| !name.starts_with("c/"))
            .map(|(name, bytes)| (name.clone(), Hash::of(bytes).to_string()))
            .collect();
        let mut dropped = Vec::new();
        for name in drops {
            members.remove(*name);
            dropped.push(format!("drop {name} {}", entries.remove(*name).unwrap()));
        }
        let mut link = self.link.clone();
        let mut added = Vec::new();
        for (name, bytes) in adds {
            let hash = Hash::of(&bytes).to_string();
            if name.starts_with("m/") {
                link.clone_from(&hash);
            }
            if let Some(before) = entries.insert(name.clone(), hash.clone()) {
                dropped.push(format!("drop {name} {before}"));
            }
            added.push(format!("add {name} {hash}"));
            members.insert(name, bytes);
        }
        added.sort();
        dropped.sort();
        let list: String = entries.iter().map(|(n, h)| format!("{n} {h}\n")).collect();
        let mut text = vec![
            format!("touchkeep/commit/v1 {}", self.vault.id()),
            format!("author {}", self.user),
            format!("members {link}"),
            format!("parent {}", self.head),
            format!("live {} {}", entries.len(), Hash::of(list.as_bytes())),
            format!("audit - 0 {NOTHING}"),
            "time 1790000000002".to_owned(),
        ];
        text.extend(added.into_iter().chain(dropped));
        edit(&mut text);
        let text = text.join("\n") + "\n";
        let signatures = lines(&text);
        let bytes = Note { text, signatures }.to_string().into_bytes();
        members.insert(format!("c/{}", Hash::of(&bytes)), bytes);
        tar::write(members.iter().map(|(n, b)| (n.as_str(), &b[..]))).unwrap()
    }

    pub(crate) fn edited(&self, edit: Edit<'_>) -> Vec<u8> {
        let adds = vec![(self.segment(1, ID), b"not age".to_vec())];
        self.committed(adds, &[], edit, |text| vec![self.author_line(text)])
    }

    pub(crate) fn adding(&self, name: &str, bytes: &[u8]) -> Vec<u8> {
        let adds = vec![(name.to_owned(), bytes.to_vec())];
        self.committed(adds, &[], &|_| {}, |text| vec![self.author_line(text)])
    }

    pub(crate) fn segment(&self, number: u64, random: &str) -> String {
        format!("s/{}/{number}-{random}.age", self.environment)
    }

    pub(crate) fn name_of(&self, is_it: impl Fn(&MemberName) -> bool) -> String {
        self.container().names().find(is_it).unwrap().to_string()
    }
}

// The line that begins so becomes another.
pub(crate) fn replaced(word: &'static str, with: &str) -> impl Fn(&mut Vec<String>) + use<> {
    let with = with.to_owned();
    move |lines| {
        let at = lines
            .iter()
            .position(|line| line.starts_with(word))
            .unwrap();
        lines[at].clone_from(&with);
    }
}
