//! Devices, as the agent uses them: one use at a time, each on a thread of its own, with the person's secret asked for
//! before anything is spent and the touch shown while it is waited for.
//!
//! # Why one at a time
//! A touch has no display. Were two uses to wait together, nobody could say which of them a finger lets through. While a PIN or
//! a passphrase is typed no device is in use, so that a question that nobody answers keeps nobody else waiting.

mod failure;
mod hands;
mod kept;
mod modules;
mod open;
mod pins;
mod threads;
mod which;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, OwnedMutexGuard};
use touchkeep_core::DeviceId;
use touchkeep_device::{Auth, DeviceError, KeyRef, SecretDemand, TouchPolicy};
use touchkeep_device_pkcs11::Watch;

pub(crate) use self::{
    failure::{Failed, device_failure},
    kept::Place,
    modules::{Module, ModuleEntry, why_missed},
    open::{Connected, Opened, connected, known, tokens, yubikeys},
    pins::Session,
    threads::{blocking, in_place, no_answer},
    which::Which,
};
use self::{
    hands::{Given, Waits},
    kept::KeptTokens,
    pins::Pins,
};
use crate::prompts::Prompts;

/// The agent's hands on devices.
pub(crate) struct Devices {
    turn: Arc<Mutex<()>>,
    // Held by the use that works with a device, and by changes of the vault, which it may look at.
    working: Arc<Mutex<()>>,
    // How often it was had.
    turns: AtomicU64,
    asking: std::sync::Mutex<HashMap<Which, Arc<Mutex<()>>>>,
    pins: Arc<Pins>,
    kept: Arc<KeptTokens>,
    // What looks whether a token is still there; of those that were used since the lock.
    watches: Arc<std::sync::Mutex<HashMap<Which, Watch>>>,
    prompts: Prompts,
    secret_within: Duration,
}

/// What a use of a device is for.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    /// What to call the device.
    pub(crate) device: String,
    /// What its PIN is kept under; none for what has none to keep.
    pub(crate) which: Option<Which>,
    /// The key, where one is known; a first use of a device has none.
    pub(crate) key: Option<KeyRef>,
    /// What for, in a sentence.
    pub(crate) why: String,
    /// Whether it waits for a finger, where that is known better than the device says it.
    pub(crate) touch: Option<TouchPolicy>,
    /// Ask for the PIN although it is known: the typing is the consent.
    pub(crate) fresh: bool,
}

impl Devices {
    pub(crate) fn new(prompts: Prompts, secret_within: Duration) -> Self {
        Self {
            turn: Arc::default(),
            working: Arc::default(),
            turns: AtomicU64::new(0),
            asking: std::sync::Mutex::default(),
            pins: Arc::default(),
            kept: Arc::default(),
            watches: Arc::default(),
            prompts,
            secret_within,
        }
    }

    /// Forgets every PIN, and logs tokens out that stayed logged in.
    pub(crate) fn forget(&self) {
        self.pins.forget_all();
        self.kept.forget();
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.clear();
    }

