//! The seam under the driver: how command bytes reach a card, so that a transcript can stand in for one.

use touchkeep_device::DeviceError;
use zeroize::Zeroizing;

/// A card that is ours alone for as long as this lives.
pub trait Channel {
    /// Sends one short APDU and returns the card's answer, status word included.
    ///
    /// # Errors
    /// When the card or its reader went away.
    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError>;
}

/// A way to one card.
pub trait Transport: Send {
    /// Does `work` in one transaction: no other program's command comes in between. Calls it at most once.
    ///
    /// # Errors
    /// Why there was no transaction, or what `work` says.
    fn exclusive(&mut self, work: Work<'_>) -> Result<(), DeviceError>;
}

/// What is done in one transaction.
pub type Work<'a> = &'a mut dyn FnMut(&mut dyn Channel) -> Result<(), DeviceError>;

/// [`Transport::exclusive`] with a result.
pub(crate) fn transact<T>(
    transport: &mut dyn Transport,
    work: impl FnOnce(&mut dyn Channel) -> Result<T, DeviceError>,
) -> Result<T, DeviceError> {
    let (mut work, mut result) = (Some(work), None);
    transport.exclusive(&mut |channel| {
        if let Some(work) = work.take() {
            result = Some(work(channel)?);
        }
        Ok(())
    })?;
    result.ok_or_else(|| DeviceError::Middleware("no transaction took place".into()))
}
