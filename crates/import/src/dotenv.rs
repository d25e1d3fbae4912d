//! `.env` files: `[export ]KEY=VALUE` lines, comments, quotes, values over several lines.
//!
//! Nothing is expanded: what stands there is stored, and a `${…}` is pointed out. Variables that belong together
//! (`KRAKEN_API_KEY`, `KRAKEN_API_SECRET`) become one item.

use std::{collections::BTreeMap, ops::Range};

use zeroize::Zeroizing;

use crate::{
    error::ImportError,
    model::{
        Built, Format, Import, Kind, MAX_ROWS, Proposal, Reason, Remark, Text, is_reference, text,
    },
    names::known_venue,
    source,
};

/// One variable.
struct Variable<'a> {
    line: usize,
    name: &'a str,
    value: Text,
    span: Range<usize>,
    expands: bool,
}

/// A line that is neither empty, nor a comment, nor a variable.
struct Unreadable {
    line: usize,
    why: &'static str,
}

/// Reads a file.
///
/// # Errors
/// When it is no text.
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let source = source::text(bytes, Format::Dotenv)?;
    let (variables, unreadable) = lines(source)?;
    let mut import = Import::new(Format::Dotenv);
    let groups = groups(&variables);
    let mut items: BTreeMap<&str, usize> = BTreeMap::new();
    for variable in &variables {
        let outcome = sort(variable, &groups, &mut items, &mut import);
        let row = import.row(format!("line {}", variable.line), variable.name, outcome);
        if variable.expands {
            row.remarks.push(Remark {
                words: "It has a $ that a shell would expand; it is stored as it stands."
                    .to_owned(),
                loses: false,
            });
        }
    }
    for bad in unreadable {
        import.left(format!("line {}", bad.line), "?", bad.why, true);
    }
    Ok(import)
}

/// Whether a line sets a variable.
pub(crate) fn is_variable(line: &str) -> bool {
    split(line).is_some()
}

// The name and where the value begins.
fn split(line: &str) -> Option<(&str, usize)> {
    let trimmed = line.trim_start();
    let body = trimmed
        .strip_prefix("export")
        .filter(|after| after.starts_with([' ', '\t']))
        .unwrap_or(trimmed)
        .trim_start();
    let equals = body.find('=')?;
    let name = body.get(..equals)?.trim_end();
    let mut chars = name.chars();
    let good = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    good.then_some((name, line.len() - body.len() + equals + 1))
}

fn lines(source: &str) -> Result<(Vec<Variable<'_>>, Vec<Unreadable>), ImportError> {
    let (mut variables, mut unreadable) = (Vec::new(), Vec::new());
    let (mut at, mut number) = (0, 0);
    while at < source.len() {
        number += 1;
        let rest = source.get(at..).unwrap_or_default();
        let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let line = rest.get(..length).unwrap_or_default();
        let mut used = length;
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with('#') {
        } else if let Some((name, begin)) = split(line) {
            match value(source, at + begin) {
                Ok(found) => {
                    used = found.end - at;
                    variables.push(Variable {
                        line: number,
                        name,
                        value: found.value,
                        span: found.span,
                        expands: found.expands,
                    });
                }
                Err(why) => unreadable.push(Unreadable { line: number, why }),
            }
        } else {
            let why = "It is no KEY=VALUE, so it stays in the file.";
            unreadable.push(Unreadable { line: number, why });
        }
        if variables.len() + unreadable.len() > MAX_ROWS {
            return Err(ImportError::TooLarge {
                what: "a file of this many lines",
                limit: MAX_ROWS,
            });
        }
        let eaten = source.get(at..at + used).unwrap_or_default();
        number += eaten.matches('\n').count().saturating_sub(1);
        at += used;
    }
    Ok((variables, unreadable))
}

struct Found {
    value: Text,
    // Without its quotes.
    span: Range<usize>,
    // Behind the line that the value ends on.
    end: usize,
    expands: bool,
}

