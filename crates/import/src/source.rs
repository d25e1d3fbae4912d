//! The bytes of a source: as text, and what they are by their looks.

use crate::{
    error::ImportError,
    json,
    model::{Format, MAX_TEXT_BYTES},
};

/// Text of a source: UTF-8, with or without a byte order mark.
///
/// # Errors
/// When it is too long, or no UTF-8. UTF-16, which Windows likes to write, is known by its mark and called that.
pub(crate) fn text(bytes: &[u8], format: Format) -> Result<&str, ImportError> {
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(ImportError::TooLarge {
            what: "a file of this many bytes",
            limit: MAX_TEXT_BYTES,
        });
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(ImportError::Utf16);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| ImportError::Malformed {
        format,
        line: 1 + bytes
            .iter()
            .take(error.valid_up_to())
            .filter(|byte| **byte == b'\n')
            .count(),
        what: "it is not text in UTF-8",
    })
}

/// The line of a byte, from 1.
pub(crate) fn line_of(source: &str, at: usize) -> usize {
    1 + source
        .bytes()
        .take(at)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// What a source is, by its contents alone.
#[must_use]
pub fn detect(bytes: &[u8]) -> Option<Format> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(Format::OnePux);
    }
    let text = text(bytes, Format::Dotenv).ok()?;
    let start = text.trim_start();
    if start.starts_with('<') {
        return start.contains("<KeePassFile").then_some(Format::KeepassXml);
    }
    if start.starts_with('{') || start.starts_with("//") || start.starts_with("/*") {
        return of_json(text);
    }
    let first = start.lines().find(|line| !line.trim().is_empty())?.trim();
    if crate::keepass_csv::is_head(first) {
        return Some(Format::KeepassCsv);
    }
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    if lines.clone().next()?.starts_with('[') {
        return Some(Format::Aws);
    }
    lines
        .any(crate::dotenv::is_variable)
        .then_some(Format::Dotenv)
}

/// Why no format was seen: what is too long to be looked at, or cannot be, is not called unknown.
pub(crate) fn why_unknown(bytes: &[u8]) -> ImportError {
    let looked = text(bytes, Format::Dotenv).and_then(|text| match text.trim_start() {
        start if start.starts_with('{') => json::parse(text, Format::Ccxt).map(drop),
        _ => Ok(()),
    });
    match looked {
        Err(error @ (ImportError::TooLarge { .. } | ImportError::Utf16)) => error,
        _ if bytes.trim_ascii().is_empty() => ImportError::Empty,
        _ if text(bytes, Format::Dotenv).is_err() => ImportError::NotText,
        _ => ImportError::UnknownFormat,
    }
}

fn of_json(text: &str) -> Option<Format> {
    let root = json::parse(text, Format::Ccxt).ok()?;
    let has = |name: &str| root.get(name).is_some();
    if root.text("format") == crate::document::MAGIC {
        return Some(Format::Touchkeep);
    }
    if has("encrypted") && (has("items") || has("data")) {
        return Some(Format::Bitwarden);
    }
    if root
        .get("exchange")
        .is_some_and(|exchange| exchange.get("name").is_some())
    {
        return Some(Format::Freqtrade);
    }
    let credentials = |node: &json::Node| {
        node.members()
            .iter()
            .any(|(name, _)| crate::ccxt::is_credential(name))
    };
    let mut members = root.members().iter();
    members
        .any(|(_, node)| credentials(node))
        .then_some(Format::Ccxt)
}
