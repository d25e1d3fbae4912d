//! Why a question is put to nobody: nobody is there, or whoever asks rests.

use touchkeep_core::Code;
use touchkeep_pipeline::Unasked;
use touchkeep_wire::{Failure, Resting};

use crate::notify;

tokio::task_local! {
    // What is done in it wants nobody waited for.
    static UNATTENDED: ();
}

/// Does work whose questions fail where no front end is there.
pub(crate) async fn unattended<T>(work: impl Future<Output = T>) -> T {
    UNATTENDED.scope((), work).await
}

/// Why what has to be asked is not.
pub(crate) fn absent() -> Failure {
    Failure::new(
        Code::NotPermitted,
        "A person has to be asked, and nobody is there.",
        "Leave --no-interaction out; or have the desktop open, or `touchkeep approve` in a terminal.",
    )
}

/// Why what has to be asked is not yet.
pub(crate) fn unasked(why: Unasked) -> Failure {
    const AHEAD: &str = "`touchkeep approve` in a terminal ends that at once. A program can be allowed values ahead: touchkeep grant add PROGRAM ITEM";
    match why {
        Unasked::Unanswered { seconds } => Failure::new(
            why.code(),
            format!(
                "Two questions of this program went unanswered, so it asks nobody for another {seconds} seconds."
            ),
            AHEAD,
        ),
        Unasked::Refused { seconds } => Failure::new(
            why.code(),
            format!(
                "Three questions of this program were refused, so it asks nobody for another {seconds} seconds."
            ),
            AHEAD,
        ),
        Unasked::TooMany => Failure::new(
            why.code(),
            "Too many questions wait for an answer already.",
            "Answer those first.",
        ),
    }
}

/// Tells whoever has just refused what came of it.
pub(crate) fn tell_of_rest(resting: &Resting) {
    let body = format!(
        "{} asks nobody for {} minutes. To be asked sooner: touchkeep approve",
        resting.asker,
        resting.seconds_left.div_ceil(60)
    );
    tokio::spawn(notify::show(
        "Refused three times: it rests now".to_owned(),
        body,
    ));
}

/// Whether what is done here wants nobody waited for.
pub(super) fn is_unattended() -> bool {
    UNATTENDED.try_with(|()| ()).is_ok()
}
