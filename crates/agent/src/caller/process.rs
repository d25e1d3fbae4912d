//! One process, as `/proc` shows it (proc(5)).

use touchkeep_core::text::visible;

use super::{Executable, folder::Folder};

/// A process, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: i32,
    /// What it calls itself, made visible.
    pub(crate) name: String,
    /// When it was started, in clock ticks since the machine was: with the number, nobody else's until a restart.
    pub(crate) started: u64,
    /// Its parent's number.
    pub(crate) parent: i32,
    /// What it runs, where that may be looked at.
    pub(crate) executable: Option<Executable>,
    session: i32,
    tty: u32,
}

/// A terminal's session: what was started in one terminal window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Its name: `pts/3`.
    pub(crate) name: String,
    session: i32,
    leader_started: u64,
}

impl Process {
    /// Looks at a process; none where it is gone.
    pub(crate) fn look(pid: i32) -> Option<Self> {
        Self::look_in(pid, &Folder::open(pid)?)
    }

    /// Looks at the process whose folder this is.
    pub(super) fn look_in(pid: i32, folder: &Folder) -> Option<Self> {
        let executable = Executable::of_process(pid, folder);
        let stat = Stat::read(folder)?;
        Some(Self {
            pid,
            name: visible(&stat.name),
            started: stat.started,
            parent: stat.parent,
            executable,
            session: stat.session,
            tty: stat.tty,
        })
    }

    /// Whether it is the parent that `child`, which was looked at before, named then. `of_child` is the child's folder.
    pub(super) fn is_parent(&self, child: &Self, of_child: &Folder) -> bool {
        // A process is older than its children, and what is older than the child has had its number since before the child
        // named it. What is not surely older may have been given the number of a parent that ended; then the child names
        // another one by now. A start is told to a hundredth of a second.
        child.parent == self.pid
            && (self.started < child.started
                || Stat::read(of_child).is_some_and(|now| now.parent == self.pid))
    }

    /// Whether this is still the process that it was, running the same program.
    pub(crate) fn is_unchanged(&self) -> bool {
        Self::look(self.pid).is_some_and(|now| self.is_same_program(&now))
    }

    /// Whether the process that has this number runs the program that it ran then. Says nothing of whose number it is: for
    /// processes that are held, which need not be looked at any further.
    pub(super) fn runs_the_same(&self) -> bool {
        Executable::is_of(self.executable.as_ref(), self.pid)
    }

    /// Whether another look was at the same process, running the same program.
    pub(crate) fn is_same_program(&self, other: &Self) -> bool {
        self.pid == other.pid
            && self.started == other.started
            && match (&self.executable, &other.executable) {
                (Some(own), Some(other)) => own.is_same_file(other),
                (None, None) => true,
                _ => false,
            }
    }

    /// The session of the terminal that it belongs to, while whoever began that session lives.
    pub(crate) fn terminal(&self) -> Option<Terminal> {
        let name = terminal_name(self.tty)?;
        let leader = Stat::of(self.session)?;
        (leader.session == self.session && leader.tty == self.tty).then_some(Terminal {
            name,
            session: self.session,
            leader_started: leader.started,
        })
    }

    /// For a person: `bash (812) /usr/bin/bash`.
    pub(crate) fn line(&self) -> String {
        match &self.executable {
            Some(executable) => format!("{} ({}) {}", self.name, self.pid, executable.shown()),
            None => format!("{} ({})", self.name, self.pid),
        }
    }
}

// What is read of /proc/PID/stat, which everybody may read.
struct Stat {
    name: String,
    parent: i32,
    session: i32,
    tty: u32,
    started: u64,
}

impl Terminal {
    /// The number of whoever began the session.
    pub(super) const fn leader(&self) -> i32 {
        self.session
    }

    /// Whether whoever began the session still lives.
    pub(crate) fn is_open(&self) -> bool {
        Stat::of(self.session).is_some_and(|leader| leader.started == self.leader_started)
    }
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        Self::read(&Folder::open(pid)?)
    }

    fn read(folder: &Folder) -> Option<Self> {
        Self::parse(&folder.read("stat")?)
    }

    // A name may hold blanks and brackets, so the last bracket ends it. Fields are numbered from 1 in proc(5): 4 ppid,
    // 6 session, 7 tty_nr, 22 starttime.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, tail) = text.rsplit_once(") ")?;
        let (_, name) = head.split_once(" (")?;
        let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            name: name.to_owned(),
            parent: field(4)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            tty: field(7)?.parse::<i32>().ok()?.cast_unsigned(),
            started: field(22)?.parse().ok()?,
        })
    }
}

