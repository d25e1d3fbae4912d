//! Our turn on a card. pcscd has whoever connects to, uses or leaves a card wait until another program's transaction has ended,
//! however long that takes, and no call takes a deadline. So each turn is had on a thread of its own, and who waits for it gives up
//! after [`PATIENCE`]; the thread lets go of the card as soon as it gets it.

use std::{
    ffi::CString,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

use pcsc::{Context, Disposition, Protocols, Scope, ShareMode};
use touchkeep_device::DeviceError;
use touchkeep_locked::on_wiped_stack;
use zeroize::Zeroizing;

use crate::transport::{Channel, Work};

/// How long another program may keep the card to itself before that is said. A touch of the other's is waited for no longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

const MAX_ANSWER: usize = 258;

/// The way to a card.
pub(crate) enum Way {
    /// A connection from before.
    Connected(Leased),
    /// A fresh one, to the card in this reader.
    To(CString),
}

/// A connected card that is left as it is when this ends.
pub(crate) struct Leased(Option<pcsc::Card>);

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(card) = self.0.take() {
            let (done, is_done) = channel();
            let left = on_a_thread(move || {
                // A card that is gone cannot be left; there is nothing to do about it.
                let _ = card.disconnect(Disposition::LeaveCard);
                let _ = done.send(());
            });
            if let Ok(thread) = left
                && is_done.recv_timeout(PATIENCE).is_ok()
            {
                let _ = thread.join();
            }
        }
    }
}

/// Why there was no turn.
pub(crate) enum NoTurn {
    /// Another program has kept the card to itself all the time.
    Kept,
    /// pcscd says no; a connection from before is dead.
    Refused(pcsc::Error),
    /// No thread could be had.
    NoThread,
}

/// Does `work` in one transaction, and gives the connection back, where it is still one. Nothing was sent where there was no turn.
pub(crate) fn have(
    way: Way,
    work: Work<'_>,
) -> Result<(Result<(), DeviceError>, Option<Leased>), NoTurn> {
    let (orders, ordered) = channel();
    let (says, heard) = channel();
    let thread = on_a_thread(move || on_wiped_stack(|| serve(way, &ordered, &says)));
    let thread = thread.map_err(|_| NoTurn::NoThread)?;
    match heard.recv_timeout(PATIENCE) {
        Ok(Said::Begun) => {}
        Ok(Said::Refused(error)) => return Err(NoTurn::Refused(error)),
        Ok(_) | Err(RecvTimeoutError::Disconnected) => return Err(NoTurn::NoThread),
        Err(RecvTimeoutError::Timeout) => return Err(NoTurn::Kept),
    }
    let mut lent = Lent { orders, heard };
    let result = work(&mut lent);
    let Lent { orders, heard } = lent;
    drop(orders);
    let leased = match heard.recv_timeout(PATIENCE) {
        Ok(Said::Ended(leased)) => {
            let _ = thread.join();
            Some(leased)
        }
        _ => None,
    };
    Ok((result, leased))
}

fn on_a_thread(work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("card".into()).spawn(work)
}

// What the thread says: first one of the first two, then an answer to each order, then the end.
enum Said {
    Begun,
    Refused(pcsc::Error),
    Answer(Result<Zeroizing<Vec<u8>>, pcsc::Error>),
    Ended(Leased),
}

fn serve(way: Way, ordered: &Receiver<Zeroizing<Vec<u8>>>, says: &Sender<Said>) {
    let ended = match turn(way, ordered, says) {
        Ok(leased) => Said::Ended(leased),
        Err(error) => Said::Refused(error),
    };
    // Who has given up does not hear it; then the card is left here.
    let _ = says.send(ended);
}

fn turn(
    way: Way,
    ordered: &Receiver<Zeroizing<Vec<u8>>>,
    says: &Sender<Said>,
) -> Result<Leased, pcsc::Error> {
    let mut leased = match way {
        Way::Connected(leased) => leased,
        Way::To(reader) => {
            // Of its own: whoever calls anything on a context that waits holds up every other in the process.
            let context = Context::establish(Scope::System)?;
            let card = context.connect(&reader, ShareMode::Shared, Protocols::ANY)?;
            Leased(Some(card))
        }
    };
    let card = leased.0.as_mut().ok_or(pcsc::Error::RemovedCard)?;
    let transaction = card.transaction()?;
    if says.send(Said::Begun).is_ok() {
        for apdu in ordered {
            let mut buffer = Zeroizing::new([0; MAX_ANSWER]);
            let answer = transaction.transmit(&apdu, &mut buffer[..]);
            let answer = answer.map(|answer| Zeroizing::new(answer.to_vec()));
            if says.send(Said::Answer(answer)).is_err() {
                break;
            }
        }
    }
    drop(transaction);
    Ok(leased)
}

// The card, as the one who has the turn sees it.
struct Lent {
    orders: Sender<Zeroizing<Vec<u8>>>,
    heard: Receiver<Said>,
}

impl Channel for Lent {
    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let order = Zeroizing::new(apdu.to_vec());
        self.orders.send(order).map_err(|_| DeviceError::Removed)?;
        match self.heard.recv() {
            // A card that is pulled out while it works can leave an empty answer behind, and no error.
            Ok(Said::Answer(Ok(answer))) if !answer.is_empty() => Ok(answer),
            Ok(Said::Answer(Err(error))) => Err(crate::reader::explained(error)),
            _ => Err(DeviceError::Removed),
        }
    }
}
