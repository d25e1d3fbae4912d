//! CSV as RFC 4180 has it: cells in quotes may hold commas, line ends and doubled quotes.

use zeroize::Zeroizing;

use crate::{
    error::ImportError,
    model::{Format, MAX_ROWS, Text},
};

/// Columns of a file.
const MAX_COLUMNS: usize = 200;

/// A record and the line that it begins on.
pub(crate) struct Record {
    pub(crate) line: usize,
    pub(crate) cells: Vec<Text>,
}

/// Reads all records.
///
/// # Errors
/// With the line of a quote that does not end or stands in the wrong place.
pub(crate) fn read(source: &str, format: Format) -> Result<Vec<Record>, ImportError> {
    let mut records = Vec::new();
    let mut rest = source;
    let mut line = 1;
    while !rest.is_empty() {
        let wrong = |what| ImportError::Malformed { format, line, what };
        let (cells, after) = record(rest).map_err(wrong)?;
        let eaten = rest.get(..rest.len() - after.len()).unwrap_or_default();
        let blank = cells.iter().all(|cell| cell.is_empty()) && cells.len() == 1;
        if !blank {
            records.push(Record { line, cells });
        }
        if records.len() > MAX_ROWS {
            return Err(ImportError::TooLarge {
                what: "a file of this many rows",
                limit: MAX_ROWS,
            });
        }
        line += eaten.matches('\n').count();
        rest = after;
    }
    Ok(records)
}

fn record(source: &str) -> Result<(Vec<Text>, &str), &'static str> {
    let mut cells = Vec::new();
    let mut rest = source;
    loop {
        let (cell, after) = cell(rest)?;
        cells.push(cell);
        if cells.len() > MAX_COLUMNS {
            return Err("it has too many columns");
        }
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => {
                let after = after.strip_prefix('\r').unwrap_or(after);
                return Ok((cells, after.strip_prefix('\n').unwrap_or(after)));
            }
        }
    }
}

fn cell(source: &str) -> Result<(Text, &str), &'static str> {
    let Some(body) = source.strip_prefix('"') else {
        let end = source.find([',', '\n', '\r', '"']).unwrap_or(source.len());
        let (cell, after) = source.split_at(end);
        if after.starts_with('"') {
            return Err("a quote stands in the middle of a cell");
        }
        return Ok((Zeroizing::new(cell.to_owned()), after));
    };
    let mut text = Zeroizing::new(String::with_capacity(closing(body)));
    let mut rest = body;
    loop {
        let end = rest.find('"').ok_or("a quote does not end")?;
        let (part, after) = rest.split_at(end);
        text.push_str(part);
        rest = after.get(1..).unwrap_or_default();
        match rest.strip_prefix('"') {
            Some(more) => {
                text.push('"');
                rest = more;
            }
            None if rest.is_empty() || rest.starts_with([',', '\n', '\r']) => {
                return Ok((text, rest));
            }
            None => return Err("something stands behind the closing quote"),
        }
    }
}

// Where a quoted cell ends, so that its text is written once at its full length.
fn closing(body: &str) -> usize {
    let mut at = 0;
    let bytes = body.as_bytes();
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'"', Some(b'"')) => at += 2,
            (b'"', _) => break,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_commas_and_line_ends_stay_in_their_cell() {
        let records = read("a,b\r\n\"x,\"\"y\"\"\n2\",\n\n3,4", Format::KeepassCsv).unwrap();
        let cells: Vec<(usize, Vec<&str>)> = records
            .iter()
            .map(|r| (r.line, r.cells.iter().map(|c| c.as_str()).collect()))
            .collect();
        assert_eq!(
            cells,
            [
                (1, vec!["a", "b"]),
                (2, vec!["x,\"y\"\n2", ""]),
                (5, vec!["3", "4"])
            ]
        );
    }

    #[test]
    fn a_wrong_quote_names_its_line_alone() {
        for (bad, line) in [("a\nhunter2\"x", 2), ("a\n\"hunter2", 2), ("\"a\"b", 1)] {
            let error = read(bad, Format::KeepassCsv).err().unwrap().to_string();
            assert!(
                error.starts_with(&format!("line {line}:")) && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
