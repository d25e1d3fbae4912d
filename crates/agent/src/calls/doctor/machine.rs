//! The machine and the session: memory, user, clock, desktop, our own program.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use rustix::process::{Gid, Resource, getegid, geteuid, getgroups, getrlimit};
use touchkeep_core::{UnixMillis, text::visible, time::rfc3339};
use touchkeep_locked::Protection;
use touchkeep_wire::Finding;

use super::{Ground, finding::Id};
use crate::desktop::Desktop;

/// No clock of this program can be right before: 2026-11-01.
const MADE: Duration = Duration::from_secs(1_793_491_200);
/// How far a file may be ahead of the clock: another machine's, on a shared folder.
const AHEAD: Duration = Duration::from_secs(120);

/// What keys and PINs lie in.
pub(super) fn memory() -> Finding {
    let id = Id::MemoryLocked;
    let finding = match touchkeep_locked::protection() {
        Ok(protection @ Protection::SecretMemory) => id
            .ok("Keys and PINs lie in memory that no other process can read.")
            .fact("by", protection),
        Ok(protection) => id
            .note(
                "Keys and PINs are never swapped out, but this kernel lets root read them.",
                "Nothing has to be done. Linux 5.14 and later have memfd_secret (it can be switched off: secretmem.enable).",
            )
            .fact("by", protection),
        Err(error) => id
            .problem(
                "No memory can be locked, so no vault can be opened and no PIN kept.",
                "Raise the limit: LimitMEMLOCK=8M in the unit, or `memlock` in /etc/security/limits.conf, and log in again.",
            )
            .fact("why", error),
    };
    let limit = getrlimit(Resource::Memlock).current;
    let limit = limit.map_or_else(
        || "none".to_owned(),
        |bytes| format!("{} KiB", bytes / 1024),
    );
    finding.fact("limit", limit)
}

/// Who we are, and which groups we should be in and are not.
pub(super) fn user() -> Vec<Finding> {
    let (uid, mut groups) = (geteuid(), getgroups().unwrap_or_default());
    groups.push(getegid());
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let table = fs::read_to_string("/etc/group").unwrap_or_default();
    let mut findings = Vec::new();
    if uid.is_root() {
        findings.push(Id::UserRoot.note(
            "Touchkeep runs as root: no right of a file or of pcscd stops it, and a flaw of it costs the whole machine.",
            "Use an account of its own for it where you can.",
        ));
    }
    let late = name_of(&passwd, uid.as_raw()).map(|name| late_groups(&table, name, &groups));
    let late = late.unwrap_or_default();
    findings.push(if late.is_empty() {
        Id::UserGroups.ok("All groups of this user count in this session.")
    } else {
        Id::UserGroups
            .warning(
                "This user was added to groups after this session began, so they do not count yet.",
                "Log out and in again; then restart the agent: touchkeep agent stop",
            )
            .fact("groups", visible(&late.join(" ")))
    });
    findings
}

fn name_of(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

/// The groups that name the user as a member, without those that the process has.
fn late_groups<'a>(table: &'a str, user: &str, have: &[Gid]) -> Vec<&'a str> {
    let late = table.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?);
        let member = fields
            .next()?
            .split(',')
            .any(|member| member.trim() == user);
        (member && !have.iter().any(|have| have.as_raw() == gid)).then_some(name)
    });
    late.collect()
}

/// The clock: venues refuse requests that are seconds off, and rotation goes by days.
pub(super) fn clock(ground: &Ground) -> Finding {
    let now = SystemTime::now();
    let since = |at: SystemTime| {
        at.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    };
    let shown = |at: SystemTime| {
        let millis = u64::try_from(since(at).as_millis()).unwrap_or(u64::MAX);
        rfc3339(UnixMillis(millis))
    };
    let fix = "Have it set from the network: sudo timedatectl set-ntp true";
    let latest = latest_file(ground);
    let ahead = latest.and_then(|at| at.duration_since(now).ok());
    let finding = if since(now) < MADE {
        Id::MachineClock.problem(
            "The clock is wrong: it says a time before this program was made.",
            fix,
        )
    } else if ahead.is_some_and(|ahead| ahead > AHEAD) {
        Id::MachineClock
            .warning("The clock is behind files that were written already: it was set back, or was ahead.", fix)
            .fact("newest file", latest.map(shown).unwrap_or_default())
    } else if unsynchronised(Path::new("/run/systemd/timesync")) {
        Id::MachineClock.warning(
            "The clock has not been set from the network since the machine started; venues refuse requests that are seconds off.",
            fix,
        )
    } else {
        Id::MachineClock.ok("The clock is plausible.")
    };
    finding.fact("now", shown(now))
}

