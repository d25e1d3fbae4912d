//! A membership that was changed in two places: what each branch did, in plain words, and the join of the two.

use std::{collections::BTreeMap, sync::Arc};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_container::{Statement, words::Role};
use touchkeep_core::{
    Clock, Code, DeviceId, EnvironmentId, SystemClock, UserId,
    text::{quoted, visible},
};
use touchkeep_vault::{Branch, BranchLink, EnrolledDevice, Undone, Unlocked, user_name};
use touchkeep_wire::{Failure, JoinMembership, JoinReport, MemberBranch, MemberChange};

use super::{enrol::govern, open_vault};
use crate::{agent::Agent, devices::blocking, failure, vault::device_label};

/// Joins a membership that was changed in two places, or only says what that means.
pub(crate) async fn join(
    agent: &Arc<Agent>,
    wanted: JoinMembership,
) -> Result<JoinReport, Failure> {
    let (_, open) = open_vault(agent)?;
    let branches = blocking(move || {
        let vault = open.read();
        let told = Told::of(&vault);
        let branches = vault.branches();
        branches.iter().map(|branch| told.branch(branch)).collect()
    });
    let branches: Vec<MemberBranch> = branches.await?;
    if branches.len() < 2 {
        return Err(failure::invalid(
            "Nothing is to be joined: the membership was changed in one place only.",
            "Look at: touchkeep status",
        ));
    }
    let ends: Vec<String> = branches.iter().map(|branch| branch.end.clone()).collect();
    if !wanted.seen.is_empty() && wanted.seen != ends {
        return Err(Failure::new(
            Code::NotPermitted,
            "The branches are other ones than those that were shown. Nothing was joined.",
            "Look at them again: touchkeep device join --dry-run",
        ));
    }
    if wanted.dry_run {
        let done = false;
        return Ok(JoinReport { done, branches });
    }
    let undone = branches.iter().flat_map(|branch| &branch.undone);
    let undone: Vec<&str> = undone.map(String::as_str).collect();
    let text = match undone[..] {
        [] => "Joined a membership that was changed in two places.".to_owned(),
        _ => format!(
            "Joined a membership that was changed in two places. {}",
            undone.join(" ")
        ),
    };
    let why = "Join what was changed in two places".to_owned();
    let event = Event::new(Kind::Merged, Decision::Done).text(text);
    govern(agent, why, event, move |vault| {
        let now: Vec<String> = vault
            .branches()
            .iter()
            .map(|it| it.end.to_string())
            .collect();
        if now != ends {
            return Err(touchkeep_vault::VaultError::MembersChanged);
        }
        Ok(((), vault.propose_join(SystemClock.now())?))
    })
    .await?;
    let done = true;
    Ok(JoinReport { done, branches })
}

/// What things are called.
struct Told<'a> {
    vault: &'a Unlocked,
    // Of every branch: one that only another branch knows has a name, too.
    devices: BTreeMap<DeviceId, EnrolledDevice>,
}

impl<'a> Told<'a> {
    fn of(vault: &'a Unlocked) -> Self {
        let branches = vault.branches().into_iter();
        Self {
            vault,
            devices: branches.flat_map(|branch| branch.devices).collect(),
        }
    }

    fn branch(&self, branch: &Branch) -> MemberBranch {
        MemberBranch {
            end: branch.end.to_string(),
            holds: branch.holds,
            changes: branch.links.iter().map(|link| self.change(link)).collect(),
            undone: branch.undone.iter().map(|it| self.undone(*it)).collect(),
        }
    }

    fn change(&self, link: &BranchLink) -> MemberChange {
        let signers = link.signers.iter();
        let by = signers
            .map(|(user, device)| format!("{}, with {}", self.user(*user), self.device(*device)));
        MemberChange {
            at: link.time,
            by: by.collect(),
            did: self.did(&link.statements),
        }
    }

    // Keys go with what they are for, and are not told by themselves.
    fn did(&self, statements: &[Statement]) -> Vec<String> {
        let told = statements.iter().filter_map(|statement| match statement {
            Statement::Device { id, user, .. } => Some(format!(
                "let {} of {} open the vault",
                self.device(*id),
                self.user(*user)
            )),
            Statement::Retired(id) => Some(format!("retired {}", self.device(*id))),
            Statement::User(user) => Some(format!("let {} in", self.user(*user))),
            Statement::Role(user, role) => Some(match role {
                Role::Gone => format!("removed {}", self.user(*user)),
                role => format!("made {} {}", self.user(*user), role_words(*role)),
            }),
            Statement::Threshold(admins) => {
                Some(format!("asked for {admins} admins to sign each change"))
            }
            Statement::Environment(id) => Some(format!("made {}", self.environment(*id))),
            Statement::Grant(id, user) => Some(format!(
                "let {} read {}",
                self.user(*user),
                self.environment(*id)
            )),
            Statement::Revoke(id, user) => Some(format!(
                "took {} from {}",
                self.environment(*id),
                self.user(*user)
            )),
            Statement::Key(..)
            | Statement::Attestation(..)
            | Statement::Author(..)
            | Statement::UserRecipient(..)
            | Statement::EnvironmentRecipient(..) => None,
        });
        let mut told: Vec<String> = told.collect();
        if told.is_empty() {
            told.push(match statements {
                [] => "joined two branches".to_owned(),
                _ => "renewed keys".to_owned(),
            });
        }
        told
    }

    fn undone(&self, undone: Undone) -> String {
        match undone {
            Undone::InUseAgain(id) => format!(
                "{} is NOT retired any more and opens the vault: retire it again at once if it was lost.",
                self.device(id)
            ),
            Undone::NotEnrolled(id) => format!(
                "{} will not open the vault: enroll it again if you want that.",
                self.device(id)
            ),
            Undone::NoMember(user) => format!("{} is no member.", self.user(user)),
            Undone::RoleAgain(user, role) => format!(
                "{} is {} again.",
                self.user(user),
                role.map_or("nothing", role_words)
            ),
            Undone::NoEnvironment(id) => format!(
                "{} is given up, with everything in it: open that copy by itself first if you need it.",
                self.environment(id)
            ),
            Undone::ReadsNoMore(id, user) => {
                format!("{} may not read {}.", self.user(user), self.environment(id))
            }
            Undone::ThresholdAgain(admins) => format!("{admins} admins sign each change again."),
        }
    }

    fn user(&self, user: UserId) -> String {
        match self.vault.setting(&user_name(user)) {
            Some(name) => visible(name),
            None => format!("member {user}"),
        }
    }

    fn device(&self, id: DeviceId) -> String {
        let device = self.devices.get(&id);
        device.map_or_else(|| format!("device {id}"), device_label)
    }

    fn environment(&self, id: EnvironmentId) -> String {
        match self.vault.environment_name(id) {
            name if name.is_empty() => format!("the environment {id}"),
            name => format!("the environment {}", quoted(&name)),
        }
    }
}

const fn role_words(role: Role) -> &'static str {
    match role {
        Role::Admin => "an admin",
        Role::Writer => "a writer",
        Role::Reader => "a reader",
        Role::Gone => "gone",
    }
}
