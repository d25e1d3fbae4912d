//! Times of the day and days of the week, at a fixed distance from UTC: no time zone, because its rules change and are not
//! the same on every machine.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};
use touchkeep_core::{UnixMillis, text::quoted, time::DAY_MS};

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: u16 = 24 * 60;

/// `08:00-18:00`: from the first minute, and until before the last. `22:00-06:00` passes midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    from: u16,
    until: u16,
}

/// `+01:00`: how far clocks are before UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UtcOffset {
    minutes: i32,
}

// Each as a rule has it.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, until } = self;
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            until / 60,
            until % 60
        )
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        let minutes = self.minutes.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the days of the week")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    const WEEK: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];

    /// The word for it in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mon => "mon",
            Self::Tue => "tue",
            Self::Wed => "wed",
            Self::Thu => "thu",
            Self::Fri => "fri",
            Self::Sat => "sat",
            Self::Sun => "sun",
        }
    }

    // Day 0 was a Thursday.
    fn of(day: i64) -> Self {
        let place = usize::try_from((day + 3).rem_euclid(7)).unwrap_or_default();
        Self::WEEK.get(place).copied().unwrap_or(Self::Thu)
    }
}

/// Whether a time is on one of the days and within the hours.
pub(crate) fn is_at(
    hours: Option<Hours>,
    days: Option<&[Day]>,
    offset: UtcOffset,
    now: UnixMillis,
) -> bool {
    let there =
        i64::try_from(now.0).unwrap_or(i64::MAX / 2) + i64::from(offset.minutes) * MINUTE_MS;
    let day_ms = i64::try_from(DAY_MS).unwrap_or(i64::MAX);
    let (day, minute) = (
        there.div_euclid(day_ms),
        there.rem_euclid(day_ms) / MINUTE_MS,
    );
    let is_on = |day: i64| days.is_none_or(|days| days.contains(&Day::of(day)));
    let Some(Hours { from, until }) = hours else {
        return is_on(day);
    };
    let (from, until) = (i64::from(from), i64::from(until));
    if from < until {
        return is_on(day) && (from..until).contains(&minute);
    }
    (minute >= from && is_on(day)) || (minute < until && is_on(day - 1))
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        read_hours(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{} is no range of hours; write \"08:00-18:00\", or \"22:00-06:00\" past midnight",
                quoted(&text)
            ))
        })
    }
}

fn read_hours(text: &str) -> Option<Hours> {
    let (from, until) = text.split_once('-')?;
    let (from, until) = (read_clock(from)?, read_clock(until)?);
    (from != until && from < DAY_MINUTES && until > 0).then_some(Hours { from, until })
}

// `24:00` is the end of the day.
fn read_clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| {
        let plain = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (two(hour)?, two(minute)?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY_MINUTES).then_some(at)
}

impl<'de> Deserialize<'de> for UtcOffset {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        read_offset(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{} is no distance from UTC; write \"+01:00\" or \"-05:00\"",
                quoted(&text)
            ))
        })
    }
}

// From Baker Island to Kiritimati.
fn read_offset(text: &str) -> Option<UtcOffset> {
    let (sign, clock) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(clock), _) => (1, clock),
        (_, Some(clock)) => (-1, clock),
        _ => return None,
    };
    let minutes = sign * i32::from(read_clock(clock)?);
    (-12 * 60..=14 * 60)
        .contains(&minutes)
        .then_some(UtcOffset { minutes })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seconds by `date -u -d '2026-11-23 08:00' +%s`; 2026-11-23 is a Monday (`date +%a`).
    const MONDAY_8: u64 = 1_795_420_800;

    fn at(hours: &str, days: &[Day], offset: &str, seconds: u64) -> bool {
        let days = (!days.is_empty()).then_some(days);
        let offset = read_offset(offset).unwrap();
        let hours = (!hours.is_empty()).then(|| read_hours(hours).unwrap());
        is_at(hours, days, offset, UnixMillis(seconds * 1000 + 999))
    }

    #[test]
    fn a_range_has_its_first_minute_and_not_its_last() {
        for (minutes, is) in [(-1, false), (0, true), (599, true), (600, false)] {
            let seconds = MONDAY_8.checked_add_signed(minutes * 60).unwrap();
            assert_eq!(at("08:00-18:00", &[], "+00:00", seconds), is, "{minutes}");
            assert_eq!(
                at("08:00-18:00", &[Day::Mon], "+00:00", seconds),
                is,
                "{minutes}"
            );
            assert!(!at("08:00-18:00", &[Day::Sun, Day::Tue], "+00:00", seconds));
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let night = |days: &[Day], hours_on: u64| {
            at("22:00-06:00", days, "+00:00", MONDAY_8 + hours_on * 3600)
        };
        assert!(night(&[Day::Mon], 14) && night(&[Day::Mon], 21));
        assert!(!night(&[Day::Mon], 22) && !night(&[Day::Mon], 13));
        assert!(!night(&[Day::Tue], 21) && night(&[Day::Tue], 38));
    }

    #[test]
    fn an_offset_moves_the_clock_and_the_day() {
        // Monday 08:00 UTC is Sunday 22:00 at -10:00, and Monday 20:00 at +12:00.
        assert!(at("22:00-22:01", &[Day::Sun], "-10:00", MONDAY_8));
        assert!(at("20:00-20:01", &[Day::Mon], "+12:00", MONDAY_8));
        assert!(at("", &[Day::Sun], "-10:00", MONDAY_8));
        assert!(!at("", &[Day::Mon], "-10:00", MONDAY_8));
        assert!(at("13:30-13:31", &[], "+05:30", MONDAY_8));
    }

    #[test]
    fn only_whole_clocks_are_read() {
        for bad in [
            "8-18",
            "08:00",
            "08:00-08:00",
            "24:00-06:00",
            "22:00-00:00",
            "08:60-09:00",
            "25:00-26:00",
            "08:00 - 18:00",
            "+8:00-18:00",
        ] {
            assert_eq!(read_hours(bad), None, "{bad}");
        }
        assert!(read_hours("18:00-24:00").is_some());
        for bad in ["01:00", "+1", "+15:00", "-13:00", "UTC", "Z", "+01:0a"] {
            assert_eq!(read_offset(bad), None, "{bad}");
        }
    }
}