// What we wrote ourselves, last.
fn latest_file(ground: &Ground) -> Option<SystemTime> {
    let entries = fs::read_dir(&ground.paths.data)
        .into_iter()
        .flatten()
        .flatten();
    let files = entries
        .map(|entry| entry.path())
        .chain([ground.vault_path.clone()]);
    let times = files.filter_map(|path| fs::metadata(path).ok()?.modified().ok());
    times.max()
}

// systemd-timesyncd makes this file once it has set the clock; others leave nothing that could be looked at.
fn unsynchronised(timesync: &Path) -> bool {
    timesync.is_dir() && !timesync.join("synchronized").exists()
}

/// Whether a question finds a window.
pub(super) fn window() -> Finding {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let display = set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY"));
    let desktop = Desktop::find(&|name| std::env::var_os(name));
    let fix = "Answer questions in a terminal: touchkeep approve";
    match (display, desktop.program()) {
        (_, Some(program)) => {
            let finding = if program.is_file() {
                Id::DesktopWindow.ok("The desktop is opened when there is something to answer.")
            } else {
                Id::DesktopWindow.warning("The desktop's program is not where it should be.", fix)
            };
            finding.fact("program", visible(&program.display().to_string()))
        }
        (Some(display), None) => Id::DesktopWindow
            .note(
                "There is a display, but the desktop is not installed beside this program.",
                fix,
            )
            .fact("display", visible(&display.to_string_lossy())),
        (None, None) => {
            Id::DesktopWindow.note("There is no display here, so no window can ask.", fix)
        }
    }
}

/// Whether a reminder can be shown. `None`: the service did not answer in time.
pub(super) fn notifications(asked: Option<Result<String, String>>) -> Finding {
    let id = Id::DesktopNotifications;
    let fix = "Look at what is due with: touchkeep remind";
    match asked {
        Some(Ok(service)) => id
            .ok("Reminders can be shown as notifications.")
            .fact("service", visible(&service)),
        Some(Err(why)) => id
            .note(
                "There is no notification service here, so reminders are not shown.",
                fix,
            )
            .fact("why", visible(&why)),
        None => id.note(
            "The notification service does not answer, so reminders may not be shown.",
            fix,
        ),
    }
}

/// Asks who would show notifications; shows none.
pub(super) fn notification_service() -> Result<String, String> {
    notify_rust::get_server_information()
        .map(|server| format!("{} {}", server.name, server.version))
        .map_err(|error| error.to_string())
}

/// Whether the agent hears of the session what locks the vault.
pub(super) fn session(unheard: Option<&str>) -> Finding {
    match unheard {
        None => Id::AgentSession.ok("Sleep, screen locks and user switches lock the vault."),
        Some(unheard) => Id::AgentSession.note(
            unheard,
            "Nothing has to be done on a server. On a desktop, start the agent in the session: touchkeep agent install",
        ),
    }
}

/// Whether the program that runs is the one that is installed.
pub(super) fn program() -> Finding {
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    let shown = visible(&program.display().to_string());
    let finding = if shown.ends_with(" (deleted)") {
        Id::AgentProgram.warning(
            "The program was replaced or removed since the agent started; it can start no PKCS#11 module any more.",
            "Restart the agent: touchkeep agent stop",
        )
    } else {
        Id::AgentProgram.ok("The agent is the program that is installed.")
    };
    finding.fact("program", shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_came_too_late_is_named() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nzoe:x:1000:1000::/home/zoe:/bin/sh\n";
        let table = "zoe:x:1000:\nplugdev:x:46:adam,zoe\npcscd:x:120:zoe\ntss:x:121:adam,zoey\n";
        assert_eq!(name_of(passwd, 1000), Some("zoe"));
        assert_eq!(name_of(passwd, 1001), None);
        let have = [1000, 46].map(Gid::from_raw);
        assert_eq!(late_groups(table, "zoe", &have), ["pcscd"]);
        assert_eq!(late_groups(table, "adam", &have), ["tss"]);
    }

    #[test]
    fn a_clock_that_nobody_set_is_seen_where_somebody_should_have() {
        let dir = tempfile::tempdir().unwrap();
        let timesync = dir.path().join("timesync");
        assert!(!unsynchronised(&timesync));
        fs::create_dir(&timesync).unwrap();
        assert!(unsynchronised(&timesync));
        fs::write(timesync.join("synchronized"), "").unwrap();
        assert!(!unsynchronised(&timesync));
    }
}
