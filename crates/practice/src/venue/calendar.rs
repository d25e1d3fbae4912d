//! Times as the dialects write them, all in UTC.
//!
//! Days to date: Howard Hinnant, "chrono-compatible low-level date algorithms".

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// `2026-11-22 15:36:53`
pub(crate) fn plain(ms: u64) -> String {
    let (year, month, day) = date(ms);
    format!("{year:04}-{month:02}-{day:02} {}", time(ms))
}

/// `2026-11-22T15:36:53.123Z` (RFC 3339)
pub(crate) fn rfc3339(ms: u64) -> String {
    let (year, month, day) = date(ms);
    format!(
        "{year:04}-{month:02}-{day:02}T{}.{:03}Z",
        time(ms),
        ms % 1000
    )
}

/// `Sun, 22 Nov 26 15:36:53 +0000` (RFC 1123 with the year cut short, as Kraken has it)
pub(crate) fn rfc1123(ms: u64) -> String {
    let (year, month, day) = date(ms);
    let name = |names: &[&'static str], index: u64| {
        let index = usize::try_from(index).unwrap_or_default();
        names.get(index).copied().unwrap_or_default()
    };
    let weekday = name(&WEEKDAYS, ms / 86_400_000 % 7);
    let month = name(&MONTHS, month - 1);
    format!(
        "{weekday}, {day:2} {month} {:02} {} +0000",
        year % 100,
        time(ms)
    )
}

fn time(ms: u64) -> String {
    let of_day = ms / 1000 % 86_400;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{hour:02}:{minute:02}:{second:02}")
}

fn date(ms: u64) -> (u64, u64, u64) {
    let days = ms / 86_400_000 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    // `date -u -d @951782400` and so on.
    #[test]
    fn dates_are_right() {
        assert_eq!(plain(0), "1970-01-01 00:00:00");
        assert_eq!(plain(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(rfc3339(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
        assert_eq!(rfc1123(1_700_000_000_000), "Tue, 14 Nov 23 22:13:20 +0000");
        assert_eq!(rfc1123(1_616_336_594_000), "Sun, 21 Mar 21 14:23:14 +0000");
    }
}
