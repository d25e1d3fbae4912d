//! What the agent lends the pipeline: keys of the open vault, a person's eyes and hands, the way to the venues, and the
//! history in the audit log.

mod approver;
mod asked;
mod keys;
mod running;

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Limited};
use hyper::{Response, body::Incoming};
use touchkeep_audit::{Kind, Log, Query, ReadError, Seq};
use touchkeep_core::{SystemClock, UnixMillis};
use touchkeep_pipeline::{
    Answering, End, HistorySource, Keys, Outcome, Pipeline, SendError, Settings, past_of,
};
use touchkeep_policy::Past;
use touchkeep_venue::Outgoing;

use self::{approver::People, keys::VaultKeys};
pub(crate) use self::{
    keys::{
        PASSPHRASE, handle, next_nonce, open_enrolled, request_key, request_key_setting, unseal,
        use_of,
    },
    running::Running,
};
use crate::{
    agent::Agent,
    proxy::{self, ToSend},
    uptime::Uptime,
    vault::Current,
};

/// The pipeline over this agent's ports.
pub(crate) type Line = Pipeline<Venues>;

/// A line from the proxy to the venues for one open vault.
pub(crate) fn line(agent: &Arc<Agent>, current: &Arc<Current>, log: Log) -> Line {
    let keys = Arc::new(VaultKeys::new(agent, current));
    line_with(agent, current, log, keys, End::default())
}

/// A line with other keys than those of the open vault, until their end.
pub(crate) fn line_with(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    log: Log,
    keys: Arc<dyn Keys>,
    end: End,
) -> Line {
    let settings = Settings {
        approval_ms: agent.config().approval_seconds.saturating_mul(1000),
        ..Settings::default()
    };
    Pipeline::new(
        keys,
        Arc::new(People::new(agent, current, log.clone(), end.clone())),
        Venues(Arc::clone(agent.upstream())),
        log,
        Arc::new(SystemClock),
        settings,
        end,
    )
}

/// A short answer that we read ourselves is whole within this.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The venues, over one pool.
pub(crate) struct Venues(Arc<proxy::Upstream>);

impl touchkeep_pipeline::Upstream for Venues {
    type Response = Response<Incoming>;

    fn send(
        &self,
        outgoing: Outgoing,
        base_url: Option<String>,
    ) -> Answering<'_, Result<Self::Response, SendError>> {
        let origin = base_url.as_deref().unwrap_or(outgoing.origin);
        self.0.measure(outgoing.origin, origin);
        let address = format!(
            "{}{}",
            origin.trim_end_matches('/'),
            outgoing.path_and_query
        );
        let request = ToSend {
            method: outgoing.method,
            address,
            headers: outgoing
                .headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            body: outgoing.body,
        };
        Box::pin(async move {
            self.0.send(request).await.map_err(|error| match error {
                proxy::SendError::NoAnswer => SendError::Unknown(error.to_string()),
                proxy::SendError::NotTaken => SendError::NotTaken(error.to_string()),
                proxy::SendError::NotSent | proxy::SendError::NotHttp => {
                    SendError::NotSent(error.to_string())
                }
            })
        })
    }

    fn venue_time(&self, origin: &str, base_url: Option<&str>, now: UnixMillis) -> UnixMillis {
        let server = base_url.unwrap_or(origin);
        self.0.measure(origin, server);
        self.0.clocks().time(server, now, Uptime::now())
    }

    fn clock_refused(&self, origin: &str, base_url: Option<&str>) {
        let server = base_url.unwrap_or(origin);
        self.0.clocks().doubt(server);
        self.0.measure(origin, server);
    }

    fn status(response: &Self::Response) -> u16 {
        response.status().as_u16()
    }

    fn body(response: Self::Response) -> Answering<'static, Option<Vec<u8>>> {
        let body = Limited::new(response.into_body(), Outcome::MAX_BODY_BYTES).collect();
        Box::pin(async move {
            let body = tokio::time::timeout(BODY_TIMEOUT, body).await.ok()?.ok()?;
            Some(body.to_bytes().into())
        })
    }
}

