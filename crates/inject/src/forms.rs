//! The forms in which a value may be printed: as it stands, and as programs encode it on its way.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use data_encoding::{HEXLOWER, HEXUPPER};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

/// Values shorter than this are not masked: they would eat ordinary output.
pub const MIN_BYTES: usize = 6;
/// Encoded forms shorter than this are not looked for, for the same reason.
const MIN_ENCODED_BYTES: usize = 8;
/// Lines of a value of several lines are looked for by themselves from this length on.
const MIN_LINE_BYTES: usize = 16;
/// RFC 3986, 2.3: what is never encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Which forms are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forms {
    /// The value as it stands.
    Exact,
    /// Base64, hex, percent-encoding and JSON strings of it, too.
    #[default]
    Encoded,
}

/// Whether a value is long enough to be masked.
#[must_use]
pub const fn is_maskable(value: &str) -> bool {
    value.len() >= MIN_BYTES
}

pub(crate) type Form = Zeroizing<Vec<u8>>;

/// What to look for; nothing for a value that is too short.
pub(crate) fn of(value: &str, forms: Forms) -> Vec<Form> {
    let mut found = Vec::new();
    if !is_maskable(value) {
        return found;
    }
    exact(value, &mut found);
    if forms == Forms::Encoded {
        let mut encoded = Vec::new();
        base64(value.as_bytes(), &mut encoded);
        encoded.push(HEXLOWER.encode(value.as_bytes()).into_bytes().into());
        encoded.push(HEXUPPER.encode(value.as_bytes()).into_bytes().into());
        percent(value, &mut encoded);
        json(value, &mut encoded);
        found.extend(
            encoded
                .into_iter()
                .filter(|form| form.len() >= MIN_ENCODED_BYTES),
        );
    }
    found
}

// A terminal makes CR LF of a line break, and programs print long values line by line.
fn exact(value: &str, found: &mut Vec<Form>) {
    found.push(bytes(value));
    let value = value.trim_end_matches(['\r', '\n']);
    if !is_maskable(value) {
        return;
    }
    found.push(bytes(value));
    if value.contains('\n') {
        found.push(Zeroizing::new(value.replace("\r\n", "\n").into_bytes()));
        found.push(Zeroizing::new(
            value
                .replace("\r\n", "\n")
                .replace('\n', "\r\n")
                .into_bytes(),
        ));
        let lines = value
            .lines()
            .filter(|line| line.len() >= MIN_LINE_BYTES && !line.starts_with("-----"));
        found.extend(lines.map(bytes));
    }
}

// Within a longer text a value begins at one of three places of a group; the characters that its neighbours share are left out.
fn base64(value: &[u8], found: &mut Vec<Form>) {
    for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
        let mut padded = Zeroizing::new(vec![0; before]);
        padded.reserve_exact(value.len());
        padded.extend_from_slice(value);
        let whole = padded.len() * 8 / 6;
        for text in [
            BASE64_STANDARD_NO_PAD.encode(&*padded),
            BASE64_URL_SAFE_NO_PAD.encode(&*padded),
        ] {
            let text = Zeroizing::new(text);
            found.extend(text.get(shared..whole).map(bytes));
        }
    }
}

fn percent(value: &str, found: &mut Vec<Form>) {
    let upper = Zeroizing::new(utf8_percent_encode(value, ENCODED).to_string());
    if *upper == value {
        return;
    }
    found.push(bytes(&lower_escapes(&upper)));
    found.push(Zeroizing::new(upper.replace("%20", "+").into_bytes()));
    found.push(bytes(&upper));
}

fn lower_escapes(text: &str) -> Zeroizing<String> {
    let mut in_escape = 0;
    let lowered = text.chars().map(|c| {
        in_escape = if c == '%' {
            2
        } else {
            i32::max(in_escape - 1, -1)
        };
        if c != '%' && in_escape >= 0 {
            c.to_ascii_lowercase()
        } else {
            c
        }
    });
    let mut lower = Zeroizing::new(String::with_capacity(text.len()));
    lower.extend(lowered);
    lower
}

// RFC 8259, 7: as most writers do it, with the slash escaped, and with everything outside ASCII escaped.
fn json(value: &str, found: &mut Vec<Form>) {
    let Ok(quoted) = serde_json::to_string(value).map(Zeroizing::new) else {
        return;
    };
    let inner = quoted.get(1..quoted.len() - 1).unwrap_or_default();
    let ascii = Zeroizing::new(inner.chars().map(ascii_escape).collect::<String>());
    for text in [inner, &ascii] {
        if text != value {
            found.push(bytes(text));
        }
        if text.contains('/') {
            found.push(Zeroizing::new(text.replace('/', "\\/").into_bytes()));
        }
    }
}

fn ascii_escape(c: char) -> String {
    if c.is_ascii() {
        return c.to_string();
    }
    let mut units = [0; 2];
    c.encode_utf16(&mut units)
        .iter()
        .map(|unit| format!("\\u{unit:04x}"))
        .collect()
}

fn bytes(text: &str) -> Form {
    Zeroizing::new(text.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_have_no_form() {
        assert!(of("12345", Forms::Encoded).is_empty());
        assert!(!of("123456", Forms::Exact).is_empty());
    }
}
