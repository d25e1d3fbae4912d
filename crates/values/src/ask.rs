//! One call of the agent, from a program that vanishes afterwards.
//!
//! It is started where none runs, and when a person has to be asked something, the questions come to this terminal, too: by a
//! program of their own, because hardly any call needs them.

use std::{
    cell::RefCell,
    process::{Child, Command, Stdio},
    time::Duration,
};

use touchkeep_client::{
    ConnectError, NoHome, Paths,
    blocking::{self, AskError},
    installed, start_without_runtime,
};
use touchkeep_core::Code;
use touchkeep_wire::{Call, Failure};

use crate::{
    NAME,
    args::Global,
    output::{Output, Style},
};

/// After this long without an answer, a person is being asked something: then this terminal is one of those who can answer.
const ASKED: Duration = Duration::from_millis(40);

/// The verb of [`installed::AGENT`] that answers, on the terminal, what its parent's call brings up, until its standard input
/// ends.
pub const ANSWER: &str = "answer-for-parent";

/// How [`ANSWER`] ends where a PIN or passphrase was typed there.
pub const TYPED: u8 = 10;

/// How often one may be typed for a call: see `session` of the large program.
const TRIES: u8 = 3;

/// Makes one call and no other; the same again where a PIN or passphrase that was typed at this terminal was wrong.
///
/// # Errors
/// What happened, and what to do.
pub fn call_once<C: Call>(call: &C, global: Global) -> Result<C::Result, Failure> {
    let mut left = TRIES;
    loop {
        left = left.saturating_sub(1);
        match attempt(call, global) {
            (Err(wrong), true)
                if left > 0 && matches!(wrong.code, Code::WrongPin | Code::WrongPassphrase) =>
            {
                let output = Output::new(false);
                let who = output.err(Style::Bad, "touchkeep:");
                output.say(&format!("{who} {}", wrong.what));
            }
            (done, _) => return done,
        }
    }
}

// What came of it, and whether a secret was typed here for it.
fn attempt<C: Call>(call: &C, global: Global) -> (Result<C::Result, Failure>, bool) {
    let meanwhile = RefCell::new(None);
    let slow = || {
        if !global.no_interaction {
            *meanwhile.borrow_mut() = Meanwhile::begin();
        }
    };
    let answer = asked(call, slow);
    let typed = meanwhile.into_inner().is_some_and(Meanwhile::end);
    (answer, typed)
}

fn asked<C: Call>(call: &C, slow: impl Fn()) -> Result<C::Result, Failure> {
    let paths = paths()?;
    let ask = || blocking::ask(&paths.agent_socket(), NAME, call, ASKED, &slow);
    let answer = match ask() {
        Err(AskError::Connect(ConnectError::NotRunning)) => {
            let program = installed::agent_program()?;
            start_without_runtime(&program, &paths).map_err(|error| error.failure())?;
            ask()
        }
        answer => answer,
    };
    answer.map_err(|error| match error {
        AskError::Connect(error) => error.failure(),
        AskError::Call(error) => error.failure(),
        _ => Failure::new(
            Code::Unreachable,
            format!("{error}."),
            "Look at the agent: touchkeep status",
        ),
    })
}

/// Where this person's things are.
///
/// # Errors
/// When nothing says so.
pub fn paths() -> Result<Paths, Failure> {
    Paths::from_environment().map_err(|why| {
        let fix = match why {
            NoHome::Relative => "Name it by its whole path, or unset TOUCHKEEP_HOME.",
            _ => "Set HOME.",
        };
        Failure::new(Code::System, why.to_string(), fix)
    })
}

// Questions on the terminal, in a process beside. Its end takes them back and waits until the terminal is as it was; the end of
// this process takes them back, too.
struct Meanwhile(Child);

impl Meanwhile {
    // None where there is no room for it; others can still answer.
    fn begin() -> Option<Self> {
        let program = installed::agent_program().ok()?;
        let answering = Command::new(program)
            .arg(ANSWER)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        answering.ok().map(Self)
    }

    // Whether a PIN or passphrase was typed there.
    fn end(mut self) -> bool {
        drop(self.0.stdin.take());
        let ended = self.0.wait();
        ended.is_ok_and(|status| status.code() == Some(i32::from(TYPED)))
    }
}
