//! What was put to a person within the last hour, by the audit log: so that a request that comes again is known even after
//! the agent was started anew.

use data_encoding::HEXLOWER;
use touchkeep_audit::{Decision, Kind, Query};
use touchkeep_core::{Clock, SystemClock, UnixMillis};

use super::LogHistory;

const WITHIN_MS: u64 = 60 * 60 * 1000;
/// Rows that are read. A person is asked far less often in an hour.
const MOST: usize = 1000;

impl LogHistory {
    /// Digest and time of each. What cannot be read is left out: it only makes less stand out.
    pub(crate) fn asked(&self) -> Vec<([u8; 32], UnixMillis)> {
        let query = Query {
            limit: MOST,
            kinds: vec![Kind::Intent, Kind::RequestRefused],
            decisions: vec![Decision::Approved, Decision::Touched, Decision::Refused],
            since: Some(UnixMillis(SystemClock.now().0.saturating_sub(WITHIN_MS))),
            ..Query::default()
        };
        let rows = match self.log.list(&query, Some(&self.identity)) {
            Ok(page) => page.rows,
            Err(error) => {
                tracing::warn!(%error, "what was asked for earlier cannot be read");
                return Vec::new();
            }
        };
        // The oldest first, as they were asked.
        rows.iter()
            .rev()
            .filter_map(|row| {
                let digest = row.event.as_ref()?.digest.as_deref()?;
                let digest = HEXLOWER.decode(digest.as_bytes()).ok()?;
                Some((digest.try_into().ok()?, row.time))
            })
            .collect()
    }
}
