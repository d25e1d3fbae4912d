//! What is signed by rule, what is asked, what is refused.

use serde::{Deserialize, Serialize};
use touchkeep_core::UnixMillis;

use crate::Done;

calls! {
    /// The policy as text.
    GetPolicy = "policy.get" -> PolicyText {}
    /// Replaces the policy. A touch of the device, or the passphrase.
    SetPolicy = "policy.set" -> Done {
        /// TOML.
        text: String,
    }
    /// A policy to begin with, as text; nothing is changed. Needs no open vault.
    StartingPolicy = "policy.starting" -> PolicyText {
        /// `trader`, `developer` or `read-only`.
        name: String,
    }
    /// What is wrong or strange about a policy. Needs no open vault where a text is given.
    CheckPolicy = "policy.check" -> PolicyCheck {
        /// TOML; the policy in force where absent.
        text: Option<String>,
    }
    /// Why a request would be decided as it would be: every rule in turn. Signs nothing and counts nothing.
    ExplainPolicy = "policy.explain" -> PolicyExplanation {
        /// TOML; the policy in force where absent.
        text: Option<String>,
        /// A request.
        request: Option<DescribedRequest>,
        /// Or one that is on record, by the number of its row.
        row: Option<u64>,
    }
    /// How full the windows of the rules are now. Signs nothing and counts nothing.
    PolicyUsed = "policy.used" -> PolicyUsage {
        /// TOML; the policy in force where absent.
        text: Option<String>,
    }
    /// Which decisions on record would be others under a policy.
    ReplayPolicy = "policy.replay" -> PolicyReplay {
        /// TOML; the policy in force where absent.
        text: Option<String>,
        /// Only requests from then on; all of them where absent.
        since: Option<UnixMillis>,
        /// How many changes are listed at most; all of them are counted.
        limit: u32,
    }
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// TOML.
    pub text: String,
    /// Whether it could be read; where not, everything is asked by hand.
    pub readable: bool,
}

/// What is wrong or strange about a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyCheck {
    /// Why it cannot be read; everything would be asked by hand.
    pub problem: Option<String>,
    /// How many rules it has.
    pub rules: u32,
    /// What is strange.
    pub findings: Vec<PolicyFinding>,
    /// What it changes beside the policy in force; absent where the vault is locked, or no text was given.
    pub changes: Option<PolicyChanges>,
}

/// Something strange about a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFinding {
    /// The rule's name.
    pub rule: String,
    /// `unreachable`, `never-fits`, `widens`, `unknown-venue`, `spelling`, `timed-guard`, `unknown-client` or
    /// `unknown-key-set`.
    pub what: String,
    /// In one sentence.
    pub text: String,
}

/// What a new policy changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChanges {
    /// Names of new rules.
    pub added: Vec<String>,
    /// Names of rules that go.
    pub removed: Vec<String>,
    /// Names of rules that say something else.
    pub changed: Vec<String>,
    /// Whether rules that stay stand in another order.
    pub reordered: bool,
    /// Kinds of operations whose mildest action is another.
    pub kinds: Vec<PolicyKindChange>,
    /// What is new, gone and another in each rule, in words.
    pub details: Vec<String>,
    /// In one line, as it is shown before the touch.
    pub sentence: String,
}

/// The mildest that can happen to a kind of operation, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyKindChange {
    /// The kind.
    pub kind: String,
    /// `allow`, `notify`, `approve`, `touch` or `deny`.
    pub before: String,
    /// Likewise.
    pub after: String,
}

/// A request, described.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribedRequest {
    /// `read`, `trade`, `cancel`, `leverage`, `transfer`, `withdraw`, `key-admin` or `unknown`.
    pub kind: String,
    /// At which venue.
    pub venue: String,
    /// Which client asks.
    pub client: String,
    /// With a key of which set.
    pub key_set: String,
    /// On which market.
    pub symbol: Option<String>,
    /// `buy` or `sell`.
    pub side: Option<String>,
    /// With which asset.
    pub asset: Option<String>,
    /// How much.
    pub amount: Option<String>,
    /// How much of the quote asset.
    pub quote_amount: Option<String>,
    /// The price of a limit order.
    pub price: Option<String>,
    /// Where money goes.
    pub destination: Option<String>,
    /// The memo or tag that belongs to it.
    pub tag: Option<String>,
    /// Over which network.
    pub network: Option<String>,
    /// When; now, where absent.
    pub at: Option<UnixMillis>,
}

