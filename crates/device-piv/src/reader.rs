//! PC/SC: which YubiKeys are there, and the way to one of them. `PCSCLITE_CSOCK_NAME` names another pcscd than the system's.
//!
//! Cards are shared with other programs, and left as they are: the `pcsc` crate resets a card that it drops, which forgets
//! a PIN that another program verified.

use std::{ffi::CString, time::Duration};

use pcsc::{Context, Disposition, Protocols, ReaderState, Scope, ShareMode, State};
use touchkeep_device::{DeviceError, attestation::Firmware};
use zeroize::Zeroizing;

use crate::{
    card,
    holders::holders,
    transport::{Channel, Transport, Work},
};

const MAX_ANSWER: usize = 258;

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
/// [`DeviceError::Middleware`] without pcscd; [`DeviceError::Busy`] when there is a card but another program keeps it.
pub fn list() -> Result<Vec<Found>, DeviceError> {
    let (context, readers) = readers()?;
    let (mut found, mut busy) = (Vec::new(), false);
    for reader in readers {
        match open(&context, &reader) {
            Ok((_, serial, version)) => found.push(Found {
                serial,
                firmware: version.to_string(),
                reader: reader.to_string_lossy().into_owned(),
            }),
            Err(DeviceError::Busy { .. }) => busy = true,
            Err(error) => tracing::debug!(?reader, %error, "no YubiKey"),
        }
    }
    match (found.is_empty(), busy) {
        (true, true) => Err(self::busy()),
        _ => Ok(found),
    }
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
/// As [`list`].
pub fn presence(serial: u32) -> Result<Option<Presence>, DeviceError> {
    let found = list()?.into_iter().find(|found| found.serial == serial);
    let reader = found.and_then(|found| CString::new(found.reader).ok());
    let Some(reader) = reader else {
        return Ok(None);
    };
    let (context, _) = readers()?;
    let comings = comings(&context, &reader)?;
    Ok(comings.map(|comings| Presence { reader, comings }))
}

/// Whether the card is still where it was. Asks pcscd and not the card, so that it disturbs nobody's use of it.
///
/// # Errors
/// [`DeviceError::Middleware`] without pcscd.
pub fn is_still(presence: &Presence) -> Result<bool, DeviceError> {
    let (context, _) = readers()?;
    Ok(comings(&context, &presence.reader)? == Some(presence.comings))
}

// How often cards came and went, where one is in.
fn comings(context: &Context, reader: &CString) -> Result<Option<u32>, DeviceError> {
    let mut states = [ReaderState::new(reader.as_c_str(), State::UNAWARE)];
    match context.get_status_change(Duration::ZERO, &mut states) {
        Ok(()) => {}
        Err(pcsc::Error::UnknownReader) => return Ok(None),
        Err(error) => return Err(explained(error)),
    }
    let [state] = &states;
    Ok(state
        .event_state()
        .contains(State::PRESENT)
        .then(|| state.event_count()))
}

fn readers() -> Result<(Context, Vec<CString>), DeviceError> {
    let context = Context::establish(Scope::System).map_err(explained)?;
    match context.list_readers_owned() {
        Ok(readers) => Ok((context, readers)),
        Err(pcsc::Error::NoReadersAvailable) => Ok((context, Vec::new())),
        Err(error) => Err(explained(error)),
    }
}

fn open(context: &Context, reader: &CString) -> Result<(Leased, u32, Firmware), DeviceError> {
    let card = context
        .connect(reader, ShareMode::Shared, Protocols::ANY)
        .map_err(explained)?;
    let mut leased = Leased(Some(card));
    let (serial, version) = leased.identify()?;
    Ok((leased, serial, version))
}

/// A connected card that is left as it is when this ends.
struct Leased(Option<pcsc::Card>);

impl Leased {
    fn card(&mut self) -> Result<&mut pcsc::Card, DeviceError> {
        self.0.as_mut().ok_or(DeviceError::Removed)
    }

    fn identify(&mut self) -> Result<(u32, Firmware), DeviceError> {
        let transaction = self.card()?.transaction().map_err(explained)?;
        let channel: &mut dyn Channel = &mut PcscChannel(&transaction);
        card::select(channel)?;
        let version = card::version(channel)?;
        Ok((card::serial(channel)?, version))
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(card) = self.0.take() {
            // A card that is gone cannot be left; there is nothing to do about it.
            let _ = card.disconnect(Disposition::LeaveCard);
        }
    }
}

struct PcscChannel<'a, 'card>(&'a pcsc::Transaction<'card>);

impl Channel for PcscChannel<'_, '_> {
    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let mut buffer = Zeroizing::new([0; MAX_ANSWER]);
        let answer = self.0.transmit(apdu, &mut buffer[..]).map_err(explained)?;
        // A card that is pulled out while it works can leave an empty answer behind, and no error.
        match answer {
            [] => Err(DeviceError::Removed),
            answer => Ok(Zeroizing::new(answer.to_vec())),
        }
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
        let (context, readers) = readers()?;
        let mut best = DeviceError::Removed;
        for reader in readers {
            match open(&context, &reader) {
                Ok((leased, serial, _)) if serial == self.serial => return Ok(leased),
                // It may be the one; without it nobody can say.
                Err(DeviceError::Busy { .. }) => best = busy(),
                Ok(_) | Err(_) => {}
            }
        }
        Err(best)
    }

    /// Does `work` in a transaction on this connection; gives it back, untouched, when it is dead.
    fn attempt(&mut self, mut leased: Leased, work: Work<'_>) -> Attempt {
        let result = {
            let card = match leased.card() {
                Ok(card) => card,
                Err(error) => return Attempt::Done(Err(error)),
            };
            match card.transaction().map_err(explained) {
                Ok(transaction) => work(&mut PcscChannel(&transaction)),
                Err(error) => return Attempt::Dead(error),
            }
        };
        // After an answer that makes no sense the card is looked for again as well: a reset, a reader that lost its place.
        if !matches!(
            result,
            Err(DeviceError::Removed | DeviceError::Middleware(_) | DeviceError::Unexpected(_))
        ) {
            self.leased = Some(leased);
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
        | E::ResetCard
        | E::NoSmartcard
        | E::ReaderUnavailable
        | E::UnknownReader
        | E::NoReadersAvailable
        | E::UnpoweredCard
        | E::UnresponsiveCard
        | E::InvalidHandle => DeviceError::Removed,
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
