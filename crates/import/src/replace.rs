//! Literals in a source, replaced by references: every other byte of it stays, comments and order with it.

use std::ops::Range;

use touchkeep_core::reference::Reference;
use zeroize::Zeroizing;

use crate::{Source, error::ImportError, model::Format, read};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One literal, and what stands in its place afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where it is, as [`crate::Field::span`] says.
    pub span: Range<usize>,
    /// A reference.
    pub reference: String,
}

/// The reference of a field.
#[must_use]
pub fn reference(environment: &str, item: &str, field: &str) -> String {
    let reference = Reference {
        environment: environment.to_owned(),
        item: item.to_owned(),
        field: field.to_owned(),
        version: None,
        vault: None,
    };
    reference.to_string()
}

/// Whether literals can be replaced in a format.
#[must_use]
pub const fn is_replaceable(format: Format) -> bool {
    matches!(format, Format::Dotenv | Format::Ccxt | Format::Freqtrade)
}

/// The source with references. It is read again, and refused where it would not say exactly what was wanted.
///
/// # Errors
/// When two literals overlap, or the new text does not read as the old one did.
pub fn replace(
    source: &[u8],
    format: Format,
    edits: &[Edit],
) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    let unable = ImportError::Damaged {
        format,
        what: "its values cannot be replaced without changing something else",
    };
    let skip = if source.starts_with(BOM) {
        BOM.len()
    } else {
        0
    };
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| edit.span.start);
    let room = source.len() + edits.iter().map(|edit| edit.reference.len()).sum::<usize>();
    let mut out = Zeroizing::new(Vec::with_capacity(room));
    let mut at = 0;
    for edit in &sorted {
        let kept = source
            .get(at..edit.span.start + skip)
            .ok_or_else(|| unable.clone())?;
        out.extend_from_slice(kept);
        out.extend_from_slice(edit.reference.as_bytes());
        at = edit.span.end + skip;
    }
    out.extend_from_slice(source.get(at..).ok_or_else(|| unable.clone())?);
    if reads_the_same(source, &out, format, &sorted) {
        Ok(out)
    } else {
        Err(unable)
    }
}

// The same rows; and what was replaced is gone from it as a value.
fn reads_the_same(old: &[u8], new: &[u8], format: Format, edits: &[&Edit]) -> bool {
    let again = |bytes: &[u8]| {
        read(
            &Source {
                bytes,
                password: None,
            },
            Some(format),
        )
    };
    let (Ok(old), Ok(new)) = (again(old), again(new)) else {
        return false;
    };
    let labels = |import: &crate::Import| {
        import
            .rows
            .iter()
            .map(|row| (row.place.clone(), row.label.clone()))
            .collect::<Vec<_>>()
    };
    // What is a reference is no value any more, and nothing else ceased to be one.
    let literals = |import: &crate::Import| {
        let fields = import.items.iter().flat_map(|item| &item.fields);
        fields.filter(|field| field.span.is_some()).count()
    };
    let all_there = literals(&new) + edits.len() == literals(&old);
    // A multi-line value becomes one line, and moves those below it.
    let same = match format {
        Format::Dotenv => labels(&old)
            .iter()
            .map(|(_, label)| label)
            .eq(labels(&new).iter().map(|(_, label)| label)),
        _ => labels(&old) == labels(&new),
    };
    same && all_there
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Import;

    fn edits(import: &Import) -> Vec<Edit> {
        let fields = import
            .items
            .iter()
            .flat_map(|item| item.fields.iter().map(move |field| (item, field)));
        let spans = fields.filter_map(|(item, field)| {
            Some(Edit {
                span: field.span.clone()?,
                reference: reference("prod", &item.name, &field.name),
            })
        });
        spans.collect()
    }

    fn replaced(source: &str, format: Format) -> String {
        let import = read(
            &Source {
                bytes: source.as_bytes(),
                password: None,
            },
            Some(format),
        )
        .unwrap();
        let new = replace(source.as_bytes(), format, &edits(&import)).unwrap();
        String::from_utf8(new.to_vec()).unwrap()
    }

    #[test]
    fn everything_but_the_values_stays_as_it_was() {
        let old = "\u{feff}# c\r\nexport  KRAKEN_API_KEY = abc # mine\r\nKRAKEN_SECRET=\"d\ne\"\r\nPORT=1\r\n";
        let new = replaced(old, Format::Dotenv);
        assert_eq!(
            new,
            "\u{feff}# c\r\nexport  KRAKEN_API_KEY = tk://prod/kraken/api-key # mine\r\nKRAKEN_SECRET=\"tk://prod/kraken/secret\"\r\nPORT=1\r\n"
        );
        let old =
            "{ // c\n \"exchange\": {\"name\":\"gate\",\"key\" :\"k\",\"secret\":\"s\\n\",},\n}";
        let new = replaced(old, Format::Freqtrade);
        assert_eq!(
            new,
            "{ // c\n \"exchange\": {\"name\":\"gate\",\"key\" :\"tk://prod/gate/api-key\",\"secret\":\"tk://prod/gate/secret\",},\n}"
        );
    }

    #[test]
    fn what_is_a_reference_is_not_taken_for_a_value() {
        let source = r#"{"gate":{"apiKey":"tk://prod/gate/api-key","secret":"s"}}"#;
        let source = Source {
            bytes: source.as_bytes(),
            password: None,
        };
        let import = read(&source, None).unwrap();
        let fields: Vec<_> = import.items[0]
            .fields
            .iter()
            .map(|field| &field.name)
            .collect();
        assert_eq!(fields, ["secret"]);
    }

    #[test]
    fn overlapping_edits_are_refused() {
        let edit = |span: Range<usize>| Edit {
            span,
            reference: "tk://a/b/c".to_owned(),
        };
        assert!(
            replace(
                b"A_KEY=abcdef\n",
                Format::Dotenv,
                &[edit(6..12), edit(8..10)]
            )
            .is_err()
        );
        assert!(replace(b"A_KEY=abcdef\n", Format::Dotenv, &[edit(6..99)]).is_err());
    }
}
