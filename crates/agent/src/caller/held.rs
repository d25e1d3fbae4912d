//! Whom a grant is for, held for as long as the grant counts.
//!
//! A number and a start tell processes apart to a hundredth of a second: whoever hurries the kernel can have a number given
//! again within that. A descriptor stays its process's own, and says when that has ended.

use std::sync::Arc;

use super::{Pin, Process, Terminal};

/// A process, or a terminal's session, with a descriptor of the process that it stands and falls with.
#[derive(Debug, Clone)]
pub(crate) struct Held<T> {
    what: T,
    pin: Arc<Pin>,
}

impl<T> Held<T> {
    /// As it was seen.
    pub(crate) const fn seen(&self) -> &T {
        &self.what
    }
}

impl Held<Process> {
    /// Holds a process; none where it is gone, or another program already.
    pub(crate) fn process(process: &Process) -> Option<Self> {
        let held = Self {
            what: process.clone(),
            pin: Arc::new(Pin::of_pid(process.pid)?),
        };
        held.is_unchanged().then_some(held)
    }

    /// Whether this is it, which somebody has just looked at.
    pub(crate) fn is(&self, other: &Process) -> bool {
        // In this order: while it lives its number is nobody else's, and it lived when the other was looked at.
        self.what.is_same_program(other) && self.pin.lives()
    }

    /// Whether it is still there, running the same program.
    pub(crate) fn is_unchanged(&self) -> bool {
        self.what.is_unchanged() && self.pin.lives()
    }
}

impl Held<Terminal> {
    /// Holds the session of a terminal; none where whoever began it is gone.
    pub(crate) fn terminal(terminal: Terminal) -> Option<Self> {
        let pin = Arc::new(Pin::of_pid(terminal.leader())?);
        let held = Self {
            what: terminal,
            pin,
        };
        held.is_open().then_some(held)
    }

    /// Whether a process that somebody has just looked at belongs to it.
    pub(crate) fn has(&self, client: &Process) -> bool {
        client.terminal().as_ref() == Some(&self.what) && self.pin.lives()
    }

    /// Whether whoever began it still lives.
    pub(crate) fn is_open(&self) -> bool {
        self.what.is_open() && self.pin.lives()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn it_is_over_when_its_process_has_ended_although_nobody_has_read_how() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let seen = Process::look(pid).unwrap();
        let held = Held::process(&seen).unwrap();
        assert!(held.is(&seen) && held.is_unchanged());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!held.is(&seen) && !held.is_unchanged());
        assert!(Held::process(&seen).is_none());
    }
}
