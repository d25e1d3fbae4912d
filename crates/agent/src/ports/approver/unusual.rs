//! What is unusual about a request: what a person should stop at.

use std::collections::HashSet;

use touchkeep_audit::{Decision, Kind, Log, Query, Row, Seq};
use touchkeep_core::{
    ItemId,
    text::{has_lookalikes, surely_visible, visible},
};
use touchkeep_pipeline::{NOT_SIGNED, Named, Question, SAVED_ADDRESS};
use touchkeep_venue::{Operation, OperationKind};

use super::{Caller, Current, intents, limits, share};
use crate::grants::unusual_of;

/// How many earlier requests are looked through.
const LOOKS_BACK: usize = 1000;
/// Characters by whose look a person takes an address for another: those at either end.
const LOOKED_AT: usize = 4;
/// So few characters in an address are overlooked, or changed by whoever hopes for that.
const OVERLOOKED: usize = 3;

/// The most alarming first.
pub(super) fn of(
    question: &Question,
    caller: &Caller,
    current: &Current,
    log: &Log,
) -> Vec<String> {
    let operation = &question.operation;
    let mut unusual = lookalikes(question);
    unusual.extend(question.named.as_ref().and_then(unseen));
    unusual.extend(share::unusual(question));
    unusual.extend(borrows(operation));
    unusual.extend(question.limits.iter().filter_map(limits::beyond));
    let unsigned = unsigned(current, log);
    let of = |query: &Query| {
        let mut rows = list(current, log, query);
        rows.retain(|row| !unsigned.contains(&row.seq));
        rows
    };
    let own = of(&rows_of(question));
    let all = match operation.destination {
        Some(_) => of(&agreed_to()),
        None => Vec::new(),
    };
    unusual.extend(destination(operation, &all));
    if !own
        .iter()
        .filter_map(operation_of)
        .any(|one| one.kind == operation.kind)
    {
        let noun = noun(operation.kind);
        unusual.push(if own.len() < LOOKS_BACK {
            format!("no {noun} of this client was signed before")
        } else {
            format!("no {noun} is among the last {LOOKS_BACK} requests of this client")
        });
    }
    unusual.extend(unusual_of(caller));
    unusual
}

fn lookalikes(question: &Question) -> Vec<String> {
    let operation = &question.operation;
    let texts = [
        ("the address", operation.destination.as_deref()),
        ("the address there", operation.resolved.as_deref()),
        ("the destination tag", operation.destination_tag.as_deref()),
        ("the network", operation.network.as_deref()),
        ("the asset", operation.asset.as_deref()),
        ("the market", operation.symbol.as_deref()),
        ("the client's own id", operation.client_id.as_deref()),
        ("the client's name", Some(question.client.name.as_str())),
    ];
    texts
        .into_iter()
        .filter(|(_, text)| text.is_some_and(has_lookalikes))
        .map(|(what, _)| format!("{what} holds letters that look like others"))
        .collect()
}

fn borrows(operation: &Operation) -> Option<String> {
    let words = "borrows what is missing, as much as the venue lends";
    operation.borrows.then(|| words.to_owned())
}

// Where nobody could see what the venue keeps under a name.
fn unseen(named: &Named) -> Option<String> {
    match named {
        Named::Kept(_) => None,
        Named::Before { why, .. } => Some(format!(
            "which address the venue keeps under this name now could not be seen; it refuses another than the last one ({})",
            surely_visible(why)
        )),
        Named::Unknown { why } => Some(format!(
            "which address the venue keeps under this name could not be seen: {}",
            surely_visible(why)
        )),
    }
}

/// What the venue kept under the name that an operation goes to when this key sent there; where that was not always the same,
/// all of it, which is no address, so that nothing is the same as it.
pub(super) fn kept_before(
    current: &Current,
    log: &Log,
    item: ItemId,
    operation: &Operation,
) -> Option<String> {
    let mut query = agreed_to();
    query.items = vec![item];
    let rows = list(current, log, &query);
    // Of whatever asset: venues have several names for one.
    let goes_there = |then: &Operation| {
        (&then.venue, &then.destination) == (&operation.venue, &operation.destination)
    };
    let events = rows.iter().filter_map(|row| row.event.as_ref());
    let events = events.filter(|event| event.operation.as_ref().is_some_and(goes_there));
    let details = events.flat_map(|event| &event.details);
    let mut kept: Vec<&str> = Vec::new();
    for (_, address) in details.filter(|(name, _)| name == SAVED_ADDRESS) {
        if !kept.contains(&address.as_str()) {
            kept.push(address);
        }
    }
    (!kept.is_empty()).then(|| kept.join(" or "))
}

