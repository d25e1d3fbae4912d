//! How old keys are, and who is told.

use std::sync::Arc;

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{Clock, SystemClock, UnixMillis};
use touchkeep_rotation::{Due, Expiry, KeyAge, Reminder, next_expiry_reminder, next_reminder};
use touchkeep_vault::{Item, Unlocked};
use touchkeep_wire::{Failure, KeyAge as Shown, LateKeys};

use super::look_at_vault;
use crate::{agent::Agent, devices::blocking, failure, notify};

pub(crate) fn age(item: &Item) -> KeyAge {
    KeyAge {
        created: item.created,
        rotate_after_days: item.rotate_after_days,
    }
}

pub(crate) fn list(agent: &Arc<Agent>) -> Result<Vec<Shown>, Failure> {
    let (_, open) = look_at_vault(agent)?;
    let vault = open.read();
    let items = vault
        .items()
        .into_iter()
        .filter(|item| item.trashed.is_none());
    let mut ages: Vec<_> = items.map(shown).collect();
    // The one whose time is first comes first; those without a date last, by their names.
    ages.sort_by_cached_key(|age| {
        let first = age.due.into_iter().chain(age.expires).min();
        (first.is_none(), first, age.name.clone())
    });
    Ok(ages)
}

/// How many keys have expired, and how many are older than their rule says.
pub(crate) fn late(vault: &Unlocked) -> LateKeys {
    let now = SystemClock.now();
    let is_over = |at: Option<UnixMillis>| at.is_some_and(|at| at <= now);
    let mut late = LateKeys {
        expired: 0,
        overdue: 0,
    };
    for item in vault.items() {
        if item.trashed.is_some() {
            continue;
        }
        if is_over(item.expires()) {
            late.expired += 1;
        } else if is_over(age(item).due_at()) {
            late.overdue += 1;
        }
    }
    late
}

/// What somebody is reminded of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// It is to be rotated.
    Rotation,
    /// It ends by itself.
    Expiry,
}

/// Reminds of what is due and was not said yet; says what was said.
pub(crate) async fn check(agent: &Arc<Agent>) -> Result<Vec<Shown>, Failure> {
    let due = {
        let agent = Arc::clone(agent);
        blocking(move || due_now(&agent)).await??
    };
    let mut raised = Vec::new();
    for (item, about, reminder) in due {
        let (summary, body) = words(&item, about, reminder);
        let seen = notify::show(summary, body.clone()).await?;
        let agent = Arc::clone(agent);
        let shown = shown(&item);
        blocking(move || record(&agent, &item, about, &body, seen)).await??;
        raised.push(shown);
    }
    // One that is reminded of for two reasons is said once.
    raised.dedup_by_key(|shown| shown.item);
    if !raised.is_empty() {
        agent.prompts().changed("reminders");
    }
    Ok(raised)
}

fn due_now(agent: &Agent) -> Result<Vec<(Item, About, Reminder)>, Failure> {
    let current = agent.some_vault()?;
    let open = current.open()?;
    let vault = open.read();
    let now = SystemClock.now();
    let items = vault
        .items()
        .into_iter()
        .filter(|item| item.trashed.is_none());
    let due = items.flat_map(|item| {
        let state = agent.state();
        let rotation = next_reminder(&age(item), state.last_reminded(item.id), now);
        let expiry = item.expires().and_then(|at| {
            next_expiry_reminder(Expiry(at), state.last_reminded_of_expiry(item.id), now)
        });
        let rotation = rotation.map(|it| (item.clone(), About::Rotation, it));
        let expiry = expiry.map(|it| (item.clone(), About::Expiry, it));
        rotation.into_iter().chain(expiry)
    });
    Ok(due.collect())
}

// Recorded first, remembered after: a reminder is rather said twice than forgotten.
fn record(agent: &Agent, item: &Item, about: About, body: &str, seen: bool) -> Result<(), Failure> {
    let current = agent.some_vault()?;
    let event = Event::new(Kind::Reminder, Decision::Info)
        .text(body)
        .item(item.id, touchkeep_core::text::visible(&item.name))
        .detail("notification", if seen { "shown" } else { "no service" });
    current.record(&event)?;
    let (state, now) = (agent.state(), SystemClock.now());
    let remembered = match about {
        About::Rotation => state.reminded(item.id, now),
        About::Expiry => state.reminded_of_expiry(item.id, now),
    };
    remembered.map_err(|error| failure::state(&error))
}

fn words(item: &Item, about: About, reminder: Reminder) -> (String, String) {
    let name = touchkeep_core::text::visible(&item.name);
    let venue = touchkeep_core::text::visible(&item.venue);
    let (summary, when) = match about {
        About::Rotation => of_rotation(&name, reminder.due),
        About::Expiry => {
            let when = of_expiry(reminder.due);
            (format!("{name} {when}"), when)
        }
    };
    let body = match venue.is_empty() {
        true => format!("{name} {when}."),
        false => format!("The key {name} at {venue} {when}."),
    };
    (summary, body)
}

fn of_expiry(due: Due) -> String {
    match due {
        Due::InDays(1) => "expires within a day".to_owned(),
        Due::InDays(days) => format!("expires in {days} days"),
        Due::OverdueDays(0) | Due::Never => "expired today".to_owned(),
        Due::OverdueDays(1) => "expired yesterday".to_owned(),
        Due::OverdueDays(days) => format!("expired {days} days ago"),
    }
}

fn of_rotation(name: &str, due: Due) -> (String, String) {
    match due {
        Due::InDays(1) => (
            format!("Rotate {name} by tomorrow"),
            "is due within a day".to_owned(),
        ),
        Due::InDays(days) => (
            format!("Rotate {name} in {days} days"),
            format!("is due in {days} days"),
        ),
        Due::OverdueDays(0) | Due::Never => {
            (format!("Rotate {name} today"), "is due today".to_owned())
        }
        Due::OverdueDays(1) => (
            format!("{name} is overdue"),
            "is overdue since yesterday".to_owned(),
        ),
        Due::OverdueDays(days) => (
            format!("{name} is overdue"),
            format!("is overdue for {days} days"),
        ),
    }
}

fn shown(item: &Item) -> Shown {
    let (due, expires, now) = (age(item).due_at(), item.expires(), SystemClock.now());
    Shown {
        item: item.id,
        name: item.name.clone(),
        venue: item.venue.clone(),
        created: item.created,
        due,
        days_left: days_left(age(item).due(now)),
        expires,
        expires_in_days: expires.and_then(|at| days_left(Expiry(at).due(now))),
    }
}

// Days, a begun one counted, as the reminders count them; none or negative once it is due.
fn days_left(due: Due) -> Option<i64> {
    let days = |days: u64| i64::try_from(days).unwrap_or(i64::MAX);
    match due {
        Due::Never => None,
        Due::InDays(left) => Some(days(left)),
        Due::OverdueDays(since) => Some(-days(since)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_the_reminder_says() {
        assert_eq!(days_left(Due::InDays(7)), Some(7));
        assert_eq!(days_left(Due::OverdueDays(0)), Some(0));
        assert_eq!(days_left(Due::OverdueDays(2)), Some(-2));
        assert_eq!(days_left(Due::Never), None);
    }
}
