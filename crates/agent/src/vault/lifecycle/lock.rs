//! A vault is locked: keys and PINs are wiped, armed ones too unless they outlive this. It is never refused.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_wire::Failure;

use crate::{
    agent::Agent,
    devices::blocking,
    vault::{Armed, checkpoint},
};

/// Why a vault is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Because {
    /// Somebody said so.
    Asked,
    /// Somebody said so, of armed keys as well.
    AskedAll,
    /// Nobody used it for long.
    Idle,
    /// The screen is locked.
    Screen,
    /// The machine goes to sleep.
    Sleep,
    /// Another user has the seat.
    UserSwitch,
    /// The device that unlocked it was taken away.
    Removal,
    /// Another one was made, and is open in its place.
    NewVault,
    /// What another copy says does not go together with what is open.
    Elsewhere,
}

impl Because {
    /// Whether armed keys stay.
    const fn spares_armed(self) -> bool {
        matches!(self, Self::Asked | Self::Idle | Self::Screen)
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Asked => "It was asked for.",
            Self::AskedAll => "It was asked for, armed keys as well.",
            Self::Idle => "Nobody used it for long.",
            Self::Screen => "The screen was locked.",
            Self::Sleep => "The machine went to sleep.",
            Self::UserSwitch => "Another user took the seat.",
            Self::Removal => "The device that unlocked it was taken away.",
            Self::NewVault => "A new vault was made, and is open in its place.",
            Self::Elsewhere => "Another copy took away what it was opened with.",
        }
    }
}

/// Locks: every key and PIN is wiped, armed ones as well. Whether anything was open.
pub(crate) async fn lock(agent: &Arc<Agent>) -> Result<bool, Failure> {
    lock_because(agent, Because::AskedAll).await
}

/// Locks: keys and PINs are wiped; armed ones as well, unless they outlive this. Whether anything was open.
pub(crate) async fn lock_because(agent: &Arc<Agent>, because: Because) -> Result<bool, Failure> {
    agent.devices().forget();
    close(agent, because).await
}

/// The rest of a lock, where the session has ended.
pub(super) async fn close(agent: &Arc<Agent>, because: Because) -> Result<bool, Failure> {
    agent.prompts().locked();
    if !because.spares_armed()
        && let Some(armed) = agent.disarm()
    {
        blocking(move || armed.is_over("With a lock of everything.")).await?;
    }
    let Some(current) = agent.vault() else {
        return Ok(false);
    };
    let Some(open) = current.replace(None) else {
        return Ok(false);
    };
    open.pipeline.end();
    agent.running().forget_secrets();
    agent.gate().forget();
    agent.flush_seen();
    let done = blocking({
        let (agent, current) = (Arc::clone(agent), Arc::clone(&current));
        move || {
            let armed = open.armed_until().filter(|_| because.spares_armed());
            let armed = armed.and_then(|until| Armed::of(&agent, &current, &open, until));
            let keeps_tags = armed.is_some();
            if let Some(armed) = armed {
                agent.is_armed(armed);
            }
            // Locking is never refused: what cannot be recorded now is said in the log of the agent.
            open.pipeline.tell_unsaid();
            let event = Event::new(Kind::Locked, Decision::Done).text(because.words());
            if let Err(failure) = current.record(&event) {
                tracing::error!(what = failure.what, "locking was not recorded");
            }
            if let Some(log) = current.log() {
                if let Err(failure) = checkpoint::sign(log, &open.read()) {
                    tracing::error!(what = failure.what, "the log was not signed");
                }
                if !keeps_tags {
                    log.drop_tag_key();
                }
            }
            drop(open);
        }
    });
    done.await?;
    if agent.armed().is_none() {
        agent.signing().leave();
    }
    tracing::info!(?because, "the vault is locked");
    agent.prompts().changed("vault");
    Ok(true)
}
