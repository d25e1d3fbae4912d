//! `run`: a program with values in its environment, or as files that end with it, and its output masked.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use touchkeep_core::{
    Code,
    text::{quoted, visible},
};
use touchkeep_inject::{
    envfile,
    forms::{self, Forms},
    mask::Patterns,
    monitor,
    mount::Mounts,
    program::{self, Program, StartError},
    supervise,
    template::is_reference,
    terminal::{self, MonitorCommand},
};
use touchkeep_wire::{Failure, Purpose};
use zeroize::Zeroizing;

use crate::{
    Done,
    args::{Global, Mask, Run, RunMonitor},
    output::{Output, Style},
    read::read_text,
    values::Values,
};

const HINT: &str = "The program gets a key that signs requests, and whatever can read the program has it, too. It could do without: `touchkeep proxy add NAME` lets it send through the proxy with a dummy key.";

/// Runs it, and ends as it ends: with its status, or with 125 for what is our failure, 126 and 127.
pub(crate) fn run(args: Run, global: Global, output: Output) -> Done {
    match prepare(args, global, output).and_then(Prepared::start) {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(failure) => {
            output.failure(&failure);
            Ok(ExitCode::from(program::FAILED))
        }
    }
}

/// Is the process between a terminal and a program.
pub(crate) fn be_the_monitor(args: &RunMonitor) -> Done {
    let is_foreground = args.place == "foreground";
    monitor::monitor(args.control, is_foreground, &args.command)
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| {
            Failure::new(
                Code::System,
                format!("cannot watch the program: {error}"),
                "Run it without a terminal of its own: add --no-mask",
            )
        })
}

// All that is needed before anything is started.
struct Prepared {
    program: Program,
    patterns: Patterns,
    mounts: Option<Mounts>,
    output: Output,
}

fn prepare(args: Run, global: Global, output: Output) -> Result<Prepared, Failure> {
    let variables = variables(&args.env_file)?;
    let mounts = args
        .mount
        .iter()
        .map(|text| Mount::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    each_once(&mounts)?;
    let in_environment = variables
        .values()
        .filter(|value| is_reference(value))
        .map(|value| value.as_str());
    let references = in_environment.chain(mounts.iter().map(|mount| mount.reference.as_str()));
    let values = Values::ask(references, Purpose::Run, global)
        .map_err(|failure| with_names(failure, &variables))?;
    if !args.quiet {
        warn(&args, &values, output);
    }
    let secrets: Vec<&str> = values
        .all()
        .filter(|value| value.is_secret && !args.no_mask)
        // EXPOSE: to what looks for it in the program's output.
        .map(|value| value.value.expose())
        .collect();
    let forms = if args.mask == Mask::Exact {
        Forms::Exact
    } else {
        Forms::Encoded
    };
    let patterns = Patterns::new(secrets.iter().copied(), forms);
    let mut program = Program::new(args.command).ok_or_else(|| {
        let fix = "Name one after --, as in: touchkeep run -- ./bot";
        Failure::new(Code::Invalid, "there is no program to run", fix)
    })?;
    set_all(
        &mut program,
        variables,
        &values,
        &secrets,
        args.quiet,
        output,
    )?;
    let mounts = mount_all(&mut program, &mounts, &values)?;
    Ok(Prepared {
        program,
        patterns,
        mounts,
        output,
    })
}

// Says which variables it was, too.
fn with_names(mut failure: Failure, variables: &BTreeMap<OsString, Zeroizing<String>>) -> Failure {
    let is_named = |value: &str| is_reference(value) && failure.what.contains(&visible(value));
    let named = variables.iter().filter(|(_, value)| is_named(value));
    let names: Vec<_> = named
        .map(|(name, _)| visible(&name.to_string_lossy()))
        .collect();
    if failure.code == Code::NotFound && !names.is_empty() {
        failure.fix = format!(
            "Nothing was started. It is about {}. {}",
            names.join(", "),
            failure.fix
        );
    }
    failure
}

// What is inherited and is a reference, and all of the files.
fn variables(files: &[PathBuf]) -> Result<BTreeMap<OsString, Zeroizing<String>>, Failure> {
    let inherited = std::env::vars_os().filter_map(|(name, value)| {
        let value = value
            .into_string()
            .ok()
            .filter(|value| is_reference(value))?;
        Some((name, Zeroizing::new(value)))
    });
    let mut variables: BTreeMap<_, _> = inherited.collect();
    for path in files {
        let text = read_text(path)?;
        let entries = envfile::parse(&text).map_err(|error| {
            Failure::new(
                Code::Invalid,
                format!("{}, {error}", path.display()),
                "Nothing was started.",
            )
        })?;
        variables.extend(
            entries
                .into_iter()
                .map(|entry| (entry.name.into(), entry.value)),
        );
    }
    Ok(variables)
}

fn set_all(
    program: &mut Program,
    variables: BTreeMap<OsString, Zeroizing<String>>,
    values: &Values,
    masked: &[&str],
    quiet: bool,
    output: Output,
) -> Result<(), Failure> {
    let (mut bad, mut short) = (Vec::new(), Vec::new());
    for (name, text) in variables {
        let shown = visible(&name.to_string_lossy());
        let value = if is_reference(&text) {
            // EXPOSE: to the program's environment.
            let value = values.of(&text)?.value.expose();
            if masked.contains(&value) && !forms::is_maskable(value) {
                short.push(shown.clone());
            }
            Zeroizing::new(value.to_owned())
        } else {
            text
        };
        if value.contains('\0') {
            bad.push(shown);
            continue;
        }
        program.set(name, value);
    }
    if !bad.is_empty() {
        let what = format!(
            "no environment can hold the values of {}: there is a NUL byte in them",
            bad.join(", ")
        );
        return Err(Failure::new(
            Code::Invalid,
            what,
            "Give them as files: --mount NAME=REF",
        ));
    }
    if !short.is_empty() && !quiet {
        let names = short.join(", ");
        note(
            output,
            &format!(
                "{names}: shorter than {} bytes, so not masked in what the program prints.",
                forms::MIN_BYTES
            ),
        );
    }
    Ok(())
}

fn warn(args: &Run, values: &Values, output: Output) {
    if values.hints && values.all().any(|value| value.signs) {
        note(output, HINT);
    }
    let in_words = args
        .command
        .iter()
        .any(|word| word.to_str().is_some_and(is_reference));
    if in_words {
        note(
            output,
            "An argument is a reference, and stays one: everybody can read arguments. Let the program take it from its environment, as in: sh -c 'CMD \"$NAME\"'",
        );
    }
}

fn note(output: Output, text: &str) {
    output.say(&format!("{} {text}", output.err(Style::Warn, "touchkeep:")));
}

/// `NAME=REF[,reads=N]`.
struct Mount {
    name: String,
    reference: String,
    reads: Option<u32>,
}

impl Mount {
    fn parse(text: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::new(
                Code::Invalid,
                format!("{} is no mount", quoted(text)),
                "Write NAME=tk://environment/item/field, with ,reads=1 for a pipe.",
            )
        };
        let (name, rest) = text.split_once('=').ok_or_else(bad)?;
        let (reference, reads) = match rest.rsplit_once(",reads=") {
            Some((reference, reads)) => (
                reference,
                Some(
                    reads
                        .parse()
                        .ok()
                        .filter(|reads| *reads > 0)
                        .ok_or_else(bad)?,
                ),
            ),
            None => (rest, None),
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) || !is_reference(reference) {
            return Err(bad());
        }
        Ok(Self {
            name: name.to_owned(),
            reference: reference.to_owned(),
            reads,
        })
    }
}

