//! Where things are: a pure function of the environment, so that tests and the demo can live in a folder of their own.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Everything below this folder, where it is set: `run/`, `data/`, `config.toml`.
pub const HOME_VARIABLE: &str = "TOUCHKEEP_HOME";

/// The places of one user's Touchkeep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Sockets and the lock of the one agent. Gone after a reboot.
    pub run: PathBuf,
    /// Audit logs, state, the agent's log.
    pub data: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
}

/// Nothing says where to keep things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoHome {
    /// Neither variable is an absolute path.
    #[error("neither HOME nor TOUCHKEEP_HOME says where to keep things")]
    Nowhere,
    /// Whoever names a folder of its own for everything does not mean the usual one.
    #[error("TOUCHKEEP_HOME is no absolute path, so it is not known which folder is meant")]
    Relative,
}

impl Paths {
    /// Finds the places. `lookup` reads one variable of the environment; `owned` says whether a folder exists and is
    /// `uid`'s own.
    ///
    /// # Why
    /// The XDG Base Directory Specification 0.8 says that a relative path in one of its variables is to be ignored. `TOUCHKEEP_HOME`
    /// is ours, and it would be another vault that is used.
    ///
    /// # Errors
    /// When there is no home.
    pub fn find(
        lookup: &dyn Fn(&str) -> Option<OsString>,
        uid: u32,
        owned: &dyn Fn(&Path) -> bool,
    ) -> Result<Self, NoHome> {
        let absolute = |name: &str| {
            lookup(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let named = lookup(HOME_VARIABLE).filter(|home| !home.is_empty());
        if let Some(home) = named.map(PathBuf::from) {
            return match home.is_absolute() {
                true => Ok(Self::below(&home)),
                false => Err(NoHome::Relative),
            };
        }
        let base = |name: &str, below_home: &str| {
            absolute(name)
                .or_else(|| absolute("HOME").map(|home| home.join(below_home)))
                .ok_or(NoHome::Nowhere)
        };
        let login = PathBuf::from(format!("/run/user/{uid}"));
        let run = match absolute("XDG_RUNTIME_DIR") {
            Some(dir) => dir.join("touchkeep"),
            None if owned(&login) => login.join("touchkeep"),
            None => base("XDG_STATE_HOME", ".local/state")?.join("touchkeep/run"),
        };
        Ok(Self {
            run,
            data: base("XDG_DATA_HOME", ".local/share")?.join("touchkeep"),
            config: base("XDG_CONFIG_HOME", ".config")?.join("touchkeep/config.toml"),
        })
    }

    /// The places of this process's user.
    ///
    /// # Errors
    /// When there is no home.
    pub fn from_environment() -> Result<Self, NoHome> {
        let uid = rustix::process::geteuid().as_raw();
        Self::find(&|name| std::env::var_os(name), uid, &|path| {
            std::fs::symlink_metadata(path).is_ok_and(|meta| {
                meta.is_dir() && std::os::unix::fs::MetadataExt::uid(&meta) == uid
            })
        })
    }

    /// Everything below one folder.
    #[must_use]
    pub fn below(home: &Path) -> Self {
        Self {
            run: home.join("run"),
            data: home.join("data"),
            config: home.join("config.toml"),
        }
    }

    /// The socket for clients.
    #[must_use]
    pub fn agent_socket(&self) -> PathBuf {
        self.run.join("agent.sock")
    }

    /// The socket for front ends.
    #[must_use]
    pub fn ui_socket(&self) -> PathBuf {
        self.run.join("ui.sock")
    }

    /// Held by the one agent of this folder.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.run.join("agent.lock")
    }

    /// Where an agent that runs in the background writes its log.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.data.join("agent.log")
    }

    /// The vault, where nothing else is configured.
    #[must_use]
    pub fn default_vault(&self) -> PathBuf {
        self.data.join("vault.touchkeep")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(env: &[(&str, &str)], owned: bool) -> Result<Paths, NoHome> {
        let lookup = |name: &str| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        };
        Paths::find(&lookup, 1000, &|_| owned)
    }

    #[test]
    fn one_variable_moves_everything() {
        let paths = find(&[("TOUCHKEEP_HOME", "/t"), ("HOME", "/home/z")], true).unwrap();
        assert_eq!(paths, Paths::below(Path::new("/t")));
        assert_eq!(paths.agent_socket(), Path::new("/t/run/agent.sock"));
    }

    #[test]
    fn xdg_says_where() {
        let env = [
            ("HOME", "/home/z"),
            ("XDG_RUNTIME_DIR", "/run/user/7"),
            ("XDG_DATA_HOME", "/d"),
            ("XDG_CONFIG_HOME", "relative"),
        ];
        let paths = find(&env, true).unwrap();
        assert_eq!(paths.run, Path::new("/run/user/7/touchkeep"));
        assert_eq!(paths.data, Path::new("/d/touchkeep"));
        assert_eq!(
            paths.config,
            Path::new("/home/z/.config/touchkeep/config.toml")
        );
    }

    #[test]
    fn without_a_runtime_folder_the_login_folder_and_then_the_state_folder_serve() {
        let env = [("HOME", "/home/z")];
        assert_eq!(
            find(&env, true).unwrap().run,
            Path::new("/run/user/1000/touchkeep")
        );
        assert_eq!(
            find(&env, false).unwrap().run,
            Path::new("/home/z/.local/state/touchkeep/run")
        );
    }

    #[test]
    fn without_a_home_nothing_is_guessed() {
        assert_eq!(find(&[], false), Err(NoHome::Nowhere));
        assert_eq!(find(&[("HOME", "here")], false), Err(NoHome::Nowhere));
        let relative = [("HOME", "/home/z"), ("TOUCHKEEP_HOME", "demo")];
        assert_eq!(find(&relative, false), Err(NoHome::Relative));
        let empty = [("HOME", "/home/z"), ("TOUCHKEEP_HOME", "")];
        assert!(find(&empty, false).is_ok());
    }
}
