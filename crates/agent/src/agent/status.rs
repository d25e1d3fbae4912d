//! How it stands with the agent: what `touchkeep status` says.

use std::time::Duration;

use touchkeep_wire::{LateKeys, Status};

use super::Agent;
use crate::{calls::remind, uptime::Uptime};

impl Agent {
    pub(crate) fn status(&self) -> Status {
        let current = self.vault();
        Status {
            unlocked: current
                .as_ref()
                .is_some_and(|current| current.peek().is_some()),
            vault: current.map(|current| current.summary()),
            path: self.vault_path().display().to_string(),
            proxy: self.proxy_url(),
            armed: self.armed_for().map(|left| left.as_secs()),
            note: self
                .upstream
                .clocks()
                .wild()
                .or_else(|| self.watching.unseen())
                .or_else(|| self.watching.missing()),
            attention: self.used_elsewhere.attention(Uptime::now()),
            late: self.late_keys(),
            waiting: u32::try_from(self.prompts.list().len()).unwrap_or(u32::MAX),
            resting: self.prompts.resting(),
            version: self.version().to_owned(),
        }
    }

    // For how much longer trade keys are armed.
    fn armed_for(&self) -> Option<Duration> {
        let of_open = self
            .vault()
            .and_then(|current| current.peek()?.armed_until());
        let until = of_open.or_else(|| self.armed().map(|armed| armed.until()))?;
        Some(until.since(Uptime::now()))
    }

    /// How many keys' time is over; none while it is locked.
    pub(crate) fn late_keys(&self) -> Option<LateKeys> {
        let open = self.vault()?.peek()?;
        Some(remind::late(&open.read()))
    }
}