/// How a decision comes about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyExplanation {
    /// The request in one sentence.
    pub request: String,
    /// Which client asks.
    pub client: String,
    /// With a key of which set.
    pub key_set: String,
    /// When.
    pub at: UnixMillis,
    /// `allow`, `notify`, `approve`, `touch` or `deny`.
    pub action: String,
    /// The rule that it comes from; none where no rule fits, which denies.
    pub rule: Option<String>,
    /// Whether the sums are those of the log. Where not, the vault is locked, and everything is judged as the first request.
    pub with_history: bool,
    /// Whether everything is asked because the policy cannot be read, or the vault can only be read.
    pub by_hand: bool,
    /// For a row: what was done about it then.
    pub then: Option<String>,
    /// What else is to be known, in sentences: a name that the venue writes otherwise, a policy that was another one then.
    pub notes: Vec<String>,
    /// The rules, up to the one that fits.
    pub steps: Vec<PolicyStep>,
}

/// A rule, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStep {
    /// Its name.
    pub rule: String,
    /// What it does.
    pub action: String,
    /// `fits`; `floor`: it may be meant or would let through too much, and nothing below can be milder; or `not`.
    pub stand: String,
    /// Why it does not fit.
    pub why: Option<String>,
    /// Its limits, where it is about the request.
    pub limits: Vec<PolicyLimit>,
}

/// A limit, as a request finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLimit {
    /// Its field.
    pub field: String,
    /// The most.
    pub most: String,
    /// What the window has already, or `unknown`; absent for a limit of one request.
    pub so_far: Option<String>,
    /// What the request adds, or `unknown`.
    pub adds: String,
}

/// How full the windows of the rules are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyUsage {
    /// When.
    pub at: UnixMillis,
    /// Whether everything is asked because the policy cannot be read, or the vault can only be read.
    pub by_hand: bool,
    /// The windows, in the order of the rules; one that nothing is in stands there once.
    pub windows: Vec<PolicyWindow>,
}

/// A window of a rule, as those find it whose requests are counted in it together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyWindow {
    /// The rule's name.
    pub rule: String,
    /// `window_amount`, `window_notional`, `requests_per_minute` or `requests_per_day`.
    pub field: String,
    /// Its length in seconds.
    pub seconds: u64,
    /// Whose requests; all that the rule is for where absent.
    pub client: Option<String>,
    /// With keys of which venue; all where absent.
    pub venue: Option<String>,
    /// And of which key set.
    pub key_set: Option<String>,
    /// Whether each client, or each key set, is counted by itself: nothing is in it where neither is named then.
    pub each: bool,
    /// The market or asset whose amounts are added up; all where absent.
    pub of: Option<String>,
    /// The most.
    pub most: String,
    /// What is in it, or `unknown`.
    pub so_far: String,
    /// That in hundredths of the most, rounded down and at most 999; absent where it is unknown.
    pub percent: Option<u32>,
    /// When the oldest that counts leaves it; absent where nothing is in it.
    pub frees: Option<UnixMillis>,
}

/// Decisions on record, under another policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReplay {
    /// How many requests were looked at.
    pub requests: u64,
    /// Whether those were all; where not, the newest ones.
    pub complete: bool,
    /// How many would have been decided more mildly.
    pub milder: u64,
    /// How many would have been decided more strictly.
    pub stricter: u64,
    /// Those, the oldest first; no more than were asked for.
    pub changes: Vec<PolicyReplayed>,
}

/// A decision that would be another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReplayed {
    /// Its row.
    pub row: u64,
    /// When.
    pub at: UnixMillis,
    /// The request in one sentence.
    pub request: String,
    /// Which client asked.
    pub client: String,
    /// `allowed`, `approved`, `touched`, `denied`, `refused`, or `unsigned` where a rule let it through and it came to nothing.
    pub then: String,
    /// The rule that decided then.
    pub then_rule: Option<String>,
    /// `allow`, `notify`, `approve`, `touch` or `deny`.
    pub now: String,
    /// The rule that would decide; none where no rule fits.
    pub now_rule: Option<String>,
    /// Whether less would be asked of anybody.
    pub milder: bool,
}
