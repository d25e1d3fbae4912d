//! What happens by itself: locks for idleness and for a device that was taken away, PINs forgotten with their card, what others
//! write to the vault's file, checkpoints, reminders.

mod elsewhere;
mod removal;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval};

use self::{
    elsewhere::Elsewhere,
    removal::{Removal, opener_of},
};
use crate::{
    agent::{Agent, stopped},
    calls::remind,
    devices::blocking,
    frugal,
    vault::{Because, lock_because, sign_log},
};

/// How often it is looked.
const TICK: Duration = Duration::from_secs(1);
/// Rows after which the log is signed.
const ROWS: u64 = 64;
/// Time after which it is.
const SIGN_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often keys are looked at.
const REMIND_EVERY: Duration = Duration::from_secs(60 * 60);

/// Ticks without work after which the agent makes itself small.
const QUIET_TICKS: u32 = 3;

// Whether it has been quiet for a while after there was work.
#[derive(Default)]
struct Quiet {
    seen: u64,
    ticks: u32,
}

impl Quiet {
    // True once after each spell of work.
    fn has_come(&mut self, worked: u64) -> bool {
        if self.seen != worked {
            *self = Self {
                seen: worked,
                ticks: 0,
            };
        }
        self.ticks = self.ticks.saturating_add(1);
        self.ticks == QUIET_TICKS
    }
}

/// Runs until the agent stops.
pub(crate) async fn run(agent: Arc<Agent>) {
    let mut stopping = agent.stopping();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut signed_at = Instant::now();
    let mut reminded_at: Option<Instant> = None;
    let mut removal = Removal::default();
    let mut elsewhere = Elsewhere::default();
    let mut quiet = Quiet::default();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopped(&mut stopping) => return,
        }
        if quiet.has_come(agent.worked()) {
            frugal::rest();
        }
        if let Some(armed) = agent.disarm_ended() {
            let said = blocking(move || armed.is_over("Its time is over.")).await;
            if let Err(failure) = said {
                tracing::error!(what = failure.what, "disarming was not recorded");
            }
            agent.prompts().changed("vault");
        }
        let Some(current) = agent.vault() else {
            continue;
        };
        let Some(open) = current.peek() else {
            // The next unlock looks at once.
            reminded_at = None;
            agent.watching().sees_tokens(None);
            match agent.armed() {
                Some(armed) => removal.ends(&agent, &current, &armed).await,
                None => removal = Removal::default(),
            }
            elsewhere.look(&agent, &current).await;
            continue;
        };
        if Duration::from_millis(open.idle_ms()) >= agent.config().idle_lock() {
            tracing::info!("nobody used the vault for long, so it is locked");
            drop(open);
            if let Err(failure) = lock_because(&agent, Because::Idle).await {
                tracing::error!(what = failure.what, "the idle vault was not locked");
            }
            continue;
        }
        removal.is_of(&open);
        let opener = opener_of(&current, open.device).filter(|_| agent.config().lock.removal);
        drop(open);
        let devices = agent.devices();
        if let Some(opener) = &opener
            && removal.is_seen(opener, devices).await
        {
            tracing::info!("the device that unlocked the vault was taken away, so it is locked");
            if let Err(failure) = lock_because(&agent, Because::Removal).await {
                tracing::error!(what = failure.what, "the vault was not locked");
            }
            continue;
        }
        removal
            .forget_pins(&current, devices, opener.as_ref())
            .await;
        agent.watching().sees_tokens(removal.unseen());
        elsewhere.look(&agent, &current).await;
        let unsigned = current.log().map_or(0, |log| {
            let signed = log.last_checkpoint().ok().flatten();
            log.head()
                .size
                .saturating_sub(signed.map_or(0, |checkpoint| checkpoint.head.size))
        });
        if unsigned >= ROWS || (unsigned > 0 && signed_at.elapsed() >= SIGN_EVERY) {
            signed_at = Instant::now();
            let _working = agent.works();
            let current = Arc::clone(&current);
            match blocking(move || sign_log(&current)).await {
                Ok(Ok(())) => {}
                Ok(Err(failure)) | Err(failure) => {
                    tracing::error!(what = failure.what, "the audit log was not signed");
                }
            }
        }
        if reminded_at.is_none_or(|at| at.elapsed() >= REMIND_EVERY) {
            reminded_at = Some(Instant::now());
            let _working = agent.works();
            if let Err(failure) = remind::check(&agent).await {
                tracing::warn!(what = failure.what, "keys were not looked at");
            }
            let agent = Arc::clone(&agent);
            if let Err(failure) = blocking(move || agent.flush_seen()).await {
                tracing::warn!(what = failure.what, "clients were not noted");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_comes_once_after_each_spell_of_work() {
        let mut quiet = Quiet::default();
        let come: Vec<bool> = [0, 0, 0, 0, 5, 5, 6, 6, 6, 6]
            .into_iter()
            .map(|worked| quiet.has_come(worked))
            .collect();
        let wanted = [
            false, false, true, false, false, false, false, false, true, false,
        ];
        assert_eq!(come, wanted);
    }
}
