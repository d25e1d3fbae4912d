//! KeePassXC's CSV, of the old columns and of the new ones. Columns that are not known become fields, and so do those whose name
//! stands a second time: no cell takes another's place.

use touchkeep_core::time::from_rfc3339;

use crate::{
    csv::{self, Record},
    error::ImportError,
    login::{Entry, item},
    model::{Format, Import},
    names::folded,
    source,
};

/// Whether a line is the head of such a file.
pub(crate) fn is_head(line: &str) -> bool {
    let folded = line.split(',').map(folded).collect::<Vec<_>>();
    ["title", "username", "password"]
        .iter()
        .all(|wanted| folded.iter().any(|cell| cell == wanted))
}

/// Reads a file.
///
/// # Errors
/// When it is not CSV, or has no head.
pub(crate) fn read(bytes: &[u8]) -> Result<Import, ImportError> {
    let source = source::text(bytes, Format::KeepassCsv)?;
    let mut records = csv::read(source, Format::KeepassCsv)?.into_iter();
    let head = records.next().ok_or(ImportError::Malformed {
        format: Format::KeepassCsv,
        line: 1,
        what: "the names of the columns are missing",
    })?;
    let columns = columns(&head);
    let mut import = Import::new(Format::KeepassCsv);
    for record in records {
        let place = format!("line {}", record.line);
        if record.cells.len() > columns.len() {
            import.left(
                place,
                "?",
                "It has more cells than the head has columns.",
                true,
            );
            continue;
        }
        let mut entry = Entry::default();
        for ((column, means), cell) in columns.iter().zip(&record.cells) {
            match means.as_str() {
                "group" => entry.groups = cell.split('/').skip(1).map(str::to_owned).collect(),
                "title" => entry.title = cell.to_string(),
                "username" => entry.user = cell.clone(),
                "password" => entry.password = cell.clone(),
                "url" => entry.url = cell.clone(),
                "notes" => entry.notes = cell.clone(),
                "totp" => entry.totp = cell.clone(),
                // The number of a picture, and when the row was last written, are no part of a credential.
                "icon" | "lastmodified" => {}
                "created" => entry.created = from_rfc3339(cell).map(|at| at.0),
                _ => entry.custom.push((column.clone(), true, cell.clone())),
            }
        }
        import.item(place, item(entry));
    }
    Ok(import)
}

// What each column is called, and what that means: nothing, where it means what an earlier one does.
fn columns(head: &Record) -> Vec<(String, String)> {
    let mut columns: Vec<(String, String)> = Vec::with_capacity(head.cells.len());
    for cell in &head.cells {
        let means = folded(cell);
        let is_first = columns.iter().all(|(_, known)| *known != means);
        columns.push((
            cell.to_string(),
            if is_first { means } else { String::new() },
        ));
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_stands_twice_takes_no_value_from_the_first() {
        let source = "Title,Username,Password,Password,pass word\nx,me,first,second,third\n";
        let import = read(source.as_bytes()).unwrap();
        let fields: Vec<_> = import.items[0]
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field.value.as_str()))
            .collect();
        let wanted = [
            ("secret", "first"),
            ("username", "me"),
            ("password", "second"),
            ("pass-word", "third"),
        ];
        assert_eq!(fields, wanted);
    }
}
