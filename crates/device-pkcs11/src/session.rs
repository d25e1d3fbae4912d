//! Sessions of the child: logging in, keeping one while told so, and opening another when a token lost it.
//!
//! # What a PIN is spent on
//! One C_Login of the user for each PIN that a person entered, whatever goes wrong; a key that asks for it at each use gets it once
//! more at that use, after it was found good. So what is lost before the login is opened again, and what is lost after it is an
//! error, unless the token still knows the login.

use std::cell::Cell;

use cryptoki::{
    context::Pkcs11,
    error::{Error, RvError},
    object::ObjectHandle,
    session::{Session, SessionState, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};

use crate::{
    keys,
    raw::Raw,
    token::{Module, failed, tries},
    wire::{Beside, Failure, How, Login, TokenChoice, Tries, Use},
};

/// An open session with one token, found by its serial number and label, and the keys that were compared in it.
pub(crate) struct Opened {
    pub(crate) inner: Session,
    context: Pkcs11,
    pub(crate) token: TokenChoice,
    writes: bool,
    compared: Vec<Compared>,
    /// A key got the PIN: it is not sent again for this entry.
    consented: Cell<bool>,
}

struct Compared {
    id: Vec<u8>,
    public: Vec<u8>,
    key: Key,
}

/// A private key or secret of which it is known that it is the one that was meant.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) handle: ObjectHandle,
    /// It asks for the PIN at each use.
    pub(crate) asks: bool,
}

/// Who asks for a session, with the PIN that was entered for it.
pub(crate) struct Entry<'a> {
    pub(crate) token: &'a TokenChoice,
    pub(crate) login: Login,
    pub(crate) pin: &'a [u8],
    /// What is asked can be asked again: it makes nothing.
    pub(crate) again: bool,
    /// The key itself will ask for the PIN.
    pub(crate) asks: bool,
    /// The key that is to be used, where one is.
    key: Option<&'a Use>,
    /// What tells the token from another one, where no key does.
    pub(crate) beside: Option<&'a Beside>,
    spent: bool,
}

impl<'a> Entry<'a> {
    pub(crate) const fn new(token: &'a TokenChoice, login: Login, pin: &'a [u8]) -> Self {
        Self {
            token,
            login,
            pin,
            again: false,
            asks: false,
            key: None,
            beside: None,
            spent: false,
        }
    }

    pub(crate) const fn of(what: &'a Use, pin: &'a [u8]) -> Self {
        Self {
            again: true,
            asks: what.asks,
            key: Some(what),
            beside: what.beside.as_ref(),
            ..Self::new(&what.token, what.login, pin)
        }
    }
}

impl Module {
    /// Does something in a logged-in session; once more in a new one, when the token had lost the first.
    pub(crate) fn within<T>(
        &mut self,
        mut entry: Entry<'_>,
        work: impl Fn(&Raw, &mut Opened) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let first = self.attempt(&mut entry, None, &work);
        match first {
            Err(lost @ (Failure::NoToken | Failure::NotLoggedIn)) if entry.again => {
                self.attempt(&mut entry, Some(lost), &work)
            }
            outcome => outcome,
        }
    }

    fn attempt<T>(
        &mut self,
        entry: &mut Entry<'_>,
        lost: Option<Failure>,
        work: &impl Fn(&Raw, &mut Opened) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let kept = self
            .kept
            .take()
            .filter(|kept| kept.token == *entry.token && (kept.writes || !entry.login.write));
        let mut session = match kept {
            Some(kept) => kept,
            None => self.opened(entry)?,
        };
        let outcome = self
            .log_in(&mut session, entry, lost)
            .and_then(|()| work(&self.raw, &mut session));
        // Closing the last session of the process logs out.
        entry.again &= !session.consented.get();
        if entry.login.keep && session.is_fit_after(&outcome) {
            self.kept = Some(session);
        }
        outcome
    }

    fn opened(&self, entry: &Entry<'_>) -> Result<Opened, Failure> {
        let (slot, _) = self.find(entry.token)?;
        let writes = entry.login.write;
        Ok(Opened {
            inner: session(&self.context, slot, writes)?,
            context: self.context.clone(),
            token: entry.token.clone(),
            writes,
            compared: Vec::new(),
            consented: Cell::new(false),
        })
    }

    fn log_in(
        &self,
        session: &mut Opened,
        entry: &mut Entry<'_>,
        lost: Option<Failure>,
    ) -> Result<(), Failure> {
        let logged_in = session.is_logged_in()?;
        match entry.login.how {
            How::Kept if logged_in => return Ok(()),
            How::Kept => return Err(Failure::NotLoggedIn),
            How::Pad if logged_in => return Ok(()),
            How::Pin if logged_in && entry.spent => return Ok(()),
            // The key will prove it.
            How::Pin if logged_in && entry.asks => {
                return may_be_spent(&self.find(entry.token)?.1, entry.login);
            }
            How::Pin if logged_in => session.log_out()?,
            How::Pin | How::Pad => {}
        }
        if entry.spent {
            return Err(lost.unwrap_or(Failure::NoToken));
        }
        let (slot, info) = self.find(entry.token)?;
        may_be_spent(&info, entry.login)?;
        may_be_shown_a_pin(session, entry)?;
        let pin = entry_pin(entry, &info)?;
        entry.spent = true;
        // EXPOSE: the PIN, to the module.
        let refused = match session.inner.login(UserType::User, pin.as_ref()) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        Err(login_failed(refused, || {
            Ok(tries(&self.context.get_token_info(slot)?))
        }))
    }
}

