//! Time as an argument: pure code is told what time it is, and the edge holds a [`Clock`].

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds of one day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Milliseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// This long later.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` until this; 0 where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> UnixMillis;
}

/// The machine's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// `2026-11-22T15:36:53Z` for a time (proleptic Gregorian, UTC, no leap seconds).
#[must_use]
pub fn rfc3339(at: UnixMillis) -> String {
    let seconds = at.0 / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        of_day / 3600,
        of_day / 60 % 60,
        of_day % 60
    )
}

/// The time that an RFC 3339 text says: `2026-11-22T15:36:53Z`, or with `+01:00`; parts of a second are left out. None for
/// anything else, and for times before 1970.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<UnixMillis> {
    let (date, rest) = text.split_at_checked(10)?;
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let (time, zone) = time.split_at_checked(8)?;
    let zone = match zone.strip_prefix('.') {
        None => zone,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
    };
    let [hour, minute, second] = numbers(time, ':')?;
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let local = from_date(date)?.0 / 1000 + hour * 3600 + minute * 60 + second;
    let seconds = match zone {
        "Z" | "z" => local,
        _ => {
            let (sign, zone) = zone.split_at_checked(1)?;
            let [hours, minutes] = numbers(zone, ':')?;
            let offset = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            match sign {
                "+" => local.checked_sub(offset)?,
                "-" => local + offset,
                _ => return None,
            }
        }
    };
    Some(UnixMillis(seconds * 1000))
}

/// The beginning of a day, in UTC: of `2026-11-22`. None for what is no day of the years 1970 to 9999.
#[must_use]
pub fn from_date(text: &str) -> Option<UnixMillis> {
    let (year, rest) = text.split_at_checked(5)?;
    let year = digits(year.strip_suffix('-')?)?;
    let [month, day] = numbers(rest, '-')?;
    if !(1970..=9999).contains(&year) || day == 0 || day > days_of(year, month)? {
        return None;
    }
    Some(UnixMillis(days(year, month, day) * DAY_MS))
}

// Numbers of two digits.
fn numbers<const COUNT: usize>(text: &str, by: char) -> Option<[u64; COUNT]> {
    let parts = text
        .split(by)
        .map(|part| digits(part).filter(|_| part.len() == 2));
    parts.collect::<Option<Vec<_>>>()?.try_into().ok()
}

fn digits(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn days_of(year: u64, month: u64) -> Option<u64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    Some(match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    })
}

// (year, month, day) to days since 1970-01-01, as below, the other way.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let y = year - u64::from(month <= 2);
    let (era, yoe) = (y / 400, y % 400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

// Days since 1970-01-01 to (year, month, day): Howard Hinnant, "chrono-compatible low-level date algorithms".
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (
        yoe + era * 400 + u64::from(month <= 2),
        month,
        doy - (153 * mp + 2) / 5 + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date_u() {
        // `date -u -d @N +%FT%TZ`
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(UnixMillis(seconds * 1000)), text);
        }
    }

    #[test]
    fn a_time_is_read_as_gnu_date_reads_it() {
        // `date -u -d TEXT +%s`
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T12:34:56Z", 1_709_210_096),
            ("2026-11-26T01:02:03.456Z", 1_795_654_923),
            ("2026-11-26T01:02:03+01:00", 1_795_651_323),
            ("2026-11-26 01:02:03-09:30", 1_795_689_123),
            ("2000-02-29t00:00:00z", 951_782_400),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(
                from_rfc3339(text),
                Some(UnixMillis(seconds * 1000)),
                "{text}"
            );
        }
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2024-02-29", 1_709_164_800),
            ("2027-01-31", 1_801_353_600),
        ] {
            assert_eq!(from_date(text), Some(UnixMillis(seconds * 1000)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for bad in [
            "",
            "never",
            "2024-01-01",
            "2024-13-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+1:00",
            "2024-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+00:01",
            "2024-1-1T00:00:00Z",
            "+024-01-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2024-01-01T00:00:00ZZ",
            "２０２４-01-01T00:00:00Z",
            "xT:Z",
        ] {
            assert_eq!(from_rfc3339(bad), None, "{bad}");
        }
        for bad in [
            "",
            "2024",
            "2024-02-30",
            "31-01-2027",
            "2024-02-01Z",
            "02/01/2024",
        ] {
            assert_eq!(from_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_is_read_back() {
        for day in 0..200_000 {
            let at = UnixMillis(day * DAY_MS);
            let text = rfc3339(at);
            assert_eq!(from_rfc3339(&text), Some(at), "{text}");
        }
    }
}
