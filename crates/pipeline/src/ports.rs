//! What the pipeline borrows from the agent: keys, a person's eyes and hands, and a connection.

use std::pin::Pin;

use touchkeep_audit::Decision;
use touchkeep_core::{ApiSecret, Code, Decimal, DeviceId, Id, ItemId, RequestId, UnixMillis};
use touchkeep_device::{Auth, Device, DeviceError, KeyInfo};
use touchkeep_policy::{ApprovedBy, Doubt, Limit, Need, Past};
use touchkeep_venue::{KeyClass, Operation, Outgoing, Scheme};

use crate::{Again, Client, KeyError, NotSigned, SendError, Series, Turns, Unasked};

/// What a port answers, later.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One use of a device, to be run on that device's own thread with the PIN or passphrase that [`Keys::make_ready`] got. Once
/// more, where a device that was open has lost its login before it did anything.
pub type DeviceJob =
    Box<dyn Fn(&mut dyn Device, Auth<'_>) -> Result<Vec<u8>, DeviceError> + Send + Sync>;

/// A key, chosen for one request.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyHandle {
    /// The item that it is.
    pub item: ItemId,
    /// The item's name.
    pub name: String,
    /// The public half of the credential.
    pub api_key: String,
    /// How it signs at its venue.
    pub scheme: Scheme,
    /// Where what signs is.
    pub signer: Signer,
    /// Whether the venue wants a passphrase beside it, and the item has one.
    pub passphrase: bool,
    /// Whether each use of it waits for a touch, so that the signature itself proves one: a device key with touch policy
    /// always, or a secret that is sealed to one.
    pub touched_each_use: bool,
    /// The practice venue's address, for items of a practice vault.
    pub base_url: Option<String>,
}

impl KeyHandle {
    /// Whether this is the same key, that would sign in the same way. What it is called says nothing about that.
    pub(crate) fn is_still(&self, then: &Self) -> bool {
        let Self {
            item,
            name: _,
            api_key,
            scheme,
            signer,
            passphrase,
            touched_each_use,
            base_url,
        } = self;
        (item, api_key, scheme, signer) == (&then.item, &then.api_key, &then.scheme, &then.signer)
            && (passphrase, touched_each_use, base_url)
                == (&then.passphrase, &then.touched_each_use, &then.base_url)
    }
}

/// Where the secret half of a key is.
#[derive(Debug, Clone, PartialEq)]
pub enum Signer {
    /// In the vault: what [`Keys::secret`] gives out.
    Secret,
    /// On a device.
    Device {
        /// Which device.
        device: DeviceId,
        /// Which key of it.
        key: KeyInfo,
    },
}

/// What is put to a person, and what the other ports are told about the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Which request.
    pub request: RequestId,
    /// Who asks.
    pub client: Client,
    /// Of which key set.
    pub key_set: String,
    /// With which key.
    pub key: KeyHandle,
    /// What exactly. [`Operation::sentence`] says it in one line.
    pub operation: Operation,
    /// The digest that a yes must name.
    pub digest: [u8; 32],
    /// The rule that wants it asked or told.
    pub rule: String,
    /// What the person must do.
    pub need: Need,
    /// Until when.
    pub deadline: UnixMillis,
    /// Exactly the same, asked for shortly before.
    pub again: Option<Again>,
    /// How the limits of the rules stand to it, where a person is asked.
    pub limits: Vec<Standing>,
    /// What is known of the address behind the name that money goes to, where the venue sends to names.
    pub named: Option<Named>,
    /// How much of the asset the venue has free for a withdrawal, where it was heard.
    pub free: Option<Decimal>,
}

/// What is known of the address that the venue keeps under the name in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// The venue says that it is this, with what belongs to it.
    Kept(String),
    /// The venue was not heard: the request is held to what it was before.
    Before {
        /// What it was.
        address: String,
        /// Why the venue was not heard.
        why: String,
    },
    /// Nobody knows.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// A rule's limits, as a request finds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub rule: String,
    /// Why it does not fit, though it is about such requests; none where it does.
    pub doubt: Option<Doubt>,
    /// The limits.
    pub limits: Vec<Limit>,
    /// How far back its window reaches.
    pub window_hours: Option<u32>,
}

