//! KeePassXC's CSV, of the old columns and of the new ones. Columns that are not known become fields.

use touchkeep_core::time::from_rfc3339;

use crate::{
    csv,
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
    let columns: Vec<String> = head.cells.iter().map(|cell| cell.to_string()).collect();
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
        for (column, cell) in columns.iter().zip(&record.cells) {
            match folded(column).as_str() {
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