fn value(source: &str, begin: usize) -> Result<Found, &'static str> {
    let rest = source.get(begin..).unwrap_or_default();
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let start = begin + blank;
    let body = source.get(start..).unwrap_or_default();
    match body.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(source, start, quote),
        // As `run` has it: some programs read a comment there, and some a password.
        Some('#') => Err(
            "Its value begins with a #, which can be read in two ways, so it stays in the file.",
        ),
        _ => {
            let found = bare(source, start);
            // `run` ends a line there, and others do not.
            match found.value.contains('\r') {
                true => Err(
                    "A carriage return stands in its value, which can be read in two ways, so it stays in the file.",
                ),
                false => Ok(found),
            }
        }
    }
}

fn bare(source: &str, start: usize) -> Found {
    let body = source.get(start..).unwrap_or_default();
    let line = body.lines().next().unwrap_or_default();
    // A comment needs a blank before it: `pass#word` is a value.
    let comment = line.char_indices().find(|(at, c)| {
        let before = line.get(..*at).unwrap_or_default();
        *c == '#' && before.ends_with([' ', '\t'])
    });
    let kept = line
        .get(..comment.map_or(line.len(), |(at, _)| at))
        .unwrap_or_default()
        .trim_end_matches([' ', '\t', '\r']);
    Found {
        value: text(kept),
        span: start..start + kept.len(),
        end: start + body.find('\n').map_or(body.len(), |end| end + 1),
        expands: kept.contains('$'),
    }
}

fn quoted(source: &str, start: usize, quote: char) -> Result<Found, &'static str> {
    let body = source.get(start + 1..).unwrap_or_default();
    let mut value = Zeroizing::new(String::with_capacity(
        body.find('\n').unwrap_or(body.len()).max(64),
    ));
    let mut escaped = false;
    let mut expands = false;
    for (at, c) in body.char_indices() {
        if escaped {
            escaped = false;
            // The same as `run` reads in an env file: a program gets what it got.
            match c {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'a' => value.push('\x07'),
                'b' => value.push('\x08'),
                'f' => value.push('\x0c'),
                'v' => value.push('\x0b'),
                '"' | '\\' | '\'' | '$' | '`' => value.push(c),
                _ => value.extend(['\\', c]),
            }
        } else if c == '\\' && quote == '"' {
            escaped = true;
        } else if c == quote {
            let after = body.get(at + 1..).unwrap_or_default();
            let line = after.lines().next().unwrap_or_default().trim();
            if !line.is_empty() && !line.starts_with('#') {
                return Err("Something stands behind the closing quote, so it stays in the file.");
            }
            let end = start + 2 + at + after.find('\n').map_or(after.len(), |end| end + 1);
            return Ok(Found {
                value,
                span: start + 1..start + 1 + at,
                end,
                expands,
            });
        } else {
            expands |= c == '$' && quote == '"';
            value.push(c);
        }
    }
    Err("Its quote does not end, so it stays in the file.")
}

/// What a variable is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    ApiKey,
    Secret,
    Passphrase,
    SessionToken,
}

const PARTS: &[(&str, Part)] = &[
    ("SECRET_ACCESS_KEY", Part::Secret),
    ("ACCESS_KEY_ID", Part::ApiKey),
    ("SESSION_TOKEN", Part::SessionToken),
    ("API_SECRET_KEY", Part::Secret),
    ("API_SECRET", Part::Secret),
    ("APISECRET", Part::Secret),
    ("SECRET_KEY", Part::Secret),
    ("PRIVATE_KEY", Part::Secret),
    ("SECRET", Part::Secret),
    ("API_PASSPHRASE", Part::Passphrase),
    ("PASSPHRASE", Part::Passphrase),
    ("API_KEY", Part::ApiKey),
    ("APIKEY", Part::ApiKey),
    ("ACCESS_KEY", Part::ApiKey),
    ("KEY", Part::ApiKey),
];

// The words before, and what the variable is to them.
fn part(name: &str) -> Option<(&str, Part)> {
    PARTS.iter().find_map(|(suffix, part)| {
        let cut = name.len().checked_sub(suffix.len())?;
        let tail = name.get(cut..)?;
        let head = name.get(..cut)?;
        (tail.eq_ignore_ascii_case(suffix) && head.ends_with('_') && head.len() > 1)
            .then_some((head.trim_end_matches('_'), *part))
    })
}

