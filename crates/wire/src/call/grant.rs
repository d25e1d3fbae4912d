//! What programs may have without a person being asked again.

use serde::{Deserialize, Serialize};
use touchkeep_core::UnixMillis;

use super::Done;

calls! {
    /// What is allowed now, and to whom.
    ListGrants = "grant.list" -> Vec<GrantSummary> {}
    /// Has a person asked now whether the program that calls may use these items, instead of at each first use.
    AskGrant = "grant.ask" -> Done {
        /// Names or ids of items.
        items: Vec<String>,
        /// Fail where a person would have to be asked.
        no_interaction: bool,
    }
    /// Ends what was allowed.
    RevokeGrant = "grant.revoke" -> Done {
        /// Its id, or `all`.
        grant: String,
    }
    /// Allows a program items ahead, before anybody could be asked. A touch, or the passphrase.
    AddGrant = "grant.add" -> GrantSummary {
        /// Absolute path of the program, or of a script that says what runs it.
        program: String,
        /// Names or ids of items.
        items: Vec<String>,
        /// For how many seconds from now.
        seconds: u64,
    }
}

/// What values are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To print one.
    Read,
    /// For a program that is started with them.
    Run,
    /// To put them into a file that is made of a template.
    Inject,
    /// To put them into a file or a pipe that vanishes again.
    Mount,
    /// For git, docker or a cloud's command line, which ask for a credential.
    Helper,
    /// To put one on the clipboard.
    Copy,
    /// For later uses, asked about at once.
    Later,
    /// To write them out of the vault. Never remembered.
    Export,
    /// To check a webhook's delivery with one; it does not leave the agent.
    Verify,
}

impl Purpose {
    /// Whether a value leaves the agent for it, at once and to who asks: what [`crate::ReadValues`] may say.
    #[must_use]
    pub const fn is_reading(self) -> bool {
        !matches!(self, Self::Later | Self::Verify)
    }

    /// In words, after "asked for ...".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Read => "to print it",
            Self::Run => "for a program that it starts",
            Self::Inject => "to fill a template",
            Self::Mount => "for a file that vanishes again",
            Self::Helper => "as a credential helper",
            Self::Copy => "for the clipboard",
            Self::Later => "to use it later",
            Self::Export => "to write it out of the vault",
            Self::Verify => "to check a webhook with it",
        }
    }
}

/// What a program is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantSummary {
    /// Its id.
    pub id: String,
    /// `process`, `terminal`, `ahead`; `requests` for what is asked of the proxy.
    pub kind: String,
    /// What the program calls itself.
    pub client: String,
    /// The process with its executable, the terminal, or the program's path.
    pub holder: String,
    /// Names of the items.
    pub items: Vec<String>,
    /// When it was given.
    pub given: UnixMillis,
    /// Seconds until its end, for what ends with the lock at the latest.
    pub seconds_left: Option<u64>,
    /// When it ends, for what was allowed ahead.
    pub until: Option<UnixMillis>,
    /// For requests: which, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// For requests: how many more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
}
