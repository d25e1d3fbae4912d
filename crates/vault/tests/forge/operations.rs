//! Segments and snapshots of `vault-1`'s environment: single lines, well and badly formed, and whole histories of writers who did
//! not always know of each other.

use std::{collections::BTreeMap, io::Write};

use serde_json::{Map, Value, json};
use touchkeep_container::{
    AuditHead, Container, Hash, MemberName, NewCommit, Part, ReadPart, SECRET_FIELD, State,
    state::{BadPart, Place},
};
use touchkeep_core::{EnvironmentId, Id, ItemId, UnixMillis, UserId};
use zeroize::Zeroizing;

use super::{bytes::Dice, signed::Forge};

const ITEM: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
const FURTHER: &str = "secret.passphrase";

/// A vault with parts that were written here.
pub(crate) struct Written {
    pub(crate) name: String,
    pub(crate) container: Container,
    texts: BTreeMap<String, String>,
}

/// Encrypts as the age crate does.
pub(crate) fn encrypted(recipient: &str, text: &[u8]) -> Vec<u8> {
    let recipient: age::x25519::Recipient = recipient.parse().unwrap();
    let recipients = std::iter::once(&recipient as &dyn age::Recipient);
    let encryptor = age::Encryptor::with_recipients(recipients).unwrap();
    let mut file = Vec::new();
    let mut writer = encryptor.wrap_output(&mut file).unwrap();
    writer.write_all(text).unwrap();
    writer.finish().unwrap();
    file
}

impl Written {
    fn on(forge: &Forge, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            container: forge.container().clone(),
            texts: BTreeMap::new(),
        }
    }

    // After one more commit, which adds a part with this text.
    fn and(&self, forge: &Forge, is_snapshot: bool, random: u8, text: &str) -> Self {
        let environment: EnvironmentId = forge.environment.parse().unwrap();
        let part = Part {
            environment,
            number: 9,
            random: Id::from_bytes([random; 16]),
        };
        let name = match is_snapshot {
            true => MemberName::Snapshot(part),
            false => MemberName::Segment(part),
        };
        let members = self.container.membership();
        let recipient = members.environments[&environment].recipient().unwrap();
        let user: UserId = forge.user.parse().unwrap();
        let mut new = NewCommit::new(user, AuditHead::empty(), UnixMillis(u64::from(random)));
        new.add.push((name, encrypted(recipient, text.as_bytes())));
        let mut texts = self.texts.clone();
        texts.insert(name.to_string(), text.to_owned());
        Self {
            name: self.name.clone(),
            container: self
                .container
                .commit(new, |text| forge.author_sign(text))
                .unwrap(),
            texts,
        }
    }

    fn merged(&self, other: &Self) -> Self {
        let mut texts = self.texts.clone();
        texts.extend(other.texts.clone());
        Self {
            name: self.name.clone(),
            container: self.container.merge(&other.container).unwrap(),
            texts,
        }
    }

    /// What the library makes of the parts that were written here: items and settings, as the second reader prints them.
    pub(crate) fn state(&self) -> Result<Value, BadPart> {
        let history = self.container.history();
        let mut state = State::default();
        for part in self.container.parts() {
            if let Some(text) = self.texts.get(&part.name.to_string()) {
                let text = Zeroizing::new(text.clone().into_bytes());
                state.add(ReadPart::read(part.name, part.commit, text, history)?);
            }
        }
        let mut items = Map::new();
        for id in state.known_items() {
            let item = state.item(id, history).unwrap();
            if !item.is_there() {
                continue;
            }
            let fields = item.fields();
            let mut shown: Map<String, Value> = fields
                .map(|(name, text)| (name.to_owned(), json!(text.to_value().expose())))
                .collect();
            for field in [SECRET_FIELD, FURTHER] {
                let Some(Place { part, bytes }) = item.stored_secret(field) else {
                    continue;
                };
                let text = self.texts[&part.to_string()].as_bytes();
                let at = usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap();
                let secret = Place::read(&text[at]).unwrap();
                shown.insert(field.into(), json!(format!("stored:{}", secret.expose())));
            }
            if item.is_in_conflict() {
                shown.insert("in conflict".into(), json!(true));
            }
            items.insert(id.to_string(), Value::Object(shown));
        }
        let settings = state.settings(history).into_iter();
        let settings: Map<String, Value> = settings
            .map(|(name, text)| (name.to_owned(), json!(text.to_value().expose())))
            .collect();
        Ok(json!({"items": items, "settings": settings}))
    }
}

