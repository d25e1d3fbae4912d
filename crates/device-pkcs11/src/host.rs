//! The child's side: loads one module and answers until the agent hangs up.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use zeroize::Zeroizing;

use crate::{
    confine, import, keys,
    module::Image,
    session::Entry,
    token::Module,
    wire::{self, Failure, Frame, Kind, Load, Reply, Request},
};

/// How long a module may take to finish once the agent is gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much processor time a question may cost: more than the agent waits for any answer.
const SECONDS_EACH: u64 = 120;

/// Runs the child: `program --module PATH`, with the agent at standard input and output.
///
/// Called first of all, before the program opens anything: descriptors other than the three are closed. The module gets standard
/// error as its output, because some print.
///
/// # Errors
/// When the pipes fail. A module that cannot be loaded is told to the agent.
pub fn run(module: &Path) -> io::Result<()> {
    confine::this_process()?;
    let answers = File::from(rustix::io::dup(io::stdout())?);
    rustix::stdio::dup2_stdout(io::stderr().as_fd())?;
    serve(module, io::stdin(), answers)
}

/// Answers what is asked at `from`, until its end.
///
/// # Errors
/// When the pipes fail. A module that cannot be loaded is told to the agent.
pub fn serve(module: &Path, from: impl AsFd, mut to: impl Write) -> io::Result<()> {
    // Not by way of a buffer, which would keep PINs.
    let mut questions = File::from(from.as_fd().try_clone_to_owned()?);
    end_with(questions.as_fd().try_clone_to_owned()?);
    let mut loaded = None;
    while let Some(question) = Frame::read(&mut questions)? {
        confine::allow_seconds(SECONDS_EACH)?;
        let answered = parsed(&question).and_then(|asked| match (asked, &mut loaded) {
            (Request::Load(load), None) => {
                let (module, reply) = load_once(module, &load)?;
                loaded = Some(module);
                Ok((reply, Zeroizing::default()))
            }
            (asked, Some(module)) => answer(module, asked, &question),
            (_, None) => Err(Failure::Module("no module is loaded".into())),
        });
        let (reply, body) =
            answered.unwrap_or_else(|failure| (Reply::Failed(failure), Zeroizing::default()));
        wire::write(&mut to, &reply, &[], &body)?;
    }
    if let Some(module) = loaded {
        module.finalize();
    }
    Ok(())
}

/// Looks on a thread of its own whether the agent is there, so that its end ends this process even while the module hangs.
fn end_with(pipe: OwnedFd) {
    thread::spawn(move || {
        // Whatever comes is read by others; that nobody can write any more is always told.
        while poll(&mut [PollFd::new(&pipe, PollFlags::empty())], None) == Err(Errno::INTR) {}
        thread::sleep(PATIENCE);
        std::process::abort();
    });
}

fn parsed(question: &Frame) -> Result<Request, Failure> {
    serde_json::from_slice(&question.head).map_err(|error| Failure::Unexpected(error.to_string()))
}

fn load_once(path: &Path, load: &Load) -> Result<(Module, Reply), Failure> {
    let image = Image::of(path, load.sha256).map_err(|error| Failure::Module(error.to_string()))?;
    let module = Module::load(image, load.init.as_deref())?;
    let reply = Reply::Loaded(module.hash());
    Ok((module, reply))
}

fn answer(
    module: &mut Module,
    asked: Request,
    question: &Frame,
) -> Result<(Reply, Zeroizing<Vec<u8>>), Failure> {
    let (pin, body) = (&question.secret[..], &question.body[..]);
    let reply = match asked {
        Request::Load(_) => return Err(Failure::Unexpected("a second module".into())),
        Request::Tokens => Reply::Tokens(module.tokens()?),
        Request::Keys(wanted) => Reply::Keys(module.keys(&wanted)?),
        Request::Standing(token) => Reply::Standing(module.standing(&token)?),
        Request::Presence(token) => Reply::Presence(module.presence(&token)?),
        Request::Login(token, login, beside) => {
            let mut entry = Entry::new(&token, login, pin);
            entry.beside = beside.as_ref();
            module.within(entry, |_, _| Ok(()))?;
            Reply::Done
        }
        Request::Logout => {
            module.kept = None;
            Reply::Done
        }
        Request::Agree(what) if what.kind == Kind::P256 => {
            return Ok((Reply::Body, module.agree(&what, pin, body)?));
        }
        Request::Agree(_) => return Err(Failure::Unsupported("key agreement with RSA".into())),
        Request::Decrypt(what) => return module.decrypt(&what, pin, body),
        Request::Sign(what) => {
            let signature = module.sign(&what, pin, body)?;
            return Ok((Reply::Body, Zeroizing::new(signature)));
        }
        Request::Generate(what) => {
            let entry = Entry::new(&what.token, what.login, pin);
            Reply::Made(module.within(entry, |_, session| keys::generate(&session.inner, &what))?)
        }
        Request::Discard(what) => {
            let entry = Entry::new(&what.token, what.login, pin);
            module.within(entry, |_, session| keys::discard(&session.inner, &what))?;
            Reply::Done
        }
        Request::Keeps(what) => Reply::Keeps(module.keeps(&what, pin)?),
        Request::Import(what, public) => {
            let entry = Entry::new(&what.token, what.login, pin);
            module.within(entry, |_, session| {
                import::import(&session.inner, &what, &public, body)
            })?;
            Reply::Done
        }
        Request::Kinds(token) => Reply::Kinds(module.kinds(&token)?),
    };
    Ok((reply, Zeroizing::default()))
}
