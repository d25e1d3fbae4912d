//! How old a key is, when it is due, when it ends by itself, and when somebody is to be reminded.
//!
//! Pure: time is an argument, and what was said before is an argument too, so that a restart neither forgets nor repeats.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::float_arithmetic,
        reason = "tests may fail loudly"
    )
)]

use serde::{Deserialize, Serialize};
use touchkeep_core::{UnixMillis, time::DAY_MS};

/// What decides how old a key may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAge {
    /// When the key was made, as far as is known.
    pub created: UnixMillis,
    /// After how many days it is to be replaced; never without.
    pub rotate_after_days: Option<u32>,
}

/// How a key stands to its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// It has no date.
    Never,
    /// In this many days, a begun day counted: 1 means within 24 hours.
    InDays(u64),
    /// Since this many whole days: 0 means in the last 24 hours.
    OverdueDays(u64),
}

/// Why somebody is reminded. Ordered: a later stage comes after an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// 14 days or less.
    TwoWeeks,
    /// 7 days or less.
    OneWeek,
    /// 1 day or less.
    OneDay,
    /// It is due now.
    Today,
    /// It has been due for so many whole days, from 1: once a day.
    Overdue(u64),
}

/// Somebody is to be reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminder {
    /// Why.
    pub stage: Stage,
    /// How the key stands to its date.
    pub due: Due,
}

impl KeyAge {
    /// When it is due.
    #[must_use]
    pub fn due_at(&self) -> Option<UnixMillis> {
        let days = u64::from(self.rotate_after_days?);
        Some(self.created.plus_ms(days.saturating_mul(DAY_MS)))
    }

    /// How it stands to its date.
    #[must_use]
    pub fn due(&self, now: UnixMillis) -> Due {
        self.due_at().map_or(Due::Never, |at| due_in(at, now))
    }

    fn stage(&self, now: UnixMillis) -> Option<Stage> {
        match self.due(now) {
            Due::OverdueDays(days @ 1..) => Some(Stage::Overdue(days)),
            due => stage_of(due),
        }
    }
}

/// When a key ends by itself at its venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry(pub UnixMillis);

impl Expiry {
    /// How it stands to that time.
    #[must_use]
    pub fn due(self, now: UnixMillis) -> Due {
        due_in(self.0, now)
    }

    // That it has ended is said once: no work on the key is late by it, it is over.
    fn stage(self, now: UnixMillis) -> Option<Stage> {
        stage_of(self.due(now))
    }
}

fn due_in(at: UnixMillis, now: UnixMillis) -> Due {
    match now < at {
        true => Due::InDays(at.since(now).div_ceil(DAY_MS)),
        false => Due::OverdueDays(now.since(at) / DAY_MS),
    }
}

fn stage_of(due: Due) -> Option<Stage> {
    match due {
        Due::InDays(0..=1) => Some(Stage::OneDay),
        Due::InDays(2..=7) => Some(Stage::OneWeek),
        Due::InDays(8..=14) => Some(Stage::TwoWeeks),
        Due::Never | Due::InDays(_) => None,
        Due::OverdueDays(_) => Some(Stage::Today),
    }
}

/// Whether somebody is to be reminded now: once per stage, and a stage that was slept through is not made up for.
/// `last_reminded` is when this was last done for this item; what was said before the key was made counts for the old key.
#[must_use]
pub fn next_reminder(
    key: &KeyAge,
    last_reminded: Option<UnixMillis>,
    now: UnixMillis,
) -> Option<Reminder> {
    let stage = key.stage(now)?;
    let said = last_reminded
        .filter(|at| *at >= key.created)
        .and_then(|at| key.stage(at));
    (said < Some(stage)).then(|| Reminder {
        stage,
        due: key.due(now),
    })
}

