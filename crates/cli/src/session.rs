//! A verb's connection to the agent, with questions answered on the terminal meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use touchkeep_client::{Connection, FrontEnd, Paths, descriptors, installed, start_on_demand};
use touchkeep_core::Code;
use touchkeep_values::ask::paths;
use touchkeep_wire::{Call, Failure, Welcome, wiped};

use crate::{
    args::Global,
    front_end,
    output::{Output, Style},
};

/// A connection to the agent.
pub(crate) struct Session {
    connection: Connection,
    paths: Paths,
}

impl Session {
    /// Connects, and starts the agent where none runs.
    pub(crate) async fn start(name: &str, global: Global) -> Result<Self, Failure> {
        let paths = paths()?;
        let program = installed::agent_program()?;
        let mut connection = start_on_demand(&program, &paths, name)
            .await
            .map_err(|error| error.failure())?;
        if global.no_interaction {
            connection = Connection::connect_unattended(&paths.agent_socket(), name)
                .await
                .map_err(|error| error.failure())?;
        }
        Ok(Self { connection, paths })
    }

    /// Calls the agent. Nobody answers questions on the terminal meanwhile.
    pub(crate) async fn call<C: Call>(&self, call: C) -> Result<C::Result, Failure> {
        self.connection
            .call(call)
            .await
            .map_err(|error| error.failure())
    }

    /// Calls the agent, and answers PIN, passphrase and touch questions on the terminal, unless that is not wanted. What was typed
    /// wrongly there is asked for again, see [`TRIES`].
    pub(crate) async fn call_asking<C: Call>(
        &self,
        call: C,
        global: Global,
        output: Output,
    ) -> Result<C::Result, Failure> {
        if global.no_interaction {
            return self.call(call).await;
        }
        again(call, output, async |call, typed| {
            let front = FrontEnd::connect(&self.paths.ui_socket(), "touchkeep").await;
            let (answers, events) = front.map_err(|error| error.failure())?.split();
            tokio::select! {
                result = self.call(call) => result,
                () = front_end::answer_own(answers, events, output, typed) => Err(went_away()),
            }
        })
        .await
    }

    /// What the agent said of itself.
    pub(crate) const fn welcome(&self) -> &Welcome {
        self.connection.welcome()
    }

    /// Calls what front ends alone may call, and answers questions on the terminal meanwhile, unless that is not wanted.
    pub(crate) async fn call_as_front_end<C: Call>(
        &self,
        call: C,
        global: Global,
        output: Output,
    ) -> Result<C::Result, Failure> {
        let (socket, name) = (self.paths.ui_socket(), "touchkeep");
        let connected = match global.no_interaction {
            true => FrontEnd::connect_unattended(&socket, name).await,
            false => FrontEnd::connect(&socket, name).await,
        };
        let (caller, mut news) = connected.map_err(|error| error.failure())?.split();
        let listening = tokio::spawn(async move { while news.next().await.is_some() {} });
        let called = async |call: C| {
            let result = caller.call(call).await;
            result.map_err(|error| error.failure())
        };
        let result = if global.no_interaction {
            called(call).await
        } else {
            again(call, output, async |call, typed| {
                let front = FrontEnd::connect(&socket, name).await;
                let (answers, events) = front.map_err(|error| error.failure())?.split();
                tokio::select! {
                    result = called(call) => result,
                    () = front_end::answer_own(answers, events, output, typed) => Err(went_away()),
                }
            })
            .await
        };
        listening.abort();
        result
    }

    pub(crate) const fn paths(&self) -> &Paths {
        &self.paths
    }
}

/// How often a PIN or passphrase may be typed for one verb. Of a device the agent shows the tries that it has left, and never
/// sends the last one unasked.
const TRIES: u8 = 3;

// Makes a call; anew where a secret that was typed here was wrong, because then nothing was done.
async fn again<C: Call>(
    call: C,
    output: Output,
    ask: impl AsyncFn(C, &AtomicBool) -> Result<C::Result, Failure>,
) -> Result<C::Result, Failure> {
    let kept = wiped::to_json(&call).map_err(|_| unsendable())?;
    let mut call = call;
    let mut left = TRIES;
    loop {
        let typed = AtomicBool::new(false);
        left = left.saturating_sub(1);
        match ask(call, &typed).await {
            Err(wrong) if left > 0 && is_mistyped(&wrong, &typed) => {
                let who = output.err(Style::Bad, "touchkeep:");
                output.say(&format!("{who} {}", wrong.what));
                call = serde_json::from_slice(&kept).map_err(|_| unsendable())?;
            }
            done => return done,
        }
    }
}

fn is_mistyped(failure: &Failure, typed: &AtomicBool) -> bool {
    typed.load(Ordering::Relaxed) && matches!(failure.code, Code::WrongPin | Code::WrongPassphrase)
}

fn unsendable() -> Failure {
    Failure::new(
        Code::System,
        "the call cannot be written as JSON",
        "Nothing was done. Please report this.",
    )
}

fn went_away() -> Failure {
    Failure::new(
        Code::Unreachable,
        "the agent went away",
        "Whether it was done is not known: touchkeep audit list. Then try again.",
    )
}

/// What waits for the agent.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    descriptors::check()
        .and_then(|()| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        })
        .map_err(|error| Failure::new(
                Code::System,
                format!("cannot begin: {error}"),
                "The machine is short of memory or of open files (ulimit -n): end something, and try again.",
            ))
}
