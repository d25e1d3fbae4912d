//! A token that is looked after: by a child of its own, on a thread of its own, because a module may take its time. What a module
//! does not say is not that the token is gone, and nor is what it says of a pcscd that has just come back.

use std::thread;

use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};
use touchkeep_device_piv::Service;
use touchkeep_device_pkcs11::{Seen, Watch};

use super::PATIENCE;

/// Looks, one a second, that are left out at most after a module that does not answer: it is loaded anew for each.
const LONGEST_REST: u32 = 30;

/// A token that is looked after.
pub(super) struct WatchedToken {
    turn: Turn,
    // Looks that are left out now, and that were the last time.
    rest: u32,
    rested: u32,
    // So many looks may find nothing, because what lies below the module has just come back.
    patience: u8,
    // The last look has not found it. One is not enough.
    missed: bool,
    // How often devices had been used when the look began.
    uses: Option<u64>,
    // Why it is not known whether the token is there.
    unseen: Option<String>,
}

enum Turn {
    // Between two looks; none once a look has ended without an answer.
    Rests(Option<Box<Eye>>),
    Looks(Receiver<(Box<Eye>, Look)>),
}

/// What looks, and the pcscd by which it saw the token, if it was by one.
struct Eye {
    watch: Watch,
    asked_for_pcscd: bool,
    pcscd: Option<Service>,
    had_pcscd: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Look {
    There,
    Gone,
    // It is not seen, and the pcscd by which it was seen is another one by now, or none.
    OtherPcscd,
    Unknown(String),
}

impl WatchedToken {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            turn: Turn::Rests(Some(Box::new(Eye {
                watch,
                asked_for_pcscd: false,
                pcscd: None,
                had_pcscd: false,
            }))),
            rest: 0,
            rested: 0,
            patience: 0,
            missed: false,
            uses: None,
            unseen: None,
        }
    }

    /// Takes what the last look has shown, and begins the next one unless a device is in use: whether the token is gone. `uses` says
    /// how often devices were used so far, unless one is in use. What a look shows that had a use beside it counts only where it
    /// shows the token: while a use writes to it, it may be missed.
    pub(super) fn is_gone(&mut self, uses: Option<u64>) -> bool {
        if let Turn::Looks(shown) = &mut self.turn {
            let eye = match shown.try_recv() {
                Ok((eye, look)) => {
                    let is_alone = uses.is_some() && uses == self.uses;
                    if (is_alone || look == Look::There) && self.judged(look) {
                        self.turn = Turn::Rests(Some(eye));
                        return true;
                    }
                    Some(eye)
                }
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Closed) => {
                    tracing::error!("a look for a token ended without an answer");
                    self.unseen = Some("the look for it failed".to_owned());
                    None
                }
            };
            self.turn = Turn::Rests(eye);
        }
        self.uses = uses;
        if uses.is_none() || self.rest > 0 {
            self.rest = self.rest.saturating_sub(1);
            return false;
        }
        if let Turn::Rests(eye) = &mut self.turn
            && let Some(mut eye) = eye.take()
        {
            let (show, shown) = oneshot::channel();
            thread::spawn(move || {
                let look = eye.look();
                // Where nobody waits for it any more the child ends here.
                let _ended = show.send((eye, look));
            });
            self.turn = Turn::Looks(shown);
        }
        false
    }

    /// Why it is not known whether the token is there.
    pub(super) fn unseen(&self) -> Option<&str> {
        self.unseen.as_deref()
    }

    fn judged(&mut self, look: Look) -> bool {
        let missed = std::mem::replace(&mut self.missed, look == Look::Gone);
        match look {
            Look::There => {
                (self.rested, self.patience, self.unseen) = (0, 0, None);
                false
            }
            Look::Gone if self.patience > 0 => {
                self.patience -= 1;
                false
            }
            Look::Gone => missed,
            Look::OtherPcscd => {
                self.patience = PATIENCE;
                false
            }
            Look::Unknown(why) => {
                // Once may be the moment of a use.
                if self.rested == 1 {
                    tracing::warn!(%why, "whether a token was taken away is not seen");
                }
                self.unseen = (self.rested > 0).then_some(why);
                self.patience = PATIENCE;
                self.rested = (2 * self.rested).clamp(1, LONGEST_REST);
                self.rest = self.rested;
                false
            }
        }
    }
}

// The end of a child is waited for, and not here.
impl Drop for WatchedToken {
    fn drop(&mut self) {
        if let Turn::Rests(eye) = &mut self.turn
            && let Some(eye) = eye.take()
        {
            thread::spawn(move || drop(eye));
        }
    }
}

impl Eye {
    fn look(&mut self) -> Look {
        match self.watch.look() {
            Ok(Seen::There) => {
                if self.watch.is_by_socket() && !self.asked_for_pcscd {
                    self.asked_for_pcscd = true;
                    self.pcscd = Service::now();
                    self.had_pcscd = self.pcscd.is_some();
                }
                Look::There
            }
            Ok(Seen::Gone) if self.is_another_pcscd() => Look::OtherPcscd,
            Ok(Seen::Gone) => Look::Gone,
            Err(error) => Look::Unknown(error.to_string()),
        }
    }

    fn is_another_pcscd(&mut self) -> bool {
        if !self.had_pcscd || self.pcscd.as_ref().is_some_and(Service::still_runs) {
            return false;
        }
        self.pcscd = Service::now();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing_looks() -> WatchedToken {
        WatchedToken {
            turn: Turn::Rests(None),
            rest: 0,
            rested: 0,
            patience: 0,
            missed: false,
            uses: None,
            unseen: None,
        }
    }

    #[test]
    fn a_token_that_is_missed_twice_is_gone() {
        let mut token = nothing_looks();
        for look in [Look::There, Look::Gone, Look::There, Look::Gone] {
            assert!(!token.judged(look));
        }
        assert!(token.judged(Look::Gone));
    }

    #[test]
    fn what_is_not_known_is_not_gone_and_is_asked_less_and_less_often() {
        let mut token = nothing_looks();
        let mut rests = Vec::new();
        for at in 0..7 {
            assert!(!token.judged(Look::Unknown("hangs".into())));
            rests.push(token.rest);
            assert_eq!(token.unseen(), (at > 0).then_some("hangs"));
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);
        // What comes back takes a while to show its tokens.
        for _ in 0..PATIENCE {
            assert!(!token.judged(Look::Gone));
        }
        assert!(token.judged(Look::Gone));
        assert!(!token.judged(Look::There));
        assert_eq!((token.unseen(), token.rested), (None, 0));
    }

    #[test]
    fn another_pcscd_is_given_time_to_show_its_readers() {
        let mut token = nothing_looks();
        assert!(!token.judged(Look::There));
        for _ in 0..3 {
            assert!(!token.judged(Look::OtherPcscd));
        }
        for _ in 0..PATIENCE {
            assert!(!token.judged(Look::Gone));
        }
        assert!(token.judged(Look::Gone));
    }
}