/// Whether somebody is to be reminded now that a key ends: once per stage, and once when it has ended. `last_reminded` is when
/// this was last done for this item, whatever its end was then.
#[must_use]
pub fn next_expiry_reminder(
    expiry: Expiry,
    last_reminded: Option<UnixMillis>,
    now: UnixMillis,
) -> Option<Reminder> {
    let stage = expiry.stage(now)?;
    let said = last_reminded.and_then(|at| expiry.stage(at));
    (said < Some(stage)).then(|| Reminder {
        stage,
        due: expiry.due(now),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = DAY_MS / 24;
    const KEY: KeyAge = KeyAge {
        created: UnixMillis(1_700_000_000_000),
        rotate_after_days: Some(90),
    };

    fn day(days: u64) -> UnixMillis {
        KEY.created.plus_ms(days * DAY_MS)
    }

    #[test]
    fn days_are_counted_from_the_date() {
        for (now, due) in [
            (UnixMillis(0), Due::InDays(90 + 19_676)), // 1 700 000 000 s are 19 675.9 days
            (day(0), Due::InDays(90)),
            (day(89), Due::InDays(1)),
            (UnixMillis(day(90).0 - 1), Due::InDays(1)),
            (day(90), Due::OverdueDays(0)),
            (UnixMillis(day(91).0 - 1), Due::OverdueDays(0)),
            (day(91), Due::OverdueDays(1)),
        ] {
            assert_eq!(KEY.due(now), due, "{now:?}");
        }
    }

    #[test]
    fn each_stage_is_said_once_and_overdue_once_a_day() {
        let mut said = Vec::new();
        let mut last = None;
        for hour in 0..(93 * 24 + 1) {
            let now = KEY.created.plus_ms(hour * HOUR_MS);
            if let Some(reminder) = next_reminder(&KEY, last, now) {
                said.push((hour / 24, reminder.stage));
                last = Some(now);
            }
        }
        assert_eq!(
            said,
            [
                (76, Stage::TwoWeeks),
                (83, Stage::OneWeek),
                (89, Stage::OneDay),
                (90, Stage::Today),
                (91, Stage::Overdue(1)),
                (92, Stage::Overdue(2)),
                (93, Stage::Overdue(3)),
            ]
        );
    }

    #[test]
    fn after_a_long_sleep_only_the_present_stage_is_said() {
        let reminder = next_reminder(&KEY, Some(day(76)), day(95)).unwrap();
        assert_eq!(reminder.stage, Stage::Overdue(5));
        assert_eq!(reminder.due, Due::OverdueDays(5));
        assert_eq!(next_reminder(&KEY, Some(day(95)), day(95)), None);
    }

    #[test]
    fn a_clock_that_goes_back_repeats_nothing() {
        assert_eq!(next_reminder(&KEY, Some(day(90)), day(84)), None);
    }

    #[test]
    fn a_new_key_starts_anew() {
        let rotated = KeyAge {
            created: day(95),
            rotate_after_days: Some(10),
        };
        let reminder = next_reminder(&rotated, Some(day(94)), day(95)).unwrap();
        assert_eq!(reminder.stage, Stage::TwoWeeks);
    }

    // 2027-01-31T00:00:00Z: `date -u -d 2027-01-31 +%s`.
    const END: Expiry = Expiry(UnixMillis(1_801_353_600_000));

    #[test]
    fn an_end_is_counted_in_days() {
        // Each with `date -u -d … +%s`.
        for (seconds, due) in [
            (1_800_316_800, Due::InDays(12)),     // 2027-01-19
            (1_801_267_200, Due::InDays(1)),      // 2027-01-30
            (1_801_353_599, Due::InDays(1)),      // 2027-01-30T23:59:59
            (1_801_353_600, Due::OverdueDays(0)), // 2027-01-31
            (1_801_612_800, Due::OverdueDays(3)), // 2027-02-03
        ] {
            assert_eq!(END.due(UnixMillis(seconds * 1000)), due, "{seconds}");
        }
    }

    #[test]
    fn an_end_is_said_at_each_stage_and_once_when_it_is_over() {
        let (mut said, mut last) = (Vec::new(), None);
        // From 2027-01-01 to 2027-03-01, each hour.
        for hour in 0..(59 * 24) {
            let now = UnixMillis((1_798_761_600 + hour * 3600) * 1000);
            if let Some(reminder) = next_expiry_reminder(END, last, now) {
                said.push((1 + hour / 24, reminder.stage));
                last = Some(now);
            }
        }
        let stages = [
            (17, Stage::TwoWeeks),
            (24, Stage::OneWeek),
            (30, Stage::OneDay),
            (31, Stage::Today),
        ];
        assert_eq!(said, stages);
    }

    #[test]
    fn an_end_that_was_slept_through_is_said_once_with_its_days() {
        let now = UnixMillis(1_801_612_800_000); // 2027-02-03
        let reminder = next_expiry_reminder(END, None, now).unwrap();
        assert_eq!(reminder.due, Due::OverdueDays(3));
        assert_eq!(
            next_expiry_reminder(END, Some(now), now.plus_ms(DAY_MS)),
            None
        );
    }

    #[test]
    fn a_new_end_is_said_anew() {
        let over = END.0.plus_ms(HOUR_MS);
        let renewed = Expiry(END.0.plus_ms(90 * DAY_MS));
        assert_eq!(next_expiry_reminder(renewed, Some(over), over), None);
        let later = END.0.plus_ms(76 * DAY_MS);
        let reminder = next_expiry_reminder(renewed, Some(over), later).unwrap();
        assert_eq!(reminder.stage, Stage::TwoWeeks);
    }

    #[test]
    fn a_key_without_a_date_is_never_due() {
        let forever = KeyAge {
            rotate_after_days: None,
            ..KEY
        };
        assert_eq!(forever.due(UnixMillis(u64::MAX)), Due::Never);
        assert_eq!(next_reminder(&forever, None, UnixMillis(u64::MAX)), None);
    }

    #[test]
    fn the_farthest_dates_do_not_overflow() {
        let far = KeyAge {
            created: UnixMillis(u64::MAX),
            rotate_after_days: Some(u32::MAX),
        };
        assert_eq!(far.due(UnixMillis(0)), Due::InDays(u64::MAX / DAY_MS + 1));
        assert_eq!(
            next_reminder(&far, Some(UnixMillis(u64::MAX)), UnixMillis(0)),
            None
        );
    }
}
