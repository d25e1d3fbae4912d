//! Why a request was not done, sorted by what a person can do about it.

use touchkeep_audit::{RecordError, Seq};
use touchkeep_core::{Code, text::quoted};
use touchkeep_device::DeviceError;
use touchkeep_policy::{Action, DenyReason, Doubt, Mismatch};
use touchkeep_venue::{CannotSign, KeyClass, OperationKind, Unreadable};

/// A request did not come to an answer of the venue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotDone {
    /// Nothing was signed.
    #[error(transparent)]
    NotSigned(#[from] NotSigned),
    /// It was signed and did not reach the venue.
    #[error("the venue was not reached: {0}")]
    NotSent(String),
    /// It was signed and sent, and the venue says that it did not come to it.
    #[error("the venue did not take it: {0}")]
    NotTaken(String),
    /// It was signed, and nobody knows whether the venue did it. It must not simply be sent again.
    #[error("whether the venue did it is not known: {0}")]
    Unknown(String),
}

/// Nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSigned {
    /// There is no such venue.
    #[error("there is no venue of that name")]
    NoVenue,
    /// The request was refused unread.
    #[error("the request cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
    /// The rules deny it.
    #[error("{}", denied(.rule.as_deref(), .doubted.as_ref(), *.kind, *.row))]
    Denied {
        /// Which one; none where no rule says anything else.
        rule: Option<String>,
        /// Why.
        reason: DenyReason,
        /// The rule that lets such a request through or asks about it, and why it did not fit this one.
        doubted: Option<(String, Doubt)>,
        /// What it would have done.
        kind: OperationKind,
        /// The row that says so; none where it could not be written.
        row: Option<Seq>,
    },
    /// A person refused.
    #[error("a person refused it")]
    Refused,
    /// Nobody answered in time.
    #[error(
        "nobody approved it in time; questions are answered in the desktop, or by touchkeep approve"
    )]
    TimedOut,
    /// No person was asked, and why not.
    #[error("nobody was asked to approve it: {0}")]
    Unasked(Unasked),
    /// It was allowed, and waited for somebody; by then the rules have it otherwise.
    #[error(
        "while it waited the rules were replaced, or what they limit was used up: {}",
        overtaken(*.action, .rule.as_deref())
    )]
    Overtaken {
        /// What they do about it now.
        action: Action,
        /// The rule that says so, where one does.
        rule: Option<String>,
    },
    /// Its client was revoked, or is let in to less.
    #[error("this client was revoked, or bound closer, before it was signed; nothing was sent")]
    Revoked,
    /// The request itself says until when it is to be carried out, and that is over.
    #[error(
        "the time until which it was to be carried out has passed; send it anew with a later one"
    )]
    Expired,
    /// What was approved is not this request.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The venue keeps another address under a name than it did, or than the request says.
    #[error(
        "under the name {} the venue keeps {now}, and not {before}; an address of your own that is new needs a name of its own there",
        quoted(.name)
    )]
    Moved {
        /// The name.
        name: String,
        /// What was kept under it, or what the request says.
        before: String,
        /// What is.
        now: String,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The venue wants something that the request or the key does not have.
    #[error("the request cannot be signed: {0}")]
    Unsignable(#[from] CannotSign),
    /// It could not be recorded first.
    #[error("the audit log cannot be written, so nothing was signed")]
    Audit(#[from] RecordError),
    /// A device's signature does not verify under its public key. It was thrown away.
    #[error("the device's signature is not that of the key")]
    BadSignature,
    /// A part of this program ended unexpectedly.
    #[error("the request was interrupted")]
    Interrupted,
}

/// Why no person was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unasked {
    /// Nobody answered what this client asked last.
    #[error(
        "the last questions of this client went unanswered, so it asks nobody for another {seconds} seconds; touchkeep approve ends that at once"
    )]
    Unanswered {
        /// For how much longer.
        seconds: u64,
    },
    /// A person said no to what this client asked last.
    #[error(
        "a person refused the last questions of this client, so it asks nobody for another {seconds} seconds; touchkeep approve ends that at once"
    )]
    Refused {
        /// For how much longer.
        seconds: u64,
    },
    /// As many questions are open as may be.
    #[error(
        "as many of its questions as may wait are open already; send it again once they are answered"
    )]
    TooMany,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The vault is locked.
    #[error("the vault is locked")]
    Locked,
    /// The vault was locked while it waited, or opened anew since.
    #[error(
        "the vault was locked or opened anew while it waited; send it again once the vault is open"
    )]
    Over,
    /// The key set has no key of this class.
    #[error(
        "the key set {} has no key of the class {class} at {venue}, which this needs; its keys: touchkeep list",
        quoted(.key_set)
    )]
    NoKey {
        /// The venue.
        venue: String,
        /// The key set.
        key_set: String,
        /// The class that the operation needs.
        class: KeyClass,
    },
    /// While the request waited for somebody its key was replaced, moved, put into the trash or removed.
    #[error("the key {} was changed or taken away while this waited; send it again", quoted(.0))]
    Changed(String),
    /// A vault for practice, and a key that would go to a real venue.
    #[error(
        "this is a practice vault, and the key {} has no address of a practice venue: nothing is signed for a real one; give it one: touchkeep edit NAME --set base-url=URL",
        quoted(.0)
    )]
    NotPractice(String),
    /// More than one key fits.
    #[error("the key set {} has more than one key for this", quoted(.0))]
    Ambiguous(String),
    /// The item has no API key: the venue has not given it one, or nobody has put it in.
    #[error("the item {} has no API key yet; put in what the venue gave for it: touchkeep set-api-key ITEM KEY", quoted(.0))]
    NoApiKey(String),
    /// The item has no secret.
    #[error("the item {} has no secret yet", quoted(.0))]
    NoSecret(String),
    /// The vault's file is not as it was left.
    #[error("the secret cannot be read")]
    Damaged,
    /// A person did not give the PIN, passphrase or touch.
    #[error("a person refused")]
    Refused,
    /// Nobody gave the PIN, passphrase or touch in time.
    #[error("nobody answered in time")]
    TimedOut,
    /// Nobody was asked for the PIN, passphrase or touch.
    #[error(transparent)]
    Unasked(Unasked),
    /// This way of signing is not for requests.
    #[error("the key {} is not for signing requests", quoted(.0))]
    NotForRequests(String),
    /// The secret is not of the kind that signs at the venue.
    #[error("the secret of {} is not of the kind that its venue's signatures want", quoted(.0))]
    WrongSecret(String),
    /// The number of the request could not be written down first.
    #[error("the number of the request cannot be kept, so nothing was signed: {0}")]
    NoNonce(String),
    /// The device did not.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// Why a request did not get its answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No byte of it was sent.
    #[error("{0}")]
    NotSent(String),
    /// It was sent, and the venue guarantees that it did nothing of it. Still not for us to send again.
    #[error("{0}")]
    NotTaken(String),
    /// Some of it was sent.
    #[error("{0}")]
    Unknown(String),
}

