//! A yes for once whose call came to nothing, because a PIN or passphrase was mistyped for it: whoever makes the same call again
//! at once is not asked again. It is still one yes, to the program that was shown, and for one time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use touchkeep_wire::Purpose;

use super::ItemUse;
use crate::{caller::Caller, uptime::Uptime};

/// How soon the call is to be made again. The command line does it at once.
const WITHIN: Duration = Duration::from_secs(10);
/// More are not kept; the oldest makes room.
const MAX_KEPT: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Unspent(Mutex<Vec<Yes>>);

#[derive(Debug)]
struct Yes {
    caller: Caller,
    uses: Vec<ItemUse>,
    purpose: Purpose,
    end: Uptime,
}

impl Unspent {
    /// Keeps a yes for the same process, the same values and the same purpose.
    pub(super) fn keep(&self, caller: &Caller, uses: &[ItemUse], purpose: Purpose) {
        let mut kept = self.lock();
        if kept.len() >= MAX_KEPT {
            kept.remove(0);
        }
        kept.push(Yes {
            caller: caller.clone(),
            uses: uses.to_vec(),
            purpose,
            end: Uptime::now().after(WITHIN),
        });
    }

    /// Whether there is one for this call, which is gone then.
    pub(super) fn take(&self, caller: &Caller, uses: &[ItemUse], purpose: Purpose) -> bool {
        let now = Uptime::now();
        let mut kept = self.lock();
        kept.retain(|yes| now < yes.end);
        let fits = |yes: &Yes| {
            yes.purpose == purpose && yes.uses == uses && yes.caller.is_asker_of(caller)
        };
        let at = kept.iter().position(fits);
        at.map(|at| kept.remove(at)).is_some()
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Yes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
