//! The agent itself: who talks, how things are, what does not work.

use serde::{Deserialize, Serialize};

use crate::{Resting, VaultSummary};

calls! {
    /// First on every connection.
    Hello = "hello" -> Welcome {
        /// [`crate::PROTOCOL`] of the caller.
        protocol: u32,
        /// Who it is: `touchkeep 0.1.0`. Shown, never trusted.
        name: String,
        /// It answers no question, and wants nobody waited for: what has to be asked fails where no front end is there.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unattended: bool,
        /// Absolute path of the vault that it means, where it means a certain one: what is for a vault is done with no other.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vault: Option<String>,
    }
    /// How things are.
    GetStatus = "status" -> Status {}
    /// Ends the agent, after locking.
    StopAgent = "agent.stop" -> Done {}
    /// Looks at everything that Touchkeep stands on. Asks nobody, spends no PIN try, changes nothing.
    Diagnose = "doctor" -> Diagnosis {}
}

/// Nothing more to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}

/// Answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The agent's [`crate::PROTOCOL`].
    pub protocol: u32,
    /// The agent's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
}

/// How things are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Status {
    /// The open or configured vault.
    pub vault: Option<VaultSummary>,
    /// Where that file is, or would be.
    pub path: String,
    /// Whether it is open.
    pub unlocked: bool,
    /// The proxy's base address, while it listens.
    pub proxy: Option<String>,
    /// For how many seconds more trade keys are armed.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub armed: Option<u64>,
    /// What a person should know of how the vault is locked here, in a sentence.
    pub note: Option<String>,
    /// What a person should look into: keys that somebody else uses too.
    pub attention: Vec<Attention>,
    /// Keys whose time is over; none while it is locked.
    pub late: Option<LateKeys>,
    /// Prompts that wait for a person.
    pub waiting: u32,
    /// Who asks nobody for a while, because its last questions went unanswered or were refused.
    pub resting: Vec<Resting>,
    /// The agent's version.
    pub version: String,
}

/// How many keys' time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct LateKeys {
    /// They have ended at their venue or service.
    pub expired: u32,
    /// They are older than their rule says, and have not ended.
    pub overdue: u32,
}

/// Something that a person should look into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Attention {
    /// What was seen, in a sentence.
    pub what: String,
    /// What it means and what to do.
    pub fix: String,
}

/// What the doctor found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// By subject; what is in order is said as well.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, subject first: `pcscd.socket`. `docs/doctor.md` explains each. It may come several times, for several cards.
    pub id: String,
    /// How bad it is.
    pub level: Level,
    /// What was found, in a sentence.
    pub what: String,
    /// What to do; empty where there is nothing to do.
    pub fix: String,
    /// What it was seen by, as name and value. Never a secret.
    pub facts: Vec<(String, String)>,
}

/// How bad a finding is, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// In order.
    Ok,
    /// Good to know; nothing has to be done.
    Note,
    /// It works, or will, but is weaker or will bite.
    Warning,
    /// Something does not work, or must not stay so.
    Problem,
}

impl LateKeys {
    /// In a sentence; none where no key is late.
    #[must_use]
    pub fn words(self) -> Option<String> {
        let keys = |count: u32, one: &str, more: &str| match count {
            0 => None,
            1 => Some(format!("1 key {one}")),
            count => Some(format!("{count} keys {more}")),
        };
        let expired = keys(self.expired, "has expired", "have expired");
        let overdue = keys(
            self.overdue,
            "is older than its rule says",
            "are older than their rules say",
        );
        let parts: Vec<String> = expired.into_iter().chain(overdue).collect();
        (!parts.is_empty()).then(|| format!("{}.", parts.join(", ")))
    }
}

impl Finding {
    /// The finding with one more fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.facts.push((name.to_owned(), value.to_string()));
        self
    }
}
