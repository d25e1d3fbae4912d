//! Questions to a person. The agent sends `prompt.open` to every front end on `ui.sock`; the first `prompt.answer` wins,
//! and `prompt.close` tells the others. No answer by the deadline is a refusal.

use serde::{Deserialize, Serialize};
use touchkeep_core::{Code, PromptId, UnixMillis};

use crate::{Resting, SecretText};

/// Notification to front ends: a question.
pub const PROMPT_OPEN: &str = "prompt.open";
/// Notification to front ends: the question is closed ([`PromptClosed`]).
pub const PROMPT_CLOSE: &str = "prompt.close";
/// Notification to front ends: how it went with what a question allowed ([`PromptWent`]).
pub const PROMPT_WENT: &str = "prompt.went";
/// Notification to front ends: what was signed by a rule that tells a person ([`Signed`]).
pub const SIGNED: &str = "signed";
/// Notification to front ends: something that they show has changed ([`Changed`]).
pub const CHANGED: &str = "changed";

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Prompt {
    /// Its id.
    #[cfg_attr(test, ts(type = "string"))]
    pub id: PromptId,
    /// What programs ask for is counted by the agent since it was started, so that every front end calls it by the same
    /// number; 0 for everything else.
    pub number: u32,
    /// When it was asked.
    #[cfg_attr(test, ts(type = "number"))]
    pub asked: UnixMillis,
    /// When silence becomes a refusal.
    #[cfg_attr(test, ts(type = "number"))]
    pub deadline: UnixMillis,
    /// What is asked.
    pub question: Question,
    /// Who brought it up; none where that is a call of a front end, or the agent itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asker: Option<PromptAsker>,
}

/// Who brought a question up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PromptAsker {
    /// As whoever rests is called: `client grid-bot`, `program /usr/bin/python3`.
    pub name: String,
    /// The process whose call it is; none for a client's request.
    pub pid: Option<u32>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Question {
    /// May this request be signed? [`Answer::Approve`], [`Answer::ApproveFor`] or [`Answer::Refuse`].
    Approval(Approval),
    /// May this program have these values? [`Answer::Allow`] or [`Answer::Refuse`].
    Use(UseRequest),
    /// The device waits for a finger, or for its PIN at keys of its own. Nothing to answer but [`Answer::Refuse`], which stops
    /// waiting.
    Touch {
        /// Which device.
        device: String,
        /// What for, in a sentence; what that means in full follows on lines of their own.
        why: String,
        /// The PIN is to be typed at the device.
        #[serde(default)]
        pad: bool,
    },
    /// A PIN. [`Answer::Secret`].
    Pin {
        /// Which device.
        device: String,
        /// What for, as of [`Question::Touch`].
        why: String,
        /// Tries left, where the device says so.
        tries_left: Option<u8>,
    },
    /// The PUK of a device. [`Answer::Secret`].
    Puk {
        /// Which device.
        device: String,
        /// What for, as of [`Question::Touch`].
        why: String,
        /// Tries left.
        tries_left: Option<u8>,
    },
    /// A new PIN for a device. [`Answer::Secret`].
    NewPin {
        /// Which device.
        device: String,
        /// `PIN` or `PUK`.
        which: String,
    },
    /// The passphrase of a software device. [`Answer::Secret`].
    Passphrase {
        /// What for, as of [`Question::Touch`].
        why: String,
    },
    /// A passphrase for a new software device. [`Answer::Secret`].
    NewPassphrase {
        /// So many characters it has at least.
        #[serde(default)]
        least: u32,
    },
    /// The words of the recovery kit that opened the vault, typed anew for each consent. [`Answer::Secret`].
    Words {
        /// Which kit.
        device: String,
        /// What for, as of [`Question::Touch`].
        why: String,
    },
}