/// What was let through before, from the audit log's intents.
pub(crate) struct LogHistory {
    pub(crate) log: Log,
    pub(crate) identity: Box<age::x25519::Identity>,
}

/// A question for the newest intents.
fn intents(limit: usize) -> Query {
    let mut query = Query::default();
    query.kinds.push(Kind::Intent);
    query.limit = limit;
    query
}

/// Intents that are read at a time.
const PAGE: usize = if cfg!(test) { 8 } else { 1000 };

impl LogHistory {
    /// What was let through since then, and before a row. Rows are looked for by their times, wherever they stand: a clock
    /// that went back leaves later times above earlier ones.
    pub(crate) fn between(
        &self,
        since: UnixMillis,
        before: Option<Seq>,
    ) -> Result<Vec<Past>, ReadError> {
        let mut query = intents(PAGE);
        (query.since, query.before) = (Some(since), before);
        let mut past = Vec::new();
        loop {
            let page = self.log.list(&query, Some(&self.identity))?;
            for row in &page.rows {
                past.extend(
                    row.event
                        .as_ref()
                        .and_then(|event| past_of(event, row.time)),
                );
            }
            query.before = page.next;
            if query.before.is_none() {
                return Ok(past);
            }
        }
    }
}

impl HistorySource for LogHistory {
    type Error = ReadError;

    fn since(&self, since: UnixMillis) -> Result<Vec<Past>, ReadError> {
        self.between(since, None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use touchkeep_audit::{Decision, Event};
    use touchkeep_core::{ClientId, Clock, RequestId};
    use touchkeep_policy::{Asked, History, Policy, Verdict};
    use touchkeep_venue::{Operation, OperationKind};

    use super::*;

    struct Set(AtomicU64);
    impl Clock for Set {
        fn now(&self) -> UnixMillis {
            UnixMillis(self.0.load(Ordering::Relaxed))
        }
    }

    fn record(log: &Log, now: UnixMillis) {
        let rules = "[[rule]]\nname = \"all\"\nkinds = [\"trade\"]\naction = \"allow\"";
        let asked = Asked {
            request: RequestId::random(),
            digest: [0; 32],
            client: "bot".into(),
            key_set: "main".into(),
            operation: Operation::new(OperationKind::Trade, "binance", "POST", "/x", "x"),
            now,
        };
        let verdict = Policy::parse(rules)
            .unwrap()
            .decide(asked, &History::default());
        let Verdict::Allow(allowed) = verdict else {
            panic!("{verdict:?}")
        };
        let event = Event::new(Kind::Intent, Decision::Allowed)
            .client(ClientId::random(), "bot")
            .detail("key-set", "main");
        drop(log.record_intent(allowed, &event).unwrap());
    }

    // The clock was a day ahead, and came back: what was recorded then stands above more rows of another time than a page has.
    #[test]
    fn what_a_clock_that_went_back_left_in_the_future_is_found() {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        let folder = tempfile::tempdir().unwrap();
        let identity = age::x25519::Identity::generate();
        let clock = Arc::new(Set(AtomicU64::new(20 * DAY)));
        let recipient = identity.to_public().to_string();
        let path = folder.path().join("a.sqlite");
        let log = Log::create_at(&path, "vault", &recipient, Arc::clone(&clock) as _).unwrap();
        record(&log, clock.now());
        clock.0.store(15 * DAY, Ordering::Relaxed);
        for _ in 0..3 * PAGE {
            record(&log, clock.now());
        }
        let history = LogHistory {
            log,
            identity: Box::new(identity),
        };
        let times = |since: u64| -> Vec<u64> {
            let past = history.since(UnixMillis(since)).unwrap();
            past.into_iter().map(|act| act.at.0).collect()
        };
        assert_eq!(times(16 * DAY), [20 * DAY]);
        assert_eq!(times(15 * DAY).len(), 3 * PAGE + 1);
        assert_eq!(times(21 * DAY), [0; 0]);
    }
}