// Where money was not sent before, as far as the log is looked through; and where it only seems to have been.
fn destination(operation: &Operation, rows: &[Row]) -> Vec<String> {
    let Some(to) = address_of(operation) else {
        return Vec::new();
    };
    let earlier: Vec<&str> = rows
        .iter()
        .filter_map(|row| address_of(operation_of(row)?))
        .collect();
    if earlier.contains(&to) {
        return Vec::new();
    }
    let mut unusual: Vec<String> = like_an_earlier(&earlier, to).into_iter().collect();
    unusual.push("first time to this address".to_owned());
    unusual
}

// The earlier address that it may be taken for, so that both can be compared.
fn like_an_earlier(earlier: &[&str], to: &str) -> Option<String> {
    let near = earlier
        .iter()
        .filter_map(|known| Some((apart(known, to)?, *known)));
    if let Some((apart, known)) = near.min().filter(|(apart, _)| *apart <= OVERLOOKED) {
        let characters = if apart == 1 {
            "character"
        } else {
            "characters"
        };
        let known = visible(known);
        return Some(format!(
            "differs in {apart} {characters} from {known}, which was used before"
        ));
    }
    let known = earlier.iter().find(|known| seems(known, to))?;
    let known = visible(known);
    Some(format!(
        "begins and ends like {known}, which was used before, and is another"
    ))
}

// The address itself, where the venue was asked for it by a name.
fn address_of(operation: &Operation) -> Option<&str> {
    let resolved = operation.resolved.as_deref();
    resolved.or(operation.destination.as_deref())
}

// In how many characters two long texts differ that are of one length. Capitals count as such: in many addresses they are a
// difference.
fn apart(one: &str, other: &str) -> Option<usize> {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let comparable = one.len() == other.len() && one.len() > 4 * OVERLOOKED;
    comparable.then(|| one.iter().zip(&other).filter(|(a, b)| a != b).count())
}

// Whether two addresses that differ look the same to whoever compares their ends, as most people do.
fn seems(one: &str, other: &str) -> bool {
    let ends = |text: &str| -> Option<(String, String)> {
        let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let begin: String = text.get(..LOOKED_AT)?.iter().collect();
        let end: String = text.get(text.len() - LOOKED_AT..)?.iter().collect();
        Some((begin, end))
    };
    ends(one).is_some_and(|one| ends(other) == Some(one))
}

const fn noun(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Read => "reading",
        OperationKind::Trade => "trade",
        OperationKind::Cancel => "cancellation",
        OperationKind::Leverage => "change of leverage",
        OperationKind::Transfer => "transfer",
        OperationKind::Withdraw => "withdrawal",
        OperationKind::KeyAdmin => "change of keys",
        OperationKind::Unknown => "request that is not understood",
    }
}

// The newest requests that a person has said yes to. Money goes nowhere without that, and what a rule lets through, a bot could
// ask for until nothing else is among the newest. What cannot be read is not there, so that more is unusual.
fn agreed_to() -> Query {
    let mut query = intents(LOOKS_BACK);
    query.decisions = vec![Decision::Approved, Decision::Touched];
    query
}

fn rows_of(question: &Question) -> Query {
    let mut query = intents(LOOKS_BACK);
    query.clients = vec![question.client.id];
    query
}

// The newest requests of which only a yes is on record: nobody touched, or the device refused. They went nowhere.
fn unsigned(current: &Current, log: &Log) -> HashSet<Seq> {
    let query = Query {
        kinds: vec![Kind::Outcome],
        decisions: vec![Decision::Refused, Decision::Failed],
        limit: LOOKS_BACK,
        ..Query::default()
    };
    let rows = list(current, log, &query).into_iter();
    let is_unsigned = |row: &Row| {
        let event = row.event.as_ref();
        event.is_some_and(|event| event.text.starts_with(NOT_SIGNED))
    };
    rows.filter(is_unsigned)
        .filter_map(|row| row.closes)
        .collect()
}

fn list(current: &Current, log: &Log, query: &Query) -> Vec<Row> {
    let Some(open) = current.peek() else {
        return Vec::new();
    };
    let identity = open.read().audit_identity().ok();
    log.list(query, identity.as_deref())
        .map(|page| page.rows)
        .unwrap_or_default()
}