/// The systemd unit of a process: the innermost `.service` or `.scope` of its control group.
pub(super) fn unit(folder: &Folder) -> Option<String> {
    unit_in(&String::from_utf8(folder.read("cgroup")?).ok()?)
}

fn unit_in(groups: &str) -> Option<String> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let parts = group.rsplit('/');
    let unit = parts
        .filter(|part| part.ends_with(".service") || part.ends_with(".scope"))
        .find(|part| !part.starts_with("user@"))?;
    Some(visible(unit))
}

// tty_nr of proc(5): the minor number in bits 31 to 20 and 7 to 0, the major in 15 to 8. Linux's devices.txt has 136 to 143 for
// Unix98 terminals and 4 for consoles and serial lines.
fn terminal_name(tty: u32) -> Option<String> {
    let major = (tty >> 8) & 0xfff;
    let minor = (tty & 0xff) | ((tty >> 12) & 0xf_ff00);
    match major {
        0 => None,
        136..=143 => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        4 if minor < 64 => Some(format!("tty{minor}")),
        4 => Some(format!("ttyS{}", minor - 64)),
        _ => Some(format!("terminal {major}:{minor}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_cannot_be_looked_at() {
        assert!(Process::look(i32::MAX).is_none());
    }

    #[test]
    fn a_parent_is_told_from_who_got_its_number() {
        use std::process::{Command, Stdio};
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let of_child = Folder::open(pid).unwrap();
        let seen = Process::look_in(pid, &of_child).unwrap();
        let own = Process::look(seen.parent).unwrap();
        assert!(own.is_parent(&seen, &of_child));
        // As young as the child, and still its parent: the child says so.
        let as_young = Process {
            started: seen.started,
            ..own.clone()
        };
        assert!(as_young.is_parent(&seen, &of_child));
        // Given the number of a parent that has ended since the child was looked at: the child has another one by now.
        let orphan = Process {
            parent: 1_000_000,
            ..seen.clone()
        };
        let heir = Process {
            pid: 1_000_000,
            started: seen.started + 1,
            ..own.clone()
        };
        assert!(!heir.is_parent(&orphan, &of_child));
        // Nobody's parent but who is named.
        let older = Process {
            pid: own.pid + 1,
            started: 0,
            ..own
        };
        assert!(!older.is_parent(&seen, &of_child));
        drop(child.stdin.take());
        child.wait().unwrap();
        // The child is gone, too, so that nobody can say.
        assert!(!as_young.is_parent(&seen, &of_child));
    }

    #[test]
    fn a_hostile_name_moves_no_field() {
        let line = b"7 (a) R 1 2 (b) S 42 7 9 34819 7 0 0 0 0 0 0 0 0 0 20 0 1 0 998877 1 2 3";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (
                stat.name.as_str(),
                stat.parent,
                stat.session,
                stat.tty,
                stat.started
            ),
            ("a) R 1 2 (b", 42, 9, 34819, 998_877)
        );
    }

    #[test]
    fn terminals_are_called_as_a_person_calls_them() {
        for (tty, name) in [
            (0, None),
            (34_816, Some("pts/0")),
            (34_819, Some("pts/3")),
            (1_025, Some("tty1")),
            (1_088, Some("ttyS0")),
        ] {
            assert_eq!(terminal_name(tty).as_deref(), name);
        }
    }

    #[test]
    fn the_innermost_unit_is_named() {
        let group = "1:name=systemd:/\n0::/user.slice/user-1000.slice/user@1000.service/app.slice/bot.service\n";
        assert_eq!(unit_in(group).as_deref(), Some("bot.service"));
        assert_eq!(unit_in("0::/user.slice/user@1000.service/app.slice"), None);
        assert_eq!(unit_in("0::/\n"), None);
    }
}
