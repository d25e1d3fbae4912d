//! `read` and `inject`: one value, and a text with values in it.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    process::ExitCode,
};

use touchkeep_core::Code;
use touchkeep_inject::template::{self, Piece};
use touchkeep_wire::{Failure, Purpose, wiped};
use zeroize::Zeroizing;

use crate::{
    Done,
    args::{Global, Inject, Read},
    unwritable,
    values::{Values, is_terminal, may_write, write_out, write_private},
};

/// The longest template.
const MAX_TEMPLATE_BYTES: u64 = 16 << 20;

pub(crate) fn read(args: &Read, global: Global) -> Done {
    if let Some(path) = &args.out {
        may_write(path, args.force)?;
    }
    let values = Values::ask([args.reference.as_str()], Purpose::Read, global)?;
    // EXPOSE: to whoever asked for it, on standard output or in a private file.
    let value = values.of(&args.reference)?.value.expose();
    if let Some(path) = &args.out {
        write_private(path, value.as_bytes(), args.force)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = Zeroizing::new(Vec::with_capacity(value.len() + 64));
    if global.json {
        text = wiped::to_json(&serde_json::json!({ "reference": args.reference }))
            .map_err(|_| unwritable())?;
        let value = wiped::to_json(value).map_err(|_| unwritable())?;
        wiped::reserve(&mut text, value.len() + 16);
        text.pop();
        text.extend_from_slice(b",\"value\":");
        text.extend_from_slice(&value);
        text.extend_from_slice(b"}\n");
    } else {
        text.extend_from_slice(value.as_bytes());
        if is_terminal() && !args.no_newline {
            text.push(b'\n');
        }
    }
    write_out(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn inject(args: &Inject, global: Global) -> Done {
    if !is_stdio(&args.out) {
        may_write(&args.out, args.force)?;
    }
    let text = read_text(&args.template)?;
    let bad = |error: template::TemplateError| {
        Failure::new(
            Code::Invalid,
            format!("{}, {error}", named(&args.template)),
            "Write {{ tk://environment/item/field }}.",
        )
    };
    let pieces = template::parse(&text).map_err(bad)?;
    let references = pieces.iter().filter_map(|piece| match piece {
        Piece::Reference(reference) => Some(*reference),
        Piece::Text(_) => None,
    });
    let values = Values::ask(references, Purpose::Inject, global)?;
    let filled = fill(&pieces, &values)?;
    if is_stdio(&args.out) {
        write_out(&filled)?;
    } else {
        write_private(&args.out, &filled, args.force)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn fill(pieces: &[Piece<'_>], values: &Values) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut filled = Zeroizing::new(Vec::with_capacity(4096));
    for piece in pieces {
        let text = match piece {
            Piece::Text(text) => text,
            // EXPOSE: into the text that the person asked for.
            Piece::Reference(reference) => values.of(reference)?.value.expose(),
        };
        wiped::reserve(&mut filled, text.len());
        filled.extend_from_slice(text.as_bytes());
    }
    Ok(filled)
}

/// A text of a person's, bounded; it may hold values.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(
            Code::Invalid,
            format!("cannot read {}: {error}", named(path)),
            "Look at its name and its permissions; it has to be text in UTF-8.",
        )
    };
    let mut text = Zeroizing::new(String::new());
    let read = if is_stdio(path) {
        io::stdin()
            .take(MAX_TEMPLATE_BYTES)
            .read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(MAX_TEMPLATE_BYTES).read_to_string(&mut text))
    };
    match read.map_err(failed)? as u64 {
        MAX_TEMPLATE_BYTES => Err(Failure::new(
            Code::Invalid,
            format!("{} is too long", named(path)),
            "Divide it: 16 MiB are read at once.",
        )),
        _ => Ok(text),
    }
}

fn is_stdio(path: &Path) -> bool {
    path == Path::new("-")
}

fn named(path: &Path) -> String {
    if is_stdio(path) {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}
