//! What is plainly typed, read without a tree of everything that could be: building that takes longer than a value to be read.
//!
//! It takes less than the tree does, and never in another way: whatever is short for something, doubled, missing, or begins
//! with a dash where a value belongs is left to the tree, which says what is wrong with it.

use std::{
    ffi::{OsStr, OsString},
    slice::Iter,
};

use super::{Credential, Docker, Git, Global, Inject, Mask, Read, Run, RunMonitor, Values};

/// What was typed, where it is plainly one of these verbs; the first word is the program's own name.
#[must_use]
pub fn quick(typed: &[OsString]) -> Option<(Global, Values)> {
    let mut line = Line {
        words: typed.get(1..)?.iter(),
        global: Global::default(),
    };
    let verb = verb(&mut line).ok()?;
    Some((line.global, verb))
}

// It is for the tree.
struct Unclear;

type Clear<T> = Result<T, Unclear>;

// Words that have not been read, and what was among them for every verb.
struct Line<'a> {
    words: Iter<'a, OsString>,
    global: Global,
}

enum Word<'a> {
    // `--name`, `-n`
    Option(&'a str),
    // `--name=value`
    Valued(&'a str, &'a str),
    Plain(&'a str),
    // `--`
    Program,
    End,
}

impl<'a> Line<'a> {
    fn next(&mut self) -> Clear<Word<'a>> {
        for word in self.words.by_ref() {
            let word = word.to_str().ok_or(Unclear)?;
            match word {
                "--json" => set(&mut self.global.json)?,
                "--no-interaction" => set(&mut self.global.no_interaction)?,
                "--" => return Ok(Word::Program),
                "" => return Err(Unclear),
                _ if is_plain(word) => return Ok(Word::Plain(word)),
                _ => {
                    return match word.split_once('=') {
                        Some((_, "")) => Err(Unclear),
                        Some((name, value)) if name.starts_with("--") => {
                            Ok(Word::Valued(name, value))
                        }
                        Some(_) => Err(Unclear),
                        None => Ok(Word::Option(word)),
                    };
                }
            }
        }
        Ok(Word::End)
    }

    fn plain(&mut self) -> Clear<&'a str> {
        match self.next()? {
            Word::Plain(word) => Ok(word),
            _ => Err(Unclear),
        }
    }

    // What belongs to the option before it.
    fn value(&mut self) -> Clear<&'a str> {
        let word = self.words.next().and_then(|word| word.to_str());
        word.filter(|word| is_plain(word)).ok_or(Unclear)
    }

    // Up to the end, whatever it is.
    fn rest(&mut self) -> Clear<Vec<OsString>> {
        let rest: Vec<_> = self.words.by_ref().cloned().collect();
        if rest.is_empty() {
            return Err(Unclear);
        }
        Ok(rest)
    }
}

fn is_plain(word: &str) -> bool {
    word == "-" || !(word.is_empty() || word.starts_with('-'))
}

fn set(flag: &mut bool) -> Clear<()> {
    match std::mem::replace(flag, true) {
        true => Err(Unclear),
        false => Ok(()),
    }
}

fn put<T>(place: &mut Option<T>, value: impl Into<T>) -> Clear<()> {
    match place.replace(value.into()) {
        Some(_) => Err(Unclear),
        None => Ok(()),
    }
}

fn verb(line: &mut Line<'_>) -> Clear<Values> {
    Ok(match line.plain()? {
        "read" => Values::Read(read(line)?),
        "run" => Values::Run(run(line)?),
        "run-monitor" => Values::RunMonitor(run_monitor(line)?),
        "inject" => Values::Inject(inject(line)?),
        "credential" | "credential-process" => Values::Credential(match line.plain()? {
            "aws" => aws(line)?,
            "git" => Credential::Git(git(line)?),
            "docker" => Credential::Docker(docker(line)?),
            _ => return Err(Unclear),
        }),
        _ => return Err(Unclear),
    })
}

fn read(line: &mut Line<'_>) -> Clear<Read> {
    let (mut reference, mut out) = (None, None);
    let (mut no_newline, mut force) = (false, false);
    loop {
        match line.next()? {
            Word::Plain(word) => put(&mut reference, word)?,
            Word::Option("--no-newline") => set(&mut no_newline)?,
            Word::Option("--force") => set(&mut force)?,
            Word::Option("--out") => put(&mut out, line.value()?)?,
            Word::Valued("--out", value) => put(&mut out, value)?,
            Word::End if out.is_some() || !force => break,
            _ => return Err(Unclear),
        }
    }
    Ok(Read {
        reference: reference.ok_or(Unclear)?,
        no_newline,
        out,
        force,
    })
}

