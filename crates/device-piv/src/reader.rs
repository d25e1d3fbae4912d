//! PC/SC: which YubiKeys are there, and the way to one of them. `PCSCLITE_CSOCK_NAME` names another pcscd than the system's.
//!
//! Cards are shared with other programs, and left as they are: the `pcsc` crate resets a card that it drops, which forgets
//! a PIN that another program verified. How long another program is waited for is in `turn`.

use std::{ffi::CString, time::Duration};

use pcsc::{Context, ReaderState, Scope, State};
use touchkeep_device::{DeviceError, attestation::Firmware};

use crate::{
    card,
    holders::holders,
    transport::{Transport, Work},
    turn::{self, Leased, NoTurn, Way, silent},
};

/// A YubiKey that is connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The number that is printed on it.
    pub serial: u32,
    /// Its firmware: `5.4.3`.
    pub firmware: String,
    /// The name of its reader, as pcscd has it.
    pub reader: String,
}

/// The YubiKeys that are connected. Other cards are passed over.
///
/// # Errors
/// [`DeviceError::Middleware`] without pcscd; [`DeviceError::Busy`] when there is a card but another program keeps it
/// for longer than a few seconds; [`DeviceError::Reset`] when others reset it again and again.
pub fn list() -> Result<Vec<Found>, DeviceError> {
    match looked()? {
        (found, Some(error)) if found.is_empty() => Err(error),
        (found, _) => Ok(found),
    }
}

/// The YubiKey with this serial number; none where it is not connected.
///
/// # Errors
/// As [`list`]; also where another card is there, and one that is kept may be this one.
pub fn find(serial: u32) -> Result<Option<Found>, DeviceError> {
    let (found, kept) = looked()?;
    match (found.into_iter().find(|one| one.serial == serial), kept) {
        (None, Some(error)) => Err(error),
        (found, _) => Ok(found),
    }
}

// Those that can be asked, and why one that is there cannot.
fn looked() -> Result<(Vec<Found>, Option<DeviceError>), DeviceError> {
    let readers = readers()?;
    let (mut found, mut kept) = (Vec::new(), None);
    for reader in readers {
        match open(reader.clone()) {
            Ok((_, serial, version)) => found.push(Found {
                serial,
                firmware: version.to_string(),
                reader: reader.to_string_lossy().into_owned(),
            }),
            Err(NotOpened::Silent) => return Err(silent()),
            Err(NotOpened::For(error @ (DeviceError::Busy { .. } | DeviceError::Reset))) => {
                kept = Some(error);
            }
            Err(NotOpened::For(error)) => tracing::debug!(?reader, %error, "no YubiKey"),
        }
    }
    Ok((found, kept))
}

/// A reader with a card in it, and how often cards came and went there. It differs once the card was taken out, even where
/// it is in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    reader: CString,
    comings: u32,
}

/// Where the YubiKey with this serial number is now; none where it is not connected.
///
/// # Errors
/// As [`find`].
pub fn presence(serial: u32) -> Result<Option<Presence>, DeviceError> {
    let reader = find(serial)?.and_then(|found| CString::new(found.reader).ok());
    let Some(reader) = reader else {
        return Ok(None);
    };
    let comings = comings(&reader)?;
    Ok(comings.map(|comings| Presence { reader, comings }))
}

/// Whether the card is still where it was. Asks pcscd and not the card, so that it disturbs nobody's use of it.
///
/// # Errors
/// [`DeviceError::Middleware`] without pcscd.
pub fn is_still(presence: &Presence) -> Result<bool, DeviceError> {
    Ok(comings(&presence.reader)? == Some(presence.comings))
}

/// The pcscd that runs: another one, or one that was started anew, is not it.
pub struct Service(Context);

impl Service {
    /// That of this moment; none where none answers.
    #[must_use]
    pub fn now() -> Option<Self> {
        let established = turn::ask(|| Context::establish(Scope::System));
        established.ok().map(Self)
    }

    /// Whether it still runs, and answers.
    #[must_use]
    pub fn still_runs(&self) -> bool {
        let context = self.0.clone();
        // A context is valid without its pcscd, too: only a question that is put to it tells.
        let asked = turn::ask(move || match context.list_readers_owned() {
            Err(pcsc::Error::NoReadersAvailable) => Ok(Vec::new()),
            listed => listed,
        });
        asked.is_ok()
    }
}

// How often cards came and went, where one is in.
fn comings(reader: &CString) -> Result<Option<u32>, DeviceError> {
    let reader = reader.clone();
    let asked = turn::ask(move || {
        let context = Context::establish(Scope::System)?;
        let mut states = [ReaderState::new(reader, State::UNAWARE)];
        match context.get_status_change(Duration::ZERO, &mut states) {
            Ok(()) => {}
            Err(pcsc::Error::UnknownReader) => return Ok(None),
            Err(error) => return Err(error),
        }
        let [state] = &states;
        let is_in = state.event_state().contains(State::PRESENT);
        Ok(is_in.then(|| state.event_count()))
    });
    asked.map_err(no_turn)
}

fn readers() -> Result<Vec<CString>, DeviceError> {
    let asked = turn::ask(|| {
        let context = Context::establish(Scope::System)?;
        match context.list_readers_owned() {
            Err(pcsc::Error::NoReadersAvailable) => Ok(Vec::new()),
            listed => listed,
        }
    });
    asked.map_err(no_turn)
}

