//! The life of PIN and PUK: how they stand, changing them, and a new PIN by the PUK. Each is one transaction, looks at the
//! tries first, and sends each secret once.

use touchkeep_core::Pin;
use touchkeep_device::DeviceError;

use crate::{
    device::PivDevice,
    management::{self, Keeping},
    reference::{self, Reference, Tries},
    transport::Channel,
};

pub(crate) const FACTORY_PIN: &str = "123456";
pub(crate) const FACTORY_PUK: &str = "12345678";

/// How a card's secrets stand. Asked without spending a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinState {
    /// Tries of the PIN.
    pub pin: Tries,
    /// Tries of the PUK.
    pub puk: Tries,
    /// Whether the PIN is still the factory's.
    pub pin_is_factory: bool,
    /// Whether the PUK is still the factory's.
    pub puk_is_factory: bool,
    /// Where the management key is.
    pub management_key: Keeping,
}

impl PinState {
    /// Whether anything is still the factory's.
    #[must_use]
    pub fn has_factory_secret(&self) -> bool {
        self.pin_is_factory || self.puk_is_factory || self.management_key == Keeping::Factory
    }

    /// An error that says what of it is still the factory's.
    ///
    /// # Errors
    /// [`DeviceError::FactoryPin`], or [`DeviceError::FactorySecret`] where the PIN is somebody's own.
    pub fn has_left_the_factory(&self) -> Result<(), DeviceError> {
        if self.pin_is_factory {
            return Err(DeviceError::FactoryPin);
        }
        let is_managed = self.management_key != Keeping::Factory;
        match (self.puk_is_factory, is_managed) {
            (true, true) => Err(DeviceError::FactorySecret("PUK")),
            (true, false) => Err(DeviceError::FactorySecret("PUK and management key")),
            (false, false) => Err(DeviceError::FactorySecret("management key")),
            (false, true) => Ok(()),
        }
    }

    pub(crate) fn read(channel: &mut dyn Channel) -> Result<Self, DeviceError> {
        let pin = Reference::Pin.standing(channel)?;
        let puk = Reference::Puk.standing(channel)?;
        Ok(Self {
            pin: pin.tries,
            puk: puk.tries,
            pin_is_factory: pin.factory,
            puk_is_factory: puk.factory,
            management_key: management::keeping(channel)?,
        })
    }
}

impl PivDevice {
    /// How PIN, PUK and management key stand. Spends no try.
    ///
    /// # Errors
    /// Why the card could not be asked.
    pub fn pin_state(&mut self) -> Result<PinState, DeviceError> {
        self.transact(PinState::read)
    }

    /// Replaces the PIN.
    ///
    /// # Errors
    /// [`DeviceError::FactoryPin`] and [`DeviceError::Unsupported`] when the new one is not allowed, [`DeviceError::LastTry`]
    /// when the old one would be the last try (none of these sends anything); else why the card did not.
    pub fn change_pin(&mut self, old: &Pin, new: &Pin) -> Result<(), DeviceError> {
        self.change(Reference::Pin, old, new)
    }

    /// Replaces the PUK.
    ///
    /// # Errors
    /// As [`PivDevice::change_pin`], in terms of the PUK.
    pub fn change_puk(&mut self, old: &Pin, new: &Pin) -> Result<(), DeviceError> {
        self.change(Reference::Puk, old, new)
    }

    /// Sets a new PIN with the PUK, whether the PIN is blocked or forgotten.
    ///
    /// # Errors
    /// As [`PivDevice::change_puk`].
    pub fn unblock(&mut self, puk: &Pin, new_pin: &Pin) -> Result<(), DeviceError> {
        allowed(Reference::Pin, new_pin)?;
        let allow = self.options.danger_allow_last_try;
        self.transact(|channel| {
            ready(channel, Reference::Puk, puk, allow)?;
            reference::unblock(channel, puk, new_pin)
        })
    }

    fn change(&mut self, what: Reference, old: &Pin, new: &Pin) -> Result<(), DeviceError> {
        allowed(what, new)?;
        let allow = self.options.danger_allow_last_try;
        self.transact(|channel| {
            ready(channel, what, old, allow)?;
            reference::change(channel, what, old, new)
        })
    }
}

/// Whether this may become the PIN, or the PUK, of a card: asked before anybody is asked for more.
///
/// # Errors
/// [`DeviceError::FactoryPin`] where it is the factory's, [`DeviceError::Unsupported`] where no card takes it.
pub fn may_become(is_puk: bool, new: &Pin) -> Result<(), DeviceError> {
    let what = if is_puk {
        Reference::Puk
    } else {
        Reference::Pin
    };
    allowed(what, new)
}

/// An error when this may not become a PIN or PUK.
pub(crate) fn allowed(what: Reference, new: &Pin) -> Result<(), DeviceError> {
    // EXPOSE: to a look at its form.
    let text = new.expose();
    if !reference::is_possible(new) || !text.is_ascii() {
        let text = "a PIN or PUK that is not 6 to 8 ASCII characters";
        return Err(DeviceError::Unsupported(text.into()));
    }
    let factory = match what {
        Reference::Pin => FACTORY_PIN,
        Reference::Puk => FACTORY_PUK,
    };
    if text.as_str() == factory {
        return Err(DeviceError::FactoryPin);
    }
    Ok(())
}

fn ready(
    channel: &mut dyn Channel,
    what: Reference,
    secret: &Pin,
    allow_last_try: bool,
) -> Result<(), DeviceError> {
    let left = what.standing(channel)?.tries.left;
    what.may_be_sent(left, allow_last_try)?;
    if !reference::is_possible(secret) {
        return Err(what.wrong(left));
    }
    Ok(())
}
