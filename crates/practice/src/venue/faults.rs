//! Faults to order: what goes wrong with the next requests.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `{"next": {"status": 500}, "count": 2, "path": "/sapi/"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    next: Fault,
    #[serde(default = "one")]
    count: u32,
    /// Only for requests whose path starts so; other requests pass by it.
    path: Option<String>,
}

/// One request's bad luck; the parts can be combined.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Fault {
    /// Answer with this status (400 to 599) and error -1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Wait before anything else.
    #[serde(skip_serializing_if = "is_zero")]
    delay_ms: u64,
    /// Answer 429 with error -1003.
    #[serde(skip_serializing_if = "is_false")]
    rate_limit: bool,
    /// The server's clock is off by this much.
    #[serde(skip_serializing_if = "is_zero_signed")]
    skew_ms: i64,
    /// Close the connection instead of answering.
    #[serde(skip_serializing_if = "is_false")]
    cut: bool,
    /// Carry the request out, send half of the answer's body, and end the connection.
    #[serde(skip_serializing_if = "is_false")]
    torn: bool,
    /// `status` or `cut` strikes after the request was carried out: done, but nobody hears of it.
    #[serde(skip_serializing_if = "is_false")]
    after: bool,
}

/// What is sent instead of the venue's own answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    Status(u16),
    RateLimit,
    Cut,
}

impl Fault {
    /// How long to wait first.
    pub(crate) const fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// What is sent instead of an answer.
    pub(crate) const fn instead(&self) -> Option<Instead> {
        match self {
            Self { cut: true, .. } => Some(Instead::Cut),
            Self {
                rate_limit: true, ..
            } => Some(Instead::RateLimit),
            Self {
                status: Some(status),
                ..
            } => Some(Instead::Status(*status)),
            _ => None,
        }
    }

    /// Is the request carried out all the same?
    pub(crate) const fn strikes_after(&self) -> bool {
        self.after
    }

    /// Is the answer torn in the middle?
    pub(crate) const fn tears(&self) -> bool {
        self.torn
    }

    /// Its JSON, for the record; nothing if nothing goes wrong.
    pub(crate) fn describe(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        serde_json::to_string(self).ok()
    }

    fn makes_sense(&self) -> bool {
        let status_is_error = self
            .status
            .is_none_or(|status| (400..=599).contains(&status));
        *self != Self::default() && status_is_error
    }
}

/// The faults that are still to come, in order, and a clock that is off until it is set again.
#[derive(Default)]
pub(crate) struct Faults {
    orders: VecDeque<Order>,
    skew_ms: i64,
}

impl Faults {
    /// Lines a fault up; false if the order makes no sense.
    pub(crate) fn add(&mut self, order: Order) -> bool {
        let good = order.count > 0 && order.next.makes_sense();
        if good {
            self.orders.push_back(order);
        }
        good
    }

    /// Puts the server's clock ahead of the machine's, or behind.
    pub(crate) const fn set_clock(&mut self, skew_ms: i64) {
        self.skew_ms = skew_ms;
    }

    /// The server's clock under this fault.
    pub(crate) const fn clock_us(&self, now_us: u64, fault: &Fault) -> u64 {
        let skew_ms = self.skew_ms.saturating_add(fault.skew_ms);
        now_us.saturating_add_signed(skew_ms.saturating_mul(1000))
    }

    /// Forgets what is still to come.
    pub(crate) fn clear(&mut self) {
        self.orders.clear();
    }

    /// Takes the first fault that is meant for a request to this path.
    pub(crate) fn take(&mut self, path: &str) -> Fault {
        let meant = |order: &Order| {
            order
                .path
                .as_deref()
                .is_none_or(|start| path.starts_with(start))
        };
        let Some(index) = self.orders.iter().position(meant) else {
            return Fault::default();
        };
        let Some(order) = self.orders.get_mut(index) else {
            return Fault::default();
        };
        order.count -= 1;
        let fault = order.next.clone();
        if order.count == 0 {
            self.orders.remove(index);
        }
        fault
    }
}

const fn one() -> u32 {
    1
}

const fn is_false(value: &bool) -> bool {
    !*value
}

const fn is_zero(value: &u64) -> bool {
    *value == 0
}

const fn is_zero_signed(value: &i64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(json: &str) -> Order {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_fault_strikes_as_often_as_ordered_and_only_its_path() {
        let mut faults = Faults::default();
        assert!(faults.add(order(r#"{"next":{"cut":true},"count":2,"path":"/sapi/"}"#)));
        assert_eq!(faults.take("/api/v3/order"), Fault::default());
        assert_eq!(faults.take("/sapi/v1/x").instead(), Some(Instead::Cut));
        assert_eq!(faults.take("/sapi/v1/x").instead(), Some(Instead::Cut));
        assert_eq!(faults.take("/sapi/v1/x"), Fault::default());
    }

    #[test]
    fn orders_without_sense_are_refused() {
        let mut faults = Faults::default();
        assert!(!faults.add(order(r#"{"next":{}}"#)));
        assert!(!faults.add(order(r#"{"next":{"status":200}}"#)));
        assert!(!faults.add(order(r#"{"next":{"cut":true},"count":0}"#)));
        assert!(serde_json::from_str::<Order>(r#"{"next":{"explode":true}}"#).is_err());
    }
}
