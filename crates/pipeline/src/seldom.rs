//! Rows for what was refused without a person: so many an hour of each client, and the rest are counted. Whoever has a bot's
//! token could else fill the disk with them, and where that is full nothing is signed for anybody.
//!
//! What would have moved money or keys is counted apart, so that nobody hides it behind refusals of other kinds.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use touchkeep_audit::{Decision, Event, Kind};
use touchkeep_core::{ClientId, UnixMillis};

/// Rows of one client in an hour: a bot that tries again each five seconds has one for each.
pub(crate) const ROWS_AN_HOUR: u32 = 1000;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// Clients that are counted before those of earlier hours are let go.
const MAX_CLIENTS: usize = 1024;
/// The detail of a row that says how many had none.
const UNSAID: &str = "refused without a row before it";

/// How many rows each client has had.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<HashMap<(ClientId, bool), Counted>>);

#[derive(Debug)]
struct Counted {
    name: Option<String>,
    since: UnixMillis,
    rows: u32,
    unsaid: u64,
}

impl Seldom {
    /// What is to be recorded of a refusal: nothing where the client has had its rows of this hour.
    pub(crate) fn row(&self, client: ClientId, event: Event, now: UnixMillis) -> Option<Event> {
        let operation = event.operation.as_ref();
        let dangerous = operation.is_some_and(|operation| operation.kind.is_dangerous());
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS {
            clients.retain(|_, counted| counted.unsaid > 0 || !counted.is_over(now));
        }
        let counted = clients.entry((client, dangerous)).or_insert(Counted {
            name: None,
            since: now,
            rows: 0,
            unsaid: 0,
        });
        if counted.is_over(now) {
            (counted.since, counted.rows) = (now, 0);
        }
        if counted.rows >= ROWS_AN_HOUR {
            counted.unsaid += 1;
            counted.name.clone_from(&event.client_name);
            return None;
        }
        counted.rows += 1;
        let event = match std::mem::take(&mut counted.unsaid) {
            0 => event,
            unsaid => event.detail(UNSAID, unsaid.to_string()),
        };
        Some(if counted.rows == ROWS_AN_HOUR {
            event.detail("after it", "refusals like this have no row for an hour")
        } else {
            event
        })
    }

    /// What is to be recorded of refusals that no later row will tell of, because nothing comes after them. Once.
    pub(crate) fn unsaid(&self) -> Vec<Event> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unsaid = clients.iter_mut().filter(|(_, one)| one.unsaid > 0);
        unsaid
            .map(|((client, dangerous), counted)| {
                let what = match dangerous {
                    true => " that would have moved money or keys",
                    false => "",
                };
                let unsaid = std::mem::take(&mut counted.unsaid);
                Event::new(Kind::RequestDenied, Decision::Denied)
                    .text(format!(
                        "Further requests{what}, as those in the rows before"
                    ))
                    .client(*client, counted.name.take().unwrap_or_default())
                    .detail(UNSAID, unsaid.to_string())
            })
            .collect()
    }
}

impl Counted {
    // A clock that was set back ends the hour as well.
    fn is_over(&self, now: UnixMillis) -> bool {
        now < self.since || now.since(self.since) >= HOUR_MS
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_venue::{Operation, OperationKind};

    use super::*;

    #[test]
    fn each_client_has_so_many_an_hour_and_the_next_row_says_how_many_had_none() {
        let (seldom, client, other) = (Seldom::default(), ClientId::random(), ClientId::random());
        let start = UnixMillis(1_700_000_000_000);
        let row = |client, now| {
            let event = Event::new(Kind::RequestDenied, Decision::Denied);
            seldom.row(client, event, now)
        };
        let rows: Vec<_> = (0..1_250).filter_map(|_| row(client, start)).collect();
        assert_eq!(rows.len(), 1_000);
        assert_eq!(rows[999].details[0].0, "after it");
        assert!(rows[..999].iter().all(|row| row.details.is_empty()));
        assert!(row(other, start).is_some());
        assert!(row(client, start.plus_ms(HOUR_MS - 1)).is_none());
        let mut withdrawal = Event::new(Kind::RequestDenied, Decision::Denied);
        let kind = OperationKind::Withdraw;
        withdrawal.operation = Some(Operation::new(kind, "binance", "POST", "/x", "withdraw"));
        assert!(seldom.row(client, withdrawal, start).is_some());
        let said = row(client, start.plus_ms(HOUR_MS)).unwrap().details;
        assert_eq!(said[0].1, "251");
        assert!(row(client, start).unwrap().details.is_empty(), "said once");
    }
    #[test]
    fn what_had_no_row_is_told_at_the_end_of_each_client_and_once() {
        let (seldom, client, quiet) = (Seldom::default(), ClientId::random(), ClientId::random());
        let now = UnixMillis(1_700_000_000_000);
        let refused = |client: ClientId, kind: OperationKind, name: &str| {
            let mut event =
                Event::new(Kind::RequestDenied, Decision::Denied).client(client, name.to_owned());
            event.operation = Some(Operation::new(kind, "binance", "POST", "/x", "what"));
            seldom.row(client, event, now)
        };
        for _ in 0..1_003 {
            refused(client, OperationKind::Trade, "bot");
        }
        for _ in 0..1_001 {
            refused(client, OperationKind::Withdraw, "bot");
        }
        refused(quiet, OperationKind::Trade, "quiet");
        let mut told = seldom.unsaid();
        told.sort_by_key(|event| event.details[0].1.clone());
        let told: Vec<_> = told
            .iter()
            .map(|event| {
                let money = event.text.contains("money");
                (
                    event.client,
                    event.client_name.as_deref(),
                    money,
                    event.details[0].1.as_str(),
                )
            })
            .collect();
        let bot = (Some(client), Some("bot"));
        assert_eq!(
            told,
            [(bot.0, bot.1, true, "1"), (bot.0, bot.1, false, "3")]
        );
        assert!(seldom.unsaid().is_empty());
        assert!(refused(client, OperationKind::Trade, "bot").is_none());
    }
}
