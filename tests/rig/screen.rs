//! A screen and a session bus of the test's own, so that no window and no notification reaches the person's.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{Running, wait_for};

/// A virtual screen, 1280 by 800.
#[derive(Debug)]
pub struct Screen {
    _process: Running,
    /// For `DISPLAY`.
    pub display: String,
}

impl Screen {
    /// Switches it on.
    #[must_use]
    pub fn on() -> Self {
        let mut command = Command::new("Xvfb");
        command
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1280x800x24",
                "-nolisten",
                "tcp",
            ])
            .stderr(Stdio::null());
        let (process, number) = Running::first_line(command);
        Self {
            _process: process,
            display: format!(":{}", number.trim()),
        }
    }

    /// Photographs it.
    pub fn photograph(&self, to: &Path) {
        let done = Command::new("import")
            .args(["-display", &self.display, "-window", "root"])
            .arg(to)
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Types into the window with this title as a person would, and presses Enter.
    pub fn type_into(&self, title: &str, text: &str) {
        self.focus(title);
        let _said = self.xdotool(&["type", "--delay", "40", text]);
        self.press("Return");
    }

    /// Waits for the window with this title, and gives it the focus: there is no window manager that would.
    pub fn focus(&self, title: &str) {
        let find = ["search", "--sync", "--onlyvisible", "--name", title];
        let _said = self.xdotool(&[&find[..], &["windowfocus", "--sync"]].concat());
    }

    /// Presses a key in the window that has the focus.
    pub fn press(&self, key: &str) {
        let _said = self.xdotool(&["key", key]);
    }

    /// Waits until no window with this title is to be seen: the next one that is called so is another.
    pub fn until_gone(&self, title: &str) {
        let find = ["search", "--onlyvisible", "--name", title];
        wait_for("a window that closes", || {
            let found = Command::new("xdotool")
                .args(find)
                .env("DISPLAY", &self.display)
                .output()
                .unwrap();
            found.stdout.is_empty().then_some(())
        });
    }

    /// Waits for the window with this title, and says how high it is.
    #[must_use]
    pub fn height_of(&self, title: &str) -> u32 {
        let find = ["search", "--sync", "--onlyvisible", "--name", title];
        let said = self.xdotool(&[&find[..], &["getwindowgeometry", "--shell"]].concat());
        let height = said.lines().find_map(|line| line.strip_prefix("HEIGHT="));
        height.unwrap().parse().unwrap()
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let done = Command::new("xdotool")
            .args(args)
            .env("DISPLAY", &self.display)
            .output()
            .unwrap();
        assert!(done.status.success(), "xdotool {args:?}");
        String::from_utf8(done.stdout).unwrap()
    }
}

/// A D-Bus session bus.
#[derive(Debug)]
pub struct Bus {
    _process: Running,
    /// For `DBUS_SESSION_BUS_ADDRESS`.
    pub address: String,
}

impl Bus {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let mut command = Command::new("dbus-daemon");
        command
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stderr(Stdio::null());
        let (process, address) = Running::first_line(command);
        Self {
            _process: process,
            address: address.trim().to_owned(),
        }
    }
}

/// The notification daemon dunst, on a screen and a bus of its own.
#[derive(Debug)]
pub struct Dunst {
    _process: Running,
    _folder: TempDir,
    bus: String,
}

impl Dunst {
    /// Starts it, and waits until it answers.
    #[must_use]
    pub fn start(screen: &Screen, bus: &Bus) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("dunstrc");
        std::fs::write(&config, "[global]\n    idle_threshold = 0\n    width = 420\n    font = DejaVu Sans 11\n[urgency_low]\n    timeout = 60\n[urgency_normal]\n    timeout = 60\n").unwrap();
        let mut command = Command::new("dunst");
        command
            .arg("-config")
            .arg(&config)
            .env("DISPLAY", &screen.display)
            .env("DBUS_SESSION_BUS_ADDRESS", &bus.address)
            .env_remove("WAYLAND_DISPLAY")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let dunst = Self {
            _process: Running::start(command),
            _folder: folder,
            bus: bus.address.clone(),
        };
        wait_for("dunst", || dunst.ctl(&["count"]));
        dunst
    }

    /// What it shows now, as it says itself: number of notifications on the screen.
    #[must_use]
    pub fn displayed(&self) -> u32 {
        self.ctl(&["count", "displayed"])
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    }

    /// The text of everything that it has shown: closes it all first.
    #[must_use]
    pub fn history(&self) -> String {
        let _closed = self.ctl(&["close-all"]);
        self.ctl(&["history"]).unwrap_or_default()
    }

    fn ctl(&self, args: &[&str]) -> Option<String> {
        let done = Command::new("dunstctl")
            .args(args)
            .env("DBUS_SESSION_BUS_ADDRESS", &self.bus)
            .stderr(Stdio::null())
            .output()
            .ok()?;
        done.status
            .success()
            .then(|| String::from_utf8_lossy(&done.stdout).into_owned())
    }
}

impl Running {
    fn first_line(mut command: Command) -> (Self, String) {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(!line.trim().is_empty(), "{command:?} said nothing");
        (Self(child), line)
    }
}
