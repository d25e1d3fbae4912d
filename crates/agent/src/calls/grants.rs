//! What programs may have: listed, ended, allowed ahead.

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{Clock, Code, Id, SystemClock, text::visible, time};
use touchkeep_vault::Item;
use touchkeep_wire::{AddGrant, Done, Failure, GrantSummary, Purpose};

use super::{change, open_vault};
use crate::{
    agent::Agent,
    caller::Caller,
    consent,
    devices::blocking,
    failure,
    grants::{Ahead, GRANTS, Gate, Interpreter, ItemUse, may_be_remembered},
    vault::worst_right,
};

/// Nothing is allowed ahead for longer.
const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;
/// Programs that are allowed something ahead, on all machines of a vault.
const MAX_AHEAD: usize = 256;

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<GrantSummary>, Failure> {
    let (_, open) = open_vault(agent)?;
    let mut all = agent.gate().list();
    all.extend(agent.gate().requests().list());
    let vault = open.read();
    let now = SystemClock.now();
    let ahead = agent.gate().ahead();
    all.extend(
        ahead
            .iter()
            .filter(|one| now < one.until)
            .map(|one| one.summary(&vault)),
    );
    Ok(all)
}

pub(crate) async fn ask(
    agent: &Arc<Agent>,
    caller: &Caller,
    names: &[String],
    no_interaction: bool,
) -> Result<Done, Failure> {
    let uses: Vec<ItemUse> = items(agent, names)?
        .iter()
        .map(|item| ItemUse::of(item, item.name.clone(), "secret"))
        .collect();
    let _admitted = Gate::admit(agent, caller, &uses, Purpose::Later, !no_interaction).await?;
    Ok(Done {})
}