fn operation_of(row: &Row) -> Option<&Operation> {
    row.event.as_ref()?.operation.as_ref()
}

#[cfg(test)]
mod tests {
    use touchkeep_audit::{Event, Kind};
    use touchkeep_core::{RequestId, UnixMillis};
    use touchkeep_policy::{Approval, ApprovedBy, Asked, History, Policy, Verdict};
    use touchkeep_venue::{Decoded, Request, venue};

    use super::*;

    fn record(log: &Log, kind: OperationKind) {
        let rules = "[[rule]]\nname = \"looks\"\nkinds = [\"read\"]\naction = \"allow\"\n\
                     [[rule]]\nname = \"money\"\nkinds = [\"withdraw\"]\naction = \"touch\"";
        let asked = Asked {
            request: RequestId::random(),
            digest: [0; 32],
            client: "bot".into(),
            key_set: "main".into(),
            operation: Operation::new(kind, "kraken", "POST", "/x", "x"),
            now: UnixMillis(0),
        };
        let yes = Approval {
            digest: [0; 32],
            by: ApprovedBy::KeyTouch,
        };
        let policy = Policy::parse(rules).unwrap();
        let allowed = match policy.decide(asked, &History::default()) {
            Verdict::Allow(allowed) => allowed,
            Verdict::Ask(question) => question.approve(yes).unwrap(),
            other => panic!("{other:?}"),
        };
        let event = Event::new(Kind::Intent, Decision::Allowed);
        drop(log.record_intent(allowed, &event).unwrap());
    }

    // Each request for a withdrawal looks up with the key that would sign what the name of the address means, and is recorded so.
    #[test]
    fn what_a_person_agreed_to_is_found_below_all_that_a_bot_does() {
        let folder = tempfile::tempdir().unwrap();
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let log = Log::create(&folder.path().join("a.sqlite"), "vault", &recipient).unwrap();
        record(&log, OperationKind::Withdraw);
        for _ in 0..=LOOKS_BACK {
            record(&log, OperationKind::Read);
        }
        let found = log.list(&agreed_to(), Some(&identity)).unwrap().rows;
        let kinds: Vec<_> = found.iter().filter_map(operation_of).collect();
        assert_eq!(kinds.len(), 1);
        assert_eq!(kinds[0].kind, OperationKind::Withdraw);
    }

    #[test]
    fn an_order_that_borrows_is_unusual() {
        let order = |side_effect: &str| {
            let query = format!(
                "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&sideEffectType={side_effect}"
            );
            let request = Request {
                method: "POST".into(),
                path: "/sapi/v1/margin/order".into(),
                query: query.into_bytes(),
                content_type: None,
                body: Vec::new(),
                expires: None,
            };
            match venue("binance").unwrap().decode(&request) {
                Ok(Decoded::Private(private)) => borrows(private.operation()),
                other => panic!("{other:?}"),
            }
        };
        assert!(order("MARGIN_BUY").unwrap().starts_with("borrows"));
        assert_eq!(order("NO_SIDE_EFFECT"), None);
    }

    #[test]
    fn addresses_that_only_look_the_same_are_seen() {
        let known = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
        let other = "bc1qxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx5mdq";
        assert!(seems(known, other) && seems(known, &other.to_uppercase()));
        assert!(!seems(known, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5xxx"));
        assert!(!seems("abc", "abc"), "too short to have two ends");
    }

    #[test]
    fn the_address_that_another_may_be_taken_for_is_named() {
        let known = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
        let earlier = ["bc1qxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx5mdq", known];
        assert_eq!(
            like_an_earlier(&earlier, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp").unwrap(),
            format!("differs in 1 character from {known}, which was used before")
        );
        let swapped = like_an_earlier(&[known], "bc1qyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy5mdq");
        assert_eq!(
            swapped.unwrap(),
            format!("begins and ends like {known}, which was used before, and is another")
        );
        assert_eq!(
            like_an_earlier(&earlier, "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
            None
        );
    }

    #[test]
    fn an_address_but_for_a_character_is_seen() {
        let known = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
        assert_eq!(
            apart(known, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp"),
            Some(1)
        );
        assert_eq!(
            apart(known, "bc1qar0srrr7xfkvy5I643lydnw9re59gtzzwf5mdp"),
            Some(2)
        );
        assert_eq!(
            apart(known, "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5md"),
            None
        );
        assert_eq!(apart("rDs", "rDt"), None, "too short to mean anything");
    }
}
