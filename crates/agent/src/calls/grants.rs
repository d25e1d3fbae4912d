//! What programs may have: listed, ended, allowed ahead.

use std::{
    fs,
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
    grants::{Ahead, GRANTS, Gate, ItemUse, may_be_remembered},
};

/// Nothing is allowed ahead for longer.
const MAX_SECONDS: u64 = 366 * 24 * 60 * 60;
/// Programs that are allowed something ahead, on all machines of a vault.
const MAX_AHEAD: usize = 256;

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<GrantSummary>, Failure> {
    let (_, open) = open_vault(agent)?;
    let mut all = agent.gate().list();
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
        .map(|item| ItemUse {
            item: item.id,
            name: item.name.clone(),
            field: "secret".to_owned(),
            each_time: !may_be_remembered(item),
        })
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
    let (path, sha256) = blocking(move || program(&looked, Path::new(&call.program))).await??;
    let names: Vec<String> = items.iter().map(|item| visible(&item.name)).collect();
    let (names, program) = (names.join(", "), visible(&path.to_string_lossy()));
    let days = call.seconds.div_ceil(24 * 60 * 60);
    let why = format!("Let {program} have {names} without asking, for {days} days");
    consent::of_owner(agent, &why).await?;
    let given = SystemClock.now();
    let machine = agent
        .state()
        .log(current.id())
        .ok_or_else(failure::locked)?;
    let ahead = Ahead {
        id: Id::random(),
        machine,
        path,
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
                    "End some: touchkeep grant revoke",
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
            "Use it through the proxy, where a rule and a touch decide: touchkeep proxy add",
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
        let item = open.item(name)?;
        if items.iter().all(|known: &Item| known.id != item.id) {
            items.push(item);
        }
    }
    Ok(items)
}

// The program's own path and hash.
fn program(agent: &Agent, path: &Path) -> Result<(PathBuf, String), Failure> {
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
    Ok((path, HEXLOWER.encode(&hash)))
}

fn unknown(grant: &str) -> Failure {
    failure::not_found("grant", grant, "Look at: touchkeep grant list")
}
