//! Which programs are our own: what is installed beside the agent's own file, and nothing else.

use touchkeep_client::installed::COMMAND;

use super::{Executable, Process};

/// The kernel keeps so many bytes of a process's name.
const NAME_BYTES: usize = 15;

/// Whether a process only passes on what whoever started it asks for: it is our own command line.
///
/// It protects its memory, so that where the agent is not root its executable cannot be looked at; then its name has to do.
/// That gives nothing away: whoever could take the name could start the real one.
pub(super) fn is_our_own(process: &Process) -> bool {
    let Some(own) = Executable::own() else {
        return false;
    };
    match &process.executable {
        Some(executable) => is_installed_with(own, executable),
        None => is_called_as_installed_with(own, &process.name),
    }
}

// The agent's own file is also the large command line; the small one lies beside it. Both may have been replaced since the
// agent was started, by whoever may replace the agent itself: so what runs has the same owner, and nobody may write to it who
// may not write to the agent's file.
fn is_installed_with(own: &Executable, executable: &Executable) -> bool {
    executable.is_same_file(own)
        || ((executable.is_at(own) || executable.is_beside(own, COMMAND))
            && executable.is_in_the_same_hands(own))
}

fn is_called_as_installed_with(own: &Executable, name: &str) -> bool {
    let kept = |full: &str| full.chars().take(NAME_BYTES).collect::<String>();
    name == COMMAND || own.file_name().is_some_and(|own| name == kept(&own))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, chown, symlink},
        path::{Path, PathBuf},
        process::{Child, Command},
    };

    use super::*;

    // A folder with an agent that runs from it.
    struct Installation {
        folder: tempfile::TempDir,
        own: Running,
    }

    struct Running(Child);

    impl Drop for Running {
        fn drop(&mut self) {
            let _ended = self.0.kill().and_then(|()| self.0.wait());
        }
    }

    impl Running {
        fn executable(&self) -> Executable {
            Executable::of(i32::try_from(self.0.id()).unwrap()).unwrap()
        }
    }

    impl Installation {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let agent = folder.path().join("touchkeep-agent");
            put(&agent, b"");
            let own = start(&agent);
            Self { folder, own }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        // Whether what runs from there is our own for this agent.
        fn takes(&self, program: &Path) -> bool {
            is_installed_with(&self.own.executable(), &start(program).executable())
        }
    }

    // A program that sleeps, and differs from others of its kind.
    fn put(at: &Path, more: &[u8]) {
        let mut bytes = fs::read("/bin/sleep").unwrap();
        bytes.extend_from_slice(more);
        let fresh = at.with_extension("fresh");
        fs::write(&fresh, bytes).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(fresh, at).unwrap();
    }

    // `spawn` returns once the new program has taken the process's place.
    fn start(program: &Path) -> Running {
        Running(Command::new(program).arg("60").spawn().unwrap())
    }

    #[test]
    fn both_files_of_the_installation_are_our_own() {
        let here = Installation::new();
        put(&here.at("touchkeep"), b"small");
        assert!(here.takes(&here.at("touchkeep")));
        assert!(here.takes(&here.at("touchkeep-agent")));
    }

    #[test]
    fn a_link_is_what_it_leads_to() {
        let (here, elsewhere) = (Installation::new(), tempfile::tempdir().unwrap());
        put(&here.at("touchkeep"), b"small");
        let link = elsewhere.path().join("tk");
        symlink(here.at("touchkeep"), &link).unwrap();
        assert!(here.takes(&link));
        // The name beside the agent, and somebody else's program behind it.
        let other = elsewhere.path().join("bot");
        put(&other, b"bot");
        fs::remove_file(here.at("touchkeep")).unwrap();
        symlink(&other, here.at("touchkeep")).unwrap();
        assert!(!here.takes(&here.at("touchkeep")));
    }

    #[test]
    fn a_copy_elsewhere_and_another_name_beside_are_not() {
        let (here, elsewhere) = (Installation::new(), tempfile::tempdir().unwrap());
        let copy = elsewhere.path().join("touchkeep");
        put(&copy, b"small");
        assert!(!here.takes(&copy));
        let agent = elsewhere.path().join("touchkeep-agent");
        put(&agent, b"");
        assert!(!here.takes(&agent));
        for name in [
            "bot",
            "touchkeep2",
            "touchkeep.old",
            "Touchkeep",
            "touchkeep-practice",
        ] {
            put(&here.at(name), b"small");
            assert!(!here.takes(&here.at(name)), "{name}");
        }
        let below = here.at("touchkeep-folder");
        fs::create_dir(&below).unwrap();
        put(&below.join("touchkeep"), b"small");
        assert!(!here.takes(&below.join("touchkeep")));
    }

    #[test]
    fn what_was_moved_to_another_name_while_it_runs_is_not() {
        let here = Installation::new();
        put(&here.at("touchkeep"), b"small");
        let running = start(&here.at("touchkeep"));
        let own = here.own.executable();
        assert!(is_installed_with(&own, &running.executable()));
        fs::rename(here.at("touchkeep"), here.at("bot")).unwrap();
        assert!(!is_installed_with(&own, &running.executable()));
    }

    #[test]
    fn an_upgrade_replaces_both_under_an_agent_that_runs() {
        let here = Installation::new();
        put(&here.at("touchkeep"), b"small");
        let old = start(&here.at("touchkeep"));
        put(&here.at("touchkeep"), b"small, newer");
        put(&here.at("touchkeep-agent"), b"newer");
        let own = here.own.executable();
        assert!(own.is_deleted() && old.executable().is_deleted());
        assert!(is_installed_with(&own, &old.executable()));
        assert!(here.takes(&here.at("touchkeep")));
        assert!(here.takes(&here.at("touchkeep-agent")));
    }

    #[test]
    fn what_others_may_write_to_or_own_is_not() {
        let here = Installation::new();
        put(&here.at("touchkeep"), b"small");
        for mode in [0o757, 0o775, 0o777] {
            let rights = fs::Permissions::from_mode(mode);
            fs::set_permissions(here.at("touchkeep"), rights).unwrap();
            assert!(!here.takes(&here.at("touchkeep")), "{mode:o}");
        }
        put(&here.at("touchkeep"), b"small");
        assert!(here.takes(&here.at("touchkeep")));
        // Where the agent's own file is as open, nothing is lost by it.
        let rights = fs::Permissions::from_mode(0o775);
        fs::set_permissions(here.at("touchkeep"), rights.clone()).unwrap();
        fs::set_permissions(here.at("touchkeep-agent"), rights).unwrap();
        assert!(here.takes(&here.at("touchkeep")));
        if rustix::process::geteuid().is_root() {
            put(&here.at("touchkeep"), b"small");
            chown(here.at("touchkeep"), Some(65_534), Some(65_534)).unwrap();
            assert!(!here.takes(&here.at("touchkeep")));
        }
    }

    #[test]
    fn what_cannot_be_looked_at_has_to_be_called_as_one_of_both() {
        let here = Installation::new();
        let own = here.own.executable();
        for name in ["touchkeep", "touchkeep-agent"] {
            assert!(is_called_as_installed_with(&own, name), "{name}");
        }
        for name in [
            "",
            "touch",
            "touchkeep-",
            "touchkeep-agent2",
            "bash",
            "touchkeep-deskt",
        ] {
            assert!(!is_called_as_installed_with(&own, name), "{name:?}");
        }
    }
}
