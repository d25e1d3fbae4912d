//! Which rows are meant: what was typed, read.

use std::time::{SystemTime, UNIX_EPOCH};

use touchkeep_core::{UnixMillis, text::quoted};
use touchkeep_wire::{AuditFilter, Failure};

use super::unusable;
use crate::args::Filter;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl Filter {
    /// Whether all rows are meant.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_a_time() && self.since.is_none() && self.until.is_none()
    }

    /// Whether rows are told by their times alone, so that all between the first and the last are meant.
    pub(crate) fn is_a_time(&self) -> bool {
        let named = [&self.item, &self.client, &self.text];
        self.kind.is_empty() && self.decision.is_empty() && named.iter().all(|it| it.is_none())
    }
}

pub(super) fn read(filter: &Filter) -> Result<AuditFilter, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_millis() as u64);
    let time = |text: &Option<String>, end: bool| {
        let text = text.as_deref();
        text.map(|text| instant(text, now, end).ok_or_else(|| no_time(text)))
            .transpose()
    };
    Ok(AuditFilter {
        kinds: filter.kind.clone(),
        decisions: filter.decision.clone(),
        item: filter.item.clone(),
        client: filter.client.clone(),
        since: time(&filter.since, false)?,
        until: time(&filter.until, true)?,
        text: filter.text.clone(),
    })
}

/// A moment that was typed by itself.
pub(crate) fn moment(text: &str) -> Result<UnixMillis, Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_millis() as u64);
    instant(text, now, false).ok_or_else(|| no_time(text))
}

fn no_time(text: &str) -> Failure {
    unusable(
        format!("{} is no time.", quoted(text)),
        "Write 2026-11-01, 2026-11-01T08:30:00Z, or how long ago: 90m, 24h, 7d.",
    )
}

/// A moment, in UTC. Of a day, its beginning; or its end.
fn instant(text: &str, now: u64, end: bool) -> Option<UnixMillis> {
    if let Some(ago) = ago(text) {
        return Some(UnixMillis(now.saturating_sub(ago)));
    }
    let (date, clock) = match text.split_once(['T', ' ']) {
        Some((date, clock)) => (date, Some(clock)),
        None => (text, None),
    };
    let day = day(date)?.checked_mul(DAY_MS)?;
    let within = match clock {
        None if end => DAY_MS - 1,
        None => 0,
        Some(clock) => milliseconds(clock.strip_suffix('Z').unwrap_or(clock))?,
    };
    Some(UnixMillis(day + within))
}

fn ago(text: &str) -> Option<u64> {
    let unit = match text.bytes().last()? {
        b's' => 1000,
        b'm' => 60 * 1000,
        b'h' => 60 * 60 * 1000,
        b'd' => DAY_MS,
        _ => return None,
    };
    number(text.get(..text.len() - 1)?)?.checked_mul(unit)
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

// Days since 1970 of a date of the Gregorian calendar.
fn day(text: &str) -> Option<u64> {
    let parts: Option<Vec<u64>> = text.split('-').map(number).collect();
    let [year, month, day] = parts?[..] else {
        return None;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let months = [
        31,
        28 + u64::from(leap),
        31,
        30,
        31,
        30,
        31,
        31,
        30,
        31,
        30,
        31,
    ];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    let long = *months.get(before)?;
    if !(1970..=9999).contains(&year) || day == 0 || day > long {
        return None;
    }
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    Some(years + months.iter().take(before).sum::<u64>() + day - 1)
}

fn milliseconds(clock: &str) -> Option<u64> {
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Option<Vec<u64>> = clock.split(':').map(number).collect();
    let (hours, minutes, seconds) = match parts?[..] {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let fraction = number(&format!("{fraction:0<3}")).filter(|_| fraction.len() <= 3)?;
    (hours < 24 && minutes < 60 && seconds < 60)
        .then_some(((hours * 60 + minutes) * 60 + seconds) * 1000 + fraction)
}

#[cfg(test)]
mod tests {
    use touchkeep_core::time::rfc3339;

    use super::*;

    #[test]
    fn a_moment_is_read_as_it_is_written() {
        // date -u -d TEXT +%s%3N
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", 0),
            ("1972-02-29T23:59:59.999Z", 68_255_999_999),
            ("2000-02-29T12:00:00.500Z", 951_825_600_500),
            ("2026-11-26T08:30:00.000Z", 1_795_681_800_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(instant(text, 0, false), Some(UnixMillis(ms)), "{text}");
            // What lists print, to the second, is read again.
            let seconds = UnixMillis(ms / 1000 * 1000);
            assert_eq!(instant(&rfc3339(seconds), 0, false), Some(seconds));
        }
    }

    #[test]
    fn a_day_has_a_beginning_and_an_end() {
        let at = |end| instant("2026-11-26", 0, end).unwrap().0;
        assert_eq!(at(true) - at(false), DAY_MS - 1);
        assert_eq!(instant("2026-11-26T00:00Z", 0, true).unwrap().0, at(false));
        assert_eq!(instant("24h", 2 * DAY_MS, false), Some(UnixMillis(DAY_MS)));
        assert_eq!(instant("9999d", DAY_MS, false), Some(UnixMillis(0)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "h",
            "-1h",
            "yesterday",
            "2026-13-01",
            "2026-02-29",
            "2026-1",
            "2026-11-00",
            "2026-11-26T24:00:00Z",
            "2026-11-26T1:2:3:4",
            "1969-12-31",
            "2026-11-26T00:00:00.1234Z",
        ] {
            assert_eq!(instant(text, 0, false), None, "{text}");
        }
    }
}
