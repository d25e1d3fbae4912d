//! Where what blocks runs: on a thread for such, or for a moment on this one, and with nothing left on its stack.

use std::panic::{AssertUnwindSafe, catch_unwind};

use touchkeep_core::Code;
use touchkeep_locked::on_wiped_stack;
use touchkeep_wire::Failure;

/// Runs what blocks on a thread for such. Keys and typed secrets are used in here, and leave nothing on its stack.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let work = move || on_wiped_stack(work);
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| no_answer(error.is_panic()))
}

/// Runs what blocks for a moment, as one row of the log does, on this thread; another one takes over what else this one
/// would do. To hand it to a thread and to be woken by that takes as long as the row. Leaves nothing on the stack, either.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    let work = AssertUnwindSafe(|| on_wiped_stack(work));
    let done = tokio::task::block_in_place(|| catch_unwind(work));
    done.map_err(|_| no_answer(true))
}

/// Why there is none of a task or a thread that did not come to its end.
pub(crate) fn no_answer(panicked: bool) -> Failure {
    tracing::error!(panicked, "a thread ended without an answer");
    Failure::new(
        Code::System,
        "A part of the agent failed in a way that it should not.",
        "Please report this, with the agent's log.",
    )
}
