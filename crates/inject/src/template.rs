//! Templates: text with references in it, as `{{ tk://env/item/field }}` or bare.
//!
//! A bare reference ends at the first character that cannot stand in one; a full stop at its end belongs to the sentence.
//! Braces around anything else are left alone, so that the template of another tool may hold our references.

use std::ops::Range;

/// What a reference begins with.
pub const SCHEME: &str = "tk://";

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Goes out as it is.
    Text(&'a str),
    /// Is replaced by the value that it names.
    Reference(&'a str),
}

/// Braces that are opened for a reference and not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: braces are opened around a reference and never closed, or hold more than the reference"
)]
pub struct TemplateError {
    /// From 1.
    pub line: usize,
}

/// Cuts a template into pieces; together they are the whole of it.
///
/// # Errors
/// Where braces around a reference are not closed right after it.
pub fn parse(text: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut pieces = Vec::new();
    let (mut done, mut from) = (0, 0);
    while let Some(found) = next(text, from) {
        let Span { whole, reference } = found.map_err(|at| TemplateError {
            line: line_of(text, at),
        })?;
        from = whole.end;
        push_text(&mut pieces, text.get(done..whole.start));
        pieces.extend(text.get(reference).map(Piece::Reference));
        done = whole.end;
    }
    push_text(&mut pieces, text.get(done..));
    Ok(pieces)
}

/// Whether a whole value is a reference, as it may stand in an environment.
#[must_use]
pub fn is_reference(value: &str) -> bool {
    value.starts_with(SCHEME)
}

struct Span {
    whole: Range<usize>,
    reference: Range<usize>,
}

// The next reference at or after `from`; an error is the place of its braces.
fn next(text: &str, from: usize) -> Option<Result<Span, usize>> {
    let mut search = from;
    loop {
        let at = search + text.get(search..)?.find(SCHEME)?;
        let end = at + length(text.get(at..)?);
        search = at + SCHEME.len();
        if text
            .get(..at)?
            .ends_with(|c: char| c.is_alphanumeric() || c == '_')
            || end == search
        {
            continue;
        }
        let before = text.get(from..at)?.trim_end_matches([' ', '\t']);
        let Some(outside) = before.strip_suffix("{{") else {
            let bare = text.get(at..end)?.trim_end_matches(['.', ',', ':']);
            let end = at + bare.len();
            return Some(Ok(Span {
                whole: at..end,
                reference: at..end,
            }));
        };
        let open = from + outside.len();
        let after = text.get(end..)?;
        let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
        if !after.get(blanks..)?.starts_with("}}") {
            return Some(Err(open));
        }
        return Some(Ok(Span {
            whole: open..end + blanks + 2,
            reference: at..end,
        }));
    }
}

/// What a reference's query begins with.
const QUERY: &str = "?vault=";

// Up to where no reference could go on: an environment and an item, a field with its version, a vault.
fn length(text: &str) -> usize {
    // As references are written: what else a name has is percent-encoded.
    let named = |c: char| c.is_ascii_alphanumeric() || "-._~+,:=%".contains(c);
    let of_field = |c: char| c.is_ascii_alphanumeric() || "-._~%/".contains(c);
    let end = |from: usize, inside: &dyn Fn(char) -> bool| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c| !inside(c)).unwrap_or(rest.len())
    };
    let goes_on = |at: usize, with: &str| text.get(at..).is_some_and(|rest| rest.starts_with(with));
    let mut at = SCHEME.len();
    for _ in 0..2 {
        at = end(at, &named);
        if !goes_on(at, "/") {
            return at;
        }
        at += 1;
    }
    at = end(at, &of_field);
    let digits = end(at + 1, &|c| c.is_ascii_digit());
    if goes_on(at, "@") && digits > at + 1 {
        at = digits;
    }
    if goes_on(at, QUERY) {
        at = end(at + QUERY.len(), &named);
    }
    at
}

fn push_text<'a>(pieces: &mut Vec<Piece<'a>>, text: Option<&'a str>) {
    pieces.extend(text.filter(|text| !text.is_empty()).map(Piece::Text));
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        Piece::{Reference, Text},
        *,
    };

    #[test]
    fn braces_and_bare_references_are_found() {
        let text =
            "a={{ tk://prod/trade/secret }}\nb=tk://prod/trade/api-key, see tk://prod/x/y.\n";
        let wanted = [
            Text("a="),
            Reference("tk://prod/trade/secret"),
            Text("\nb="),
            Reference("tk://prod/trade/api-key"),
            Text(", see "),
            Reference("tk://prod/x/y"),
            Text(".\n"),
        ];
        assert_eq!(parse(text).unwrap(), wanted);
    }

    #[test]
    fn a_whole_reference_stays_whole() {
        let whole = "tk://prod/My%20Item/x-1@3?vault=home";
        assert_eq!(
            parse(&format!("{{{{{whole}}}}}")).unwrap(),
            [Reference(whole)]
        );
        assert_eq!(
            parse(&format!("\"{whole}\"")).unwrap(),
            [Text("\""), Reference(whole), Text("\"")]
        );
    }

    #[test]
    fn what_a_name_may_have_is_of_the_reference_and_what_no_field_has_is_not() {
        for whole in [
            "tk://prod/a+b,c:d=e~f/secret",
            "tk://prod/a/b@12",
            "tk://prod/a/b?vault=x+y,z",
        ] {
            assert_eq!(
                parse(&format!("{{{{ {whole} }}}}")).unwrap(),
                [Reference(whole)]
            );
            assert_eq!(parse(whole).unwrap(), [Reference(whole)]);
        }
        for (before, after) in [
            ("postgres://u:", "@db.example:5432/x"),
            ("", ":5432"),
            ("k=", "+more"),
            ("", "?x=1"),
            ("(", ")"),
            ("", ",tk"),
        ] {
            let text = format!("{before}tk://prod/db/secret{after}");
            let pieces = parse(&text).unwrap();
            let wanted = [Text(before), Reference("tk://prod/db/secret"), Text(after)];
            let wanted: Vec<_> = wanted.into_iter().filter(|one| *one != Text("")).collect();
            assert_eq!(pieces, wanted, "{text}");
        }
    }

    #[test]
    fn other_braces_are_left_alone() {
        for text in [
            "{{ .Values.x }}",
            "{{",
            "}}",
            "ntk://a/b/c",
            "tk://",
            "{{ tk:// }}",
        ] {
            assert_eq!(parse(text).unwrap(), [Text(text)], "{text}");
        }
    }

    #[test]
    fn braces_that_hold_more_are_an_error_with_the_line() {
        assert_eq!(
            parse("\n{{ tk://a/b/c | upper }}"),
            Err(TemplateError { line: 2 })
        );
        assert_eq!(parse("{{ tk://a/b/c"), Err(TemplateError { line: 1 }));
    }

    proptest! {
        #[test]
        fn no_byte_is_lost(text in "([a-z {}\\n./@?=]|tk://|\\{\\{ tk://a/b/c \\}\\}){0,40}") {
            let bare = |text: &str| text.replace(['{', '}', ' '], "");
            if let Ok(pieces) = parse(&text) {
                let joined: String = pieces.iter().map(|piece| match piece { Text(part) | Reference(part) => *part }).collect();
                prop_assert_eq!(bare(&joined), bare(&text));
            }
        }
    }
}
