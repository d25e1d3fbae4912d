//! What can be recorded. Every field is a word, a number or an id: none of the secret types of `core` can be put in, nor
//! can a whole request.
//!
//! ```compile_fail,E0277
//! use touchkeep_audit::{Decision, Event, Kind};
//! use touchkeep_core::Pin;
//! Event::new(Kind::Unlocked, Decision::Info).text(Pin::new("123456".into()));
//! ```

use serde::{Deserialize, Serialize};
use touchkeep_core::{ClientId, ItemId, RequestId};
use touchkeep_venue::Operation;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the database and in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one with this word.
            #[must_use]
            pub fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words! {
    /// What a row is about. Stands in the clear.
    Kind {
        /// The vault was made.
        VaultCreated = "vault-created",
        /// The vault was unlocked.
        Unlocked = "unlocked",
        /// An unlock failed.
        UnlockFailed = "unlock-failed",
        /// The vault was locked.
        Locked = "locked",
        /// Trade keys stay usable through an idle and a screen lock.
        Armed = "armed",
        /// They do not any more.
        Disarmed = "disarmed",
        /// An item was added.
        ItemAdded = "item-added",
        /// An item was changed.
        ItemChanged = "item-changed",
        /// An item was removed.
        ItemRemoved = "item-removed",
        /// A secret value was shown to a person or given to a process.
        SecretRevealed = "secret-revealed",
        /// A secret value was used for a program, and did not leave the agent.
        SecretUsed = "secret-used",
        /// A webhook's delivery was taken, or not.
        Webhook = "webhook",
        /// An environment was made, or got another name.
        EnvironmentChanged = "environment-changed",
        /// A client got a token.
        ClientAdded = "client-added",
        /// A client's token was taken back.
        ClientRemoved = "client-removed",
        /// A program was allowed ahead to use items.
        GrantGiven = "grant-given",
        /// What a program was allowed has ended before its time.
        GrantRevoked = "grant-revoked",
        /// A device was enrolled.
        DeviceAdded = "device-added",
        /// A device was retired.
        DeviceRetired = "device-retired",
        /// A card's PIN or PUK was changed, or its PIN unblocked.
        PinChanged = "pin-changed",
        /// A way back was tried: a device or a recovery kit opened the vault from nothing.
        RecoveryTried = "recovery-tried",
        /// An older copy was made the vault again.
        Restored = "restored",
        /// Another copy of the vault was taken in.
        Merged = "merged",
        /// The policy is another one now.
        PolicyChanged = "policy-changed",
        /// A rule denied a request.
        RequestDenied = "request-denied",
        /// A person refused a request, or nobody answered in time.
        RequestRefused = "request-refused",
        /// A request could not be understood.
        RequestUnreadable = "request-unreadable",
        /// A request is about to be signed.
        Intent = "intent",
        /// How it went.
        Outcome = "outcome",
        /// Something is about to be changed. A row of the kind of that says how it went.
        Begun = "begun",
        /// Somebody was reminded of a key's age.
        Reminder = "reminder",
        /// The log was signed by a device.
        Checkpoint = "checkpoint",
        /// The clock went backwards: rows are ordered by number, their times are not.
        ClockBack = "clock-back",
    }
}

words! {
    /// What was decided. Stands in the clear.
    Decision {
        /// Nothing was to be decided.
        Info = "info",
        /// A rule allowed it.
        Allowed = "allowed",
        /// A person approved it.
        Approved = "approved",
        /// A person approved it with the device's touch or the passphrase.
        Touched = "touched",
        /// A rule denied it.
        Denied = "denied",
        /// A person refused it, or nobody answered in time.
        Refused = "refused",
        /// It was done.
        Done = "done",
        /// It failed.
        Failed = "failed",
        /// Whether it was done is not known.
        Unknown = "unknown",
    }
}

/// Something that happened, or is about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// What it is about.
    pub kind: Kind,
    /// What was decided.
    pub decision: Decision,
    /// In one sentence. Text from outside belongs through `core::text::visible` first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Which item.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// The item's name then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_name: Option<String>,
    /// Which client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientId>,
    /// The client's name then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    /// Which request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Digest of what may be signed, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What the request would do, so that a new policy can be tried against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The rule that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Serial number of the device that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// How long a person or a device was waited for, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The venue's HTTP status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub venue_status: Option<u16>,
    /// Further facts, as name and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<(String, String)>,
}

impl Kind {
    /// Whether it says that something is about to be done, so that another row is to say how that went.
    pub(crate) const fn opens(self) -> bool {
        matches!(self, Self::Intent | Self::Begun)
    }
}

impl Event {
    /// An event without particulars.
    #[must_use]
    pub const fn new(kind: Kind, decision: Decision) -> Self {
        Self {
            kind,
            decision,
            text: String::new(),
            item: None,
            item_name: None,
            client: None,
            client_name: None,
            request: None,
            digest: None,
            operation: None,
            rule: None,
            device: None,
            wait_ms: None,
            venue_status: None,
            details: Vec::new(),
        }
    }

    /// In one sentence.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Which item, and its name.
    #[must_use]
    pub fn item(mut self, item: ItemId, name: impl Into<String>) -> Self {
        (self.item, self.item_name) = (Some(item), Some(name.into()));
        self
    }

    /// Which client, and its name.
    #[must_use]
    pub fn client(mut self, client: ClientId, name: impl Into<String>) -> Self {
        (self.client, self.client_name) = (Some(client), Some(name.into()));
        self
    }

    /// Whether this stands in it. It is looked for in small letters.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let names = [
            &self.item_name,
            &self.client_name,
            &self.digest,
            &self.rule,
            &self.device,
        ];
        let details = self.details.iter().flat_map(|(name, value)| [name, value]);
        let mut all = names
            .into_iter()
            .flatten()
            .chain(details)
            .chain([&self.text]);
        let request = self
            .request
            .is_some_and(|request| request.to_string() == text);
        request || all.any(|one| one.to_lowercase().contains(text))
    }

    /// A further fact.
    #[must_use]
    pub fn detail(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_to_one_and_those_of_serde() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.as_str()), Some(*kind));
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
        for decision in Decision::ALL {
            assert_eq!(Decision::of(decision.as_str()), Some(*decision));
        }
        assert_eq!(Kind::of("no-such"), None);
    }
}
