//! KeePass 2 XML: groups of entries, each with strings, a history and attached files.
//!
//! No document type is read, so there are no entities but those that XML itself has, and nothing outside the file.

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use touchkeep_core::{text::quoted, time::from_rfc3339};
use zeroize::Zeroizing;

use crate::{
    error::ImportError,
    login::{Entry, item},
    model::{Format, Import, MAX_DEPTH, MAX_FIELDS, MAX_ROWS, Text},
    source::{self, line_of},
};

/// One entry, as it is written.
#[derive(Default)]
struct Raw {
    strings: Vec<(String, Text)>,
    tags: String,
    created: String,
    files: Vec<String>,
    older: Vec<Raw>,
    line: usize,
    expires: String,
}

/// Reads a file.
///
/// # Errors
/// With the line of what is not well-formed.
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let source = source::text(bytes, Format::KeepassXml)?;
    let mut walk = Walk {
        source,
        reader: Reader::from_str(source),
        path: Vec::new(),
        groups: Vec::new(),
        open: Vec::new(),
        text: Text::default(),
        key: String::new(),
        import: Import::new(Format::KeepassXml),
        counted: (0, 1),
    };
    while walk.step()? {
        if walk.entries() > MAX_ROWS {
            return Err(ImportError::TooLarge {
                what: "a file of this many entries",
                limit: MAX_ROWS,
            });
        }
    }
    Ok(walk.import)
}

struct Walk<'a> {
    source: &'a str,
    reader: Reader<&'a [u8]>,
    path: Vec<String>,
    groups: Vec<String>,
    // The entry that is read; inside its history another one.
    open: Vec<Raw>,
    text: Text,
    key: String,
    import: Import,
    // How far lines were counted, and how many.
    counted: (usize, usize),
}

