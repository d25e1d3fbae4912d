//! What stands between this program and the machine: a sandbox, a container, another system's kernel.

use std::{ffi::OsString, fs, path::Path};

use touchkeep_core::text::visible;
use touchkeep_wire::Finding;

use super::finding::Id;

/// Where we run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sandbox {
    /// On the machine itself.
    None,
    /// A flatpak, and whether it was given the card service.
    Flatpak { app: String, pcsc: bool },
    /// A snap.
    Snap { name: String },
    /// A container that says so.
    Container,
    /// Linux inside of Windows.
    Wsl,
}

impl Sandbox {
    /// Looks below `root` (`/`), at the environment, and at where our own program is.
    pub(super) fn find(
        root: &Path,
        lookup: &dyn Fn(&str) -> Option<OsString>,
        program: &Path,
    ) -> Self {
        if let Ok(info) = fs::read_to_string(root.join(".flatpak-info")) {
            return flatpak(&info);
        }
        // A terminal that is a snap hands its variables on to everything that is started in it.
        if lookup("SNAP").is_some_and(|snap| !snap.is_empty() && program.starts_with(snap)) {
            let name = lookup("SNAP_NAME").unwrap_or_default();
            let name = visible(&name.to_string_lossy());
            return Self::Snap { name };
        }
        let kernel = fs::read_to_string(root.join("proc/sys/kernel/osrelease"));
        if kernel.is_ok_and(|release| release.to_ascii_lowercase().contains("microsoft")) {
            return Self::Wsl;
        }
        let marks = [".dockerenv", "run/.containerenv", "run/systemd/container"];
        if marks.iter().any(|mark| root.join(mark).exists()) {
            return Self::Container;
        }
        Self::None
    }

    /// The finding.
    pub(super) fn finding(&self) -> Finding {
        let id = Id::MachineSandbox;
        match self {
            Self::None => id.ok("Touchkeep runs in no flatpak, no snap, and no container that says so."),
            Self::Flatpak { app, pcsc: true } => {
                id.note("Touchkeep runs as a flatpak, which may use the card service.", "")
                    .fact("app", app)
            }
            Self::Flatpak { app, pcsc: false } => id
                .warning(
                    "Touchkeep runs as a flatpak that may not use the card service, so it sees no YubiKey.",
                    format!("Run: flatpak override --user --socket=pcsc {app}"),
                )
                .fact("app", app),
            Self::Snap { name } => id
                .note(
                    "Touchkeep runs as a snap; it sees a YubiKey only when it is connected to the card service.",
                    format!("If it sees none: sudo snap connect {name}:pcscd"),
                )
                .fact("snap", name),
            Self::Container => id.note(
                "Touchkeep runs in a container, which sees a YubiKey only through the machine's pcscd.",
                "If it sees none, give the container the folder /run/pcscd of the machine.",
            ),
            Self::Wsl => id.note(
                "This is Linux inside of Windows, which sees a YubiKey only when Windows hands it over.",
                "If it sees none, in Windows: usbipd attach --wsl --busid BUSID",
            ),
        }
    }
}

/// `[Application] name=…` and `[Context] sockets=…;pcsc;`.
fn flatpak(info: &str) -> Sandbox {
    let value = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let mut sockets = value("sockets").unwrap_or_default().split(';');
    Sandbox::Flatpak {
        app: visible(value("name").unwrap_or_default()),
        pcsc: sockets.any(|socket| socket == "pcsc"),
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_wire::Level;

    use super::*;

    fn find(files: &[(&str, &str)], env: &[(&str, &str)], program: &str) -> Sandbox {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let lookup = |name: &str| {
            let mut env = env.iter();
            env.find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        Sandbox::find(root.path(), &lookup, Path::new(program))
    }

    #[test]
    fn a_flatpak_says_what_it_may_use() {
        let info = |sockets: &str| {
            format!(
                "[Application]\nname=org.example.Keep\n\n[Context]\nshared=network;\nsockets=x11;{sockets}\n"
            )
        };
        let found = |sockets| {
            find(
                &[(".flatpak-info", &info(sockets))],
                &[],
                "/app/bin/touchkeep",
            )
        };
        assert_eq!(found("wayland;pcsc;").finding().level, Level::Note);
        let without = found("wayland;").finding();
        assert_eq!(without.level, Level::Warning);
        assert!(without.fix.ends_with("--socket=pcsc org.example.Keep"));
    }

    #[test]
    fn a_snap_is_one_only_for_its_own_programs() {
        let env = [("SNAP", "/snap/touchkeep/3"), ("SNAP_NAME", "touchkeep")];
        let snap = Sandbox::Snap {
            name: "touchkeep".into(),
        };
        assert_eq!(find(&[], &env, "/snap/touchkeep/3/bin/touchkeep"), snap);
        assert_eq!(find(&[], &env, "/usr/bin/touchkeep"), Sandbox::None);
    }

    #[test]
    fn containers_and_other_systems_are_told_apart_by_what_they_leave() {
        let none = find(
            &[("proc/sys/kernel/osrelease", "6.1.0-amd64\n")],
            &[],
            "/usr/bin/t",
        );
        assert_eq!(none, Sandbox::None);
        let wsl = (
            "proc/sys/kernel/osrelease",
            "5.15.90.1-microsoft-standard-WSL2\n",
        );
        assert_eq!(find(&[wsl], &[], "/usr/bin/t"), Sandbox::Wsl);
        assert_eq!(
            find(&[("run/.containerenv", "")], &[], "/usr/bin/t"),
            Sandbox::Container
        );
    }
}