pub(crate) async fn revoke(agent: &Arc<Agent>, grant: String) -> Result<Done, Failure> {
    let (_, open) = open_vault(agent)?;
    drop(open);
    let all = grant == "all";
    let wanted: Option<Id> = grant.parse().ok();
    if !all && wanted.is_none() {
        return Err(unknown(&grant));
    }
    change(agent, move |agent| {
        // What is only remembered ends at once, whatever becomes of the file.
        let remembered = agent.gate().list();
        let mut ended = 0_usize;
        for one in remembered.iter().filter(|one| all || one.id == grant) {
            let Some((client, items)) = one.id.parse().ok().and_then(|id| agent.gate().revoke(id))
            else {
                continue;
            };
            ended += 1;
            let (current, _) = open_vault(agent)?;
            current.record(
                &Event::new(Kind::GrantRevoked, Decision::Done).text(format!(
                    "{client} is asked about again for {}.",
                    items
                        .iter()
                        .map(|item| visible(item))
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            )?;
        }
        ended += revoke_requests(agent, all, &grant)?;
        let gone: Vec<Ahead> = agent
            .gate()
            .ahead()
            .iter()
            .filter(|one| all || Some(one.id) == wanted)
            .cloned()
            .collect();
        ended += gone.len();
        if !gone.is_empty() {
            take_back(agent, &gone)?;
        }
        if ended == 0 && !all {
            Err(unknown(&grant))
        } else {
            Ok(())
        }
    })
    .await?;
    agent.prompts().changed("grants");
    Ok(Done {})
}

// What bots may have signed without a question; how many of that ended.
fn revoke_requests(agent: &Agent, all: bool, grant: &str) -> Result<usize, Failure> {
    let requests = agent.gate().requests();
    let mut ended = 0;
    for one in requests.list().iter().filter(|one| all || one.id == grant) {
        let Some((client, what)) = one.id.parse().ok().and_then(|id| requests.revoke(id)) else {
            continue;
        };
        ended += 1;
        let (current, _) = open_vault(agent)?;
        let event = Event::new(Kind::GrantRevoked, Decision::Done).text(format!(
            "{} is asked about again: {what}.",
            visible(&client)
        ));
        current.record(&event.detail("grant", one.id.clone()))?;
    }
    Ok(ended)
}

fn take_back(agent: &Agent, gone: &[Ahead]) -> Result<(), Failure> {
    let is_gone = |one: &Ahead| gone.iter().any(|gone| gone.id == one.id);
    agent.gate().load(
        agent
            .gate()
            .ahead()
            .iter()
            .filter(|one| !is_gone(one))
            .cloned()
            .collect(),
    );
    let (current, _) = open_vault(agent)?;
    let programs: Vec<String> = gone
        .iter()
        .map(|one| visible(&one.path.to_string_lossy()))
        .collect();
    let event = Event::new(Kind::GrantRevoked, Decision::Done).text(format!(
        "{} may have nothing without being asked about.",
        programs.join(", ")
    ));
    current.change(event, |vault| {
        let mut all = Ahead::read_all(vault);
        all.retain(|one| !is_gone(one));
        vault
            .set_setting(GRANTS, &Ahead::write_all(&all))
            .map_err(|error| failure::vault(&error))
    })
}

pub(crate) async fn add(agent: &Arc<Agent>, call: AddGrant) -> Result<GrantSummary, Failure> {
    if call.seconds == 0 || call.seconds > MAX_SECONDS {
        return Err(failure::invalid(
            "A program is allowed something for a second at least and a year at most.",
            "Give another end: --for 30d",
        ));
    }
    let (current, _) = open_vault(agent)?;
    let items = meant(agent, &call.items)?;
    let looked = Arc::clone(agent);
    let (path, interpreter, sha256) =
        blocking(move || program(&looked, Path::new(&call.program))).await??;
    let names: Vec<String> = items.iter().map(|item| visible(&item.name)).collect();
    let (names, program) = (names.join(", "), visible(&path.to_string_lossy()));
    let long = lasts(call.seconds);
    let why = format!("Let {program} have {names} without asking, for {long}");
    consent::of_owner(agent, Kind::GrantGiven, &why).await?;
    let given = SystemClock.now();
    let machine = agent
        .state()
        .log(current.id())
        .ok_or_else(failure::locked)?;
    let ahead = Ahead {
        id: Id::random(),
        machine,
        path,
        interpreter,
        sha256,
        items: items.iter().map(|item| item.id).collect(),
        given,
        until: given.plus_ms(call.seconds.saturating_mul(1000)),
    };
    let added = change(agent, move |agent| {
        let (current, open) = open_vault(agent)?;
        let event = Event::new(Kind::GrantGiven, Decision::Touched)
            .text(format!(
                "{program} may have {names} without being asked about, until {}.",
                time::rfc3339(ahead.until)
            ))
            .detail("sha256", ahead.sha256.clone());
        let kept = ahead.clone();
        current.change(event, move |vault| {
            let mut all = Ahead::read_all(vault);
            // What has ended need not be kept.
            all.retain(|one| given < one.until);
            if all.len() >= MAX_AHEAD {
                return Err(failure::invalid(
                    format!("{MAX_AHEAD} programs are allowed something ahead already."),
                    "End some: touchkeep grant list, touchkeep grant revoke ID",
                ));
            }
            all.push(kept);
            vault
                .set_setting(GRANTS, &Ahead::write_all(&all))
                .map_err(|error| failure::vault(&error))
        })?;
        let mut all = agent.gate().ahead().to_vec();
        all.push(ahead.clone());
        agent.gate().load(all);
        Ok(ahead.summary(&open.read()))
    })
    .await?;
    agent.prompts().changed("grants");
    Ok(added)
}

// Exactly as long, in the largest unit that says so.
fn lasts(seconds: u64) -> String {
    let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute")];
    let fitting = units
        .into_iter()
        .find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (unit, name) = fitting.unwrap_or((1, "second"));
    match seconds / unit {
        1 => format!("1 {name}"),
        many => format!("{many} {name}s"),
    }
}

// The items that are meant, none of which may be one that is asked for each time.
fn meant(agent: &Agent, names: &[String]) -> Result<Vec<Item>, Failure> {
    let items = items(agent, names)?;
    match items.iter().find(|item| !may_be_remembered(item)) {
        None => Ok(items),
        Some(item) => Err(Failure::new(
            Code::NotPermitted,
            format!(
                "{} is sealed, or may move money or make keys: it is asked for each time.",
                visible(&item.name)
            ),
            "Use it through the proxy, where a rule and a touch decide: touchkeep proxy add NAME",
        )),
    }
}

fn items(agent: &Agent, names: &[String]) -> Result<Vec<Item>, Failure> {
    let (_, open) = open_vault(agent)?;
    if names.is_empty() {
        return Err(failure::invalid(
            "No item is named.",
            "Name what the program may have.",
        ));
    }
    let mut items: Vec<Item> = Vec::new();
    for name in names {
        let mut item = open.item(name)?;
        item.class = worst_right(&open.read(), &item);
        if items.iter().all(|known: &Item| known.id != item.id) {
            items.push(item);
        }
    }
    Ok(items)
}

// The program's own path, what runs it where it is a script, and its hash.
fn program(agent: &Agent, path: &Path) -> Result<(PathBuf, Option<Interpreter>, String), Failure> {
    let shown = visible(&path.to_string_lossy());
    let unusable =
        |why: &str| failure::invalid(format!("{shown}: {why}."), "Give the path of a program.");
    if !path.is_absolute() {
        return Err(unusable("not an absolute path"));
    }
    let path = fs::canonicalize(path).map_err(|error| unusable(&error.to_string()))?;
    let meta = fs::metadata(&path).map_err(|error| unusable(&error.to_string()))?;
    if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
        return Err(unusable("not a program"));
    }
    let hash = agent.gate().hashes().of_path(&path);
    let hash = hash.map_err(|error| unusable(&error.to_string()))?;
    let interpreter = interpreter(&path).map_err(|why| unusable(&why))?;
    Ok((path, interpreter, HEXLOWER.encode(&hash)))
}

/// Where `env` looks for what runs a script. Not in the agent's own PATH, which may be another than the script's.
const PATH: [&str; 4] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin"];
/// Longer first lines the kernel does not read either (execve(2)).
const FIRST_LINE: usize = 255;

// What runs a script, by its first line: `#!/bin/sh`, `#!/usr/bin/env python3`. None where it is no script.
fn interpreter(path: &Path) -> Result<Option<Interpreter>, String> {
    let mut first = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FIRST_LINE as u64).read_to_end(&mut first))
        .map_err(|error| error.to_string())?;
    let Some(line) = first.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let line =
        String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default());
    let line = line.trim();
    let (program, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if program.is_empty() {
        return Err("its first line names nothing that runs it".to_owned());
    }
    // The kernel gives the rest of the line as one argument; env splits it where it is told to.
    let (found, options) = if Path::new(program)
        .file_name()
        .is_some_and(|name| name == "env")
    {
        let mut words = rest.split_whitespace().skip_while(|word| *word == "-S");
        let name = words
            .next()
            .ok_or("its first line names nothing for env to run")?;
        let found = PATH
            .iter()
            .map(|folder| Path::new(folder).join(name))
            .find(|path| path.is_file());
        let found = found.ok_or_else(|| {
            format!(
                "what runs it, {}, is not in {}",
                visible(name),
                PATH.join(", ")
            )
        })?;
        (found, words.map(str::to_owned).collect())
    } else {
        let options = Some(rest.trim()).filter(|rest| !rest.is_empty());
        (
            PathBuf::from(program),
            options.map(str::to_owned).into_iter().collect(),
        )
    };
    let path = fs::canonicalize(&found).map_err(|error| {
        format!(
            "what runs it, {}: {error}",
            visible(&found.to_string_lossy())
        )
    })?;
    Ok(Some(Interpreter { path, options }))
}