// What a trader reads in the log of a bot: who said no, and where it stands why.
fn denied(
    rule: Option<&str>,
    doubted: Option<&(String, Doubt)>,
    kind: OperationKind,
    row: Option<Seq>,
) -> String {
    let doubted = doubted.map(|(name, doubt)| doubted_words(name, *doubt));
    let by = match (rule, doubted) {
        (None, None) => "denied by default: no rule allows it".to_owned(),
        (None, Some(doubted)) => format!("denied: {doubted}, and no other rule allows it"),
        (Some(rule), None) => format!("denied by the rule {}", quoted(rule)),
        (Some(rule), Some(doubted)) => format!("denied by the rule {}: {doubted}", quoted(rule)),
    };
    let unknown = match kind {
        OperationKind::Unknown => ", and what it does is not known",
        _ => "",
    };
    let why = row.map(|row| format!("; why: touchkeep policy explain {row}"));
    format!("{by}{unknown}{}", why.unwrap_or_default())
}

/// Why a rule for such requests did not fit this one: the same words in the answer and in the log.
pub(crate) fn doubted_words(rule: &str, doubt: Doubt) -> String {
    let rule = quoted(rule);
    match doubt.is_over() {
        true => format!("{} of the rule {rule}", doubt.words()),
        false => format!("{}, which the rule {rule} wants", doubt.words()),
    }
}

fn overtaken(action: Action, rule: Option<&str>) -> String {
    match (action, rule) {
        (Action::Deny, None) => "no rule allows it now".to_owned(),
        (Action::Deny, Some(rule)) => format!("the rule {} denies it now", quoted(rule)),
        (action, Some(rule)) => {
            format!("the rule {} says {action} now; send it again", quoted(rule))
        }
        (_, None) => "everything is by hand now; send it again".to_owned(),
    }
}

impl NotDone {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotSigned(why) => why.code(),
            Self::NotSent(_) | Self::NotTaken(_) | Self::Unknown(_) => Code::Unreachable,
        }
    }
}

impl NotSigned {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NoVenue => Code::NotFound,
            Self::Unreadable(why) => why.code(),
            Self::Denied { .. } => Code::Denied,
            Self::Refused
            | Self::Mismatch(_)
            | Self::Moved { .. }
            | Self::Overtaken { .. }
            | Self::Revoked => Code::Refused,
            Self::TimedOut | Self::Expired => Code::TimedOut,
            Self::Unasked(why) => why.code(),
            Self::Key(why) => why.code(),
            Self::Audit(why) => why.code(),
            Self::Unsignable(_) => Code::Invalid,
            Self::BadSignature => Code::DeviceFailed,
            Self::Interrupted => Code::System,
        }
    }
}

impl Unasked {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Unanswered { .. } => Code::TimedOut,
            Self::Refused { .. } | Self::TooMany => Code::Refused,
        }
    }
}

impl KeyError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Locked | Self::Over => Code::Locked,
            Self::NoKey { .. } | Self::NoSecret(_) | Self::NoApiKey(_) => Code::NotFound,
            Self::Ambiguous(_) => Code::Ambiguous,
            Self::Damaged => Code::Damaged,
            Self::Refused | Self::Changed(_) => Code::Refused,
            Self::TimedOut => Code::TimedOut,
            Self::Unasked(why) => why.code(),
            Self::NotForRequests(_) | Self::WrongSecret(_) | Self::NotPractice(_) => Code::Invalid,
            Self::NoNonce(_) => Code::System,
            Self::Device(why) => why.code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_and_a_key_set_are_named_as_they_are_shown_elsewhere() {
        let (name, shown) = (r#"caf"é \ 漢🔑"#, r#""caf"é \\ 漢🔑""#);
        let owned = || name.to_owned();
        for why in [
            denied(Some(name), None, OperationKind::Trade, None),
            overtaken(Action::Deny, Some(name)),
            overtaken(Action::Touch, Some(name)),
            KeyError::Ambiguous(owned()).to_string(),
            KeyError::NoSecret(owned()).to_string(),
            KeyError::NotForRequests(owned()).to_string(),
            KeyError::WrongSecret(owned()).to_string(),
            KeyError::NoKey {
                venue: "binance".to_owned(),
                key_set: owned(),
                class: KeyClass::Trade,
            }
            .to_string(),
            NotSigned::Moved {
                name: owned(),
                before: String::new(),
                now: String::new(),
            }
            .to_string(),
        ] {
            assert!(why.contains(shown), "{why}");
        }
    }
}
