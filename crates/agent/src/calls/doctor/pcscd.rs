//! pcscd: whether it is there, and whether it lets us in. It is asked for its cards first; only where it gives none is
//! looked at why.

use std::{
    env, fs,
    io::{ErrorKind, Read},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use touchkeep_core::text::visible;
use touchkeep_device::DeviceError;
use touchkeep_device_piv::{Found, list};
use touchkeep_wire::Finding;

use super::{bounded::Look, cards, finding::Id, sandbox::Sandbox};

/// Which variable names another pcscd than the system's.
const VARIABLE: &str = "PCSCLITE_CSOCK_NAME";
const SYSTEMS: &str = "/run/pcscd/pcscd.comm";
/// How long pcscd may take to list its cards.
const LISTING: Duration = Duration::from_secs(10);
/// How long it is listened to whether it hangs up.
const HANGING_UP: Duration = Duration::from_secs(1);

/// Where pcscd is looked for, and whether somebody chose that.
#[must_use]
pub fn pcscd_socket() -> (PathBuf, bool) {
    match env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(path) => (path.into(), true),
        None => (SYSTEMS.into(), false),
    }
}

/// What a socket says of itself.
#[derive(Debug, PartialEq, Eq)]
enum Probe {
    Missing,
    NobodyListens,
    NotAllowed,
    HangsUp,
    Listens,
}

/// Looks at pcscd; the cards that it gives. `needed`: somebody waits for a card, so that a missing pcscd is a problem.
pub(super) fn look(needed: bool, sandbox: &Sandbox) -> (Vec<Finding>, Vec<Found>) {
    let (path, chosen) = pcscd_socket();
    let seen_at = |finding: Finding| finding.fact("socket", visible(&path.display().to_string()));
    let runs = || seen_at(Id::PcscdSocket.ok("pcscd runs, and lets this user in."));
    match Look::start(LISTING, list).wait() {
        Some(Ok(found)) => (vec![runs()], found),
        Some(Err(DeviceError::Busy { holders })) => {
            (vec![runs(), cards::busy(&holders)], Vec::new())
        }
        None if probe(&path) == Probe::Listens => (
            vec![seen_at(Id::PcscdSocket.ok("pcscd listens.")), cards::kept()],
            Vec::new(),
        ),
        unreachable => {
            let error = unreachable.and_then(Result::err);
            let finding = why(&path, chosen, needed || chosen, sandbox, error.as_ref());
            (vec![seen_at(finding)], Vec::new())
        }
    }
}

fn why(
    path: &Path,
    chosen: bool,
    needed: bool,
    sandbox: &Sandbox,
    error: Option<&DeviceError>,
) -> Finding {
    let missing = |what: &str, fix: String| {
        if needed {
            Id::PcscdSocket.problem(what, fix)
        } else {
            Id::PcscdSocket.note(format!("{what} Only a YubiKey needs it."), fix)
        }
    };
    match probe(path) {
        Probe::Missing => missing("pcscd is not running: there is no socket.", start(chosen, sandbox)),
        Probe::NobodyListens => missing("pcscd is not running: nobody listens at its socket.", start(chosen, sandbox)),
        Probe::NotAllowed => not_allowed(path),
        Probe::HangsUp => Id::PcscdAccess.problem(
            "pcscd hangs up on this user before anything is asked: polkit does not let this session in.",
            "Log in at the machine itself, or have its owner allow `org.debian.pcsc-lite.access_pcsc` and `…access_card` for this \
             user (docs/doctor.md has the rule). `journalctl -u pcscd` says NOT authorized when this is the reason.",
        ),
        Probe::Listens => {
            let finding = Id::PcscdAccess.problem(
                "pcscd listens, but does not do what is asked.",
                "Restart it: sudo systemctl restart pcscd. In a container its version must be that of the machine's pcscd.",
            );
            error.into_iter().fold(finding, |finding, error| finding.fact("why", error))
        }
    }
}

/// pcscd asks polkit when somebody connects, and hangs up on who is refused; to the library that looks like no pcscd at all.
fn probe(path: &Path) -> Probe {
    let mut stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                ErrorKind::NotFound => Probe::Missing,
                ErrorKind::PermissionDenied => Probe::NotAllowed,
                _ => Probe::NobodyListens,
            };
        }
    };
    let patient = stream.set_read_timeout(Some(HANGING_UP));
    match patient.and_then(|()| stream.read(&mut [0])) {
        Ok(0) => Probe::HangsUp,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Probe::HangsUp,
        Ok(_) | Err(_) => Probe::Listens,
    }
}

