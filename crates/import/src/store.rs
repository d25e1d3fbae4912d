//! Entries of `pass` and `passage`, after somebody's own gpg or age has decrypted them: the secret on the first line, `name: value`
//! lines below it, an `otpauth://` address anywhere.

use zeroize::Zeroizing;

use crate::{
    login::{Entry, item},
    model::{Format, Import, Kind, Text, text},
    names::{Meaning, meaning},
};

/// One decrypted entry.
pub struct StoreEntry {
    /// Its path in the store, without the ending: `exchanges/kraken`.
    pub path: String,
    /// What it says, or why it could not be decrypted.
    pub text: Result<Text, String>,
}

/// Reads a store.
#[must_use]
pub fn read_store(entries: Vec<StoreEntry>) -> Import {
    let mut import = Import::new(Format::PasswordStore);
    for entry in entries {
        let place = entry.path.clone();
        let title = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
        match entry.text {
            Ok(text) => {
                let mut groups: Vec<String> = entry.path.split('/').map(str::to_owned).collect();
                let _title = groups.pop();
                let mut built = item(entry_of(title, groups, &text));
                if built.proposal.kind == Kind::Login && built.proposal.field("username").is_none()
                {
                    built.proposal.kind = Kind::ApiKey;
                }
                import.item(place, built);
            }
            Err(why) => import.left(place, &title, &why, true),
        }
    }
    import
}

fn entry_of(title: String, groups: Vec<String>, source: &str) -> Entry {
    let mut entry = Entry {
        title,
        groups,
        ..Entry::default()
    };
    let (key, rest) = private_key(source);
    let mut lines = rest.lines();
    if key.is_empty() {
        let first = lines.next().unwrap_or_default();
        if first.starts_with("otpauth://") {
            entry.totp = text(first);
        } else {
            entry.password = text(first);
        }
    }
    entry.private_key = key;
    let mut notes = Zeroizing::new(String::with_capacity(source.len()));
    for line in lines {
        let pair = line
            .split_once(": ")
            .or_else(|| line.strip_suffix(':').map(|name| (name, "")));
        match pair {
            _ if line.starts_with("otpauth://") && entry.totp.is_empty() => entry.totp = text(line),
            Some((name, value)) if is_name(name) => add(&mut entry, name, value.trim()),
            _ => {
                notes.push_str(line);
                notes.push('\n');
            }
        }
    }
    entry.notes = text(notes.trim());
    entry
}

// A private key that the entry begins with (RFC 7468), whole, and what comes after it.
fn private_key(source: &str) -> (Text, &str) {
    let label = source.strip_prefix("-----BEGIN ").and_then(|rest| {
        let (label, _) = rest.lines().next()?.split_once("-----")?;
        label.ends_with("PRIVATE KEY").then_some(label)
    });
    let end = label.and_then(|label| {
        let end = format!("-----END {label}-----");
        source.find(&end).map(|at| at + end.len())
    });
    let (key, rest) = source.split_at(end.unwrap_or(0));
    let mut whole = Zeroizing::new(String::with_capacity(key.len() + 1));
    whole.push_str(key);
    if !key.is_empty() {
        // Without the end of its last line it is refused by what reads it.
        whole.push('\n');
    }
    (whole, rest)
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.'))
}

fn add(entry: &mut Entry, name: &str, value: &str) {
    match meaning(name) {
        Meaning::User if entry.user.is_empty() => entry.user = text(value),
        _ if name.eq_ignore_ascii_case("url") && entry.url.is_empty() => entry.url = text(value),
        _ => entry.custom.push((name.to_owned(), true, text(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text_: &str) -> crate::model::Proposal {
        let entry = StoreEntry {
            path: "exchanges/eu/kraken".to_owned(),
            text: Ok(text(text_)),
        };
        read_store(vec![entry]).items.remove(0)
    }

    #[test]
    fn the_first_line_is_the_secret_and_nothing_else_is_lost() {
        let item = one(
            "s3cret\nuser: me\nurl: https://kraken.com\nPin Code: 12\notpauth://totp/x?secret=A\nfree text\nmore: \n",
        );
        assert_eq!((item.name.as_str(), item.kind), ("kraken", Kind::Login));
        assert_eq!(item.tags, ["exchanges", "eu"]);
        let fields: Vec<_> = item
            .fields
            .iter()
            .map(|f| (f.name.as_str(), f.secret, f.value.as_str()))
            .collect();
        assert_eq!(
            fields,
            [
                ("secret", true, "s3cret"),
                ("username", false, "me"),
                ("url", false, "https://kraken.com"),
                ("totp", true, "otpauth://totp/x?secret=A"),
                ("pin-code", true, "12"),
                ("notes", true, "free text"),
            ]
        );
    }

    #[test]
    fn a_private_key_of_several_lines_stays_whole() {
        let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn: x\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
        let item = one(&format!("{key}user: git\nfree words\n"));
        assert_eq!(item.kind, Kind::SshKey);
        assert_eq!(*item.field("secret").unwrap().value, key);
        assert_eq!(*item.field("username").unwrap().value, "git");
        assert_eq!(*item.field("notes").unwrap().value, "free words");
        for no_key in [
            "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN PRIVATE KEY-----\nAA\n",
        ] {
            let item = one(no_key);
            assert_eq!(
                *item.field("secret").unwrap().value,
                no_key.lines().next().unwrap()
            );
        }
    }

    #[test]
    fn a_pair_of_keys_is_an_exchange_key() {
        let item = one("ignored\napi key: k\napi secret: s\n");
        assert_eq!(
            (item.kind, item.venue.as_deref()),
            (Kind::ExchangeKey, Some("kraken"))
        );
        assert_eq!(*item.field("password").unwrap().value, "ignored");
    }

    #[test]
    fn what_cannot_be_decrypted_is_a_row_with_a_reason() {
        let entry = StoreEntry {
            path: "a/b".to_owned(),
            text: Err("gpg: no secret key".to_owned()),
        };
        let import = read_store(vec![entry]);
        assert!(import.rows[0].outcome.as_ref().unwrap_err().loses);
    }
}
