//! An entry of a password manager, and which item it is: an exchange's key, another key, a login, an SSH key, or a note.

use crate::{
    model::{Built, Kind, Text},
    names::{Meaning, meaning, venue_in},
};

/// What password managers have in common.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) title: String,
    pub(crate) groups: Vec<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) user: Text,
    pub(crate) password: Text,
    pub(crate) url: Text,
    pub(crate) notes: Text,
    pub(crate) totp: Text,
    pub(crate) private_key: Text,
    pub(crate) created: Option<u64>,
    /// Label, whether it was hidden or its program does not say, value.
    pub(crate) custom: Vec<(String, bool, Text)>,
}

/// The item that an entry becomes. Nothing of it is left out.
pub(crate) fn item(entry: Entry) -> Built {
    let kind = kind_of(&entry);
    let mut built = Built::new(&entry.title, kind);
    built.proposal.created = entry.created;
    built.proposal.tags = tags(&entry);
    // A tag is somebody's word; the group alone is where it lay.
    built.is_kept_bare = !entry.tags.is_empty();
    if kind == Kind::ExchangeKey {
        built.proposal.venue = venue_in(&entry.title, &entry.url).map(str::to_owned);
    }
    let mut entry = entry;
    chief(&mut built, &mut entry, kind);
    // A user name beside a password is shown, as it is in every manager.
    built.add("username", false, entry.user, None);
    built.add("password", true, entry.password, None);
    built.add("url", false, entry.url, None);
    built.add("totp", true, entry.totp, None);
    for (label, secret, value) in entry.custom {
        built.add(&label, secret, value, None);
    }
    built.add("notes", true, entry.notes, None);
    built
}

fn kind_of(entry: &Entry) -> Kind {
    let means = |wanted: Meaning| {
        entry
            .custom
            .iter()
            .any(|(label, ..)| meaning(label) == wanted)
    };
    if !entry.private_key.is_empty() {
        return Kind::SshKey;
    }
    if means(Meaning::ApiKey) && means(Meaning::Secret) {
        return match venue_in(&entry.title, &entry.url) {
            Some(_) => Kind::ExchangeKey,
            None => Kind::ApiKey,
        };
    }
    if !entry.password.is_empty() || !entry.user.is_empty() {
        return Kind::Login;
    }
    if !entry.totp.is_empty() {
        return Kind::OtpSeed;
    }
    if means(Meaning::Secret) || means(Meaning::ApiKey) {
        return Kind::ApiKey;
    }
    Kind::Note
}

// The field that is called `secret` here, and the names that go with it.
fn chief(built: &mut Built, entry: &mut Entry, kind: Kind) {
    let mut take = |built: &mut Built, wanted: Meaning, label: &str, secret: bool| {
        let found = entry
            .custom
            .iter()
            .position(|(known, ..)| meaning(known) == wanted);
        if let Some(at) = found {
            let (_, _, value) = entry.custom.remove(at);
            built.add(label, secret, value, None);
        }
    };
    match kind {
        Kind::ExchangeKey | Kind::ApiKey => {
            take(built, Meaning::ApiKey, "api-key", false);
            take(built, Meaning::Secret, "secret", true);
            take(built, Meaning::Passphrase, "passphrase", true);
            // One half alone is the secret.
            if kind == Kind::ApiKey && built.proposal.field("secret").is_none() {
                rename(built, "api-key", "secret");
            }
        }
        Kind::Login => built.add("secret", true, std::mem::take(&mut entry.password), None),
        Kind::SshKey => built.add("secret", true, std::mem::take(&mut entry.private_key), None),
        Kind::OtpSeed => built.add("secret", true, std::mem::take(&mut entry.totp), None),
        Kind::Note => built.add("secret", true, std::mem::take(&mut entry.notes), None),
        Kind::OauthClient => {}
    }
}

fn rename(built: &mut Built, from: &str, to: &str) {
    if let Some(field) = built
        .proposal
        .fields
        .iter_mut()
        .find(|field| field.name == from)
    {
        to.clone_into(&mut field.name);
        field.secret = true;
    }
}

fn tags(entry: &Entry) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in entry.groups.iter().chain(&entry.tags) {
        let tag = tag.trim().to_owned();
        if !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}