// One variable holds one path.
fn each_once(mounts: &[Mount]) -> Result<(), Failure> {
    let is_again = |(at, mount): &(usize, &Mount)| {
        let mut before = mounts.iter().take(*at);
        before.any(|other| other.name == mount.name)
    };
    match mounts.iter().enumerate().find(is_again) {
        None => Ok(()),
        Some((_, again)) => Err(Failure::new(
            Code::Invalid,
            format!("{} is mounted twice", again.name),
            "Give each value a variable of its own.",
        )),
    }
}

fn mount_all(
    program: &mut Program,
    wanted: &[Mount],
    values: &Values,
) -> Result<Option<Mounts>, Failure> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let failed = |error: touchkeep_inject::mount::MountError| {
        Failure::new(
            Code::System,
            error.to_string(),
            "Set XDG_RUNTIME_DIR to a folder of yours on tmpfs.",
        )
    };
    let login = format!("/run/user/{}", rustix::process::geteuid().as_raw());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places: Vec<PathBuf> = runtime
        .into_iter()
        .chain([login.into(), "/dev/shm".into()])
        .collect();
    let mounts = Mounts::begin(&places).map_err(failed)?;
    for mount in wanted {
        // EXPOSE: to the file or the pipe that the person asked for.
        let value = values.of(&mount.reference)?.value.expose();
        let path = match mount.reads {
            Some(reads) => mounts.pipe(&mount.name, Zeroizing::new(value.to_owned()), reads),
            None => mounts.file(&mount.name, value),
        };
        let path = path.map_err(failed)?;
        program.set(&mount.name, Zeroizing::new(path.display().to_string()));
    }
    Ok(Some(mounts))
}

impl Prepared {
    // Its status; ours where it could not be started.
    fn start(self) -> Result<u8, Failure> {
        let Self {
            program,
            patterns,
            mounts,
            output,
        } = self;
        let ended = if patterns.is_empty() && mounts.is_none() {
            Err(program.exec())
        } else if patterns.is_empty() {
            supervise::run(&program, None)
        } else if std::io::stdout().is_terminal() {
            let how = MonitorCommand {
                program: Path::new("/proc/self/exe"),
                arguments: &["run-monitor"],
            };
            terminal::run(&program, &Arc::new(patterns), how)
        } else {
            supervise::run(&program, Some(Arc::new(patterns)))
        };
        drop(mounts);
        match ended {
            Ok(ended) => Ok(ended.status()),
            Err(error) => {
                output.failure(&Failure::new(Code::System, error.to_string(), fix(&error)));
                Ok(error.status())
            }
        }
    }
}

const fn fix(error: &StartError) -> &'static str {
    match error {
        StartError::NotFound(_) => "Check its name and PATH.",
        StartError::NotExecutable { .. } => "Check its permissions, or name what runs it.",
        _ => "Nothing was started. Look at the limits of this session: ulimit -a",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_strictly() {
        let mount = Mount::parse("KEYFILE=tk://prod/a/secret,reads=2")
            .ok()
            .unwrap();
        assert_eq!(
            (mount.name.as_str(), mount.reference.as_str(), mount.reads),
            ("KEYFILE", "tk://prod/a/secret", Some(2))
        );
        assert_eq!(
            Mount::parse("K=tk://prod/a/secret").ok().unwrap().reads,
            None
        );
        for bad in [
            "K",
            "=tk://a/b/c",
            "K=op://a/b/c",
            "K=tk://a/b/c,reads=0",
            "K=tk://a/b/c,reads=x",
            "a/b=tk://a/b/c",
            "../K=tk://a/b/c",
        ] {
            assert!(Mount::parse(bad).is_err(), "{bad}");
        }
    }
}
