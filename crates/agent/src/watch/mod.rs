//! What the session of the person says: the machine goes to sleep, the screen is locked, somebody else has the seat. Each
//! locks the vault.
//!
//! It comes over D-Bus, from logind and from screen savers. Where there is no bus nothing comes; that is said in the status
//! and by the doctor, and the lock for idleness does not depend on it.

mod logind;
mod screensaver;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    agent::{Agent, stopped},
    vault::{self, Because},
};

/// A bus that went away is looked for again after this.
const AGAIN: Duration = Duration::from_secs(30);

/// What is listened to.
#[derive(Debug, Default)]
pub(crate) struct Watching {
    heard: Mutex<[Heard; 2]>,
    // Why it is not known whether a token is still there.
    unseen: Mutex<Option<String>>,
}

/// Whether a bus is heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Heard {
    /// It is looked for.
    #[default]
    NotYet,
    /// It is.
    Yes,
    /// It is not, and why.
    No(String),
}

/// Which bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// logind on the system's bus: sleep, session locks, user switches.
    Logind,
    /// Screen savers on the session's bus.
    ScreenSaver,
}

impl Watching {
    /// Whether a source is heard.
    pub(crate) fn of(&self, source: Source) -> Heard {
        let [logind, screensaver] = &*self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match source {
            Source::Logind => logind.clone(),
            Source::ScreenSaver => screensaver.clone(),
        }
    }

    /// What is not heard, for the status: a sentence, or none.
    pub(crate) fn missing(&self) -> Option<String> {
        let no = |source| matches!(self.of(source), Heard::No(_));
        let missing = match (no(Source::Logind), no(Source::ScreenSaver)) {
            (false, false) => return None,
            (true, false) => "sleep and user switches",
            (false, true) => "screen locks",
            (true, true) => "sleep, user switches and screen locks",
        };
        Some(format!(
            "The vault is not locked by {missing}: no D-Bus is heard here. It still locks when nobody uses it."
        ))
    }

    /// Takes in why it is not known whether a token is still there, or that it is.
    pub(crate) fn sees_tokens(&self, unseen: Option<&str>) {
        let mut kept = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.as_deref() != unseen {
            *kept = unseen.map(str::to_owned);
        }
    }

    /// That a token's removal would not be noticed, for the status: a sentence, or none.
    pub(crate) fn unseen(&self) -> Option<String> {
        let kept = self.unseen.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_deref().map(|why| {
            format!(
                "A token that is taken away is not noticed now: {why}. Look at: touchkeep doctor"
            )
        })
    }

    fn is(&self, source: Source, heard: Heard) {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let [logind, screensaver] = &mut *all;
        let place = match source {
            Source::Logind => logind,
            Source::ScreenSaver => screensaver,
        };
        if let Heard::No(why) = &heard
            && !matches!(place, Heard::No(_))
        {
            tracing::warn!(?source, %why, "no D-Bus is heard");
        }
        *place = heard;
    }
}

/// Listens until the agent stops.
pub(crate) async fn run(agent: Arc<Agent>) {
    let mut stopping = agent.stopping();
    tokio::select! {
        () = forever(&agent, Source::Logind) => {}
        () = forever(&agent, Source::ScreenSaver) => {}
        () = stopped(&mut stopping) => {}
    }
}

async fn forever(agent: &Arc<Agent>, source: Source) {
    loop {
        let ended = match source {
            Source::Logind => logind::listen(agent).await,
            Source::ScreenSaver => screensaver::listen(agent).await,
        };
        let why = ended.map_or_else(
            |error| error.to_string(),
            |()| "the bus went away".to_owned(),
        );
        agent.watching().is(source, Heard::No(why));
        tokio::time::sleep(AGAIN).await;
    }
}

fn heard(agent: &Agent, source: Source) {
    agent.watching().is(source, Heard::Yes);
}

async fn lock(agent: &Arc<Agent>, because: Because) {
    if !agent.config().lock.is_wanted(because) {
        return;
    }
    if let Err(failure) = vault::lock_because(agent, because).await {
        tracing::error!(what = failure.what, ?because, "the vault was not locked");
    }
}
