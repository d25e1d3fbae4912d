//! 1Password's 1PUX: a zip with `export.data`, accounts of vaults of items. Attached files (`files/ID__NAME`) are named in the
//! report.

use std::collections::BTreeSet;

use touchkeep_core::text::quoted;

use crate::{
    error::ImportError,
    json::{self, Json, Node},
    login::{Entry, item},
    model::{Format, Import, MAX_ROWS, MAX_TEXT_BYTES, Text, text},
    names::{Meaning, meaning},
    source,
    zip::{self, Member, ZipError},
};

/// Reads an archive.
///
/// # Errors
/// When it is no such archive.
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let members = zip::members(bytes).map_err(damaged)?;
    let member = zip::find(&members, "export.data").map_err(damaged)?;
    let data = zip::open(bytes, member, MAX_TEXT_BYTES).map_err(damaged)?;
    let source = source::text(&data, Format::OnePux)?;
    let root = json::parse(source, Format::OnePux)?;
    let accounts = root.get("accounts").map(Node::values).unwrap_or_default();
    let mut import = Import::new(Format::OnePux);
    // Pictures of accounts and vaults are about the other program.
    let mut files: BTreeSet<String> = accounts.iter().filter_map(avatar).collect();
    for vault in accounts
        .iter()
        .filter_map(|account| account.get("vaults"))
        .flat_map(Node::values)
    {
        files.extend(avatar(vault));
        let name = vault
            .get("attrs")
            .map(|attrs| attrs.text("name"))
            .unwrap_or_default();
        for node in vault.get("items").map(Node::values).unwrap_or_default() {
            if import.rows.len() == MAX_ROWS {
                return Err(ImportError::TooLarge {
                    what: "an archive of this many items",
                    limit: MAX_ROWS,
                });
            }
            one(&mut import, &mut files, name, node, source);
        }
    }
    unnamed_files(&mut import, &files, &members);
    Ok(import)
}

fn avatar(node: &Node) -> Option<String> {
    let name = node.get("attrs")?.text("avatar");
    (!name.is_empty()).then(|| name.to_owned())
}