// The beginnings that have both halves of a key, each half once.
fn groups<'a>(variables: &[Variable<'a>]) -> Vec<&'a str> {
    let mut found: BTreeMap<&str, Vec<Part>> = BTreeMap::new();
    for variable in variables
        .iter()
        .filter(|variable| is_value(&variable.value))
    {
        if let Some((group, part)) = part(variable.name) {
            found.entry(group).or_default().push(part);
        }
    }
    let whole = |parts: &Vec<Part>| {
        let times = |wanted: Part| parts.iter().filter(|part| **part == wanted).count();
        times(Part::ApiKey) == 1 && times(Part::Secret) == 1 && times(Part::Passphrase) <= 1
    };
    found
        .into_iter()
        .filter(|(_, parts)| whole(parts))
        .map(|(group, _)| group)
        .collect()
}

fn is_value(value: &str) -> bool {
    !value.is_empty() && !is_reference(value)
}

fn sort<'a>(
    variable: &Variable<'a>,
    groups: &[&'a str],
    items: &mut BTreeMap<&'a str, usize>,
    import: &mut Import,
) -> Result<usize, Reason> {
    let leave = |words: &str, loses: bool| {
        Err(Reason {
            words: words.to_owned(),
            loses,
        })
    };
    if variable.value.is_empty() {
        return leave("It has no value.", false);
    }
    if is_reference(&variable.value) {
        return leave("It is a reference already.", false);
    }
    if let Some((group, part)) = part(variable.name).filter(|(group, _)| groups.contains(group)) {
        let at = *items.entry(group).or_insert_with(|| {
            import.items.push(group_item(group));
            import.items.len() - 1
        });
        return add_part(import, at, part, variable);
    }
    if !looks_secret(variable.name, &variable.value) {
        return leave(
            "By its name and value it is a setting and no secret; it stays in the file.",
            true,
        );
    }
    let mut built = Built::new(variable.name, Kind::ApiKey);
    built.add(
        "secret",
        true,
        variable.value.clone(),
        Some(variable.span.clone()),
    );
    import.items.push(built.fitting()?);
    Ok(import.items.len() - 1)
}

fn group_item(group: &str) -> Proposal {
    let venue = known_venue(group).or_else(|| group.split('_').find_map(known_venue));
    let kind = if venue.is_some() {
        Kind::ExchangeKey
    } else {
        Kind::ApiKey
    };
    let mut item = Proposal::new(group.to_lowercase().replace('_', "-"), kind);
    item.venue = venue.map(str::to_owned);
    item
}

fn add_part(
    import: &mut Import,
    at: usize,
    part: Part,
    variable: &Variable<'_>,
) -> Result<usize, Reason> {
    let (label, secret) = match part {
        Part::ApiKey => ("api-key", false),
        Part::Secret => ("secret", true),
        Part::Passphrase => ("passphrase", true),
        Part::SessionToken => ("session-token", true),
    };
    let mut built = Built::new("", Kind::ApiKey);
    built.add(
        label,
        secret,
        variable.value.clone(),
        Some(variable.span.clone()),
    );
    let mut fields = built.fitting()?.fields;
    if let Some(item) = import.items.get_mut(at) {
        item.fields.append(&mut fields);
    }
    Ok(at)
}

const SECRET_WORDS: &[&str] = &[
    "SECRET",
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PWD",
    "APIKEY",
    "CREDENTIAL",
    "PRIVATE",
    "MNEMONIC",
    "SEED",
    "WEBHOOK",
    "DSN",
    "AUTH",
    "AUTHORIZATION",
    "SALT",
    "SIGNING",
    "PASS",
    "KEY",
    "OTP",
];

// What is called a secret, or a long text that no word is.
fn looks_secret(name: &str, value: &str) -> bool {
    let random = value.len() >= 20
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'_' | b'-'))
        && value.bytes().any(|b| b.is_ascii_digit())
        && value.bytes().any(|b| b.is_ascii_alphabetic());
    is_called_secret(name, value) || random
}

