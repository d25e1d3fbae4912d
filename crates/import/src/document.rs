//! The document of an export: `docs/formats/export.md`. Written here and read here, so that nothing is lost on the way.

use zeroize::Zeroizing;

use crate::{
    error::ImportError,
    json::{self, Json, Node},
    model::{Built, Field, Format, Import, Kind, MAX_ROWS, Proposal, Text},
    source,
};

/// What the document says that it is.
pub(crate) const MAGIC: &str = "touchkeep-export";
/// The only version.
const VERSION: u64 = 1;

/// One item of an export.
#[derive(Debug)]
pub struct Exported {
    /// Its id in the vault, for whoever compares.
    pub id: String,
    /// Its environment's name.
    pub environment: String,
    /// All else.
    pub item: Proposal,
    /// Secret fields that no export can hold, and why: `sealed`, `on-device`, `missing`.
    pub absent: Vec<(String, String)>,
}

/// Writes a document.
#[must_use]
pub fn write(items: &[Exported], exported_ms: u64) -> Text {
    // At its full length at once, so that no copy stays behind while it grows: an escape has at most six bytes for one.
    let values = items
        .iter()
        .flat_map(|item| &item.item.fields)
        .map(|field| 6 * (field.name.len() + field.value.len()) + 80);
    let rest = items.iter().map(|item| {
        6 * (item.item.note.len() + item.item.name.len() + item.environment.len())
            + 2048
            + 400 * item.item.tags.len()
    });
    let mut out = Zeroizing::new(String::with_capacity(
        values.chain(rest).sum::<usize>() + 256,
    ));
    out.push_str(&format!("{{\n  \"format\": \"{MAGIC}\",\n  \"version\": {VERSION},\n  \"exported\": {exported_ms},\n  \"items\": ["));
    for (number, item) in items.iter().enumerate() {
        out.push_str(if number == 0 { "\n" } else { ",\n" });
        write_item(&mut out, item);
    }
    out.push_str("\n  ]\n}\n");
    out
}

fn write_item(out: &mut String, exported: &Exported) {
    let item = &exported.item;
    out.push_str("    {\n");
    member(out, "id", &exported.id);
    member(out, "environment", &exported.environment);
    member(out, "name", &item.name);
    member(out, "kind", item.kind.word());
    let numbers = [
        ("created", item.created),
        ("rotate-after-days", item.rotate_after_days.map(u64::from)),
        ("plaintext-seen", item.plaintext_seen),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            out.push_str(&format!("      \"{name}\": {value},\n"));
        }
    }
    if !item.note.is_empty() {
        member(out, "note", &item.note);
    }
    out.push_str("      \"tags\": [");
    for (number, tag) in item.tags.iter().enumerate() {
        out.push_str(if number == 0 { "" } else { ", " });
        quote(out, tag);
    }
    out.push_str("],\n      \"fields\": [");
    for (number, field) in item.fields.iter().enumerate() {
        out.push_str(if number == 0 { "\n" } else { ",\n" });
        out.push_str("        {\"name\": ");
        quote(out, &field.name);
        out.push_str(&format!(", \"secret\": {}, \"value\": ", field.secret));
        quote(out, &field.value);
        out.push('}');
    }
    out.push_str("],\n      \"absent\": [");
    for (number, (name, why)) in exported.absent.iter().enumerate() {
        out.push_str(if number == 0 { "" } else { ", " });
        out.push_str("{\"name\": ");
        quote(out, name);
        out.push_str(", \"why\": ");
        quote(out, why);
        out.push('}');
    }
    out.push_str("]\n    }");
}

fn member(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("      \"{name}\": "));
    quote(out, value);
    out.push_str(",\n");
}

