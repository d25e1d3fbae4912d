//! Our turn on a card, and what else pcscd is asked. It has whoever connects to, uses or leaves a card wait until another program's
//! transaction has ended, however long that takes; it may hang itself; and no call takes a deadline. So each call is made on a thread
//! of its own, and who waits for it gives up: after [`PATIENCE`] for the turn and for each command, later where the card may wait for
//! a finger or make a key. The thread lets go of the card as soon as it gets it.

use std::{
    ffi::CString,
    sync::atomic::{AtomicUsize, Ordering},
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

/// How long pcscd may take to say that it is there, where a card is waited for in vain.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// How long a card may take that perhaps waits for a finger: twice as long as it does.
const TOUCHED: Duration = Duration::from_secs(30);
/// How long it may take to make a key; of RSA with 4096 bits a card has to find the primes first.
const KEY_MADE: Duration = Duration::from_secs(120);

/// So many threads may wait for pcscd. Those that were given up are among them, until it answers or ends.
const MOST_THREADS: usize = 32;

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
            let left = spawned(move || {
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

/// Why there was no turn, or no end of it.
pub(crate) enum NoTurn {
    /// Another program has kept the card to itself all the time.
    Kept,
    /// pcscd says no; a connection from before is dead.
    Refused(pcsc::Error),
    /// pcscd says nothing. A command that was sent may have been done.
    Silent,
    /// No thread could be had.
    NoThread,
}

/// Does `work` in one transaction, and gives the connection back, where it is still one. Nothing was sent
/// where there was no turn.
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
        Err(RecvTimeoutError::Timeout) if is_alive() => return Err(NoTurn::Kept),
        Err(RecvTimeoutError::Timeout) => return Err(NoTurn::Silent),
    }
    let mut lent = Lent {
        orders,
        heard,
        silent: false,
    };
    let result = work(&mut lent);
    let Lent {
        orders,
        heard,
        silent,
    } = lent;
    drop(orders);
    if silent {
        return Err(NoTurn::Silent);
    }
    let leased = match heard.recv_timeout(PATIENCE) {
        Ok(Said::Ended(leased)) => {
            let _ = thread.join();
            Some(leased)
        }
        _ => None,
    };
    Ok((result, leased))
}

/// Asks pcscd something, and no card.
pub(crate) fn ask<T: Send + 'static>(
    question: impl FnOnce() -> Result<T, pcsc::Error> + Send + 'static,
) -> Result<T, NoTurn> {
    within(PATIENCE, question)
}

fn within<T: Send + 'static>(
    patience: Duration,
    question: impl FnOnce() -> Result<T, pcsc::Error> + Send + 'static,
) -> Result<T, NoTurn> {
    let (says, heard) = channel();
    let thread = on_a_thread(move || drop(says.send(question()))).map_err(|_| NoTurn::NoThread)?;
    let answer = heard.recv_timeout(patience).map_err(|_| NoTurn::Silent)?;
    let _ = thread.join();
    answer.map_err(NoTurn::Refused)
}

// A pcscd that says no is one.
fn is_alive() -> bool {
    let establish = || Context::establish(Scope::System).map(drop);
    !matches!(within(SIGN_OF_LIFE, establish), Err(NoTurn::Silent))
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

// Counts one thread, for as long as it runs.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn on_a_thread(work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let before = THREADS.fetch_add(1, Ordering::Relaxed);
    let counted = Counted;
    if before >= MOST_THREADS {
        return Err(std::io::ErrorKind::QuotaExceeded.into());
    }
    spawned(move || {
        work();
        drop(counted);
    })
}

fn spawned(work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
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
    // A command was not answered in time. What comes later is no answer to another one.
    silent: bool,
}

impl Channel for Lent {
    fn transmit(&mut self, apdu: &[u8]) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        if self.silent {
            return Err(silent());
        }
        let order = Zeroizing::new(apdu.to_vec());
        self.orders.send(order).map_err(|_| DeviceError::Removed)?;
        match self.heard.recv_timeout(patience_for(apdu)) {
            // A card that is pulled out while it works can leave an empty answer behind, and no error.
            Ok(Said::Answer(Ok(answer))) if !answer.is_empty() => Ok(answer),
            Ok(Said::Answer(Err(error))) => Err(crate::reader::explained(error)),
            Err(RecvTimeoutError::Timeout) => {
                self.silent = true;
                Err(silent())
            }
            _ => Err(DeviceError::Removed),
        }
    }
}

/// pcscd takes what it is asked, and does not answer.
pub(crate) fn silent() -> DeviceError {
    DeviceError::Middleware("pcscd does not answer".into())
}

// By the instruction: GENERAL AUTHENTICATE, GENERATE ASYMMETRIC KEY PAIR, anything else.
fn patience_for(apdu: &[u8]) -> Duration {
    match apdu.get(1) {
        Some(0x87) => TOUCHED,
        Some(0x47) => KEY_MADE,
        _ => PATIENCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_wait_for_ever_do_not_become_more_and_more() {
        let (end, ends) = channel::<()>();
        let ends = std::sync::Arc::new(std::sync::Mutex::new(ends));
        let wait = || {
            let ends = std::sync::Arc::clone(&ends);
            on_a_thread(move || ends.lock().unwrap().recv().unwrap_or_default())
        };
        let waiting: Vec<_> = (0..MOST_THREADS).map(|_| wait().unwrap()).collect();
        assert!(wait().is_err());
        drop(end);
        waiting.into_iter().for_each(|it| it.join().unwrap());
        wait().unwrap().join().unwrap();
    }
}
