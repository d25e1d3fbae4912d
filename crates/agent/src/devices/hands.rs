//! What a person gives for a use of a device: what is typed before it, and the touch or the keys of its own that it waits for.

use std::time::Duration;

use touchkeep_core::{Code, Passphrase, Pin};
use touchkeep_device::{Auth, DeviceError, SecretDemand, TouchPolicy};
use touchkeep_pipeline::Unasked;
use touchkeep_wire::{Failure, Question};

use super::{Devices, Failed, Use, device_failure};
use crate::prompts::{self, Reply};

/// A cached touch may not be asked for; the question comes up once the device is seen to wait.
const TOUCH_SHOWN_AFTER: Duration = Duration::from_millis(400);
/// A device waits about 15 seconds for a finger; a question that stays longer has been forgotten.
const TOUCH_WITHIN: Duration = Duration::from_secs(30);
/// 24 words from paper take this many times as long to type as a PIN or a passphrase may.
const WORDS_TAKE: u32 = 4;

/// What a device waits for while it works.
#[derive(Clone, Copy)]
pub(super) enum Waits {
    Finger(TouchPolicy),
    /// Its PIN, at keys of its own.
    Pad,
}

impl Waits {
    fn refused(self) -> Failure {
        let (what, fix) = match self {
            Self::Finger(_) => (
                "It was refused while the device waited for a touch.",
                "Nothing was done. Do not touch the device until it stops blinking.",
            ),
            Self::Pad => (
                "It was refused while the device waited for its PIN.",
                "Nothing was done. Cancel it at the device, or leave that alone until it has given up.",
            ),
        };
        Failure::new(Code::Refused, what, fix)
    }
}

/// What a person gave for one use. Wiped when it is dropped.
pub(super) enum Given {
    Nothing,
    Pin(Pin),
    Passphrase(Passphrase),
}

impl Given {
    pub(super) const fn auth(&self) -> Auth<'_> {
        match self {
            Self::Nothing => Auth::Nothing,
            Self::Pin(pin) => Auth::Pin(pin),
            Self::Passphrase(passphrase) => Auth::Passphrase(passphrase),
        }
    }
}

impl Devices {
    /// Asks for a new PIN, PUK or passphrase.
    pub(crate) async fn ask_new(&self, question: Question) -> Result<String, Failure> {
        let typed = self.typed(question).await;
        typed.map_err(|failed| failed.failure(""))
    }

    /// What a device demands for a use, where it was kept or once it is typed.
    pub(super) async fn given(&self, what: &Use, secret: SecretDemand) -> Result<Given, Failed> {
        let why = what.why.clone();
        match secret {
            SecretDemand::Nothing | SecretDemand::PinPad => Ok(Given::Nothing),
            SecretDemand::Passphrase => {
                let typed = self.typed(Question::Passphrase { why }).await?;
                Ok(Given::Passphrase(Passphrase::new(typed)))
            }
            SecretDemand::Words => {
                let device = what.device.clone();
                let typed = self.typed(Question::Words { device, why }).await?;
                Ok(Given::Passphrase(Passphrase::new(typed)))
            }
            SecretDemand::Pin { tries_left } => {
                match tries_left {
                    Some(0) => {
                        return Err(device_failure(&DeviceError::PinBlocked, &what.device).into());
                    }
                    Some(1) => {
                        return Err(device_failure(&DeviceError::LastTry, &what.device).into());
                    }
                    _ => {}
                }
                if let Some(pin) = self.pin_for(what) {
                    return Ok(Given::Pin(pin));
                }
                let question = Question::Pin {
                    device: what.device.clone(),
                    why,
                    tries_left,
                };
                let typed = self.typed(question).await?;
                // None is so short. Taken for one it would be found wrong after a person has approved something, or asked for again then.
                if typed.is_empty() {
                    return Err(refused().into());
                }
                Ok(Given::Pin(Pin::new(typed)))
            }
        }
    }

    // A newcomer is told from others by its place alone, so nothing that was typed for one is sent to another.
    fn pin_for(&self, what: &Use) -> Option<Pin> {
        let known = what.which.as_ref().filter(|which| !which.is_newcomer());
        known
            .filter(|_| !what.fresh)
            .and_then(|which| self.pins.of(which))
    }

    async fn typed(&self, question: Question) -> Result<String, Failed> {
        let within = match &question {
            Question::Words { .. } => self.secret_within * WORDS_TAKE,
            _ => self.secret_within,
        };
        let failure = match self.prompts.ask(question, within).await {
            Reply::Secret(value) => return Ok(value.into_inner()),
            Reply::Unasked(why) => return Err(why.into()),
            Reply::Refused(_) | Reply::Approved(_) | Reply::ApprovedFor(..) | Reply::Allowed(_) => {
                refused()
            }
            Reply::TimedOut => Failure::new(
                Code::TimedOut,
                "Nobody typed the PIN or passphrase in time.",
                "Open the desktop, or run `touchkeep approve` in a terminal, and try again.",
            ),
            Reply::Locked => Failure::new(
                Code::Locked,
                "It was locked while the PIN or passphrase was waited for.",
                "Nothing was done, and no try was spent. Unlock it, and try again.",
            ),
            Reply::Absent => prompts::absent(),
        };
        Err(failure.into())
    }

    /// Waits for the device with its question up, until it is done or a person does not want to wait.
    pub(super) async fn while_shown<T>(
        &self,
        what: &Use,
        waits: Waits,
        worked: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failed> {
        let (delay, within) = match waits {
            Waits::Finger(TouchPolicy::Never) => return Ok(worked.await?),
            Waits::Finger(TouchPolicy::Cached) => (TOUCH_SHOWN_AFTER, TOUCH_WITHIN),
            Waits::Finger(TouchPolicy::Always) => (Duration::ZERO, TOUCH_WITHIN),
            Waits::Pad => (Duration::ZERO, self.secret_within),
        };
        let question = Question::Touch {
            device: what.device.clone(),
            why: what.why.clone(),
            pad: matches!(waits, Waits::Pad),
        };
        // Before the device blinks.
        if delay.is_zero() {
            self.prompts.may_wait(&question)?;
        }
        tokio::pin!(worked);
        if let Ok(done) = tokio::time::timeout(delay, &mut worked).await {
            return Ok(done?);
        }
        let shown = self.prompts.show(question, within);
        let mut shown = shown.ok_or(Unasked::TooMany)?;
        tokio::select! {
            done = &mut worked => {
                if done.is_err() {
                    shown.failed();
                }
                Ok(done?)
            }
            // The device goes on waiting; what it may still answer goes nowhere.
            () = shown.refused() => Err(waits.refused().into()),
        }
    }
}

fn refused() -> Failure {
    Failure::new(
        Code::Refused,
        "It was refused where the PIN or passphrase was to be typed.",
        "Nothing was done, and no try was spent. If that was not you: touchkeep audit list",
    )
}
