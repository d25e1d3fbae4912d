//! The child's side: loads one module and answers until the agent hangs up.

use std::{
    io::{self, Read, Write},
    os::fd::AsFd,
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use zeroize::Zeroizing;

use crate::{
    module,
    token::Module,
    wire::{self, Failure, Frame, Kind, Reply, Request},
};

/// How long a module may take to finish once the agent is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs the child: `program --module PATH`, with the agent at standard input and output.
///
/// The module gets standard error as its output, because some print; the process leaves no core and cannot be traced.
///
/// # Errors
/// When the pipes fail. A module that cannot be loaded is told to the agent.
pub fn run(module: &Path) -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)?;
    let answers = std::fs::File::from(rustix::io::dup(io::stdout())?);
    rustix::stdio::dup2_stdout(io::stderr().as_fd())?;
    serve(module, io::stdin(), answers)
}

/// Answers what is asked at `from`, until its end.
///
/// # Errors
/// When the pipes fail.
pub fn serve(
    module: &Path,
    from: impl Read + Send + 'static,
    mut to: impl Write,
) -> io::Result<()> {
    let questions = read_ahead(from);
    let loaded = module::checked(module)
        .map_err(|error| Failure::Module(error.to_string()))
        .and_then(|path| Module::load(&path));
    while let Ok(question) = questions.recv() {
        let question = question?;
        let (reply, body) = match &loaded {
            Ok(module) => answer(module, &question),
            Err(failure) => Err(failure.clone()),
        }
        .unwrap_or_else(|failure| (Reply::Failed(failure), Zeroizing::default()));
        wire::write(&mut to, &reply, &[], &body)?;
    }
    if let Ok(module) = loaded {
        module.finalize();
    }
    Ok(())
}

/// Reads on a thread of its own, so that the end of the agent ends this process even while the module hangs.
fn read_ahead(mut from: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Frame>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        while let Some(question) = Frame::read(&mut from).transpose() {
            let broken = question.is_err();
            if sender.send(question).is_err() || broken {
                break;
            }
        }
        drop(sender);
        thread::sleep(PATIENCE);
        std::process::abort();
    });
    receiver
}

fn answer(module: &Module, question: &Frame) -> Result<(Reply, Zeroizing<Vec<u8>>), Failure> {
    let asked = serde_json::from_slice(&question.head)
        .map_err(|error| Failure::Unexpected(error.to_string()))?;
    let (pin, body) = (&question.secret[..], &question.body[..]);
    let none = Zeroizing::default;
    Ok(match asked {
        Request::Tokens => (Reply::Tokens(module.tokens()?), none()),
        Request::Keys(token) => (Reply::Keys(module.keys(&token)?), none()),
        Request::Tries(token) => (Reply::Tries(module.tries(&token)?), none()),
        Request::Agree(what) if what.kind == Kind::P256 => {
            (Reply::Body, module.agree(&what, pin, body)?)
        }
        Request::Agree(_) => return Err(Failure::Unsupported("key agreement with RSA".into())),
        Request::Sign(what) => (Reply::Body, Zeroizing::new(module.sign(&what, pin, body)?)),
        Request::Generate(what) => (Reply::Made(module.generate(&what, pin)?), none()),
    })
}