/// Whether a name speaks of a secret, or a value says itself that it is one: an address with a password in it, a private key.
pub(crate) fn is_called_secret(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let mut words = upper.split(['_', '.', '-']);
    let flag = value.len() < 6 || value.parse::<f64>().is_ok();
    let named = words.any(|word| SECRET_WORDS.contains(&word)) && !flag;
    let address = value.split_once("://").is_some_and(|(_, rest)| {
        rest.split('/').next().is_some_and(|host| {
            host.split_once('@')
                .is_some_and(|(user, _)| user.contains(':'))
        })
    });
    named || address || value.contains("PRIVATE KEY-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# bots\nexport KRAKEN_API_KEY=abc\r\nKRAKEN_API_SECRET=\"d\\\"e$f\" # mine\n\nLOG_LEVEL=debug\nPEM='-----BEGIN PRIVATE KEY-----\nx\n'\nEMPTY=\nOLD=op://a/b/c\nBOT_TOKEN=12:ab#cd\nnonsense\n";

    #[test]
    fn every_line_is_an_item_or_has_a_reason() {
        let import = read(FILE.as_bytes()).unwrap();
        let places: Vec<_> = import
            .rows
            .iter()
            .map(|row| (row.place.as_str(), row.label.as_str(), row.outcome.is_ok()))
            .collect();
        assert_eq!(
            places,
            [
                ("line 2", "KRAKEN_API_KEY", true),
                ("line 3", "KRAKEN_API_SECRET", true),
                ("line 5", "LOG_LEVEL", false),
                ("line 6", "PEM", true),
                ("line 9", "EMPTY", false),
                ("line 10", "OLD", false),
                ("line 11", "BOT_TOKEN", true),
                ("line 12", "?", false),
            ]
        );
        assert_eq!(import.items.len(), 3);
        assert_eq!(import.items[0].kind, Kind::ExchangeKey);
        assert_eq!(import.items[0].venue.as_deref(), Some("kraken"));
        assert_eq!(*import.items[0].field("secret").unwrap().value, "d\"e$f");
        assert_eq!(*import.items[2].field("secret").unwrap().value, "12:ab#cd");
    }

    #[test]
    fn a_span_is_what_stands_between_the_quotes() {
        let import = read(FILE.as_bytes()).unwrap();
        let span = |item: usize, field: &str| {
            import.items[item]
                .field(field)
                .unwrap()
                .span
                .clone()
                .unwrap()
        };
        assert_eq!(&FILE[span(0, "api-key")], "abc");
        assert_eq!(&FILE[span(0, "secret")], "d\\\"e$f");
        assert_eq!(&FILE[span(1, "secret")], "-----BEGIN PRIVATE KEY-----\nx\n");
    }

    #[test]
    fn a_value_that_begins_with_a_hash_is_left_and_never_taken_for_nothing() {
        let import =
            read(b"A_PASSWORD=#hunter22\nB_TOKEN= # none yet\nC_TOKEN='#hunter22'\n").unwrap();
        for row in import.rows.iter().filter(|row| row.label == "?") {
            assert!(row.outcome.as_ref().unwrap_err().loses, "{row:?}");
        }
        assert_eq!(import.items.len(), 1);
        assert_eq!(*import.items[0].field("secret").unwrap().value, "#hunter22");
        assert_eq!(import.rows.len(), 3);
    }

    #[test]
    fn lines_are_those_that_run_reads() {
        let import =
            read(b"export\tA_TOKEN=abcdefgh\r\nB_TOKEN=abcdefgh\rC_TOKEN=ijklmnop\n").unwrap();
        assert_eq!(import.items.len(), 1);
        assert_eq!(*import.items[0].field("secret").unwrap().value, "abcdefgh");
        let left = &import.rows[1];
        assert_eq!(left.place, "line 2");
        assert!(left.outcome.as_ref().unwrap_err().loses, "{left:?}");
    }

    #[test]
    fn a_quote_without_end_is_said_and_not_guessed() {
        let import = read(b"A_TOKEN=\"abcdefgh\nB_TOKEN=abcdefgh\n").unwrap();
        let reason = import
            .rows
            .iter()
            .find(|row| row.place == "line 1")
            .unwrap()
            .outcome
            .clone();
        assert!(reason.unwrap_err().loses);
        assert_eq!(import.items.len(), 1);
    }
}
