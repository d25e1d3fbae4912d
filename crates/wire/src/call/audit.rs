//! What happened.

use serde::{Deserialize, Serialize};
use touchkeep_core::UnixMillis;

calls! {
    /// A page of the audit log, newest first.
    ListAudit = "audit.list" -> AuditPage {
        /// Rows below this sequence number.
        before: Option<u64>,
        /// At most this many (1 to 500).
        limit: u32,
        /// Only these kinds; all where empty.
        kinds: Vec<String>,
    }
    /// Checks the audit log against its tree, its checkpoints and the vault.
    VerifyAudit = "audit.verify" -> AuditVerdict {
        /// Absolute path of a copy of the log to check instead of the agent's own.
        file: Option<String>,
    }
}

/// A page of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuditPage {
    /// Newest first.
    pub rows: Vec<AuditRow>,
    /// Rows in the log.
    #[cfg_attr(test, ts(type = "number"))]
    pub size: u64,
    /// Rows up to here are under a signed checkpoint.
    #[cfg_attr(test, ts(type = "number"))]
    pub signed: u64,
}

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuditRow {
    /// Its number, from 1.
    #[cfg_attr(test, ts(type = "number"))]
    pub seq: u64,
    /// When.
    #[cfg_attr(test, ts(type = "number"))]
    pub time: UnixMillis,
    /// What kind of event.
    pub kind: String,
    /// `allowed`, `approved`, `touched`, `denied`, `refused`, `failed`, `info`.
    pub decision: String,
    /// What happened, in a sentence; absent while locked.
    pub what: Option<String>,
    /// Who asked; absent while locked.
    pub client: Option<String>,
    /// Which item; absent while locked.
    pub item: Option<String>,
    /// For an outcome: the row of its intent.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub of: Option<u64>,
    /// Further facts, as name and value.
    pub details: Vec<(String, String)>,
    /// The row's leaf hash, in hex.
    pub leaf: String,
}

/// What the verifier found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AuditVerdict {
    /// Whether everything fits.
    pub sound: bool,
    /// Rows in the log.
    #[cfg_attr(test, ts(type = "number"))]
    pub size: u64,
    /// Rows under a signed checkpoint.
    #[cfg_attr(test, ts(type = "number"))]
    pub signed: u64,
    /// The tree's root, in hex.
    pub root: String,
    /// The first bad row.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub first_bad: Option<u64>,
    /// What is wrong with it.
    pub problem: Option<String>,
}
