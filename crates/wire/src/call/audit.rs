//! What happened.

use serde::{Deserialize, Serialize};
use touchkeep_core::UnixMillis;

calls! {
    /// A page of the audit log, newest first.
    ListAudit = "audit.list" -> AuditPage {
        /// Rows below this sequence number.
        before: Option<u64>,
        /// At most this many (1 to 500); fewer where they are large, and `next` says where it goes on.
        limit: u32,
        /// Which of them.
        filter: AuditFilter,
    }
    /// One row, with everything that is known of it.
    ShowAudit = "audit.show" -> AuditDetail {
        /// Its number.
        seq: u64,
    }
    /// Checks the audit log against its tree, its checkpoints and the vault.
    VerifyAudit = "audit.verify" -> AuditVerdict {
        /// Absolute path of a copy of the log to check instead of the agent's own.
        file: Option<String>,
    }
    /// Has the log signed as it is: by whoever unlocked the vault, or by the device that did. While the vault is locked
    /// nothing is signed, and the newest checkpoint is the answer.
    CheckpointAudit = "audit.checkpoint" -> AuditCheckpoint {
        /// By the device, with whatever that asks of a person.
        device: bool,
    }
    /// The first line of an evidence bundle.
    BeginBundle = "audit.bundle.begin" -> BundleHeader {
        /// The size of the checkpoint that is to prove the rows.
        size: u64,
        /// The first and the last row, where all between are to be there.
        complete: Option<(u64, u64)>,
        /// An earlier checkpoint that this one is to be shown to continue, as the note that somebody kept. Where absent and not
        /// all rows are asked for: the one before.
        since: Option<String>,
    }
    /// The lines of rows of an evidence bundle.
    BundleRows = "audit.bundle.rows" -> BundleLines {
        /// The size of the checkpoint, as in the first line.
        size: u64,
        /// Whether all rows up to there are in the bundle.
        whole: bool,
        /// Which rows, ascending; 200 at most.
        seqs: Vec<u64>,
        /// With the keys that disclose them.
        disclose: bool,
    }
}

/// Which rows are meant. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditFilter {
    /// Only these kinds; all where empty.
    pub kinds: Vec<String>,
    /// Only these decisions; all where empty.
    pub decisions: Vec<String>,
    /// Only rows of this item: a name, for all that have or had it, a reference, or an id. Only while the vault is unlocked.
    pub item: Option<String>,
    /// Only rows of this client: a name, for all that have or had it, or an id. Only while the vault is unlocked.
    pub client: Option<String>,
    /// Only rows from then on.
    pub since: Option<UnixMillis>,
    /// Only rows up to then.
    pub until: Option<UnixMillis>,
    /// Only rows in which this stands, in capitals or not. Only while the vault is unlocked.
    pub text: Option<String>,
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
    /// The `before` of the next page; none after the last.
    #[cfg_attr(test, ts(skip))]
    pub next: Option<u64>,
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

/// One row, and where it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditDetail {
    /// The row.
    pub row: AuditRow,
    /// The session that it was recorded in.
    pub session: u64,
    /// The row of its outcome, for an intent that has one.
    pub outcome: Option<u64>,
    /// The log's origin line.
    pub origin: String,
    /// The smallest checkpoint that covers it, by its size; none yet.
    pub signed_at: Option<u64>,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCheckpoint {
    /// Rows that it covers.
    pub size: u64,
    /// Rows in the log.
    pub rows: u64,
    /// The tree's root, in hex.
    pub root: String,
    /// The note, as it is stored (C2SP `tlog-checkpoint`).
    pub note: String,
    /// The keys that signed it, as other tools for signed notes take them.
    pub keys: Vec<String>,
}

/// The beginning of an evidence bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleHeader {
    /// Its first line.
    pub line: String,
}

/// Lines of an evidence bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleLines {
    /// Without their ends.
    pub lines: Vec<String>,
    /// How many of the rows that were asked for are in them; the others are to be asked for again.
    pub taken: u64,
}
