//! Desktop notifications. They hold names and days, never a secret: anybody who walks past can read them. Amounts are in those
//! alone that a rule asks for with `notify`.

use std::sync::atomic::{AtomicBool, Ordering};

use touchkeep_wire::Failure;

use crate::devices::blocking;

/// Says it once that there is no notification service; servers have none.
static SAID: AtomicBool = AtomicBool::new(false);

/// Shows a notification; whether one was shown.
pub(crate) async fn show(summary: String, body: String) -> Result<bool, Failure> {
    let shown = blocking(move || {
        notify_rust::Notification::new()
            .appname("Touchkeep")
            .summary(&summary)
            .body(&body)
            .show()
            .map(drop)
    });
    match shown.await? {
        Ok(()) => Ok(true),
        Err(error) => {
            if !SAID.swap(true, Ordering::Relaxed) {
                tracing::warn!(%error, "no desktop notifications here");
            }
            Ok(false)
        }
    }
}
