//! A failure says what happened and what to do: no call that makes one ends with an empty text. What is put together as the
//! program runs, `Failure::new` itself looks at in every test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What makes one, and hands its last argument on as what to do.
const MAKERS: [&str; 12] = [
    "Failure::new",
    "Trouble::ours",
    "failure::invalid",
    "failure::not_found",
    "invalid",
    "unusable",
    "refused",
    "no",
    "nobody",
    "bad",
    "usage",
    "wrong",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The lines at which a call of one of these ends with an empty text.
fn without_a_fix(source: &str) -> Vec<usize> {
    let bytes = source.as_bytes();
    let (mut at, mut line, mut lines) = (0, 1, Vec::new());
    // What was called, and whether its last argument so far is an empty text.
    let mut open: Vec<(&str, bool)> = Vec::new();
    while at < bytes.len() {
        let rest = &source[at..];
        let mut step = rest.chars().next().map_or(1, char::len_utf8);
        match bytes[at] {
            b'/' if rest.starts_with("//") => step = rest.find('\n').unwrap_or(rest.len()),
            b'\''
                if rest.starts_with("'\"'")
                    || rest.starts_with("'('")
                    || rest.starts_with("')'") =>
            {
                step = 3
            }
            b'"' => {
                let mut escaped = false;
                let inside = rest[1..].find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                step = inside.unwrap() + 2;
                if let Some((_, is_empty)) = open.last_mut() {
                    *is_empty = step == 2;
                }
            }
            b'(' => {
                let name = source[..at]
                    .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
                    .map_or(0, |end| end + 1);
                open.push((&source[name..at], false));
            }
            b')' => {
                if let Some((name, true)) = open.pop()
                    && MAKERS.contains(&name)
                {
                    lines.push(line);
                }
                if let Some((_, is_empty)) = open.last_mut() {
                    *is_empty = false;
                }
            }
            b',' | b' ' | b'\n' => {}
            _ => {
                if let Some((_, is_empty)) = open.last_mut() {
                    *is_empty = false;
                }
            }
        }
        line += rest[..step].matches('\n').count();
        at += step;
    }
    lines
}

#[test]
fn every_failure_says_what_to_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for folder in ["agent", "cli", "client", "values", "wire"] {
        sources(&root.join("crates").join(folder).join("src"), &mut files);
    }
    sources(&root.join("src-tauri/src"), &mut files);
    assert!(files.len() > 200, "{}", files.len());
    let mut without = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let lines = without_a_fix(code).into_iter();
        without.extend(lines.map(|line| format!("{}:{line}", file.display())));
    }
    assert!(without.is_empty(), "{without:#?}");
}

#[test]
fn an_empty_fix_is_found_however_it_is_laid_out() {
    let source = r#"
        // Failure::new(Code::Invalid, "a comment", "")
        Failure::new(Code::Invalid, format!("{error} (x)"), "")
        failure::invalid(
            "two lines",
            "",
        )
        Failure::new(Code::Invalid, "", "what to do")
        output.say("")
        invalid("a \" b", &one(""))
        Trouble::ours(Code::Invalid, '"'.to_string(), "")
    "#;
    assert_eq!(without_a_fix(source), [3, 7, 11]);
}
