//! An export in the clear, as other programs read it. Only `json` loses nothing; the others say what they leave out.

use std::{collections::HashSet, fmt::Write};

use zeroize::Zeroizing;

use crate::{
    document::{self, Exported, quote},
    model::{Kind, Text},
    names::folded,
};

/// How an export in the clear is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    /// The document itself.
    Json,
    /// `ITEM_FIELD=value` lines.
    Env,
    /// `keys.json` of ccxt: exchange keys alone.
    Ccxt,
    /// One row for each field.
    Csv,
}

/// An export, and the names of items that its format has no place for.
#[must_use]
pub fn render(items: &[Exported], exported_ms: u64, plain: Plain) -> (Text, Vec<String>) {
    match plain {
        Plain::Json => (document::write(items, exported_ms), Vec::new()),
        Plain::Env => (env(items), Vec::new()),
        Plain::Ccxt => ccxt(items),
        Plain::Csv => (csv(items), Vec::new()),
    }
}

fn room(items: &[Exported]) -> Text {
    let bytes = items.iter().flat_map(|item| {
        item.item
            .fields
            .iter()
            .map(|field| 6 * field.value.len() + 2 * item.item.name.len() + 256)
    });
    Zeroizing::new(String::with_capacity(bytes.sum::<usize>() + 256))
}

fn env(items: &[Exported]) -> Text {
    let mut out = room(items);
    let mut used: HashSet<String> = HashSet::new();
    for item in items {
        for field in &item.item.fields {
            let wanted = variable(&format!("{}_{}", item.item.name, field.name));
            let numbered = (2_u32..).map(|number| format!("{wanted}_{number}"));
            let mut names = std::iter::once(wanted.clone()).chain(numbered);
            // A name that stood twice would be one value less.
            let name = names.find(|name| !used.contains(name)).unwrap_or_default();
            used.insert(name.clone());
            out.push_str(&name);
            out.push('=');
            shell_quote(&mut out, &field.value);
            out.push('\n');
        }
    }
    out
}

fn variable(text: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("_{name}")
    } else {
        name
    }
}

fn shell_quote(out: &mut String, value: &str) {
    if !value.contains('\'') {
        out.push('\'');
        out.push_str(value);
        out.push('\'');
        return;
    }
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn ccxt(items: &[Exported]) -> (Text, Vec<String>) {
    let mut out = room(items);
    let (mut left, mut used) = (Vec::new(), Vec::new());
    out.push('{');
    for item in items {
        let venue = item
            .item
            .field("venue")
            .map(|field| field.value.to_string());
        let venue =
            venue.filter(|venue| item.item.kind == Kind::ExchangeKey && !used.contains(venue));
        let Some(venue) = venue else {
            // Another kind, or a second key of one exchange, for which ccxt's file has no place.
            left.push(item.item.name.clone());
            continue;
        };
        out.push_str(if used.is_empty() { "\n  " } else { ",\n  " });
        quote(&mut out, &venue);
        out.push_str(": {");
        let known = item
            .item
            .fields
            .iter()
            .filter_map(|field| Some((ccxt_name(&field.name)?, field)));
        for (number, (name, field)) in known.enumerate() {
            out.push_str(if number == 0 { "" } else { ", " });
            quote(&mut out, name);
            out.push_str(": ");
            quote(&mut out, &field.value);
        }
        out.push('}');
        used.push(venue);
    }
    out.push_str("\n}\n");
    (out, left)
}

fn ccxt_name(field: &str) -> Option<&'static str> {
    Some(match folded(field).as_str() {
        "apikey" => "apiKey",
        "secret" => "secret",
        "passphrase" => "password",
        "uid" => "uid",
        "walletaddress" => "walletAddress",
        "privatekey" => "privateKey",
        _ => return None,
    })
}

fn csv(items: &[Exported]) -> Text {
    let mut out = room(items);
    out.push_str("environment,name,kind,field,secret,value\r\n");
    for item in items {
        for field in &item.item.fields {
            for cell in [
                &item.environment,
                &item.item.name,
                item.item.kind.word(),
                &field.name,
            ] {
                csv_cell(&mut out, cell);
                out.push(',');
            }
            let _infallible = write!(out, "{},", field.secret);
            csv_cell(&mut out, &field.value);
            out.push_str("\r\n");
        }
    }
    out
}

