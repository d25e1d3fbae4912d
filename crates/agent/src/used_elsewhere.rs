//! Keys that somebody else uses too: a venue refused a number that we gave out as too low, and ours only rise.
//!
//! On one machine a seat keeps two agents from signing with one vault; on two machines nothing but the venue sees it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use touchkeep_core::{ItemId, text::visible};

use touchkeep_wire::Attention;

use crate::uptime::Uptime;

/// What was seen is said for so long after it was seen last.
const SAID_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// A person is told of it anew after this.
const TOLD_EVERY: Duration = Duration::from_secs(60 * 60);

/// Which keys, since the agent began.
#[derive(Debug, Default)]
pub(crate) struct UsedElsewhere(Mutex<HashMap<ItemId, Seen>>);

#[derive(Debug)]
struct Seen {
    name: String,
    venue: String,
    times: u32,
    last: Uptime,
    told: Uptime,
}

impl UsedElsewhere {
    /// A venue refused a number of this key. What a person is to be told now, if anything.
    pub(crate) fn saw(
        &self,
        item: ItemId,
        name: &str,
        venue: &str,
        now: Uptime,
    ) -> Option<Attention> {
        let mut all = self.lock();
        all.retain(|_, seen| now.since(seen.last) < SAID_FOR);
        let is_new = !all.contains_key(&item);
        let seen = all.entry(item).or_insert_with(|| Seen {
            name: visible(name),
            venue: visible(venue),
            times: 0,
            last: now,
            told: now,
        });
        (seen.times, seen.last) = (seen.times.saturating_add(1), now);
        if !is_new && now.since(seen.told) < TOLD_EVERY {
            return None;
        }
        seen.told = now;
        Some(seen.attention())
    }

    /// What is to be said of them.
    pub(crate) fn attention(&self, now: Uptime) -> Vec<Attention> {
        let all = self.lock();
        let fresh = all.values().filter(|seen| now.since(seen.last) < SAID_FOR);
        let mut said: Vec<Attention> = fresh.map(Seen::attention).collect();
        said.sort_by(|one, other| one.what.cmp(&other.what));
        said
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ItemId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn attention(&self) -> Attention {
        let Self {
            name, venue, times, ..
        } = self;
        let how_often = match times {
            1 => "a request".to_owned(),
            n => format!("{n} requests"),
        };
        Attention {
            what: format!(
                "{venue} refused {how_often} of {name}: the number was not above the last one that it has seen."
            ),
            fix: "Numbers given out here only rise, so another machine or program signs with the same key, or did so while its clock was ahead. \
                  Give each machine a key of its own."
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_once_an_hour_and_can_look_for_a_day() {
        let keys = UsedElsewhere::default();
        let (item, now) = (ItemId::random(), Uptime::now());
        let saw = |at| keys.saw(item, "prod/main", "kraken", at);
        let first = saw(now).unwrap();
        assert!(
            first
                .what
                .starts_with("kraken refused a request of prod/main: ")
        );
        assert_eq!(saw(now.after(Duration::from_secs(60))), None);
        let later = now.after(TOLD_EVERY);
        assert!(saw(later).unwrap().what.contains("refused 3 requests"));
        assert_eq!(keys.attention(later).len(), 1);
        assert!(keys.attention(later.after(SAID_FOR)).is_empty());
    }
}