fn not_allowed(path: &Path) -> Finding {
    let what = "The rights of pcscd's socket do not let this user in.";
    // A folder on the way that is closed hides the socket as well.
    let Ok(meta) = fs::metadata(path) else {
        return Id::PcscdAccess.problem(what, "Ask the owner of this machine to open its folder.");
    };
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let group = group_name(&groups, meta.gid()).map_or_else(|| meta.gid().to_string(), visible);
    let fix = format!("Join its group, and log in again: sudo usermod -aG {group} \"$USER\"");
    let finding = Id::PcscdAccess.problem(what, fix).fact("group", group);
    finding.fact("mode", format!("{:03o}", meta.permissions().mode() & 0o777))
}

fn group_name(groups: &str, gid: u32) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then_some(name)
    })
}

fn start(chosen: bool, sandbox: &Sandbox) -> String {
    let places = [
        "/usr/sbin/pcscd",
        "/usr/bin/pcscd",
        "/usr/local/sbin/pcscd",
        "/run/current-system/sw/bin/pcscd",
    ];
    let installed = places.iter().any(|place| Path::new(place).exists());
    match sandbox {
        _ if chosen => format!(
            "{VARIABLE} leads there: unset it, or start that pcscd. Then: touchkeep agent stop"
        ),
        Sandbox::Flatpak { .. } | Sandbox::Snap { .. } | Sandbox::Container => {
            "It has to run outside of this sandbox, and be let in: see machine.sandbox.".into()
        }
        _ if !installed => install(&fs::read_to_string("/etc/os-release").unwrap_or_default()),
        _ if Path::new("/run/systemd/system").exists() => {
            "Start it: sudo systemctl enable --now pcscd.socket".into()
        }
        _ => "Start it: sudo pcscd".into(),
    }
}

/// How pcscd is installed, by `/etc/os-release`.
fn install(release: &str) -> String {
    let of = |name: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let names = [of("ID"), of("ID_LIKE")];
    let mut names = names
        .into_iter()
        .flatten()
        .flat_map(|names| names.trim_matches('"').split(' '));
    let known = names.find_map(|name| match name {
        "debian" | "ubuntu" => Some("sudo apt install pcscd"),
        "fedora" | "rhel" => Some("sudo dnf install pcsc-lite pcsc-lite-ccid"),
        "arch" => Some("sudo pacman -S pcsclite ccid"),
        "suse" | "opensuse" => Some("sudo zypper install pcsc-lite pcsc-ccid"),
        "nixos" => Some("services.pcscd.enable = true; in configuration.nix"),
        _ => None,
    });
    match known {
        Some(command) => format!("Install it: {command}"),
        None => "Install pcsc-lite and its CCID driver.".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::net::UnixListener, thread};

    use super::*;

    // pcsc-lite's ContextThread asks polkit first and closes the connection of who is refused, without a byte.
    #[test]
    fn who_is_hung_up_on_was_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(probe(&path), Probe::Missing);
        let listener = UnixListener::bind(&path).unwrap();
        let waits = listener.try_clone().unwrap();
        let held = thread::spawn(move || waits.accept().unwrap());
        assert_eq!(probe(&path), Probe::Listens);
        held.join().unwrap();
        let refuses = listener.try_clone().unwrap();
        let refused = thread::spawn(move || drop(refuses.accept().unwrap()));
        assert_eq!(probe(&path), Probe::HangsUp);
        refused.join().unwrap();
        drop(listener);
        assert_eq!(probe(&path), Probe::NobodyListens);
    }

    #[test]
    fn each_distribution_gets_its_own_command() {
        let said = |release: &str| install(release);
        assert!(
            said("PRETTY_NAME=\"x\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n").contains("apt")
        );
        assert!(said("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n").contains("dnf"));
        assert!(said("ID=arch\n").contains("pacman"));
        assert!(said("ID=void\n").starts_with("Install pcsc-lite"));
    }

    #[test]
    fn a_missing_pcscd_is_a_problem_only_for_who_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        let level = |needed| {
            let path = dir.path().join("none");
            why(&path, false, needed, &Sandbox::None, None).level
        };
        assert_eq!(level(true), touchkeep_wire::Level::Problem);
        assert_eq!(level(false), touchkeep_wire::Level::Note);
    }
}