impl Forge {
    /// One line each, in a segment or a snapshot of its own.
    pub(crate) fn lines(&self) -> Vec<(Written, bool)> {
        let head = &self.head;
        let put =
            |fields: &str| format!("{{\"at\":\"1.0\",\"item\":\"{ITEM}\",\"set\":{{{fields}}}}}\n");
        let at = |at: &str| format!("{{\"at\":\"{at}\",\"set\":{{\"x\":\"y\"}}}}\n");
        let from = |hash: &str| format!("{{\"from\":\"{hash}\"}}\n");
        let nobody = Hash::of(b"nobody").to_string();
        let many = |count: usize| {
            let fields: Vec<_> = (0..count).map(|n| format!("\"f{n:04}\":null")).collect();
            put(&fields.join(","))
        };
        let cases: Vec<(&str, bool, String)> = vec![
            ("nothing", true, String::new()),
            ("a field", true, put("\"name\":\"n\"")),
            ("an empty text", true, put("\"name\":\"\"")),
            ("an emptied field", true, put("\"name\":null")),
            (
                "escapes",
                true,
                put(r#""name":"a\"b\\c\nd\re\tf\u0000\u001f""#),
            ),
            ("an escape in upper case", false, put(r#""name":"\u001F""#)),
            (
                "an escape that has a shorter one",
                false,
                put(r#""name":"\u000a""#),
            ),
            (
                "an escape of what needs none",
                false,
                put(r#""name":"\u0041""#),
            ),
            ("a slash escaped", false, put(r#""name":"\/""#)),
            (
                "an escaped backslash before u",
                true,
                put(r#""name":"\\u000a""#),
            ),
            ("a backslash at the end", false, put(r#""name":"\""#)),
            ("a control character", false, put("\"name\":\"\u{1}\"")),
            ("delete", true, put("\"name\":\"\u{7f}\"")),
            ("umlauts", true, put("\"name\":\"\u{e4}\u{1f511}\"")),
            ("fields out of order", false, put("\"b\":null,\"a\":null")),
            ("a field twice", false, put("\"a\":null,\"a\":null")),
            ("no field", false, put("")),
            ("a comma more", false, put("\"a\":null,")),
            ("a blank", false, put("\"a\": null")),
            ("a number", false, put("\"a\":1")),
            ("a name in upper case", false, put("\"A\":null")),
            ("a name without letters", false, put("\"\":null")),
            (
                "128 letters",
                true,
                put(&format!("\"{}\":null", "a".repeat(128))),
            ),
            (
                "129 letters",
                false,
                put(&format!("\"{}\":null", "a".repeat(129))),
            ),
            ("256 fields", true, many(256)),
            ("257 fields", false, many(257)),
            (
                "1 MiB",
                true,
                put(&format!("\"a\":\"{}\"", "x".repeat(1 << 20))),
            ),
            (
                "1 MiB and a byte",
                false,
                put(&format!("\"a\":\"{}\"", "x".repeat((1 << 20) + 1))),
            ),
            (
                "removed",
                true,
                format!("{{\"at\":\"1.0\",\"item\":\"{ITEM}\",\"removed\":true}}\n"),
            ),
            (
                "not removed",
                false,
                format!("{{\"at\":\"1.0\",\"item\":\"{ITEM}\",\"removed\":false}}\n"),
            ),
            (
                "removed settings",
                false,
                "{\"at\":\"1.0\",\"removed\":true}\n".into(),
            ),
            ("the last clock", true, at("253402300799999.4294967295")),
            ("a later millisecond", false, at("253402300800000.0")),
            ("a greater count", false, at("1.4294967296")),
            ("a leading zero", false, at("01.0")),
            ("a zero more", false, at("1.00")),
            ("a plus", false, at("+1.0")),
            ("a minus", false, at("-1.0")),
            ("no count", false, at("1")),
            ("from", true, from(head) + &at("1.0")),
            ("from nobody", false, from(&nobody)),
            ("from nobody, at the end", false, at("1.0") + &from(&nobody)),
            ("no newline", false, at("1.0").trim_end().into()),
            ("an empty line", false, at("1.0") + "\n"),
            ("a carriage return", false, at("1.0").replace('\n', "\r\n")),
            ("text behind", false, at("1.0").replace("}\n", "}x\n")),
            ("a byte order mark", false, format!("\u{feff}{}", at("1.0"))),
        ];
        let mut written = Vec::new();
        for (name, expected, text) in cases {
            for is_snapshot in [false, true] {
                let expected = expected && (is_snapshot || name != "from");
                let name = format!("{name}, {}", if is_snapshot { "b/" } else { "s/" });
                let made = Written::on(self, &name).and(self, is_snapshot, 1, &text);
                written.push((made, expected));
            }
        }
        written
    }

    /// Histories of two copies that go their own ways and merge, at random.
    pub(crate) fn histories(&self, count: usize) -> Vec<Written> {
        let mut dice = Dice::new(20_261_127);
        (0..count).map(|at| self.history(at, &mut dice)).collect()
    }

    fn history(&self, at: usize, dice: &mut Dice) -> Written {
        let mut copies = [(); 2].map(|()| Written::on(self, &format!("history {at}")));
        for random in 1..=dice.below(6) + 2 {
            let one = dice.below(2);
            if dice.below(4) == 0 {
                copies[one] = copies[0].merged(&copies[1]);
            }
            let is_snapshot = dice.below(3) == 0;
            let text = text_of(&copies[one], is_snapshot, random, dice);
            let random = u8::try_from(random).unwrap();
            copies[one] = copies[one].and(self, is_snapshot, random, &text);
        }
        copies[0].merged(&copies[1])
    }
}

// A few operations on few fields with few clocks, so that they meet. No commit writes a secret twice with one reading.
fn text_of(on: &Written, is_snapshot: bool, random: usize, dice: &mut Dice) -> String {
    let before: Vec<_> = on.container.history().all().into_iter().collect();
    let mut text = String::new();
    for line in 0..=dice.below(4) {
        if is_snapshot && dice.below(2) == 0 {
            let from = before[dice.below(before.len())];
            text.push_str(&format!("{{\"from\":\"{from}\"}}\n"));
        }
        let at = format!("{}.{}", 5 + dice.below(3), dice.below(2));
        let item = ItemId(Id::from_bytes([u8::try_from(dice.below(2)).unwrap(); 16]));
        let value = match dice.below(4) {
            0 => "null".to_owned(),
            other => format!("\"stored:{other}\""),
        };
        text.push_str(&match dice.below(6) {
            0 => format!("{{\"at\":\"{at}\",\"item\":\"{item}\",\"removed\":true}}\n"),
            1 => format!("{{\"at\":\"{at}\",\"set\":{{\"x\":{value}}}}}\n"),
            2 => format!("{{\"at\":\"{at}\",\"item\":\"{item}\",\"set\":{{\"name\":{value}}}}}\n"),
            _ => {
                let at = format!("{}.{}", 5 + dice.below(3), 10 * random + line);
                let field = [SECRET_FIELD, FURTHER][dice.below(2)];
                format!("{{\"at\":\"{at}\",\"item\":\"{item}\",\"set\":{{\"{field}\":{value}}}}}\n")
            }
        });
    }
    text
}
