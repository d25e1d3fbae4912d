//! How full the windows of the rules are.

use std::sync::Arc;

use touchkeep_core::{Clock, SystemClock, UnixMillis};
use touchkeep_policy::{Policy, Usage};
use touchkeep_wire::{Failure, PolicyUsage, PolicyUsed, PolicyWindow};

use super::Judging;
use crate::{agent::Agent, devices::blocking, failure};

pub(crate) async fn used(agent: &Arc<Agent>, call: PolicyUsed) -> Result<PolicyUsage, Failure> {
    let agent = Arc::clone(agent);
    blocking(move || {
        let judging = Judging::with(&agent, call.text.as_deref())?;
        let (policy, history) = (judging.policy, judging.history);
        let history = history.ok_or_else(failure::locked)?;
        let now = SystemClock.now();
        let since = UnixMillis(now.0.saturating_sub(policy.reach_ms()));
        let past = history.between(since, None);
        let past = past.map_err(|error| failure::read_log(&error))?;
        let windows = policy.usage(&past, now).into_iter();
        Ok(PolicyUsage {
            at: now,
            by_hand: policy.is_by_hand(),
            windows: windows.filter_map(|one| said(&policy, one)).collect(),
        })
    })
    .await?
}

fn said(policy: &Policy, usage: Usage) -> Option<PolicyWindow> {
    let rule = policy.rules().get(usage.rule)?;
    let (venue, key_set) = usage.key_set.unzip();
    Some(PolicyWindow {
        rule: rule.name.clone(),
        seconds: match usage.field {
            "requests_per_minute" => 60,
            "requests_per_day" => 24 * 3600,
            _ => rule.window_ms() / 1000,
        },
        field: usage.field.to_owned(),
        client: usage.client,
        venue,
        key_set,
        each: usage.each,
        of: usage.of,
        most: usage.most.to_string(),
        so_far: usage
            .so_far
            .map_or_else(|| "unknown".to_owned(), |sum| sum.to_string()),
        percent: usage.percent,
        frees: usage.frees,
    })
}
