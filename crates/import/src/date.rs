//! Dates of other programs, as milliseconds since 1970.

/// `2024-05-06T07:08:09Z`, or with a fraction of the second; `None` for anything else.
pub(crate) fn rfc3339(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let numbers = |text: &str, by: char| -> Option<Vec<u64>> {
        text.split(by).map(|part| part.parse().ok()).collect()
    };
    let (date, time) = (numbers(date, '-')?, numbers(time.split('.').next()?, ':')?);
    let ([year, month, day], [hour, minute, second]) = (date.as_slice(), time.as_slice()) else {
        return None;
    };
    let fits = (1970..=9999).contains(year)
        && (1..=12).contains(month)
        && (1..=31).contains(day)
        && *hour < 24
        && *minute < 60
        && *second < 61;
    fits.then(|| ((days(*year, *month, *day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000)
}

// Days since 1970-01-01 in the Gregorian calendar: years begin in March, so that the leap day is the last one.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month < 3 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    days.saturating_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_gnu_date() {
        // date -u -d … +%s
        assert_eq!(rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(rfc3339("2024-02-29T12:34:56Z"), Some(1_709_210_096_000));
        assert_eq!(rfc3339("2026-11-26T01:02:03.456Z"), Some(1_795_654_923_000));
        for bad in [
            "",
            "2024-01-01",
            "2024-13-01T00:00:00Z",
            "xT:Z",
            "2024-01-01T00:00:00+01:00",
        ] {
            assert_eq!(rfc3339(bad), None, "{bad}");
        }
    }
}