/// Why a card in a reader is not one that can be asked.
enum NotOpened {
    /// Nor can any other: pcscd does not answer.
    Silent,
    /// Of this one.
    For(DeviceError),
}

// Once more where the card was reset meanwhile: it was only looked at.
fn open(reader: CString) -> Result<(Leased, u32, Firmware), NotOpened> {
    let mut opened = open_once(reader.clone());
    for _ in 1..ATTEMPTS {
        if !matches!(opened, Err(NotOpened::For(DeviceError::Reset))) {
            break;
        }
        opened = open_once(reader.clone());
    }
    opened
}

fn open_once(reader: CString) -> Result<(Leased, u32, Firmware), NotOpened> {
    let way = Way::To(reader);
    let mut identity = None;
    let had = turn::have(way, &mut |channel| {
        card::select(channel)?;
        let version = card::version(channel)?;
        identity = Some((card::serial(channel)?, version));
        Ok(())
    });
    let (result, leased) = had.map_err(|error| match error {
        NoTurn::Silent => NotOpened::Silent,
        other => NotOpened::For(no_turn(other)),
    })?;
    result.map_err(NotOpened::For)?;
    match (leased, identity) {
        (Some(leased), Some((serial, version))) => Ok((leased, serial, version)),
        _ => Err(NotOpened::For(DeviceError::Removed)),
    }
}

fn no_turn(error: NoTurn) -> DeviceError {
    match error {
        NoTurn::Kept => busy(),
        NoTurn::Refused(error) => explained(error),
        NoTurn::Silent => silent(),
        NoTurn::NoThread => DeviceError::Middleware("no thread for the card could be had".into()),
    }
}

/// The way to the YubiKey with this serial number, wherever it is plugged in, now or again.
pub(crate) struct PcscTransport {
    serial: u32,
    leased: Option<Leased>,
}

impl PcscTransport {
    pub(crate) const fn new(serial: u32) -> Self {
        Self {
            serial,
            leased: None,
        }
    }

    /// A fresh connection, on a fresh context: those of a pcscd that ended are dead, and pcscd does not tell.
    fn find(&self) -> Result<Leased, DeviceError> {
        let mut best = DeviceError::Removed;
        for reader in readers()? {
            match open(reader) {
                Ok((leased, serial, _)) if serial == self.serial => return Ok(leased),
                // It may be the one; without it nobody can say.
                Err(NotOpened::For(error @ (DeviceError::Busy { .. } | DeviceError::Reset))) => {
                    best = error;
                }
                Err(NotOpened::Silent) => return Err(silent()),
                Ok(_) | Err(_) => {}
            }
        }
        Err(best)
    }

    /// Does `work` in a transaction on this connection; says where it is dead.
    fn attempt(&mut self, leased: Leased, work: Work<'_>) -> Attempt {
        let (result, leased) = match turn::have(Way::Connected(leased), work) {
            Ok(had) => had,
            Err(NoTurn::Refused(error)) => return Attempt::Dead(explained(error)),
            Err(error) => return Attempt::Done(Err(no_turn(error))),
        };
        // After an answer that makes no sense the card is looked for again as well: a reset, a reader that lost its place.
        if !matches!(
            result,
            Err(DeviceError::Removed
                | DeviceError::Reset
                | DeviceError::Middleware(_)
                | DeviceError::Unexpected(_))
        ) {
            self.leased = leased;
        }
        Attempt::Done(result)
    }
}

enum Attempt {
    Done(Result<(), DeviceError>),
    Dead(DeviceError),
}

impl Transport for PcscTransport {
    fn exclusive(&mut self, work: Work<'_>) -> Result<(), DeviceError> {
        // A handle from before a removal, a reset or the end of pcscd says that it is dead before anything was sent; then a
        // fresh one is tried. So is one more, should the card be reset just in between.
        let mut last = DeviceError::Removed;
        for _ in 0..ATTEMPTS {
            let leased = match self.leased.take() {
                Some(leased) => leased,
                None => self.find()?,
            };
            match self.attempt(leased, work) {
                Attempt::Done(result) => return result,
                Attempt::Dead(error) => last = error,
            }
        }
        Err(last)
    }
}

/// An old handle, a fresh one, and one for a card that was reset in between.
const ATTEMPTS: usize = 3;

fn busy() -> DeviceError {
    DeviceError::Busy { holders: holders() }
}

/// What a PC/SC error means to a person. Which error comes for a removed card depends on when it is asked.
pub(crate) fn explained(error: pcsc::Error) -> DeviceError {
    use pcsc::Error as E;
    match error {
        E::NotTransacted
        | E::RemovedCard
        | E::NoSmartcard
        | E::ReaderUnavailable
        | E::UnknownReader
        | E::NoReadersAvailable
        | E::UnpoweredCard
        | E::UnresponsiveCard
        | E::InvalidHandle => DeviceError::Removed,
        E::ResetCard => DeviceError::Reset,
        E::SharingViolation | E::ServerTooBusy => busy(),
        E::NoService | E::ServiceStopped | E::Shutdown | E::CommError => {
            DeviceError::Middleware("pcscd is not running".into())
        }
        E::NoAccess | E::SecurityViolation => {
            DeviceError::Middleware("pcscd does not let this user in".into())
        }
        other => DeviceError::Middleware(format!("pcscd says: {other}")),
    }
}
