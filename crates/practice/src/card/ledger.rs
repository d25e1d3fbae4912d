//! What the card has seen so far, readable from outside while a command still runs: for tests and for `state`.

use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Older operations are forgotten beyond this many.
const OPERATIONS_KEPT: usize = 4096;

/// A shared view of the card's counters.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Seen>);

/// The counters themselves.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Seen {
    /// PIN tries that are left.
    pub(crate) pin_tries: u8,
    /// PUK tries that are left.
    pub(crate) puk_tries: u8,
    /// How often somebody presented a PIN with VERIFY, right or wrong.
    pub(crate) verify_count: u64,
    /// Commands that use or change a key, a PIN or an object, in order, with how they ended.
    pub(crate) operations: VecDeque<Operation>,
}

/// One command that used or changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Operation {
    /// Instruction byte, two hex digits.
    pub(crate) ins: String,
    /// Slot or reference (P2), two hex digits.
    pub(crate) slot: String,
    /// Status word, four hex digits.
    pub(crate) status: String,
}

impl Ledger {
    /// The counters as they are now.
    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    pub(super) fn tries(&self, pin: u8, puk: u8) {
        let mut seen = self.lock();
        seen.pin_tries = pin;
        seen.puk_tries = puk;
    }

    pub(super) fn verified(&self) {
        let mut seen = self.lock();
        seen.verify_count = seen.verify_count.saturating_add(1);
    }

    pub(super) fn performed(&self, ins: u8, slot: u8, status: u16) {
        let mut seen = self.lock();
        if seen.operations.len() >= OPERATIONS_KEPT {
            seen.operations.pop_front();
        }
        seen.operations.push_back(Operation {
            ins: format!("{ins:02x}"),
            slot: format!("{slot:02x}"),
            status: format!("{status:04x}"),
        });
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