fn unknown(grant: &str) -> Failure {
    failure::not_found("grant", grant, "Look at: touchkeep grant list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_agreed_to_lasts_as_long_as_is_said() {
        for (seconds, said) in [
            (30 * 24 * 3600, "30 days"),
            (24 * 3600, "1 day"),
            (36 * 3600, "36 hours"),
            (3600, "1 hour"),
            (30 * 60, "30 minutes"),
            (90, "90 seconds"),
            (1, "1 second"),
        ] {
            assert_eq!(lasts(seconds), said);
        }
    }

    #[test]
    fn what_runs_a_script_is_read_from_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        let runs = |first: &str| {
            fs::write(&path, first).unwrap();
            interpreter(&path)
        };
        let shell = |options: &[&str]| {
            Ok(Some(Interpreter {
                path: fs::canonicalize("/bin/sh").unwrap(),
                options: options.iter().map(|option| (*option).to_owned()).collect(),
            }))
        };
        assert_eq!(runs("#!/bin/sh\necho"), shell(&[]));
        assert_eq!(runs("#! /bin/sh -e -u\n"), shell(&["-e -u"]));
        assert_eq!(runs("#!/usr/bin/env sh\n"), shell(&[]));
        assert_eq!(runs("#!/usr/bin/env -S sh -e -u"), shell(&["-e", "-u"]));
        assert_eq!(runs("\u{7f}ELF"), Ok(None));
        for bad in [
            "#!",
            "#!\n/bin/sh",
            "#!/usr/bin/env",
            "#!/no/such/program",
            "#!/usr/bin/env no-such-program-here",
        ] {
            assert!(runs(bad).is_err(), "{bad:?}");
        }
    }
}