fn session(context: &Pkcs11, slot: Slot, writes: bool) -> Result<Session, Failure> {
    let opened = if writes {
        context.open_rw_session(slot)
    } else {
        context.open_ro_session(slot)
    };
    opened.map_err(failed)
}

fn may_be_spent(info: &TokenInfo, login: Login) -> Result<(), Failure> {
    match tries(info) {
        Tries::Locked => Err(Failure::PinLocked),
        Tries::Last if !login.allow_last_try => Err(Failure::LastTry),
        Tries::Some | Tries::Last => Ok(()),
    }
}

// Serial number and label are what somebody wrote there. A token that shows another public half without a login is another one, and
// gets no PIN. One that shows none is compared once it is logged in. Where no key has a public half, the token has to show again
// what it has shown before.
fn may_be_shown_a_pin(session: &Opened, entry: &Entry<'_>) -> Result<(), Failure> {
    let shown = |id: &[u8]| keys::public(&session.inner, Some(id));
    let is_other = match (entry.key, entry.beside) {
        (Some(key), _) if !key.kind.is_secret() => {
            let shown = shown(&key.id)?;
            !shown.is_empty() && shown.iter().all(|it| it.spki != key.public)
        }
        (_, Some(beside)) => shown(&beside.id)?.iter().all(|it| it.spki != beside.public),
        _ => false,
    };
    match is_other {
        true => Err(Failure::OtherKey),
        false => Ok(()),
    }
}

fn entry_pin(entry: &Entry<'_>, info: &TokenInfo) -> Result<Option<AuthPin>, Failure> {
    match entry.login.how {
        How::Pad => Ok(None),
        How::Pin | How::Kept => as_pin(entry.pin, tries(info)).map(Some),
    }
}

fn as_pin(pin: &[u8], left: Tries) -> Result<AuthPin, Failure> {
    let text = std::str::from_utf8(pin).map_err(|_| Failure::WrongPin(left))?;
    Ok(AuthPin::from(text))
}

fn login_failed(error: Error, left: impl Fn() -> Result<Tries, Error>) -> Failure {
    let Error::Pkcs11(refused, _) = error else {
        return failed(error);
    };
    match refused {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            left().map_or_else(failed, Failure::WrongPin)
        }
        RvError::PinLocked => Failure::PinLocked,
        RvError::UserPinNotInitialized => Failure::Unsupported("a token without a PIN".into()),
        RvError::FunctionCanceled => Failure::Module("the PIN was not typed at the token".into()),
        _ => match failed(error) {
            Failure::Module(_) => {
                Failure::Module(format!("the module refused to log in: {refused}"))
            }
            known => known,
        },
    }
}

impl Opened {
    pub(crate) fn is_logged_in(&self) -> Result<bool, Failure> {
        let info = self.inner.get_session_info().map_err(failed)?;
        let state = info.session_state();
        Ok(matches!(state, SessionState::RoUser | SessionState::RwUser))
    }

    // After a failure that is no fault of the session it goes on; an operation may have got stuck in it.
    fn is_fit_after<T>(&mut self, outcome: &Result<T, Failure>) -> bool {
        self.consented.set(false);
        match outcome {
            Ok(_) => true,
            Err(Failure::NotOpened | Failure::Unsupported(_)) => self.renew().is_ok(),
            Err(_) => false,
        }
    }

    /// Takes another session of the same login in the place of one in which an operation may have got stuck.
    pub(crate) fn renew(&mut self) -> Result<(), Failure> {
        let slot = self.inner.get_session_info().map_err(failed)?.slot_id();
        self.inner = session(&self.context, slot, self.writes)?;
        Ok(())
    }

    fn log_out(&mut self) -> Result<(), Failure> {
        // Handles of private objects end with the login.
        self.compared.clear();
        self.inner.logout().map_err(failed)
    }

    /// The key that is meant, after its public half was compared; once for each session.
    pub(crate) fn key(
        &mut self,
        what: &Use,
        compare: impl Fn(&mut Self, Key) -> Result<bool, Failure>,
    ) -> Result<Key, Failure> {
        let same = |known: &&Compared| known.id == what.id && known.public == what.public;
        if let Some(known) = self.compared.iter().find(same) {
            return Ok(known.key);
        }
        let handle = keys::private(&self.inner, what)?;
        let asks = keys::asks_each_time(&self.inner, handle).map_err(failed)?;
        if what.asks && !asks {
            let text = "with a key that does not ask for the PIN at each use, as it should";
            return Err(Failure::Unexpected(text.into()));
        }
        let key = Key { handle, asks };
        if !compare(self, key)? {
            return Err(Failure::OtherKey);
        }
        self.compared.push(Compared {
            id: what.id.clone(),
            public: what.public.clone(),
            key,
        });
        Ok(key)
    }

    /// Between the halves of an operation: gives a key that asks for it the PIN.
    pub(crate) fn consent(&self, key: Key, how: How, pin: &[u8]) -> Result<(), Failure> {
        if !key.asks {
            return Ok(());
        }
        let pin = match how {
            How::Kept => return Err(Failure::NotLoggedIn),
            How::Pad => None,
            How::Pin => Some(as_pin(pin, Tries::Some)?),
        };
        self.consented.set(true);
        // EXPOSE: the PIN, to the module, for this one operation.
        let consented = self.inner.login(UserType::ContextSpecific, pin.as_ref());
        consented.map_err(|error| login_failed(error, || Ok(Tries::Some)))
    }
}
