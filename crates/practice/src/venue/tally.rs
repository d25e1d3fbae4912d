//! How much each address has asked for in this minute or second. It is counted and told; only an ordered fault limits
//! anybody.

use std::collections::HashMap;
use std::net::IpAddr;

/// Used weight by address, in windows that all begin together.
pub(crate) struct Tally {
    window_us: u64,
    used: HashMap<IpAddr, (u64, u32)>,
}

impl Tally {
    /// Nothing used yet.
    pub(crate) fn per(window_us: u64) -> Self {
        Self {
            window_us,
            used: HashMap::new(),
        }
    }

    /// Adds to the address's window, and says what stands there now.
    pub(crate) fn add(&mut self, peer: IpAddr, now_us: u64, weight: u32) -> u32 {
        let window = now_us / self.window_us;
        let (current, used) = self.used.entry(peer).or_insert((window, 0));
        if *current != window {
            (*current, *used) = (window, 0);
        }
        *used = used.saturating_add(weight);
        *used
    }
}
