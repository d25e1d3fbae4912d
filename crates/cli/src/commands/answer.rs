//! `answer-for-parent`: the small program has made a call, and a person has to say something to it.

use std::{
    io,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::{io::AsyncReadExt, net::unix::pipe};
use touchkeep_client::FrontEnd;
use touchkeep_core::Code;
use touchkeep_values::ask::{TYPED, paths};
use touchkeep_wire::Failure;

use super::Done;
use crate::{front_end, output::Output};

/// Answers on the terminal until the parent has its answer, or is gone: then our standard input ends.
pub(super) async fn answer(output: Output) -> Done {
    let Some(parent) = rustix::process::getppid() else {
        return Ok(ExitCode::SUCCESS);
    };
    let parent = parent.as_raw_nonzero().get().unsigned_abs();
    let stdin = rustix::io::dup(io::stdin())
        .map_err(io::Error::from)
        .and_then(pipe::Receiver::from_owned_fd);
    let Ok(mut of_parent) = stdin else {
        return Err(Failure::new(
            Code::Invalid,
            "this verb is for `touchkeep` itself: its standard input is a pipe of its parent's",
            "Answer questions in a terminal of their own: touchkeep approve",
        ));
    };
    let ui_socket = paths()?.ui_socket();
    let typed = AtomicBool::new(false);
    let answering = async {
        if let Ok(front) = FrontEnd::connect(&ui_socket, "touchkeep").await {
            let (answers, events) = front.split();
            front_end::answer_for(parent, answers, events, output, &typed).await;
        }
    };
    tokio::select! {
        () = answering => {}
        _ended = of_parent.read_u8() => {}
    }
    Ok(match typed.load(Ordering::Relaxed) {
        true => ExitCode::from(TYPED),
        false => ExitCode::SUCCESS,
    })
}
