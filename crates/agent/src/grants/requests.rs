//! What a person allowed a bot for a time: requests like one that was read and approved, of the process that sent it.
//!
//! Kept in memory alone; ends by its time, its number of requests, the end of its process, a revocation, or the lock. A rule
//! still decides first: a grant answers only where a rule says that a click would do, and the same rule as then.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use touchkeep_core::{ClientId, Clock, Id, ItemId, SystemClock, UnixMillis, text::visible};
use touchkeep_pipeline::Question;
use touchkeep_policy::Need;
use touchkeep_wire::{GrantSummary, More};

use super::Like;
use crate::{
    caller::{Caller, Held, Process},
    uptime::Uptime,
};

/// Requests that one yes covers at most.
pub(crate) const USES: u32 = 20;
/// Grants that hold at a time; the oldest makes room.
const MAX_GRANTS: usize = 64;
/// Minutes that are offered, as far as the settings allow.
const MINUTES: [u64; 3] = [5, 15, 60];

/// The grants.
#[derive(Debug, Default)]
pub(crate) struct RequestGrants(Mutex<Vec<RequestGrant>>);

/// A remembered yes.
#[derive(Debug)]
pub(crate) struct RequestGrant {
    id: Id,
    holder: Held<Process>,
    client: (ClientId, String),
    key_set: String,
    key: (ItemId, String),
    rule: String,
    like: Like,
    given: UnixMillis,
    end: Uptime,
    uses_left: u32,
}

/// What may be offered beside a yes to this request of this caller; nothing where it is asked about each time, or where
/// nobody can say which process asks.
pub(crate) fn offer(question: &Question, caller: &Caller, longest: Duration) -> Option<More> {
    if question.need != Need::Click || caller.client().is_none_or(|one| one.executable.is_none()) {
        return None;
    }
    let like = Like::of(&question.operation)?;
    let longest = longest.as_secs() / 60;
    let mut minutes: Vec<u32> = MINUTES
        .into_iter()
        .filter(|minutes| *minutes <= longest)
        .filter_map(|minutes| u32::try_from(minutes).ok())
        .collect();
    if minutes.is_empty() {
        minutes.push(u32::try_from(longest.max(1)).unwrap_or(1));
    }
    Some(More {
        what: like.words(),
        minutes,
        uses: USES,
    })
}

impl RequestGrant {
    /// A grant for the process that was shown, as it still is; none where it is gone or became another program.
    pub(crate) fn of(question: &Question, caller: &Caller, minutes: u32) -> Option<Self> {
        let holder = caller.client().filter(|one| one.executable.is_some())?;
        Some(Self {
            id: Id::random(),
            holder: Held::process(holder)?,
            client: (question.client.id, question.client.name.clone()),
            key_set: question.key_set.clone(),
            key: (question.key.item, question.key.name.clone()),
            rule: question.rule.clone(),
            like: Like::of(&question.operation).filter(|_| question.need == Need::Click)?,
            given: SystemClock.now(),
            end: Uptime::now().after(Duration::from_secs(u64::from(minutes) * 60)),
            uses_left: USES,
        })
    }

    pub(crate) const fn id(&self) -> Id {
        self.id
    }

    /// For the log, in a sentence.
    pub(crate) fn sentence(&self, minutes: u32) -> String {
        format!(
            "{} may {} for {minutes} min, {} times at most, without being asked about. {}",
            visible(&self.client.1),
            self.like.words(),
            self.uses_left,
            self.holder.seen().line()
        )
    }

    fn is_over(&self, now: Uptime) -> bool {
        now >= self.end || self.uses_left == 0
    }

    fn covers(&self, question: &Question, asks: &Process) -> bool {
        self.client.0 == question.client.id
            && self.key_set == question.key_set
            && self.key.0 == question.key.item
            && self.rule == question.rule
            && self.holder.is(asks)
            && self.like.covers(&question.operation)
    }

    fn summary(&self, now: Uptime) -> GrantSummary {
        GrantSummary {
            id: self.id.to_string(),
            kind: "requests".to_owned(),
            client: visible(&self.client.1),
            holder: self.holder.seen().line(),
            items: vec![self.key.1.clone()],
            given: self.given,
            seconds_left: Some(self.end.since(now).as_secs()),
            until: None,
            what: Some(self.like.words()),
            uses_left: Some(self.uses_left),
        }
    }
}

impl RequestGrants {
    /// Whether an earlier yes covers this request of this caller, and which: one use of it is spent with that. A request
    /// with an id of the client's own that was asked for before is none: it was meant once.
    pub(crate) fn take(&self, question: &Question, caller: &Caller) -> Option<Id> {
        let twice = question.again.is_some() && question.operation.client_id.is_some();
        if twice || question.need != Need::Click {
            return None;
        }
        let asks = caller.client().filter(|one| one.executable.is_some())?;
        let now = Uptime::now();
        let mut grants = self.lock();
        grants.retain(|grant| !grant.is_over(now));
        let grant = grants.iter_mut().find(|one| one.covers(question, asks))?;
        grant.uses_left -= 1;
        Some(grant.id)
    }

    /// Whether there is any that could cover a request of this client.
    pub(crate) fn has_some_for(&self, client: ClientId) -> bool {
        self.lock().iter().any(|grant| grant.client.0 == client)
    }

    /// Takes a grant in.
    pub(crate) fn give(&self, grant: RequestGrant) {
        let mut grants = self.lock();
        let now = Uptime::now();
        grants.retain(|grant| !grant.is_over(now));
        if grants.len() >= MAX_GRANTS {
            grants.remove(0);
        }
        grants.push(grant);
    }