/// A string of JSON.
pub(crate) fn quote(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

/// Reads a document into what it was written from.
///
/// # Errors
/// When it is none, or of a version that is not known here.
pub fn exported(bytes: &[u8]) -> Result<Vec<Exported>, ImportError> {
    let source = source::text(bytes, Format::Touchkeep)?;
    let root = json::parse(source, Format::Touchkeep)?;
    if root.text("format") != MAGIC {
        return Err(damaged("it does not say that it is an export"));
    }
    if root.number("version") != Some(VERSION) {
        return Err(damaged("it is of a version that is not known here"));
    }
    let items = root.get("items").map(Node::values).unwrap_or_default();
    if items.len() > MAX_ROWS {
        return Err(ImportError::TooLarge {
            what: "an export of this many items",
            limit: MAX_ROWS,
        });
    }
    items.iter().map(read_item).collect()
}

fn read_item(node: &Node) -> Result<Exported, ImportError> {
    let kind = Kind::of(node.text("kind"))
        .ok_or_else(|| damaged("an item is of a kind that is not known here"))?;
    let mut item = Proposal::new(node.text("name"), kind);
    item.created = node.number("created");
    item.rotate_after_days = node
        .number("rotate-after-days")
        .and_then(|days| u32::try_from(days).ok());
    item.plaintext_seen = node.number("plaintext-seen");
    node.text("note").clone_into(&mut item.note);
    item.tags = list(node, "tags")
        .iter()
        .filter_map(Node::str)
        .map(str::to_owned)
        .collect();
    for field in list(node, "fields") {
        let value = field
            .get("value")
            .ok_or_else(|| damaged("a field has no value"))?;
        let Json::String(value) = &value.json else {
            return Err(damaged("a field's value is no text"));
        };
        item.fields.push(Field {
            name: field.text("name").to_owned(),
            secret: field.is("secret"),
            value: value.clone(),
            span: None,
        });
    }
    let absent = list(node, "absent").iter();
    Ok(Exported {
        id: node.text("id").to_owned(),
        environment: node.text("environment").to_owned(),
        absent: absent
            .map(|node| (node.text("name").to_owned(), node.text("why").to_owned()))
            .collect(),
        item,
    })
}

fn list<'a>(node: &'a Node, name: &str) -> &'a [Node] {
    node.get(name).map(Node::values).unwrap_or_default()
}

const fn damaged(what: &'static str) -> ImportError {
    ImportError::Damaged {
        format: Format::Touchkeep,
        what,
    }
}

/// Reads a document as proposals.
///
/// # Errors
/// As [`exported`].
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let mut import = Import::new(Format::Touchkeep);
    for (number, one) in exported(bytes)?.into_iter().enumerate() {
        let mut built = Built {
            proposal: one.item,
            remarks: Vec::new(),
            is_kept_bare: true,
        };
        for (name, why) in one.absent {
            built.remark(
                format!("Its field {name} is not in the export ({why})."),
                true,
            );
        }
        import.item(format!("item {}", number + 1), built);
    }
    Ok(import)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_what_is_read() {
        let mut item = Proposal::new("a \"b\" \\ é", Kind::ExchangeKey);
        item.tags = vec!["x".to_owned(), "ü".to_owned()];
        item.created = Some(1);
        item.rotate_after_days = Some(90);
        item.plaintext_seen = Some(2);
        "two\nlines\u{1}".clone_into(&mut item.note);
        for (name, secret, value) in [
            ("venue", false, "gate"),
            ("secret", true, "\u{0}\t\u{7f}😀\r\n"),
        ] {
            item.fields.push(Field {
                name: name.to_owned(),
                secret,
                value: Zeroizing::new(value.to_owned()),
                span: None,
            });
        }
        let absent = vec![("passphrase".to_owned(), "sealed".to_owned())];
        let one = Exported {
            id: "i".to_owned(),
            environment: "prod".to_owned(),
            item,
            absent,
        };
        let text = write(std::slice::from_ref(&one), 3);
        let back = exported(text.as_bytes()).unwrap();
        assert_eq!(
            (&back[0].item, &back[0].absent, &back[0].environment),
            (&one.item, &one.absent, &one.environment)
        );
        let import = read(text.as_bytes()).unwrap();
        assert_eq!(import.items, [one.item]);
        assert!(import.rows[0].remarks[0].loses);
        let mut bare = Proposal::new("only a note", Kind::Note);
        "what it says".clone_into(&mut bare.note);
        let bare = [bare, Proposal::new("only a name", Kind::Note)];
        let bare = bare.map(|item| Exported {
            id: "i".to_owned(),
            environment: "prod".to_owned(),
            item,
            absent: Vec::new(),
        });
        let import = read(write(&bare, 3).as_bytes()).unwrap();
        assert_eq!(import.items, bare.map(|one| one.item));
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        assert!(exported(newer.as_bytes()).is_err());
    }
}