// Whatever lies in the archive and was named by no item is named here.
fn unnamed_files(import: &mut Import, named: &BTreeSet<String>, members: &[Member<'_>]) {
    for member in members {
        let name = String::from_utf8_lossy(member.name);
        let Some(file) = name.strip_prefix("files/").filter(|file| !file.is_empty()) else {
            continue;
        };
        let id = file.split_once("__").map_or(file, |(id, _)| id);
        if !named.contains(id) && !named.contains(file) {
            import.left(
                name.to_string(),
                file,
                "An attached file is not imported.",
                true,
            );
        }
    }
}

fn damaged(error: ZipError) -> ImportError {
    let what = match error {
        ZipError::Damaged => "the archive is damaged, or has a password",
        ZipError::Missing => "there is no export.data in the archive",
        ZipError::TooLarge => {
            return ImportError::TooLarge {
                what: "what the archive unpacks to",
                limit: MAX_TEXT_BYTES,
            };
        }
    };
    ImportError::Damaged {
        format: Format::OnePux,
        what,
    }
}

fn one(import: &mut Import, files: &mut BTreeSet<String>, vault: &str, node: &Node, source: &str) {
    // Older archives wrap an item once more.
    let node = node.get("item").unwrap_or(node);
    let empty = Node {
        json: Json::Null,
        span: 0..0,
    };
    let overview = node.get("overview").unwrap_or(&empty);
    let details = node.get("details").unwrap_or(&empty);
    let mut entry = Entry {
        title: overview.text("title").to_owned(),
        groups: vec![vault.to_owned()],
        url: text(overview.text("url")),
        notes: text(details.text("notesPlain")),
        password: text(details.text("password")),
        created: node
            .number("createdAt")
            .map(|seconds| seconds.saturating_mul(1000)),
        ..Entry::default()
    };
    let tags = overview.get("tags").map(Node::values).unwrap_or_default();
    entry.tags = tags
        .iter()
        .filter_map(Node::str)
        .map(str::to_owned)
        .collect();
    if node.text("state") == "archived" {
        entry.tags.push("archived".to_owned());
    }
    login_fields(&mut entry, details, source);
    sections(&mut entry, details, source);
    others(&mut entry, details, source);
    urls(&mut entry, overview);
    history(&mut entry, details);
    // An API credential's secret is its credential, and its user name the public half.
    if node.text("categoryUuid") == "112" {
        credential(&mut entry);
    }
    let mut built = item(entry);
    let attached = details.get("documentAttributes").into_iter();
    for file in attached.chain(section_values(details).filter_map(|(_, value)| file_of(value))) {
        files.insert(file.text("documentId").to_owned());
        built.remark(
            format!(
                "The file {} is not imported.",
                quoted(file.text("fileName"))
            ),
            true,
        );
    }
    import.item(format!("item {}", import.rows.len() + 1), built);
}

// What is read elsewhere.
const KNOWN: [&str; 6] = [
    "documentAttributes",
    "loginFields",
    "notesPlain",
    "password",
    "passwordHistory",
    "sections",
];

// What newer versions write of an item beside that is kept, because nobody here knows what it is worth.
fn others(entry: &mut Entry, details: &Node, source: &str) {
    for (name, value) in details.members() {
        let is_empty = value.members().is_empty() && value.values().is_empty();
        let is_text = matches!(value.json, Json::String(_) | Json::Number(_));
        if KNOWN.contains(&name.as_str()) || (is_empty && !is_text) {
            continue;
        }
        entry.custom.extend(
            value
                .as_value(source)
                .map(|value| (name.clone(), true, value)),
        );
    }
}

fn login_fields(entry: &mut Entry, details: &Node, source: &str) {
    for field in details
        .get("loginFields")
        .map(Node::values)
        .unwrap_or_default()
    {
        let Some(value) = field.get("value").and_then(|value| value.as_value(source)) else {
            continue;
        };
        match field.text("designation") {
            "username" if entry.user.is_empty() => entry.user = value,
            "password" if entry.password.is_empty() => entry.password = value,
            _ => {
                let label = if field.text("name").is_empty() {
                    field.text("id")
                } else {
                    field.text("name")
                };
                entry.custom.push((label.to_owned(), true, value));
            }
        }
    }
}

// The fields of all sections, and what each has as its value.
fn section_values(details: &Node) -> impl Iterator<Item = (&Node, &Node)> {
    let sections = details.get("sections").map(Node::values);
    let fields = sections
        .unwrap_or_default()
        .iter()
        .filter_map(|section| section.get("fields"))
        .flat_map(Node::values);
    fields.filter_map(|field| Some((field, field.get("value")?)))
}

// A field that is an attached file: the file itself is a member of the archive.
fn file_of(value: &Node) -> Option<&Node> {
    value.get("file")
}

fn sections(entry: &mut Entry, details: &Node, source: &str) {
    for (field, value) in section_values(details).filter(|(_, value)| file_of(value).is_none()) {
        let Some((kind, value)) = value.members().first() else {
            continue;
        };
        let label = if field.text("title").is_empty() {
            field.text("id")
        } else {
            field.text("title")
        };
        match kind.as_str() {
            "totp" if entry.totp.is_empty() => {
                entry.totp = value.as_value(source).unwrap_or_default()
            }
            // A second one stays a field, whole.
            "sshKey" if entry.private_key.is_empty() => {
                entry.private_key = text(value.text("privateKey"));
                if let Some(known) = value.get("metadata") {
                    let public = text(known.text("publicKey"));
                    entry.custom.push(("public key".to_owned(), false, public));
                    entry.custom.push((
                        "fingerprint".to_owned(),
                        false,
                        text(known.text("fingerprint")),
                    ));
                }
            }
            _ => {
                let plain = matches!(
                    kind.as_str(),
                    "url" | "date" | "monthYear" | "email" | "menu" | "gender"
                );
                if let Some(value) = value.as_value(source).filter(|value| !value.is_empty()) {
                    entry.custom.push((label.to_owned(), !plain, value));
                }
            }
        }
    }
}

fn urls(entry: &mut Entry, overview: &Node) {
    let more = overview.get("urls").map(Node::values).unwrap_or_default();
    for node in more
        .iter()
        .filter(|node| node.text("url") != entry.url.as_str())
        .collect::<Vec<_>>()
    {
        entry
            .custom
            .push(("url".to_owned(), false, text(node.text("url"))));
    }
}

fn history(entry: &mut Entry, details: &Node) {
    let older = details
        .get("passwordHistory")
        .map(Node::values)
        .unwrap_or_default();
    let older: Vec<&str> = older.iter().map(|node| node.text("value")).collect();
    entry.custom.push((
        "older passwords".to_owned(),
        true,
        Text::new(older.join("\n")),
    ));
}

fn credential(entry: &mut Entry) {
    let has = |entry: &Entry, wanted: Meaning| {
        entry
            .custom
            .iter()
            .any(|(label, ..)| meaning(label) == wanted)
    };
    for (label, _, _) in &mut entry.custom {
        if label == "credential" {
            "secret".clone_into(label);
        }
    }
    if !has(entry, Meaning::ApiKey) && has(entry, Meaning::Secret) {
        let user = entry
            .custom
            .iter()
            .position(|(label, ..)| meaning(label) == Meaning::User);
        match user {
            Some(at) => {
                if let Some((label, ..)) = entry.custom.get_mut(at) {
                    "api key".clone_into(label);
                }
            }
            None if !entry.user.is_empty() => {
                let user = std::mem::take(&mut entry.user);
                entry.custom.push(("api key".to_owned(), false, user));
            }
            None => {}
        }
    }
}