fn run(line: &mut Line<'_>) -> Clear<Run> {
    let (mut env_file, mut mount, mut mask) = (Vec::new(), Vec::new(), None);
    let (mut no_mask, mut quiet) = (false, false);
    loop {
        match line.next()? {
            Word::Option("--env-file") => env_file.push(line.value()?.into()),
            Word::Valued("--env-file", value) => env_file.push(value.into()),
            Word::Option("--mount") => mount.push(line.value()?.to_owned()),
            Word::Valued("--mount", value) => mount.push(value.to_owned()),
            Word::Option("--mask") => put(&mut mask, mask_of(line.value()?)?)?,
            Word::Valued("--mask", value) => put(&mut mask, mask_of(value)?)?,
            Word::Option("--no-mask") => set(&mut no_mask)?,
            Word::Option("--quiet" | "-q") => set(&mut quiet)?,
            Word::Program if !(no_mask && mask.is_some()) => break,
            _ => return Err(Unclear),
        }
    }
    Ok(Run {
        env_file,
        mount,
        no_mask,
        mask: mask.unwrap_or(Mask::Encoded),
        quiet,
        command: line.rest()?,
    })
}

fn mask_of(word: &str) -> Clear<Mask> {
    match word {
        "encoded" => Ok(Mask::Encoded),
        "exact" => Ok(Mask::Exact),
        _ => Err(Unclear),
    }
}

fn run_monitor(line: &mut Line<'_>) -> Clear<RunMonitor> {
    let control = line.plain()?.parse().map_err(|_| Unclear)?;
    let place = line.plain()?.to_owned();
    let command = line.rest()?;
    let begins_plainly = command
        .first()
        .and_then(|word| OsStr::to_str(word))
        .is_some_and(is_plain);
    if !begins_plainly {
        return Err(Unclear);
    }
    Ok(RunMonitor {
        control,
        place,
        command,
    })
}

fn inject(line: &mut Line<'_>) -> Clear<Inject> {
    let (mut template, mut out, mut force) = (None, None, false);
    loop {
        match line.next()? {
            Word::Option("--in" | "-i") => put(&mut template, line.value()?)?,
            Word::Valued("--in", value) => put(&mut template, value)?,
            Word::Option("--out" | "-o") => put(&mut out, line.value()?)?,
            Word::Valued("--out", value) => put(&mut out, value)?,
            Word::Option("--force") => set(&mut force)?,
            Word::End => break,
            _ => return Err(Unclear),
        }
    }
    Ok(Inject {
        template: template.unwrap_or_else(|| "-".into()),
        out: out.unwrap_or_else(|| "-".into()),
        force,
    })
}

fn aws(line: &mut Line<'_>) -> Clear<Credential> {
    let item = line.plain()?.to_owned();
    match line.next()? {
        Word::End => Ok(Credential::Aws { item }),
        _ => Err(Unclear),
    }
}

fn git(line: &mut Line<'_>) -> Clear<Git> {
    let (mut item, mut host, mut username, mut operation) = (None, None, None, None);
    loop {
        match line.next()? {
            Word::Option("--item") => put(&mut item, line.value()?)?,
            Word::Valued("--item", value) => put(&mut item, value)?,
            Word::Option("--host") => put(&mut host, line.value()?)?,
            Word::Valued("--host", value) => put(&mut host, value)?,
            Word::Option("--username") => put(&mut username, line.value()?)?,
            Word::Valued("--username", value) => put(&mut username, value)?,
            Word::Plain(word) => put(&mut operation, word)?,
            Word::End => break,
            _ => return Err(Unclear),
        }
    }
    Ok(Git {
        item: item.ok_or(Unclear)?,
        host: host.ok_or(Unclear)?,
        username,
        operation: operation.ok_or(Unclear)?,
    })
}

fn docker(line: &mut Line<'_>) -> Clear<Docker> {
    let (mut registries, mut operation) = (Vec::new(), None);
    loop {
        match line.next()? {
            Word::Option("--registry") => registries.push(line.value()?.to_owned()),
            Word::Valued("--registry", value) => registries.push(value.to_owned()),
            Word::Plain(word) => put(&mut operation, word)?,
            Word::End if !registries.is_empty() => break,
            _ => return Err(Unclear),
        }
    }
    Ok(Docker {
        registries,
        operation: operation.ok_or(Unclear)?,
    })
}
