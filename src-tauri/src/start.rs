//! Before the first window: is there a display, may this build be steered, and is the process closed to others?

use std::{ffi::OsString, io};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Set by whoever wants to steer the web view (wry reads it, in release builds too).
const AUTOMATION: &str = "TAURI_WEBVIEW_AUTOMATION";

/// Whether a WebDriver may steer this build.
///
/// # Why
/// Whoever can set a variable in this user's session could else click "Approve" without a pointer. Dangerous operations
/// want a touch in any case, but a shipped password manager has no use for it.
const MAY_BE_STEERED: bool = cfg!(any(debug_assertions, feature = "automation"));

/// Why there will be no window.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum CannotStart {
    /// Neither Wayland nor X is there.
    NoDisplay,
    /// The display is named, but does not answer.
    DisplayRefused,
    /// [`AUTOMATION`] is set for a build that must not be steered.
    Steered,
    /// The process could not be closed to other processes.
    Harden(io::Error),
    /// Tauri failed.
    Tauri(tauri::Error),
}

impl CannotStart {
    /// 2 where the surroundings are to be changed, 1 else.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::NoDisplay | Self::DisplayRefused | Self::Steered => 2,
            Self::Harden(_) | Self::Tauri(_) => 1,
        }
    }
}

impl std::fmt::Display for CannotStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoDisplay => f.write_str(
                "there is no display: neither WAYLAND_DISPLAY nor DISPLAY is set. In a terminal, use `touchkeep`; questions are answered with `touchkeep approve`.",
            ),
            Self::DisplayRefused => f.write_str(
                "the display does not answer. Check WAYLAND_DISPLAY and DISPLAY, and whether this user may use it.",
            ),
            Self::Steered => write!(f, "{AUTOMATION} is set: this build does not let itself be steered. Unset it."),
            Self::Harden(error) => write!(f, "the process could not be closed to others: {error}"),
            Self::Tauri(error) => write!(f, "the window could not be made: {error}"),
        }
    }
}

/// Looks at the environment.
pub(crate) fn check(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<(), CannotStart> {
    check_build(lookup, MAY_BE_STEERED)
}

fn check_build(
    lookup: &dyn Fn(&str) -> Option<OsString>,
    may_be_steered: bool,
) -> Result<(), CannotStart> {
    let set = |name: &str| lookup(name).is_some_and(|value| !value.is_empty());
    if set(AUTOMATION) && !may_be_steered {
        return Err(CannotStart::Steered);
    }
    if set("WAYLAND_DISPLAY") || set("DISPLAY") {
        Ok(())
    } else {
        Err(CannotStart::NoDisplay)
    }
}

/// No core file and no `ptrace` by other processes of this user: a PIN passes through this process.
pub(crate) fn harden() -> io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        }
    }

    #[test]
    fn a_display_is_wanted() {
        assert!(check(&environment(&[("DISPLAY", ":0")])).is_ok());
        assert!(check(&environment(&[("WAYLAND_DISPLAY", "wayland-0")])).is_ok());
        for without in [environment(&[]), environment(&[("DISPLAY", "")])] {
            assert!(matches!(check(&without), Err(CannotStart::NoDisplay)));
        }
    }

    #[test]
    fn a_shipped_build_is_not_steered() {
        let steered = environment(&[("DISPLAY", ":0"), (AUTOMATION, "true")]);
        assert!(matches!(
            check_build(&steered, false),
            Err(CannotStart::Steered)
        ));
        assert!(check_build(&steered, true).is_ok());
    }
}
