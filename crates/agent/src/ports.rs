//! What the agent lends the pipeline: keys of the open vault, a person's eyes and hands, the way to the venues, and the
//! history in the audit log.

mod approver;
mod keys;
mod running;

use std::sync::Arc;

use hyper::{Response, body::Incoming};
use touchkeep_audit::{Kind, Log, Query, ReadError};
use touchkeep_core::{SystemClock, UnixMillis};
use touchkeep_pipeline::{Answering, HistorySource, Keys, Pipeline, SendError, Settings, past_of};
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
    line_with(agent, current, log, keys)
}

/// A line with other keys than those of the open vault.
pub(crate) fn line_with(
    agent: &Arc<Agent>,
    current: &Arc<Current>,
    log: Log,
    keys: Arc<dyn Keys>,
) -> Line {
    let settings = Settings {
        approval_ms: agent.config().approval_seconds.saturating_mul(1000),
        ..Settings::default()
    };
    Pipeline::new(
        keys,
        Arc::new(People::new(agent, current, log.clone())),
        Venues(Arc::clone(agent.upstream())),
        log,
        Arc::new(SystemClock),
        settings,
    )
}

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

    fn status(response: &Self::Response) -> u16 {
        response.status().as_u16()
    }
}

/// What was let through before, from the audit log's intents.
pub(crate) struct LogHistory {
    pub(crate) log: Log,
    pub(crate) identity: age::x25519::Identity,
}

/// A question for the newest intents.
fn intents(limit: usize) -> Query {
    let mut query = Query::default();
    query.kinds.push(Kind::Intent);
    query.limit = limit;
    query
}

/// Intents that are read at a time.
const PAGE: usize = 1000;

impl HistorySource for LogHistory {
    type Error = ReadError;

    fn since(&self, since: UnixMillis) -> Result<Vec<Past>, ReadError> {
        let mut query = intents(PAGE);
        let mut past = Vec::new();
        loop {
            let rows = self.log.list(&query, Some(&self.identity))?.rows;
            let last = rows.last().map(|row| (row.seq, row.time));
            for row in &rows {
                let event = row.event.as_ref().filter(|_| row.time >= since);
                past.extend(event.and_then(|event| past_of(event, row.time)));
            }
            match last {
                Some((seq, time)) if rows.len() == PAGE && time >= since => {
                    query.before = Some(seq)
                }
                _ => return Ok(past),
            }
        }
    }
}
