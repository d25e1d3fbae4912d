//! The private pcscd: starts it, ends it, notices when it ends. All of it happens in the main thread, because the
//! kernel kills pcscd when the thread that started it ends.

use super::{
    ending::Ending,
    link::Slot,
    needs::Tools,
    paths::Paths,
    presence,
    rig::{RigError, remove},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde::Deserialize;
use std::{
    fs::{self, File},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

/// How the reader is called: what programs that look for a YubiKey by name expect.
const READER_NAME: &str = "Yubico YubiKey OTP+FIDO+CCID";
/// How long pcscd may take to report the card.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How soon it is noticed that pcscd ended while it was starting.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What can be done to pcscd while the cards stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Deed {
    /// SIGKILL: it cleans nothing up.
    Kill,
    /// Start it again.
    Start,
    /// Both.
    Restart,
}

/// What the main thread waits for.
pub(super) enum Event {
    /// Something ended, or should: look.
    Look,
    /// Somebody asks at the control socket, and waits for the answer.
    Do(Deed, Sender<Result<(), String>>),
}

/// A pcscd that runs, or does not.
pub(super) struct Pcscd<'a> {
    tools: &'a Tools,
    paths: &'a Paths,
    ending: &'a Ending,
    slots: Vec<Arc<Slot>>,
    wake: Sender<Event>,
    child: Option<Child>,
}

impl<'a> Pcscd<'a> {
    /// One that is not started yet; `wake` is what wakes `serve`.
    pub(super) fn new(
        tools: &'a Tools,
        paths: &'a Paths,
        ending: &'a Ending,
        slots: Vec<Arc<Slot>>,
        wake: Sender<Event>,
    ) -> Self {
        Self {
            tools,
            paths,
            ending,
            slots,
            wake,
            child: None,
        }
    }

    /// Starts it and waits until it reports every card that is in its slot.
    pub(super) fn start(&mut self) -> Result<(), RigError> {
        let child = self.spawn()?;
        let id = Pid::from_child(&child);
        self.child = Some(child);
        self.ending.with_pcscd(id).map_err(RigError::Watch)?;
        let handle =
            pidfd_open(id, PidfdFlags::empty()).map_err(|errno| RigError::Watch(errno.into()))?;
        let wake = self.wake.clone();
        thread::spawn(move || {
            until_ended(&handle);
            // Nobody listens any more when the reader itself has ended.
            let _ended = wake.send(Event::Look);
        });
        self.until_seen()
    }

    /// Does what is asked until the reader is told to end, which is no error, or until pcscd ends by itself.
    pub(super) fn serve(&mut self, events: &Receiver<Event>) -> Result<(), RigError> {
        while let Ok(event) = events.recv() {
            match event {
                Event::Look if self.ending.is_wanted() => return self.kill(),
                Event::Look => self.require_running()?,
                Event::Do(deed, answer) => {
                    // Who asked may have gone.
                    let _gone = answer.send(self.perform(deed));
                }
            }
        }
        Ok(())
    }

    fn perform(&mut self, deed: Deed) -> Result<(), String> {
        let said = |error: RigError| error.to_string();
        match (deed, self.child.is_some()) {
            (Deed::Kill, false) => Err("pcscd does not run".to_owned()),
            (Deed::Start, true) => Err("pcscd runs already".to_owned()),
            (Deed::Kill, true) => self.kill().map_err(said),
            (Deed::Start | Deed::Restart, false) => self.start().map_err(said),
            (Deed::Restart, true) => self.kill().and_then(|()| self.start()).map_err(said),
        }
    }

    fn kill(&mut self) -> Result<(), RigError> {
        if let Some(mut child) = self.child.take() {
            child.kill().map_err(RigError::NoPcscd)?;
            child.wait().map_err(RigError::NoPcscd)?;
        }
        for slot in &self.slots {
            slot.forget_pcscd();
        }
        Ok(())
    }

    /// An error if it was not told to end and has ended.
    fn require_running(&mut self) -> Result<(), RigError> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        match child.try_wait().map_err(RigError::NoPcscd)? {
            None => Ok(()),
            Some(status) => Err(RigError::PcscdEnded {
                status,
                log: self.paths.pcscd_log(),
            }),
        }
    }

    /// Waits until pcscd reports every card that is in its slot, or ends.
    fn until_seen(&mut self) -> Result<(), RigError> {
        let (sender, receiver) = channel();
        let slots = self.slots.clone();
        thread::spawn(move || {
            let seen = slots.iter().all(|slot| {
                presence::wait_for(slot.reader(), slot.is_inserted(), None, START_PATIENCE)
            });
            sender.send(seen)
        });
        loop {
            match receiver.recv_timeout(LOOK_AGAIN) {
                Ok(true) => return Ok(()),
                Ok(false) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(RigError::NoCard {
                        log: self.paths.pcscd_log(),
                    });
                }
                Err(RecvTimeoutError::Timeout) => self.require_running()?,
            }
        }
    }

    /// Starts pcscd as our child. The kernel kills it when this thread ends, and this is the main thread: whatever
    /// ends this process, pcscd goes too.
    fn spawn(&self) -> Result<Child, RigError> {
        for leftover in [self.paths.socket(), self.paths.pcscd_pid()] {
            remove(&leftover)?;
        }
        let configuration = self.paths.configuration().join("reader.conf");
        let text = format!(
            "FRIENDLYNAME \"{READER_NAME}\"\nDEVICENAME /dev/null:0x8C7B\nLIBPATH {}\nCHANNELID 0x8C7B\n",
            self.tools.driver.display()
        );
        fs::write(&configuration, text).map_err(|source| RigError::File {
            path: configuration,
            source,
        })?;
        let log = self.paths.pcscd_log();
        let output = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|source| RigError::File { path: log, source })?;
        Command::new(&self.tools.setpriv)
            .args(["--pdeathsig", "KILL"])
            .arg(&self.tools.pcscd)
            .arg("--foreground")
            .arg("-c")
            .arg(self.paths.configuration())
            // No drivers, no real reader: this pcscd must not even open what is plugged into the machine.
            .env("PCSCLITE_HP_DROPDIR", self.paths.no_drivers())
            .env_remove("PCSCLITE_CSOCK_NAME")
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(RigError::NoPcscd)?)
            .stderr(output)
            .spawn()
            .map_err(RigError::NoPcscd)
    }
}

fn until_ended(handle: &OwnedFd) {
    let mut waiting = [PollFd::new(handle, PollFlags::IN)];
    while poll(&mut waiting, None) == Err(rustix::io::Errno::INTR) {}
}