impl Walk<'_> {
    fn wrong(&self, what: &'static str) -> ImportError {
        let at = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        ImportError::Malformed {
            format: Format::KeepassXml,
            line: line_of(self.source, at),
            what,
        }
    }

    // Those that are read, and the older versions of the one that is.
    fn entries(&self) -> usize {
        let older = self.open.first().map_or(0, |entry| entry.older.len());
        self.import.rows.len().max(older)
    }

    fn line(&mut self) -> usize {
        let at = usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX);
        let (from, lines) = self.counted;
        let new = self.source.get(from..at).unwrap_or_default();
        self.counted = (at, lines + new.matches('\n').count());
        self.counted.1
    }

    fn step(&mut self) -> Result<bool, ImportError> {
        match self.reader.read_event() {
            Ok(Event::Start(start)) => self.start(&start)?,
            Ok(Event::Empty(start)) => {
                self.start(&start)?;
                self.end();
            }
            Ok(Event::End(_)) => self.end(),
            Ok(Event::Text(text)) => self.text.push_str(&text.xml10_content()),
            Ok(Event::CData(text)) => self.text.push_str(&text.xml10_content()),
            Ok(Event::GeneralRef(name)) => {
                let c = match name.resolve_char_ref() {
                    Ok(Some(c)) => Some(c),
                    Ok(None) => predefined(&name),
                    Err(_) => None,
                };
                let c = c.ok_or_else(|| self.wrong("an entity is not one of XML's own"))?;
                self.text.push(c);
            }
            Ok(Event::DocType(_)) => return Err(self.wrong("it declares a document type")),
            Ok(Event::Eof) if self.path.is_empty() => return Ok(false),
            Ok(Event::Eof) => return Err(self.wrong("it ends too early")),
            Ok(_) => {}
            Err(_) => return Err(self.wrong("it is not well-formed XML")),
        }
        Ok(true)
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), ImportError> {
        if self.path.len() >= MAX_DEPTH {
            return Err(self.wrong("it nests too deeply"));
        }
        let name = start.name().as_ref().to_owned();
        let hidden = start
            .try_get_attribute("Protected")
            .map_err(|_| self.wrong("an attribute cannot be read"))?;
        if hidden.is_some_and(|hidden| hidden.value.eq_ignore_ascii_case("true")) {
            return Err(
                self.wrong("a value is encrypted, so this is no export but a part of a database")
            );
        }
        match name.as_str() {
            "Entry" => {
                let line = self.line();
                self.open.push(Raw {
                    line,
                    ..Raw::default()
                });
            }
            "Group" => self.groups.push(String::new()),
            _ => {}
        }
        self.path.push(name);
        self.text = Text::default();
        Ok(())
    }

    fn end(&mut self) {
        let Some(name) = self.path.pop() else { return };
        let text = std::mem::take(&mut self.text);
        let parent = self.path.last().map(String::as_str).unwrap_or_default();
        match (parent, name.as_str()) {
            ("Group", "Name") => {
                if let Some(group) = self.groups.last_mut() {
                    text.as_str().clone_into(group);
                }
            }
            // They are somebody's words, and no entry has a place for them.
            ("Group", "Notes") if !text.trim().is_empty() => {
                let place = format!("line {}", self.line());
                let group = self.groups.last().cloned().unwrap_or_default();
                let words = "The notes of a group are not imported.";
                self.import.left(place, &group, words, true);
            }
            (_, "Group") => drop(self.groups.pop()),
            ("String", "Key") => text.as_str().clone_into(&mut self.key),
            ("String", "Value") => {
                let key = std::mem::take(&mut self.key);
                // One too many is enough to be refused.
                self.set(|entry| {
                    if entry.strings.len() <= MAX_FIELDS {
                        entry.strings.push((key, text));
                    }
                });
            }
            ("Entry", "Tags") => self.set(|entry| text.as_str().clone_into(&mut entry.tags)),
            ("Times", "CreationTime") => {
                self.set(|entry| text.as_str().clone_into(&mut entry.created))
            }
            ("Times", "ExpiryTime") => {
                self.set(|entry| text.as_str().clone_into(&mut entry.expires))
            }
            ("Times", "Expires") => {
                let never = !text.eq_ignore_ascii_case("true");
                self.set(|entry| {
                    if never {
                        entry.expires.clear();
                    }
                });
            }
            ("Binary", "Key") => self.set(|entry| {
                if entry.files.len() <= MAX_FIELDS {
                    entry.files.push(text.as_str().to_owned());
                }
            }),
            (_, "Entry") => self.close(),
            _ => {}
        }
    }

    fn set(&mut self, change: impl FnOnce(&mut Raw)) {
        if let Some(entry) = self.open.last_mut() {
            change(entry);
        }
    }

    fn close(&mut self) {
        let Some(entry) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(current) => current.older.push(entry),
            None => self.propose(entry),
        }
    }

    fn propose(&mut self, raw: Raw) {
        // The outermost group is the database itself.
        let groups = self.groups.iter().skip(1).cloned().collect();
        let place = format!("line {}", raw.line);
        let mut entry = Entry {
            groups,
            tags: raw.tags.split([';', ',']).map(str::to_owned).collect(),
            created: from_rfc3339(&raw.created).map(|at| at.0),
            ..Entry::default()
        };
        let lost = lost_in(&raw);
        let older = older(&raw);
        for (key, value) in raw.strings {
            match key.as_str() {
                "Title" => entry.title = value.to_string(),
                "UserName" => entry.user = value,
                "Password" => entry.password = value,
                "URL" => entry.url = value,
                "Notes" => entry.notes = value,
                "otp" if entry.totp.is_empty() => entry.totp = value,
                _ => entry.custom.push((key, true, value)),
            }
        }
        entry
            .custom
            .push(("older passwords".to_owned(), true, older));
        if !raw.expires.is_empty() {
            entry
                .custom
                .push(("expires".to_owned(), false, Zeroizing::new(raw.expires)));
        }
        let mut built = item(entry);
        for file in &raw.files {
            built.remark(format!("The file {} is not imported.", quoted(file)), true);
        }
        if lost {
            built.remark(
                "Of its older versions the passwords are kept, and nothing else.",
                true,
            );
        }
        self.import.item(place, built);
    }
}

fn older(raw: &Raw) -> Text {
    let now = string(raw, "Password");
    let mut kept: Vec<&str> = Vec::new();
    for password in raw.older.iter().map(|old| string(old, "Password")) {
        if !password.is_empty() && password != now && !kept.contains(&password) {
            kept.push(password);
        }
    }
    Zeroizing::new(kept.join("\n"))
}

// Whether an older version has something besides its password that the present one has not.
fn lost_in(raw: &Raw) -> bool {
    let mut files = raw.older.iter().flat_map(|old| &old.files);
    if files.any(|file| !raw.files.contains(file)) {
        return true;
    }
    let strings = raw.older.iter().flat_map(|old| &old.strings);
    let mut others = strings.filter(|(key, value)| key != "Password" && !value.is_empty());
    others.any(|(key, value)| string(raw, key) != value.as_str())
}

