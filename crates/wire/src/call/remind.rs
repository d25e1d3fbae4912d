//! How old keys are.

use serde::{Deserialize, Serialize};
use touchkeep_core::{ItemId, UnixMillis};

calls! {
    /// Keys and when they are due.
    ListReminders = "remind.list" -> Vec<KeyAge> {}
    /// Raises what is due now as desktop notifications, and says what was raised.
    CheckReminders = "remind.check" -> Vec<KeyAge> {}
}

/// A key and its age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct KeyAge {
    /// The item.
    #[cfg_attr(test, ts(type = "string"))]
    pub item: ItemId,
    /// Its name.
    pub name: String,
    /// Its venue.
    pub venue: String,
    /// When it was made.
    #[cfg_attr(test, ts(type = "number"))]
    pub created: UnixMillis,
    /// When it is due; none where it has no rule.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub due: Option<UnixMillis>,
    /// Days until then, a begun one counted; 0 or less once it is due.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub days_left: Option<i64>,
    /// When it ends by itself at its venue; none where nobody said so.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub expires: Option<UnixMillis>,
    /// Days until then, counted in the same way.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub expires_in_days: Option<i64>,
}
