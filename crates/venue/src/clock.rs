//! What time it is at a venue, as its servers say it. Pure: asking is somebody else's.

use std::sync::OnceLock;

use serde::Deserialize;
use touchkeep_core::UnixMillis;

use crate::Json;

/// Where a server says the time.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TimeEndpoint {
    origin: String,
    /// The path to ask, with GET.
    pub path: String,
    place: String,
}

/// A time that was said: at least this, and less than `within_ms` later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// The least that it was.
    pub at: UnixMillis,
    /// How exact it is.
    pub within_ms: u64,
}

/// Where the server of this origin says the time, if we know.
#[must_use]
pub fn time_endpoint(origin: &str) -> Option<&'static TimeEndpoint> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        servers: Vec<TimeEndpoint>,
    }
    static SERVERS: OnceLock<Vec<TimeEndpoint>> = OnceLock::new();
    let servers = SERVERS.get_or_init(|| {
        let file: Result<File, _> = toml::from_str(include_str!("../data/time.toml"));
        #[expect(clippy::panic, reason = "compiled-in data, read by every test")]
        file.unwrap_or_else(|why| panic!("data/time: {why}"))
            .servers
    });
    servers.iter().find(|server| server.origin == origin)
}

impl TimeEndpoint {
    /// Reads the answer.
    #[must_use]
    pub fn read(&self, body: &[u8]) -> Option<Said> {
        let json = Json::read(body).ok()?;
        let mut value = &json;
        for step in self.place.split('.').filter(|step| !step.is_empty()) {
            value = match value {
                Json::List(list) => list.get(step.parse::<usize>().ok()?)?,
                other => other.member(step)?,
            };
        }
        of_number(value.plain()?)
    }
}

// Told apart by size: these numbers of seconds, milliseconds, … are all between 1973 and 5138.
fn of_number(text: &str) -> Option<Said> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: u64 = whole.parse().ok()?;
    let said = |at: u64, within_ms| Said {
        at: UnixMillis(at),
        within_ms,
    };
    match number {
        100_000_000..100_000_000_000 => {
            if fraction.is_empty() {
                return Some(said(number.checked_mul(1000)?, 1000));
            }
            let thousandths: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
            Some(said(number.checked_mul(1000)?.checked_add(thousandths)?, 1))
        }
        100_000_000_000..100_000_000_000_000 => Some(said(number, 1)),
        100_000_000_000_000..100_000_000_000_000_000 => Some(said(number / 1_000, 1)),
        100_000_000_000_000_000.. => Some(said(number / 1_000_000, 1)),
        _ => None,
    }
}

/// Reads a `Date`: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7, the one form that is still written).
#[must_use]
pub fn date(text: &str) -> Option<Said> {
    let rest = text.strip_suffix(" GMT")?.split_once(", ")?.1;
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, clock] = words.as_slice() else {
        return None;
    };
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = u64::try_from(months.iter().position(|name| name == month)?).ok()? + 1;
    let parts: Vec<u64> = clock
        .split(':')
        .filter_map(|part| part.parse().ok())
        .collect();
    let [hour, minute, second] = parts.as_slice() else {
        return None;
    };
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    if !(1970..=5000).contains(&year)
        || !(1..=31).contains(&day)
        || *hour > 23
        || *minute > 59
        || *second > 60
    {
        return None;
    }
    let seconds = days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Said {
        at: UnixMillis(seconds * 1000),
        within_ms: 1000,
    })
}

// Days since 1970-01-01 in the Gregorian calendar, with years that begin in March.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(origin: &str, body: &str) -> Option<(u64, u64)> {
        let said = time_endpoint(origin).unwrap().read(body.as_bytes())?;
        Some((said.at.0, said.within_ms))
    }

    #[test]
    fn answers_as_the_venues_document_them_are_read() {
        let okx = r#"{"code":"0","data":[{"ts":"1621247923668"}],"msg":""}"#;
        assert_eq!(
            read("https://www.okx.com", okx),
            Some((1_621_247_923_668, 1))
        );
        let kraken = r#"{"error":[],"result":{"unixtime":1591502873,"rfc1123":"Sun,  7 Jun 20 04:07:53 +0000"}}"#;
        assert_eq!(
            read("https://api.kraken.com", kraken),
            Some((1_591_502_873_000, 1000))
        );
        let exchange = r#"{"iso":"2020-05-12T08:00:51.504Z","epoch":1589270451.504}"#;
        assert_eq!(
            read("https://api.exchange.coinbase.com", exchange),
            Some((1_589_270_451_504, 1))
        );
        assert_eq!(
            read("https://api.backpack.exchange", "1753131712992"),
            Some((1_753_131_712_992, 1))
        );
        for broken in [
            "",
            "{}",
            "[]",
            r#"{"serverTime":"soon"}"#,
            r#"{"serverTime":5}"#,
        ] {
            assert_eq!(read("https://api.binance.com", broken), None, "{broken}");
        }
    }

    #[test]
    fn every_server_is_one_that_requests_go_to_and_its_time_is_public() {
        let file = include_str!("../data/time.toml");
        let rows: Vec<&str> = file
            .lines()
            .filter(|line| line.starts_with("    [\""))
            .collect();
        assert!(rows.len() > 10);
        for row in rows {
            let origin = row.split('"').nth(1).unwrap();
            let path = &time_endpoint(origin).unwrap().path;
            let served = crate::venues().iter().any(|venue| {
                let request = crate::Request {
                    method: "GET".into(),
                    path: path.clone(),
                    query: Vec::new(),
                    content_type: None,
                    body: Vec::new(),
                    expires: None,
                };
                let decoded = crate::venue(venue.id).unwrap().decode(&request);
                matches!(decoded, Ok(crate::Decoded::Public(out)) if out.origin == origin)
            });
            assert!(served, "{origin}{path}");
        }
    }

    #[test]
    fn dates_are_read_in_their_one_form() {
        // The example of RFC 9110, and days around the ends of Februaries (date -u -d … +%s).
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 23:59:59 GMT", 951_868_799),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Thu, 26 Nov 2026 16:00:00 GMT", 1_795_708_800),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(date(text).unwrap().at.0, seconds * 1000, "{text}");
        }
        for broken in [
            "",
            "Sun, 06 Nov 1994 08:49:37",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
        ] {
            assert_eq!(date(broken), None, "{broken}");
        }
    }
}