/// What a person answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes, to the request with this digest: the one that the front end showed.
    Yes {
        /// As the front end gave it back.
        digest: [u8; 32],
    },
    /// Yes by an earlier yes, which holds for requests like this one for a time. Never enough where a touch is needed.
    Granted {
        /// As it was asked.
        digest: [u8; 32],
        /// By which grant.
        grant: Id,
    },
    /// No.
    No,
    /// Nothing until the deadline, or nobody was there.
    Nobody,
    /// It was put to nobody.
    Unasked(Unasked),
}

/// How a request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Went {
    /// Nothing was signed.
    NotSigned {
        /// The stable code.
        code: Code,
        /// Why not.
        why: String,
    },
    /// It was signed, and the venue does not have it: why.
    NotSent(String),
    /// It was signed and sent, and no answer came: why.
    Unanswered(String),
    /// It was signed and sent, and the venue answered.
    Answered {
        /// What the answer means: done, failed, or not known by the venue itself.
        decision: Decision,
        /// What the log says of it; empty where it is done and there is nothing to say.
        text: String,
    },
    /// A login was signed, and handed over.
    LoggedIn,
}

impl Went {
    pub(crate) fn not_signed(why: &NotSigned) -> Self {
        Self::NotSigned {
            code: why.code(),
            why: why.to_string(),
        }
    }
}

/// What a person did at a device for one request, beside the use of the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Touched it.
    Touch(DeviceId),
    /// Typed the passphrase of this software device.
    Passphrase(DeviceId),
}

impl From<Consent> for ApprovedBy {
    fn from(consent: Consent) -> Self {
        match consent {
            Consent::Touch(device) => Self::Touch(device),
            Consent::Passphrase(device) => Self::Passphrase(device),
        }
    }
}

/// The unlocked vault and its devices.
pub trait Keys: Send + Sync {
    /// The key of a set for an operation of this class.
    ///
    /// # Errors
    /// When there is none, or the vault is locked.
    fn key_for(&self, venue: &str, key_set: &str, class: KeyClass) -> Result<KeyHandle, KeyError>;

    /// Where the practice venue of this set is, for public requests; none for real venues.
    ///
    /// # Errors
    /// When that cannot be known because the vault is locked.
    fn base_url(&self, venue: &str, key_set: &str) -> Result<Option<String>, KeyError>;

    /// Gets what must be typed before the key can be used, and checks it. Called before a person is asked to approve, so
    /// that a mistyped PIN spends no approval.
    ///
    /// # Errors
    /// When it was not given.
    fn make_ready<'a>(&'a self, question: &'a Question) -> Answering<'a, Result<(), KeyError>>;

    /// A touch or passphrase for this request alone, where the key that signs waits for none.
    ///
    /// # Errors
    /// When it was not given.
    fn consent<'a>(&'a self, question: &'a Question) -> Answering<'a, Result<Consent, KeyError>>;

    /// The secret of an item, for one use by this request. Opens a sealed one, with its touch, unless this very request
    /// has opened it as its consent.
    ///
    /// # Errors
    /// When it cannot be had.
    fn secret<'a>(
        &'a self,
        request: RequestId,
        key: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>>;

