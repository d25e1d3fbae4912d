//! Bitwarden's JSON: plain, or protected with a password of its own. One that is encrypted for the account can be opened by
//! that account alone, and is refused with what to do instead.

mod protected;

use touchkeep_core::time::from_rfc3339;

use crate::{
    error::ImportError,
    json::{self, Json, Node},
    login::{Entry, item},
    model::{Built, Format, Import, Kind, MAX_ROWS, Text, text},
    source,
};

/// Whether a file needs a password.
#[must_use]
pub fn needs_password(bytes: &[u8]) -> bool {
    let root = source::text(bytes, Format::Bitwarden)
        .and_then(|source| json::parse(source, Format::Bitwarden));
    root.is_ok_and(|root| root.is("encrypted") && root.is("passwordProtected"))
}

/// Reads a file.
///
/// # Errors
/// When it is no such file, or the password does not open it.
pub(crate) fn read(bytes: &[u8], password: Option<&str>) -> Result<Import, ImportError> {
    let source = source::text(bytes, Format::Bitwarden)?;
    let root = json::parse(source, Format::Bitwarden)?;
    if !root.is("encrypted") {
        return plain(&root, source);
    }
    if !root.is("passwordProtected") {
        return Err(ImportError::AccountEncrypted);
    }
    let opened = protected::open(&root, password.ok_or(ImportError::NeedsPassword)?)?;
    let source = source::text(&opened, Format::Bitwarden)?;
    plain(&json::parse(source, Format::Bitwarden)?, source)
}

fn plain(root: &Node, source: &str) -> Result<Import, ImportError> {
    let mut import = Import::new(Format::Bitwarden);
    let items = root.get("items").map(Node::values).unwrap_or_default();
    if items.len() > MAX_ROWS {
        return Err(ImportError::TooLarge {
            what: "an export of this many items",
            limit: MAX_ROWS,
        });
    }
    for (number, node) in items.iter().enumerate() {
        import.item(format!("item {}", number + 1), one(root, node, source));
    }
    Ok(import)
}

// What is read elsewhere, and what is about Bitwarden alone.
const KNOWN: [&str; 17] = [
    "archivedDate",
    "attachments",
    "collectionIds",
    "creationDate",
    "deletedDate",
    "favorite",
    "folderId",
    "id",
    "key",
    "name",
    "notes",
    "organizationId",
    "passwordHistory",
    "reprompt",
    "revisionDate",
    "secureNote",
    "type",
];

fn one(root: &Node, node: &Node, source: &str) -> Built {
    let mut entry = Entry {
        title: node.text("name").to_owned(),
        groups: groups(root, node),
        notes: text(node.text("notes")),
        created: from_rfc3339(node.text("creationDate")).map(|at| at.0),
        ..Entry::default()
    };
    for (part, value) in node.members() {
        match part.as_str() {
            "login" => login(&mut entry, value, source),
            "sshKey" => ssh(&mut entry, value, source),
            "card" | "identity" => parts(&mut entry, value, source),
            "fields" => fields(&mut entry, value, source),
            known if KNOWN.contains(&known) || matches!(value.json, Json::Bool(_)) => {}
            // A kind of item that is newer than this program: whatever it has is kept, because nobody here knows what it is worth.
            _ if !value.members().is_empty() => parts(&mut entry, value, source),
            _ => entry.custom.extend(other(part, value, source)),
        }
    }
    let older = node
        .get("passwordHistory")
        .map(Node::values)
        .unwrap_or_default();
    let older: Vec<&str> = older.iter().map(|node| node.text("password")).collect();
    entry.custom.push((
        "older passwords".to_owned(),
        true,
        Text::new(older.join("\n")),
    ));
    let mut built = item(entry);
    if node.number("type") == Some(2)
        && built.proposal.kind != Kind::ExchangeKey
        && built.proposal.kind != Kind::ApiKey
    {
        built.proposal.kind = Kind::Note;
    }
    if !node
        .get("attachments")
        .map(Node::values)
        .unwrap_or_default()
        .is_empty()
    {
        built.remark("Its attached files are not in the export.", true);
    }
    built
}

fn groups(root: &Node, node: &Node) -> Vec<String> {
    let mut wanted = vec![node.text("folderId")];
    wanted.extend(
        node.get("collectionIds")
            .map(Node::values)
            .unwrap_or_default()
            .iter()
            .filter_map(Node::str),
    );
    let known = ["folders", "collections"]
        .into_iter()
        .filter_map(|list| root.get(list))
        .flat_map(Node::values);
    let named = known.filter(|group| wanted.contains(&group.text("id")));
    named
        .flat_map(|group| group.text("name").split('/'))
        .map(str::to_owned)
        .collect()
}

fn login(entry: &mut Entry, node: &Node, source: &str) {
    for (part, value) in node.members() {
        match part.as_str() {
            "username" => entry.user = value.as_value(source).unwrap_or_default(),
            "password" => entry.password = value.as_value(source).unwrap_or_default(),
            "totp" => entry.totp = value.as_value(source).unwrap_or_default(),
            "uris" => {
                for uri in value.values() {
                    let uri = text(uri.text("uri"));
                    if entry.url.is_empty() {
                        entry.url = uri;
                    } else {
                        entry.custom.push(("url".to_owned(), false, uri));
                    }
                }
            }
            "passwordRevisionDate" => {}
            _ => entry.custom.extend(other(part, value, source)),
        }
    }
}

fn ssh(entry: &mut Entry, node: &Node, source: &str) {
    for (part, value) in node.members() {
        let shown = |label: &str| {
            (
                label.to_owned(),
                false,
                text(value.str().unwrap_or_default()),
            )
        };
        match part.as_str() {
            "privateKey" => entry.private_key = value.as_value(source).unwrap_or_default(),
            "publicKey" => entry.custom.push(shown("public key")),
            "keyFingerprint" => entry.custom.push(shown("fingerprint")),
            _ => entry.custom.extend(other(part, value, source)),
        }
    }
}

fn parts(entry: &mut Entry, node: &Node, source: &str) {
    for (part, value) in node.members() {
        entry.custom.extend(other(part, value, source));
    }
}

// Hidden, because nobody has said that it is not secret; an empty list is nothing.
fn other(part: &str, value: &Node, source: &str) -> Option<(String, bool, Text)> {
    let value = match value.json {
        Json::Array(ref values) if values.is_empty() => None,
        Json::Object(ref members) if members.is_empty() => None,
        _ => value.as_value(source),
    };
    value.map(|value| (part.to_owned(), true, value))
}

// Hidden ones and text alike: what somebody typed into a password manager is secret until he says otherwise.
fn fields(entry: &mut Entry, node: &Node, source: &str) {
    for field in node.values() {
        let value = field.get("value").and_then(|value| value.as_value(source));
        entry
            .custom
            .extend(value.map(|value| (field.text("name").to_owned(), true, value)));
    }
}