    /// What holds now.
    pub(crate) fn list(&self) -> Vec<GrantSummary> {
        let now = Uptime::now();
        let mut grants = self.lock();
        grants.retain(|grant| !grant.is_over(now) && grant.holder.is_unchanged());
        grants.iter().map(|grant| grant.summary(now)).collect()
    }

    /// Ends one: its client, and what it was allowed.
    pub(crate) fn revoke(&self, id: Id) -> Option<(String, String)> {
        let mut grants = self.lock();
        let at = grants.iter().position(|grant| grant.id == id)?;
        let grant = grants.remove(at);
        Some((grant.client.1, grant.like.words()))
    }

    /// Ends all of them.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<RequestGrant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_core::RequestId;
    use touchkeep_pipeline::{Again, Client, KeyHandle, Signer};
    use touchkeep_venue::{Operation, OperationKind, Side};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    // Our own process, as the other end of a connection would show it.
    fn us() -> Caller {
        Caller::holding(i32::try_from(std::process::id()).unwrap(), |_| true)
    }

    fn question() -> Question {
        let mut operation = Operation::new(
            OperationKind::Trade,
            "binance",
            "POST",
            "/api/v3/order",
            "place order",
        );
        operation.symbol = Some("BTCUSDT".into());
        operation.side = Some(Side::Buy);
        operation.amount = "0.01".parse().ok();
        Question {
            request: RequestId::random(),
            client: Client {
                id: ClientId::random(),
                name: "grid-bot".into(),
            },
            key_set: "main".into(),
            key: KeyHandle {
                item: ItemId::random(),
                name: "trade".into(),
                api_key: "k".into(),
                scheme: touchkeep_venue::venue("binance").unwrap().info().schemes[0],
                signer: Signer::Secret,
                passphrase: false,
                touched_each_use: false,
                base_url: None,
            },
            operation,
            digest: [1; 32],
            rule: "orders".into(),
            need: Need::Click,
            deadline: UnixMillis(0),
            again: None,
            limits: Vec::new(),
            named: None,
            free: None,
        }
    }

    fn granted(question: &Question) -> RequestGrants {
        let grants = RequestGrants::default();
        grants.give(RequestGrant::of(question, &us(), 5).unwrap());
        grants
    }

    #[test]
    fn a_yes_covers_so_many_requests_and_no_more() {
        let asked = question();
        let grants = granted(&asked);
        for _ in 0..USES {
            assert!(grants.take(&asked, &us()).is_some());
        }
        assert_eq!(grants.take(&asked, &us()), None);
        assert!(grants.list().is_empty());
    }

    #[test]
    fn whoever_is_another_in_anything_is_asked_about() {
        let asked = question();
        let grants = granted(&asked);
        let others: [fn(&mut Question); 7] = [
            |q| q.client.id = ClientId::random(),
            |q| q.key_set = "other".into(),
            |q| q.key.item = ItemId::random(),
            |q| q.rule = "another rule".into(),
            |q| q.need = Need::Touch,
            |q| q.operation.amount = "0.011".parse().ok(),
            |q| {
                q.operation.client_id = Some("mine".into());
                q.again = Some(Again {
                    times: 1,
                    ago_ms: 5,
                });
            },
        ];
        for change in others {
            let mut other = asked.clone();
            change(&mut other);
            assert_eq!(grants.take(&other, &us()), None, "{other:?}");
        }
        let init = Caller::holding(1, |_| true);
        assert_eq!(grants.take(&asked, &init), None, "another process");
        assert_eq!(grants.take(&asked, &Caller::unknown()), None);
        let many = Caller::one_of_many(i32::try_from(std::process::id()).unwrap());
        assert_eq!(grants.take(&asked, &many), None, "one of several");
        assert!(
            grants.take(&asked, &us()).is_some(),
            "none of that spent it"
        );
    }

    #[test]
    fn it_ends_by_time_by_word_and_with_everything() {
        let asked = question();
        let grants = RequestGrants::default();
        grants.give(RequestGrant::of(&asked, &us(), 0).unwrap());
        assert_eq!(grants.take(&asked, &us()), None);
        let grants = granted(&asked);
        let id: Id = grants.list()[0].id.parse().unwrap();
        assert!(grants.revoke(id).is_some() && grants.revoke(id).is_none());
        assert_eq!(grants.take(&asked, &us()), None);
        let grants = granted(&asked);
        grants.forget();
        assert_eq!(grants.take(&asked, &us()), None);
    }

    #[test]
    fn nothing_is_offered_where_it_could_not_be_held_to() {
        let asked = question();
        let offered = offer(&asked, &us(), HOUR).unwrap();
        assert_eq!(offered.minutes, [5, 15, 60]);
        let short = offer(&asked, &us(), Duration::from_secs(120)).unwrap();
        assert_eq!(short.minutes, [2]);
        assert_eq!(offer(&asked, &Caller::unknown(), HOUR), None);
        let mut touched = asked.clone();
        touched.need = Need::Touch;
        assert_eq!(offer(&touched, &us(), HOUR), None);
        let mut withdrawal = asked;
        withdrawal.operation.kind = OperationKind::Withdraw;
        assert_eq!(offer(&withdrawal, &us(), HOUR), None);
        assert!(RequestGrant::of(&withdrawal, &us(), 5).is_none());
    }
}