    /// The passphrase that the venue wants beside the key, where [`KeyHandle::passphrase`] says that there is one.
    ///
    /// # Errors
    /// When it cannot be had.
    fn passphrase<'a>(
        &'a self,
        request: RequestId,
        key: &'a KeyHandle,
    ) -> Answering<'a, Result<ApiSecret, KeyError>>;

    /// The next number of a key whose venue counts its requests: above all that were given out before, whichever item they
    /// were for, on disk before it is given out, and at least `floor`.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn next_nonce(
        &self,
        item: ItemId,
        series: Series,
        floor: u64,
    ) -> Answering<'_, Result<u64, KeyError>>;

    /// Whose turn it is to send a number. Of all pipelines that use the same keys, one after the other or at once.
    fn turns(&self) -> Turns {
        Turns::default()
    }

    /// Runs one use of a key that lives on a device, on the device's thread. The device's own word on the key counts: one
    /// that it does not hold as the handle describes it, touch and all, is not used.
    ///
    /// # Errors
    /// The job's, or that the device or the key is not there.
    fn on_device<'a>(
        &'a self,
        request: RequestId,
        key: &'a KeyHandle,
        job: DeviceJob,
    ) -> Answering<'a, Result<Vec<u8>, KeyError>>;

    /// Whether a key's secret is in what is open of the vault anyway, so that a private key that was read from it may stay in
    /// locked memory until [`crate::Pipeline::end`].
    fn stays(&self, _key: &KeyHandle) -> bool {
        false
    }

    /// The venue refused a request of this key because its number was not above the last one that it had seen. Numbers that
    /// are given out here only rise, so somebody else uses the key too, or a clock was ahead once.
    fn nonce_refused(&self, key: &KeyHandle, venue: &str);

    /// A request is over, however it ended: nothing is kept for it any longer. Called once for each that chose a key.
    fn over(&self, request: RequestId);
}

/// The front ends.
pub trait Approver: Send + Sync {
    /// Puts a question to a person. The pipeline itself stops waiting at the deadline.
    fn ask<'a>(&'a self, question: &'a Question) -> Answering<'a, Answer>;

    /// Whether a question of this client would be put to a person, or it asks nobody for a while; for what is found out first.
    ///
    /// # Errors
    /// Why nobody would be asked.
    fn would_ask(&self, _: &Client) -> Result<(), Unasked> {
        Ok(())
    }

    /// Tells a person what a rule let through.
    fn tell(&self, question: &Question);

    /// How a request went in the end: said once of each that was read and had a key, whether a person was asked or not.
    fn went(&self, _: RequestId, _: &Went) {}

    /// What the venue kept under a name when money was last sent there with this key: the detail [`crate::SAVED_ADDRESS`] of
    /// that row. None where it never was, as far as is known.
    fn known_address<'a>(
        &'a self,
        _: &'a KeyHandle,
        _: &'a Operation,
    ) -> Answering<'a, Option<String>> {
        Box::pin(async { None })
    }
}

/// The connection to a venue.
pub trait Upstream: Send + Sync + 'static {
    /// An answer whose head is there and whose body may still stream.
    type Response: Send + 'static;

    /// Sends a request to its origin, or to `base_url` in its place. Follows no redirect.
    ///
    /// # Errors
    /// [`SendError::NotSent`] only when no byte of the request was sent, [`SendError::NotTaken`] only when the venue itself says
    /// that it did nothing of it.
    fn send(
        &self,
        outgoing: Outgoing,
        base_url: Option<String>,
    ) -> Answering<'_, Result<Self::Response, SendError>>;

    /// The venue's time: ours, corrected by what was seen of its clock.
    fn venue_time(&self, origin: &str, base_url: Option<&str>, now: UnixMillis) -> UnixMillis;

    /// The venue refused a request because its time was not the venue's own: what was seen of its clock is not true any more.
    fn clock_refused(&self, _origin: &str, _base_url: Option<&str>) {}

    /// The HTTP status of an answer.
    fn status(response: &Self::Response) -> u16;

    /// The whole body of a short answer; none where it is too long, late, or ends early.
    fn body(_: Self::Response) -> Answering<'static, Option<Vec<u8>>> {
        Box::pin(async { None })
    }
}

/// What was let through before, from the audit log's intents: [`crate::past_of`] reads one.
pub trait HistorySource {
    /// Why it cannot be read.
    type Error;

    /// Everything since then, in any order.
    ///
    /// # Errors
    /// When it cannot be read whole.
    fn since(&self, since: UnixMillis) -> Result<Vec<Past>, Self::Error>;
}
