//! How much each address has asked for in this minute. It is counted and told; only an ordered fault limits anybody.

use std::collections::HashMap;
use std::net::IpAddr;

const MINUTE_US: u64 = 60_000_000;

/// Used request weight by address.
#[derive(Default)]
pub(crate) struct Weight(HashMap<IpAddr, (u64, u32)>);

impl Weight {
    /// Adds to the address's minute, and says what stands there now.
    pub(crate) fn add(&mut self, peer: IpAddr, now_us: u64, weight: u32) -> u32 {
        let minute = now_us / MINUTE_US;
        let (current, used) = self.0.entry(peer).or_insert((minute, 0));
        if *current != minute {
            (*current, *used) = (minute, 0);
        }
        *used = used.saturating_add(weight);
        *used
    }
}