// A spreadsheet runs what begins with one of these; an apostrophe makes it text.
fn csv_cell(out: &mut String, cell: &str) {
    out.push('"');
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        out.push('\'');
    }
    for c in cell.chars() {
        if c == '"' {
            out.push('"');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Source,
        model::{Field, Format, Proposal},
        read,
    };

    const ODD: &str = "it's \"$x\\\n`echo no` here";

    fn item(name: &str, kind: Kind, fields: &[(&str, bool, &str)]) -> Exported {
        let mut item = Proposal::new(name, kind);
        for (name, secret, value) in fields {
            item.fields.push(Field {
                name: (*name).to_owned(),
                secret: *secret,
                value: Zeroizing::new((*value).to_owned()),
                span: None,
            });
        }
        Exported {
            id: String::new(),
            environment: "prod".to_owned(),
            item,
            absent: Vec::new(),
        }
    }

    fn items() -> Vec<Exported> {
        vec![
            item(
                "grid",
                Kind::ExchangeKey,
                &[
                    ("venue", false, "gate"),
                    ("api-key", false, "kkkkkkkk"),
                    ("secret", true, ODD),
                    ("passphrase", true, "pppppppp"),
                ],
            ),
            item(
                "second",
                Kind::ExchangeKey,
                &[("venue", false, "gate"), ("secret", true, "s")],
            ),
            item(
                "shop",
                Kind::Login,
                &[("secret", true, "=cmd|' /C calc'!A0")],
            ),
        ]
    }

    #[test]
    fn variables_are_read_back_as_they_were() {
        let (text, left) = render(&items(), 0, Plain::Env);
        assert!(left.is_empty());
        let import = read(
            &Source {
                bytes: text.as_bytes(),
                password: None,
            },
            Some(Format::Dotenv),
        )
        .unwrap();
        let grid = import
            .items
            .iter()
            .find(|item| item.name == "grid")
            .unwrap();
        assert_eq!(*grid.field("secret").unwrap().value, ODD);
        assert_eq!(*grid.field("passphrase").unwrap().value, "pppppppp");
    }

    #[test]
    fn a_shell_runs_nothing_of_a_value() {
        let (text, _) = render(&items(), 0, Plain::Env);
        let script = format!("{}\nprintf %s \"$GRID_SECRET\"", *text);
        let said = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), ODD);
    }

    #[test]
    fn no_variable_stands_twice() {
        let text = |name: &str, fields: &[(&str, bool, &str)]| item(name, Kind::ApiKey, fields);
        let items = [
            text("x", &[("a", true, "1")]),
            text("x_a", &[("2", true, "2")]),
            text("X", &[("a", true, "3")]),
            text("x-a", &[("2", true, "4")]),
        ];
        let (text, _) = render(&items, 0, Plain::Env);
        let names: HashSet<_> = text.lines().map(|line| line.split('=').next()).collect();
        assert_eq!(names.len(), 4, "{}", *text);
    }

    #[test]
    fn ccxt_gets_one_key_for_each_venue_and_the_rest_is_named() {
        let (text, left) = render(&items(), 0, Plain::Ccxt);
        assert_eq!(left, ["second", "shop"]);
        let import = read(
            &Source {
                bytes: text.as_bytes(),
                password: None,
            },
            None,
        )
        .unwrap();
        assert_eq!(import.format, Format::Ccxt);
        assert_eq!(
            *import.items[0].field("passphrase").unwrap().value,
            "pppppppp"
        );
    }

    #[test]
    fn a_spreadsheet_runs_nothing() {
        let (text, _) = render(&items(), 0, Plain::Csv);
        assert!(text.contains(",\"'=cmd|' /C calc'!A0\"\r\n"));
        assert!(text.contains("\"it's \"\"$x\\\n`echo no` here\""));
    }
}