    /// The same, but for a device that goes on in the next session, which is returned; none where there was a lock since `session`.
    pub(crate) fn go_on_with(&self, device: Option<&Which>, session: Session) -> Option<Session> {
        let next = self.pins.go_on_with(device, session)?;
        self.kept.forget();
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|watched, _| Some(watched) == device);
        Some(next)
    }

    /// Forgets the PIN of a device, and logs tokens out that stayed logged in.
    pub(crate) fn forget_pin(&self, device: &Which) {
        self.pins.forget(device);
        self.kept.forget();
    }

    /// The same for every device of that number.
    pub(crate) fn forget_pins_of(&self, serial: &str) {
        self.pins.forget_number(serial);
        self.kept.forget();
    }

    /// What was learned of a newcomer is known of the device that it has become; it is forgotten where it has become none.
    pub(crate) fn becomes(&self, newcomer: &Which, id: Option<DeviceId>) {
        let device = id.map(|id| newcomer.enrolled_as(id));
        self.pins.hand_over(newcomer, device.clone());
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(watch), Some(device)) = (watches.remove(newcomer), device) {
            watches.insert(device, watch);
        }
        drop(watches);
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        asking.remove(newcomer);
    }

    /// The devices whose PINs are kept.
    pub(crate) fn with_pins(&self) -> Vec<Which> {
        self.pins.devices()
    }

    /// What looks whether a token that was used since the lock is still there.
    pub(crate) fn watch(&self, device: &Which) -> Option<Watch> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.get(device).map(Watch::another)
    }

    /// How often devices were used so far; none while one is in use, which says itself whether it is there.
    pub(crate) fn uses(&self) -> Option<u64> {
        let _not_in_use = self.turn.try_lock().ok()?;
        Some(self.turns.load(Ordering::Relaxed))
    }

    /// What runs from one lock to the next: what began before a lock must not end in an open vault after it.
    pub(crate) fn session(&self) -> Session {
        self.pins.session()
    }

    /// Uses a device: opens it, asks for what it demands, and works with it while its touch is shown.
    ///
    /// # Errors
    /// Why the device, the person or the work did not. A refused PIN is forgotten and not sent again.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        what: Use,
        open: impl FnOnce() -> Result<Opened, Failed> + Send + 'static,
        work: impl FnOnce(&mut Opened, Auth<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        self.used(what, open, work, None).await
    }

    /// The same for a job that comes again and again: a token that may stays logged in for the next time.
    ///
    /// # Errors
    /// As there. A token that has lost its login meanwhile is opened anew.
    pub(crate) async fn with_kept<T: Send + 'static>(
        &self,
        what: Use,
        place: Place,
        open: impl FnOnce() -> Result<Opened, Failed> + Send + 'static,
        work: impl Fn(&mut Opened, Auth<'_>) -> Result<T, Failed> + Send + Sync + 'static,
    ) -> Result<T, Failed> {
        let work = Arc::new(work);
        if let Some(worked) = self.in_kept(&what, &place, Arc::clone(&work)).await? {
            return Ok(worked);
        }
        let work = move |device: &mut Opened, auth: Auth<'_>| work(device, auth);
        self.used(what, open, work, Some(place)).await
    }

    // None where nothing was kept, or it lost its login before it did anything.
    async fn in_kept<T: Send + 'static>(
        &self,
        what: &Use,
        place: &Place,
        work: Arc<impl Fn(&mut Opened, Auth<'_>) -> Result<T, Failed> + Send + Sync + 'static>,
    ) -> Result<Option<T>, Failed> {
        let Some(which) = what.which.clone() else {
            return Ok(None);
        };
        let _asking = self.asking(what).await;
        let session = self.pins.session();
        let turn = self.quiet().await;
        let Some(token) = self.kept.take(place, (&self.pins, &which, session)) else {
            return Ok(None);
        };
        let working = self.unused().await;
        let (pins, kept, place) = (
            Arc::clone(&self.pins),
            Arc::clone(&self.kept),
            place.clone(),
        );
        let worked = blocking(move || {
            let mut device = Opened::Pkcs11(token);
            let result = work(&mut device, Auth::Nothing);
            // Any failure ends the login.
            if let (Ok(_), Opened::Pkcs11(token)) = (&result, device) {
                kept.put(&place, token, (&pins, &which, session));
            }
            drop((working, turn));
            result
        });
        match worked.await? {
            Ok(worked) => Ok(Some(worked)),
            // What it has shown when it was opened: a key that was made since is not among that.
            Err(Failed::Device(
                DeviceError::NeedsSecret | DeviceError::Removed | DeviceError::NoKey(_),
            )) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    async fn used<T: Send + 'static>(
        &self,
        what: Use,
        open: impl FnOnce() -> Result<Opened, Failed> + Send + 'static,
        work: impl FnOnce(&mut Opened, Auth<'_>) -> Result<T, Failed> + Send + 'static,
        stays: Option<Place>,
    ) -> Result<T, Failed> {
        let _asking = self.asking(&what).await;
        let session = self.pins.session();
        let turn = self.quiet().await;
        let (mut device, secret, touch) = self.opened(&what, open).await?;
        let pad = secret == SecretDemand::PinPad;
        let (given, turn) = if self.knows_pin(&what) {
            (self.given(&what, secret).await?, turn)
        } else {
            // Nobody else waits while a person types, or does not.
            drop(turn);
            (self.given(&what, secret).await?, self.quiet().await)
        };
        let working = self.unused().await;
        let kept = matches!(given, Given::Pin(_))
            .then(|| what.which.clone())
            .flatten();
        let (pins, kept_tokens) = (Arc::clone(&self.pins), Arc::clone(&self.kept));
        let (watches, which) = (Arc::clone(&self.watches), what.which.clone());
        let key = what.key.clone();
        let worked = blocking(move || {
            let stays = stays.filter(|_| key.is_some_and(|key| device.keep(&key)));
            let result = work(&mut device, given.auth());
            if let (Ok(_), Some(which), Opened::Pkcs11(token)) = (&result, &which, &device) {
                let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
                watches.insert(which.clone(), token.watch());
            }
            if let (Some(which), Given::Pin(pin)) = (&kept, &given) {
                match &result {
                    Ok(_) => pins.keep(which, pin, session),
                    Err(failed) if failed.leaves_pin_good() => {}
                    Err(_) => pins.forget(which),
                }
                if let (Ok(_), Some(place), Opened::Pkcs11(token)) = (&result, stays, device) {
                    kept_tokens.put(&place, token, (&pins, which, session));
                }
            }
            // Whoever gave up waiting has not freed the device: that is over only now.
            drop((working, turn));
            result
        });
        let waits = match pad {
            true => Waits::Pad,
            false => Waits::Finger(what.touch.unwrap_or(touch)),
        };
        self.while_shown(&what, waits, worked).await?
    }

    /// Asks for the PIN that a use will need, where it is not known yet, so that a person is not asked for it after he has
    /// approved something. A wrong one is found at that use, and forgotten then.
    ///
    /// # Errors
    /// When the device is not there, or a person did not give it.
    pub(crate) async fn make_ready(
        &self,
        what: Use,
        open: impl FnOnce() -> Result<Opened, Failed> + Send + 'static,
    ) -> Result<(), Failed> {
        let Some(which) = what.which.clone() else {
            return Ok(());
        };
        let _asking = self.asking(&what).await;
        let session = self.pins.session();
        if self.pins.knows(&which) {
            return Ok(());
        }
        let (_device, secret, _) = {
            let _turn = self.quiet().await;
            self.opened(&what, open).await?
        };
        if let Given::Pin(pin) = self.given(&what, secret).await? {
            self.pins.keep(&which, &pin, session);
        }
        Ok(())
    }

    // Whether a use needs nobody to type, because what would be typed is kept.
    fn knows_pin(&self, what: &Use) -> bool {
        let which = what.which.as_ref();
        !what.fresh && which.is_some_and(|which| self.pins.knows(which))
    }

    // Uses of one device wait for each other's typing, so that a PIN that is about to be known is not asked for twice. What
    // needs no typing waits for nobody's.
    async fn asking(&self, what: &Use) -> Option<OwnedMutexGuard<()>> {
        let which = what.which.clone()?;
        if self.knows_pin(what) {
            return None;
        }
        let of_device = {
            let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(asking.entry(which).or_default())
        };
        Some(of_device.lock_owned().await)
    }

    /// Waits until no device is in use, and keeps it so until the guard is dropped.
    pub(crate) async fn quiet(&self) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        self.turns.fetch_add(1, Ordering::Relaxed);
        turn
    }

    /// Waits until no use works with a device, and keeps it so until the guard is dropped. One that is only looked at keeps nobody.
    pub(crate) async fn unused(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.working).lock_owned().await
    }

    /// The same, for no longer than this: a touch may be waited for.
    pub(crate) async fn unused_within(&self, time: Duration) -> Option<OwnedMutexGuard<()>> {
        tokio::time::timeout(time, self.unused()).await.ok()
    }

    async fn opened(
        &self,
        what: &Use,
        open: impl FnOnce() -> Result<Opened, Failed> + Send + 'static,
    ) -> Result<(Opened, SecretDemand, TouchPolicy), Failed> {
        let key = what.key.clone();
        let opened = blocking(move || {
            let mut opened = open()?;
            let (secret, touch) = match &key {
                Some(key) => {
                    let demand = opened.device().demand(key)?;
                    (demand.secret, demand.touch)
                }
                // It may wait for a finger: the question comes up once it is seen to.
                None if matches!(opened, Opened::Piv(_)) => {
                    (opened.first_demand()?, TouchPolicy::Cached)
                }
                None => (opened.first_demand()?, TouchPolicy::Never),
            };
            Ok::<_, Failed>((opened, secret, touch))
        })
        .await?;
        // One that is not there, or is another by now, does not get it unasked when it is back.
        if let (Err(failed), Some(which)) = (&opened, &what.which)
            && !failed.leaves_pin_good()
        {
            self.pins.forget(which);
        }
        opened
    }
}
