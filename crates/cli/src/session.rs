//! A verb's connection to the agent, with questions answered on the terminal meanwhile.

use std::{cell::RefCell, path::PathBuf, thread, time::Duration};

use touchkeep_client::{
    ConnectError, Connection, FrontEnd, Paths,
    blocking::{self, AskError},
    start_on_demand,
};
use touchkeep_core::Code;
use touchkeep_wire::{Call, Failure, Welcome};

use crate::{args::Global, front_end, output::Output};

/// A connection to the agent.
pub(crate) struct Session {
    connection: Connection,
    paths: Paths,
}

impl Session {
    /// Connects, and starts the agent where none runs.
    pub(crate) async fn start(name: &str) -> Result<Self, Failure> {
        let paths = paths()?;
        let exe = std::env::current_exe().map_err(|error| {
            Failure::new(
                Code::System,
                format!("cannot find this program's own file: {error}"),
                "",
            )
        })?;
        let connection = start_on_demand(&exe, &paths, name)
            .await
            .map_err(|error| error.failure())?;
        Ok(Self { connection, paths })
    }

    /// Calls the agent. Nobody answers questions on the terminal meanwhile.
    pub(crate) async fn call<C: Call>(&self, call: C) -> Result<C::Result, Failure> {
        self.connection
            .call(call)
            .await
            .map_err(|error| error.failure())
    }

    /// Calls the agent, and answers PIN, passphrase and touch questions on the terminal, unless that is not wanted.
    pub(crate) async fn call_asking<C: Call>(
        &self,
        call: C,
        global: Global,
        output: Output,
    ) -> Result<C::Result, Failure> {
        if global.no_interaction {
            return self.call(call).await;
        }
        let front = FrontEnd::connect(&self.paths.ui_socket(), "touchkeep")
            .await
            .map_err(|error| error.failure())?;
        let (answers, events) = front.split();
        tokio::select! {
            result = self.call(call) => result,
            () = front_end::answer_secrets(answers, events, output) => Err(Failure::new(Code::Unreachable, "the agent went away", "Try again.")),
        }
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
        let connect = || async {
            FrontEnd::connect(&self.paths.ui_socket(), "touchkeep")
                .await
                .map_err(|error| error.failure())
        };
        let (caller, mut news) = connect().await?.split();
        let listening = tokio::spawn(async move { while news.next().await.is_some() {} });
        let called = async {
            let result = caller.call(call).await;
            result.map_err(|error| error.failure())
        };
        let result = if global.no_interaction {
            called.await
        } else {
            let (answers, events) = connect().await?.split();
            tokio::select! {
                result = called => result,
                () = front_end::answer_secrets(answers, events, output) => Err(Failure::new(Code::Unreachable, "the agent went away", "Try again.")),
            }
        };
        listening.abort();
        result
    }

    pub(crate) const fn paths(&self) -> &Paths {
        &self.paths
    }
}

/// After this long without an answer, a person is being asked something: then this terminal is one of those who can answer.
const ASKED: Duration = Duration::from_millis(40);

/// Makes one call and no other, without a runtime where the agent runs and asks nobody anything.
pub(crate) fn call_once<C: Call>(
    name: &str,
    call: &C,
    global: Global,
    output: Output,
) -> Result<C::Result, Failure> {
    let paths = paths()?;
    let ui_socket = paths.ui_socket();
    let meanwhile = RefCell::new(None);
    let ask = || {
        let slow = || {
            if !global.no_interaction {
                *meanwhile.borrow_mut() = Meanwhile::begin(ui_socket.clone(), output);
            }
        };
        blocking::ask(&paths.agent_socket(), name, call, ASKED, slow)
    };
    let answer = match ask() {
        Err(AskError::Connect(ConnectError::NotRunning)) => {
            runtime()?.block_on(Session::start(name)).map(drop)?;
            ask()
        }
        answer => answer,
    };
    drop(meanwhile);
    answer.map_err(|error| match error {
        AskError::Connect(error) => error.failure(),
        AskError::Call(error) => error.failure(),
        _ => Failure::new(Code::Unreachable, format!("{error}."), ""),
    })
}

// Questions on the terminal, on a thread. Dropping it takes them back and waits until the terminal is as it was.
struct Meanwhile {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Meanwhile {
    // None where there is no room for it; others can still answer.
    fn begin(ui_socket: PathBuf, output: Output) -> Option<Self> {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let answering = async move {
            if let Ok(front) = FrontEnd::connect(&ui_socket, "touchkeep").await {
                let (answers, events) = front.split();
                front_end::answer_secrets(answers, events, output).await;
            }
        };
        let answering = move || {
            if let Ok(runtime) = runtime() {
                runtime.block_on(async {
                    tokio::select! {
                        () = answering => {}
                        _ = stopped => {}
                    }
                });
            }
        };
        let thread = thread::Builder::new().spawn(answering).ok()?;
        Some(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Meanwhile {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// What waits for the agent.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Code::System, format!("cannot begin: {error}"), ""))
}

/// Where this person's things are.
pub(crate) fn paths() -> Result<Paths, Failure> {
    Paths::from_environment().map_err(|_| {
        Failure::new(
            Code::System,
            "neither HOME nor TOUCHKEEP_HOME says where to keep things",
            "Set HOME.",
        )
    })
}