/// A request that wants a person's word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Approval {
    /// In plain words: `Withdraw 0.5 BTC on Binance to bc1q…`.
    pub sentence: String,
    /// `read`, `trade`, `cancel`, `leverage`, `transfer`, `withdraw`, `key-admin`, `unknown`.
    pub operation: String,
    /// The decoded facts, as name and value, in the order to be shown; values with every character visible.
    pub facts: Vec<(String, String)>,
    /// Exactly the same was asked for shortly before: how often, and when last. Empty where it was not. To be shown loudly:
    /// it may be a replay.
    pub again: String,
    /// What is unusual about it: `first time to this address`.
    pub unusual: Vec<String>,
    /// The client's name.
    pub client: String,
    /// What is known of the process that asks, outermost first. Information, never proof.
    pub process: Vec<String>,
    /// What that process runs; empty where it cannot be seen.
    pub executable: String,
    /// The terminal or the systemd unit that it runs in; empty where it runs in neither.
    pub place: String,
    /// The item whose key will sign.
    pub key: String,
    /// Where that key is, and what its use takes: `sealed, opened by a touch`.
    pub kept: String,
    /// The rule that asks.
    pub rule: String,
    /// Whether the device is to be touched.
    pub touch: bool,
    /// SHA-256 of what will be signed, in hex; comes back in [`Answer::Approve`].
    pub digest: String,
    /// Made for practice: no real money.
    pub practice: bool,
    /// What a yes may be given to beside this request; none where it can be to nothing more.
    pub more: Option<More>,
}

/// Requests like this one, which a yes may cover for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct More {
    /// Which, in plain words: `grid-bot buys up to 0.01 BTCUSDT at 20000 or less`.
    pub what: String,
    /// For how many minutes; one of these.
    pub minutes: Vec<u32>,
    /// For how many requests at most.
    pub uses: u32,
}

/// A program that wants values, and is not known to be allowed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct UseRequest {
    /// In plain words: `python3 asks for 2 values`.
    pub sentence: String,
    /// The values, by name: `prod/main-trade: secret`. Never what they are.
    pub values: Vec<String>,
    /// What they are for: `to print them`, `for a program that is started`.
    pub purpose: String,
    /// The program that asks.
    pub client: String,
    /// What it runs; empty where that cannot be seen.
    pub executable: String,
    /// It and its parents, outermost first.
    pub process: Vec<String>,
    /// The terminal or the systemd unit that it runs in; empty where it runs in neither.
    pub place: String,
    /// What is unusual about it: `its program was replaced since it was started`.
    pub unusual: Vec<String>,
    /// What may be answered beside a refusal, the least first.
    pub scopes: Vec<Scope>,
    /// For how many minutes more than a single use is remembered.
    pub minutes: u32,
    /// The process that connected; the terminal that it was started in may ask.
    pub pid: u32,
    /// A vault for practice.
    pub practice: bool,
}

/// For how much a yes to a [`UseRequest`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// This once.
    Once,
    /// For this process, until it ends or becomes another program.
    Process,
    /// For everything that is started in this terminal.
    Terminal,
}

/// An answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Answer {
    /// Yes, to exactly this digest.
    Approve {
        /// The prompt's digest.
        digest: String,
    },
    /// Yes, to exactly this digest, and to requests like it for a time: [`Approval::more`].
    ApproveFor {
        /// The prompt's digest.
        digest: String,
        /// One of those that were offered.
        minutes: u32,
    },
    /// Yes, to a program that wants values.
    Allow {
        /// For how much; one of those that were offered.
        scope: Scope,
    },
    /// No.
    Refuse {},
    /// What was typed.
    Secret {
        /// It.
        value: SecretText,
    },
}

/// How a question ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PromptClosed {
    /// Which.
    #[cfg_attr(test, ts(type = "string"))]
    pub prompt: PromptId,
    /// `approved`, `allowed`, `refused`, `answered`, `timed-out`, `locked`, `done`, `failed`.
    pub outcome: String,
    /// Who asks nobody for a while from now on, where a refusal brought that, or that nobody answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rests: Option<Resting>,
}

/// How it went with what a person allowed; said once the question is closed, of a yes alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PromptWent {
    /// Which.
    #[cfg_attr(test, ts(type = "string"))]
    pub prompt: PromptId,
    /// Why it was not done, or not known to be; none where it was done.
    #[cfg_attr(test, ts(type = "Code | null"))]
    pub code: Option<Code>,
    /// What happened, in a sentence.
    pub what: String,
}

/// What was signed by a rule that tells a person, since that was last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Of how many requests; at least 1.
    pub how_many: u32,
    /// The last of them in plain words, with who asked for it and the rule.
    pub last: String,
}

/// Something changed; ask again for what you show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Changed {
    /// `vault`, `items`, `audit`, `clients`, `grants`, `policy`, `reminders`.
    pub what: String,
}