fn string<'a>(raw: &'a Raw, wanted: &str) -> &'a str {
    raw.strings
        .iter()
        .find(|(key, _)| key == wanted)
        .map_or("", |(_, value)| value)
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<KeePassFile><Root><Group><Name>Root</Name><Group><Name>Bots</Name>
<Entry><Tags>a;b</Tags><Times><CreationTime>2024-02-29T12:34:56Z</CreationTime><Expires>False</Expires></Times>
<String><Key>Title</Key><Value>Kraken</Value></String>
<String><Key>Password</Key><Value ProtectInMemory="True">p&lt;&#65;</Value></String>
<String><Key>API Key</Key><Value>k</Value></String><String><Key>API Secret</Key><Value>s</Value></String>
<Binary><Key>f</Key><Value Ref="0"/></Binary>
<History><Entry><String><Key>Title</Key><Value>Old</Value></String><String><Key>Password</Key><Value>older</Value></String></Entry></History>
</Entry></Group></Group></Root></KeePassFile>"#;

    #[test]
    fn an_entry_keeps_its_groups_strings_and_older_passwords() {
        let import = read(FILE.as_bytes()).unwrap();
        let item = &import.items[0];
        assert_eq!(
            (item.name.as_str(), item.venue.as_deref()),
            ("Kraken", Some("kraken"))
        );
        assert_eq!(item.tags, ["Bots", "a", "b"]);
        assert_eq!(item.created, Some(1_709_210_096_000));
        let fields: Vec<_> = item
            .fields
            .iter()
            .map(|f| (f.name.as_str(), f.secret, f.value.as_str()))
            .collect();
        assert_eq!(
            fields,
            [
                ("api-key", false, "k"),
                ("secret", true, "s"),
                ("password", true, "p<A"),
                ("older-passwords", true, "older")
            ]
        );
        let lost = |import: &Import| {
            let remarks = import.rows[0].remarks.iter();
            let lost = remarks.filter(|remark| remark.loses);
            lost.map(|remark| remark.words.clone()).collect::<Vec<_>>()
        };
        let older = "Of its older versions the passwords are kept, and nothing else.";
        assert_eq!(lost(&import), ["The file \"f\" is not imported.", older]);
        // A file of an older version alone is lost, too.
        let file = "<Binary><Key>f</Key><Value Ref=\"0\"/></Binary>\n";
        let once = FILE
            .replace(file, "")
            .replace("<Value>Old</Value>", "<Value>Kraken</Value>");
        assert_eq!(lost(&read(once.as_bytes()).unwrap()), [""; 0]);
        let once = once.replace("<History><Entry>", &format!("<History><Entry>{file}"));
        assert_eq!(lost(&read(once.as_bytes()).unwrap()), [older]);
    }

    #[test]
    fn the_notes_of_a_group_are_said_to_stay_behind() {
        let noted = FILE.replace(
            "<Name>Bots</Name>",
            "<Name>Bots</Name><Notes>hunter2</Notes>",
        );
        let import = read(noted.as_bytes()).unwrap();
        let [notes, entry] = &import.rows[..] else {
            panic!("{:?}", import.rows)
        };
        assert_eq!(
            (notes.place.as_str(), notes.label.as_str()),
            ("line 2", "Bots")
        );
        assert!(notes.outcome.as_ref().unwrap_err().loses && entry.outcome.is_ok());
        let empty = FILE.replace("<Name>Bots</Name>", "<Name>Bots</Name><Notes/>");
        assert_eq!(read(empty.as_bytes()).unwrap().rows.len(), 1);
    }

    #[test]
    fn entities_of_the_files_own_are_refused() {
        let bomb = "<!DOCTYPE x [<!ENTITY a \"hunter2\">]><KeePassFile>&a;</KeePassFile>";
        let error = read(bomb.as_bytes()).err().unwrap().to_string();
        assert_eq!(error, "line 1: it declares a document type (keepass-xml)");
        assert!(read(b"<KeePassFile>&a;</KeePassFile>").is_err());
        assert!(read("<a>".repeat(100_000).as_bytes()).is_err());
        assert!(read(b"<KeePassFile><a></KeePassFile>").is_err());
    }
}
