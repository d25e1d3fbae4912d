//! Who asks, by what the kernel says: the process at the other end of a socket, pinned so that no other can take its number,
//! with its executable, its parents, and the terminal or unit that it runs in.
//!
//! # What it is worth
//! The kernel does not lie about any of it, and a process of the same user can still make another one ask in its place. It
//! tells programs apart that do not attack each other, and it tells a person what he is being asked about.

mod ancestors;
mod executable;
mod folder;
mod held;
mod installation;
mod pin;
mod process;

use std::sync::Arc;

use tokio::net::UnixStream;
use touchkeep_core::text::visible;

use self::{ancestors::Looked, installation::is_our_own, pin::Pin, process::unit as unit_of};
pub(crate) use self::{
    executable::{Executable, Hashes},
    held::Held,
    process::{Process, Terminal},
};

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
    /// The client starts programs of others, too.
    starts_others: bool,
    pin: Option<Arc<Pin>>,
    /// Of the client, where that can be had.
    client_pin: Option<Arc<Pin>>,
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
            client_pin: None,
            ..Self::holding(pid, |_| true)
        }
    }

    // Whoever only passes on what another asks for is not the client.
    fn pinned(pid: i32, pin: Pin, passes_on: impl Fn(&Process) -> bool) -> Self {
        let (family, passed_on) = family(pid, &passes_on);
        // What was read is of the process that asks only if that still lives: until then its number is nobody else's.
        if !pin.lives() {
            return Self::unknown();
        }
        let asker = family.first();
        let unit = asker.and_then(|one| unit_of(&one.folder));
        let client = passed_on.and_then(|at| family.get(at));
        let starts_others = client.is_some_and(|one| starts_units(one, unit.as_deref()));
        let asker = asker.map(|one| one.process.clone());
        let client = client.map(|one| one.process.clone());
        let pin = Arc::new(pin);
        Self {
            asker,
            client_pin: match passed_on {
                Some(0) => Some(Arc::clone(&pin)),
                _ => client.as_ref().and_then(held).map(Arc::new),
            },
            client,
            chain: family
                .into_iter()
                .skip(passed_on.unwrap_or(0))
                .map(|one| one.process)
                .collect(),
            unit,
            shared: false,
            starts_others,
            pin: Some(pin),
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
            starts_others: false,
            pin: None,
            client_pin: None,
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
        let is_asker = client.pid == asker.pid;
        let is_there = is_held_and_same(asker, pin)
            && (is_asker
                || match &self.client_pin {
                    Some(pin) => is_held_and_same(client, pin),
                    None => client.is_unchanged(),
                });
        is_there.then_some(client)
    }

    /// Whether another connection is of the same process as this one, for the same client, and both still run what they ran.
    pub(crate) fn is_asker_of(&self, other: &Self) -> bool {
        let same = |one: &Option<Process>, other: &Option<Process>| match (one, other) {
            (Some(one), Some(other)) => one.is_same_program(other),
            _ => false,
        };
        // In this order: while it lives its number is nobody else's, and it lived when the other was looked at.
        same(&self.asker, &other.asker)
            && same(&self.client, &other.client)
            && self.client().is_some()
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

    /// Whether what it is runs programs for others as well, each in a unit of its own: what is allowed to that process is allowed
    /// to all of them.
    pub(crate) const fn starts_others(&self) -> bool {
        self.starts_others
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

    /// What its questions are counted under, for a person as well: its program, so that starting it anew does not begin the
    /// count anew. Of what only runs scripts it is the script, or else the unit, because everybody runs the same one. Whoever is
    /// at a terminal is counted there alone, so that nothing that runs elsewhere keeps him from asking.
    pub(crate) fn counted_as(&self) -> String {
        let Some(client) = &self.client else {
            return "that cannot be seen".to_owned();
        };
        let executable = client.executable.as_ref();
        let mut text = executable.map_or_else(|| client.name.clone(), Executable::shown);
        let terminal = client.terminal();
        if let Some(interpreter) = executable.filter(|one| one.is_interpreter()) {
            match (interpreter.script(), self.unit()) {
                (Some(script), _) => {
                    text.push_str(&format!(" with {}", visible(&script.to_string_lossy())));
                }
                (None, Some(unit)) if terminal.is_none() => {
                    text.push_str(&format!(" in {unit}"));
                }
                _ => {}
            }
        }
        if let Some(terminal) = terminal {
            let (name, session) = (&terminal.name, terminal.leader());
            text.push_str(&format!(" in terminal {name} (session {session})"));
        }
        text
    }

    /// The client and its parents, outermost first, for a person.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.chain.iter().rev().map(Process::line).collect()
    }
}

// Holds a process that was looked at. Its number may have become another's before it was held, so it is looked at again.
fn held(process: &Process) -> Option<Pin> {
    let pin = Pin::of_pid(process.pid)?;
    (process.is_unchanged() && pin.lives()).then_some(pin)
}

// The number of a process that lives is nobody else's, so that only the program can have changed; and it was this process's
// when its program was looked at, if it lives after that.
fn is_held_and_same(process: &Process, pin: &Pin) -> bool {
    process.runs_the_same() && pin.lives()
}

/// What starts units, and takes in processes whose parent has ended.
const MANAGER: &str = "systemd";

// Whether the client is a manager of units, which are programs of whoever wrote them: by its name, or because it is itself in
// another unit than what it started. In a terminal that is a person, who has moved one program into a scope.
fn starts_units(client: &Looked, unit: Option<&str>) -> bool {
    let executable = client.process.executable.as_ref();
    let is_in_another = || unit.is_some() && unit_of(&client.folder).as_deref() != unit;
    executable.and_then(Executable::file_name).as_deref() == Some(MANAGER)
        || (client.process.terminal().is_none() && is_in_another())
}

// A process and its parents, innermost first, and where in it the client is. Whoever passes on, and the client after it, are
// looked at now.
fn family(pid: i32, passes_on: impl Fn(&Process) -> bool) -> (Vec<Looked>, Option<usize>) {
    let (family, is_whole) = parents(pid, &passes_on);
    let family = if is_whole {
        family
    } else {
        // Somebody ended, or has another parent than a moment ago.
        ancestors::forget();
        parents(pid, &passes_on).0
    };
    let client = family.iter().position(|one| !passes_on(&one.process));
    (family, client)
}

// Up to the first one that there is, or to where the line breaks off.
fn parents(pid: i32, passes_on: impl Fn(&Process) -> bool) -> (Vec<Looked>, bool) {
    let mut family: Vec<Looked> = Vec::new();
    let mut next = pid;
    let mut is_found = false;
    while next > 1 && family.len() < MAX_CHAIN {
        let looked = if is_found {
            Looked::lately(next)
        } else {
            Looked::now(next)
        };
        // A parent that ended meanwhile has left its number to somebody else.
        let parent = looked.filter(|one| {
            let child = family.last();
            child.is_none_or(|child| one.process.is_parent(&child.process, &child.folder))
        });
        let Some(one) = parent else {
            return (family, false);
        };
        is_found |= !passes_on(&one.process);
        next = one.process.parent;
        family.push(one);
    }
    (family, true)
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

    // A shell and its child, held together: `read` lets the shell become another program.
    struct Pair {
        shell: std::process::Child,
        child: i32,
    }

    fn shell_with_child() -> Pair {
        use std::io::BufRead;
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 600 & echo $!; read line; exec cat"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = shell.stdout.take().unwrap();
        std::io::BufReader::new(said).read_line(&mut line).unwrap();
        let child = line.trim().parse().unwrap();
        // It says the number before the child has become `sleep`.
        while Process::look(child).is_none_or(|one| one.name != "sleep") {
            std::thread::yield_now();
        }
        Pair { shell, child }
    }

    impl Pair {
        fn shell(&self) -> i32 {
            i32::try_from(self.shell.id()).unwrap()
        }

        fn shell_becomes_another(&mut self) {
            use std::io::Write;
            let input = self.shell.stdin.as_mut().unwrap();
            input.write_all(b"go\n").unwrap();
            while Process::look(self.shell()).unwrap().name != "cat" {
                std::thread::yield_now();
            }
        }

        fn end_child(&self) {
            let child = rustix::process::Pid::from_raw(self.child).unwrap();
            rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        }
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            if let Some(child) = rustix::process::Pid::from_raw(self.child) {
                let _gone = rustix::process::kill_process(child, rustix::process::Signal::KILL);
            }
            let _ended = self.shell.kill().and_then(|()| self.shell.wait());
        }
    }

    #[test]
    fn whoever_became_another_program_is_not_who_asked() {
        let mut pair = shell_with_child();
        let caller = Caller::holding(pair.shell(), |_| true);
        assert_eq!(caller.client().unwrap().pid, pair.shell());
        pair.shell_becomes_another();
        assert!(caller.client().is_none() && caller.is_gone() && caller.lives());
    }

    #[test]
    fn a_parent_that_became_another_program_is_not_the_client() {
        let mut pair = shell_with_child();
        let child = pair.child;
        let pin = Pin::of_pid(child).unwrap();
        let caller = Caller::pinned(child, pin, |one| one.pid == child);
        assert_eq!(caller.client().unwrap().pid, pair.shell());
        assert_eq!(caller.pid(), Some(child));
        pair.shell_becomes_another();
        assert!(caller.client().is_none() && caller.lives());
    }

    #[test]
    fn nobody_asks_for_a_client_once_the_asker_has_ended() {
        let pair = shell_with_child();
        let child = pair.child;
        let pin = Pin::of_pid(child).unwrap();
        let caller = Caller::pinned(child, pin, |one| one.pid == child);
        assert!(caller.client().is_some());
        pair.end_child();
        while caller.lives() {
            std::thread::yield_now();
        }
        assert!(caller.client().is_none() && caller.is_gone());
    }

    #[test]
    fn what_starts_units_is_known_by_its_name_and_by_its_own_unit() {
        let copied = tempfile::tempdir().unwrap();
        let manager = copied.path().join("systemd");
        std::fs::copy("/bin/sleep", &manager).unwrap();
        // Without a terminal, as what a manager has started.
        let starts = |program: &std::path::Path, unit: Option<&str>| {
            let mut child = std::process::Command::new("setsid")
                .arg(program)
                .arg("600")
                .spawn()
                .unwrap();
            let pid = i32::try_from(child.id()).unwrap();
            let name = program.file_name().unwrap().to_str().unwrap();
            while Process::look(pid).is_none_or(|one| one.name != name) {
                std::thread::yield_now();
            }
            let found = starts_units(&Looked::now(pid).unwrap(), unit);
            child.kill().unwrap();
            child.wait().unwrap();
            found
        };
        let own = Looked::now(std::process::id().cast_signed()).unwrap();
        let own = unit_of(&own.folder);
        let sleep = std::path::Path::new("/bin/sleep");
        assert!(starts(&manager, own.as_deref()));
        assert!(starts(sleep, Some("of-another.service")));
        assert!(!starts(sleep, own.as_deref()));
    }

    #[test]
    fn a_process_that_is_gone_has_no_family() {
        assert!(family(i32::MAX, |_| false).0.is_empty());
    }

    #[test]
    fn a_parent_that_became_another_program_is_shown_as_that_at_once() {
        let mut pair = shell_with_child();
        let names = |child| {
            let (family, _) = family(child, |_| false);
            let names = family.into_iter().map(|one| one.process.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(pair.child)[..2], ["sleep", "sh"]);
        pair.shell_becomes_another();
        assert_eq!(names(pair.child)[..2], ["sleep", "cat"]);
    }

    #[test]
    fn a_parent_that_ended_is_not_shown_and_who_took_its_place_is() {
        let mut pair = shell_with_child();
        let shell = pair.shell();
        let pids = |child| {
            let (family, _) = family(child, |_| false);
            let pids = family.into_iter().map(|one| one.process.pid);
            pids.collect::<Vec<_>>()
        };
        assert_eq!(pids(pair.child)[1], shell);
        pair.shell.kill().and_then(|()| pair.shell.wait()).unwrap();
        let now = pids(pair.child);
        let parent = Process::look(pair.child).unwrap().parent;
        assert!(!now.contains(&shell), "{now:?}");
        assert!(parent <= 1 || now[1] == parent, "{now:?}");
    }
}
