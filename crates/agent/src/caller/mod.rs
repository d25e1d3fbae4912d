//! Who asks, by what the kernel says: the process at the other end of a socket, pinned so that no other can take its number,
//! with its executable, its parents, and the terminal or unit that it runs in.
//!
//! # What it is worth
//! The kernel does not lie about any of it, and a process of the same user can still make another one ask in its place. It
//! tells programs apart that do not attack each other, and it tells a person what he is being asked about.

mod executable;
mod held;
mod pin;
mod process;

use std::sync::Arc;

use tokio::net::UnixStream;

pub(crate) use self::{
    executable::{Executable, Hashes},
    held::Held,
    process::{Process, Terminal},
};
use self::{pin::Pin, process::unit};

/// Parents that are looked at.
const MAX_CHAIN: usize = 12;

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The process that connected, where the kernel can say.
    asker: Option<Process>,
    /// On whose behalf: the nearest process that is not our own command line.
    client: Option<Process>,
    /// The client and its parents, innermost first.
    chain: Vec<Process>,
    /// The systemd unit that it runs in.
    unit: Option<String>,
    /// Nobody can say which of several processes it is.
    shared: bool,
    pin: Option<Arc<Pin>>,
}

impl Caller {
    /// Looks at whoever connected. Blocks for well under a millisecond.
    pub(crate) fn of(stream: &UnixStream) -> Self {
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
        let Some(pid) = pid.filter(|pid| *pid > 0) else {
            return Self::unknown();
        };
        Pin::of(stream, pid).map_or_else(Self::unknown, |pin| Self::pinned(pid, pin, is_our_own))
    }

    /// Looks at a process that holds something, such as the other end of a loopback connection. Blocks.
    pub(crate) fn holding(pid: i32, holds: impl FnOnce(i32) -> bool) -> Self {
        // Pinned first and looked at again then: a number that became another's in between holds nothing.
        match Pin::of_pid(pid) {
            Some(pin) if holds(pid) => Self::pinned(pid, pin, |_| false),
            _ => Self::unknown(),
        }
    }

    /// One of several processes that may be it: shown, and never taken for the one that asks.
    pub(crate) fn one_of_many(pid: i32) -> Self {
        Self {
            shared: true,
            pin: None,
            ..Self::holding(pid, |_| true)
        }
    }

    // Whoever only passes on what another asks for is not the client.
    fn pinned(pid: i32, pin: Pin, passes_on: impl Fn(&Process) -> bool) -> Self {
        let chain = family(pid);
        // What was read is of the process that asks only if that still lives: until then its number is nobody else's.
        if !pin.lives() {
            return Self::unknown();
        }
        let client = chain.iter().position(|one| !passes_on(one));
        Self {
            asker: chain.first().cloned(),
            client: client.and_then(|at| chain.get(at)).cloned(),
            chain: chain.into_iter().skip(client.unwrap_or(0)).collect(),
            unit: unit(pid),
            shared: false,
            pin: Some(Arc::new(pin)),
        }
    }

    /// Somebody of whom the kernel says nothing, as from another pid namespace.
    pub(crate) const fn unknown() -> Self {
        Self {
            asker: None,
            client: None,
            chain: Vec::new(),
            unit: None,
            shared: false,
            pin: None,
        }
    }

    /// Whoever asks, as it is now: the same process, which still runs the same program. None where it is gone or became
    /// another program, so that nothing that was allowed to it is given to what took its place.
    pub(crate) fn client(&self) -> Option<&Process> {
        let (pin, asker, client) = (
            self.pin.as_ref()?,
            self.asker.as_ref()?,
            self.client.as_ref()?,
        );
        (pin.lives() && asker.is_unchanged() && client.is_unchanged()).then_some(client)
    }

    /// Whether the process that connected still runs, whatever program it became.
    pub(crate) fn lives(&self) -> bool {
        self.pin.as_ref().is_some_and(|pin| pin.lives())
    }

    /// Whether it was known when it connected, and is gone or another program now.
    pub(crate) fn is_gone(&self) -> bool {
        self.client.is_some() && self.client().is_none()
    }

    /// The number of the process that connected.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.asker.as_ref().map(|asker| asker.pid)
    }

    /// The terminal that it belongs to.
    pub(crate) fn terminal(&self) -> Option<Terminal> {
        self.client.as_ref().and_then(Process::terminal)
    }

    /// The systemd unit that it runs in.
    pub(crate) fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// Whether several processes may be it.
    pub(crate) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// What it was seen to be, for a person: it may be gone by now.
    pub(crate) const fn seen(&self) -> Option<&Process> {
        self.client.as_ref()
    }

    /// Where it runs, for a person: `terminal pts/3`, `unit bot.service`; empty where in neither.
    pub(crate) fn place(&self) -> String {
        match (self.terminal(), self.unit()) {
            (Some(terminal), _) => format!("terminal {}", terminal.name),
            (None, Some(unit)) => format!("unit {unit}"),
            (None, None) => String::new(),
        }
    }

    /// The client and its parents, outermost first, for a person.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.chain.iter().rev().map(Process::line).collect()
    }
}

/// A process and its parents, innermost first, each still the child's parent after it was looked at.
fn family(pid: i32) -> Vec<Process> {
    let mut family: Vec<Process> = Vec::new();
    let mut next = pid;
    while next > 1 && family.len() < MAX_CHAIN {
        let Some(one) = Process::look(next) else {
            break;
        };
        // A parent that ended meanwhile has left its number to somebody else.
        let still_parent = family
            .last()
            .is_none_or(|child| process::parent(child.pid) == Some(next));
        if !still_parent {
            break;
        }
        next = one.parent;
        family.push(one);
    }
    family
}

// Our own command line asks for whoever started it. It protects its memory, so that where the agent is not root its
// executable cannot be looked at; then its name has to do. That gives nothing away: whoever could take the name could start
// the real one.
fn is_our_own(process: &Process) -> bool {
    let Some(own) = Executable::own() else {
        return false;
    };
    match &process.executable {
        Some(executable) => executable.is_same_file(own) || executable.is_at(own),
        None => own.file_name().is_some_and(|name| {
            // The kernel keeps 15 bytes of a name.
            let kept: String = name.chars().take(15).collect();
            process.name == kept
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[tokio::test]
    async fn our_own_process_is_known_with_executable_start_and_parents() {
        let (one, _other) = pair().await;
        let caller = Caller::of(&one);
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(caller.pid(), Some(own));
        let asker = caller.asker.as_ref().unwrap();
        assert_eq!(
            asker.executable.as_ref().unwrap().path(),
            std::env::current_exe().unwrap()
        );
        // The test program is the agent's own here, so that its parent is the client.
        assert_ne!(caller.client().unwrap().pid, own);
        assert!(
            caller
                .lines()
                .last()
                .unwrap()
                .contains(&asker.parent.to_string())
        );
    }

    #[test]
    fn a_process_that_is_gone_has_no_family() {
        assert!(family(i32::MAX).is_empty());
    }
}
