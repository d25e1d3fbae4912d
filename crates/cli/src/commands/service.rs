//! `agent stop | install | uninstall`: the agent that runs; units for systemd's manager of this user, which listens at the agent's sockets and starts it
//! at the first call.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use touchkeep_client::{ConnectError, Connection, Paths, connection::stop_any, installed};
use touchkeep_core::Code;
use touchkeep_wire::{Failure, StopAgent};

use super::{Done, NAME};
use crate::output::Output;

const SOCKET: &str = "touchkeep-agent.socket";
const SERVICE: &str = "touchkeep-agent.service";

/// Ends the agent that runs, whatever its version.
pub(super) async fn stop(output: Output) -> Done {
    let paths = touchkeep_values::ask::paths()?;
    let socket = paths.agent_socket();
    let ended = match Connection::connect(&socket, NAME).await {
        Ok(agent) => agent
            .call(StopAgent {})
            .await
            .map(|_| true)
            .map_err(|error| error.failure())?,
        Err(ConnectError::NotRunning) => {
            output.done("No agent runs.");
            return Ok(ExitCode::SUCCESS);
        }
        Err(ConnectError::Refused(failure)) if failure.code == Code::ProtocolMismatch => {
            stop_any(&socket, NAME)
                .await
                .map_err(|error| error.failure())?
        }
        Err(error) => return Err(error.failure()),
    };
    if ended {
        output.done("The agent has locked and ended.");
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(
        Code::ProtocolMismatch,
        "The agent that runs is of a version that this program cannot end.",
        "End it with the program that started it, or log out and in again.",
    ))
}

/// Writes the units, and has systemd listen.
pub(super) async fn install(output: Output) -> Done {
    let paths = touchkeep_values::ask::paths()?;
    let units = Units::of(&paths, &installed::agent_program()?)?;
    let folder = folder()?;
    fs::create_dir_all(&folder).map_err(|error| system(&folder, &error))?;
    for (name, text) in [(SOCKET, &units.socket), (SERVICE, &units.service)] {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| system(&path, &error))?;
    }
    output.say(&format!(
        "Wrote {SOCKET} and {SERVICE} into {}.",
        folder.display()
    ));
    // One agent at a time: the one that runs would keep systemd from its sockets.
    if let Ok(running) = Connection::connect(&paths.agent_socket(), NAME).await {
        let _ended = running.call(StopAgent {}).await;
    }
    if systemctl(&["daemon-reload"]) && systemctl(&["enable", "--now", SOCKET]) {
        output.done("systemd listens for the agent, and starts it at the first call.");
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(
        Code::System,
        "The units are written, but systemd's manager of this user was not reached.",
        format!(
            "In a session of yours, run: systemctl --user daemon-reload && systemctl --user enable --now {SOCKET}"
        ),
    ))
}

/// Takes the units away.
pub(super) async fn uninstall(output: Output) -> Done {
    let folder = folder()?;
    let installed = [SOCKET, SERVICE].map(|name| folder.join(name));
    if !installed.iter().any(|path| path.exists()) {
        output.done("No units of the agent are installed.");
        return Ok(ExitCode::SUCCESS);
    }
    let paths = touchkeep_values::ask::paths()?;
    if let Ok(running) = Connection::connect(&paths.agent_socket(), NAME).await {
        let _ended = running.call(StopAgent {}).await;
    }
    let reached = systemctl(&["disable", "--now", SOCKET, SERVICE]);
    for path in &installed {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(system(path, &error));
            }
            _ => {}
        }
    }
    let reloaded = systemctl(&["daemon-reload"]);
    output.done("The units are removed. The agent is started by the first command that needs it.");
    if !reached || !reloaded {
        output.say("systemd's manager of this user was not reached; in a session of yours, run: systemctl --user daemon-reload");
    }
    Ok(ExitCode::SUCCESS)
}

struct Units {
    socket: String,
    service: String,
}

impl Units {
    fn of(paths: &Paths, program: &Path) -> Result<Self, Failure> {
        let home = std::env::var_os(touchkeep_client::paths::HOME_VARIABLE).map(PathBuf::from);
        let environment = home
            .map(|home| {
                Ok(format!(
                    "Environment={}\n",
                    quoted(&format!("TOUCHKEEP_HOME={}", word(&home)?))
                ))
            })
            .transpose()?
            .unwrap_or_default();
        let (agent, ui) = (word(&paths.agent_socket())?, word(&paths.ui_socket())?);
        Ok(Self {
            socket: format!(
                "[Unit]\n\
                 Description=Sockets of the Touchkeep agent\n\
                 Documentation=https://github.com/touchkeep/touchkeep/blob/main/docs/agent.md\n\n\
                 [Socket]\n\
                 ListenStream={ui}\n\
                 ListenStream={agent}\n\
                 SocketMode=0600\n\
                 DirectoryMode=0700\n\n\
                 [Install]\n\
                 WantedBy=sockets.target\n"
            ),
            service: format!(
                "[Unit]\n\
                 Description=Touchkeep agent\n\
                 Documentation=https://github.com/touchkeep/touchkeep/blob/main/docs/agent.md\n\
                 Requires={SOCKET}\n\
                 After={SOCKET}\n\n\
                 [Service]\n\
                 ExecStart={} agent\n\
                 {environment}\
                 Restart=on-failure\n\
                 RestartSec=1\n\
                 # What the agent does to itself, from before its first instruction on.\n\
                 UMask=0077\n\
                 LimitCORE=0\n\
                 NoNewPrivileges=yes\n\
                 KeyringMode=private\n\
                 LockPersonality=yes\n\
                 RestrictRealtime=yes\n\
                 RestrictSUIDSGID=yes\n\
                 SystemCallArchitectures=native\n\
                 RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n\
                 # Nothing that makes a mount namespace (ProtectSystem and the like): the agent would take every other program\n\
                 # for one in a container. Nothing that the desktop's web view cannot live with, which the agent may start.\n",
                quoted(&word(program)?)
            ),
        })
    }
}

// A path as a unit takes it: `%` begins a specifier there.
fn word(path: &Path) -> Result<String, Failure> {
    let text = path
        .to_str()
        .filter(|text| !text.chars().any(char::is_control));
    text.map(|text| text.replace('%', "%%")).ok_or_else(|| {
        Failure::new(
            Code::Invalid,
            format!("{}: a unit cannot hold this path.", path.display()),
            "Move it to a path of printable characters.",
        )
    })
}

// systemd.syntax(7): in double quotes, with C's escapes. `$` would begin a variable in a command.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('$', "$$");
    format!("\"{escaped}\"")
}

fn folder() -> Result<PathBuf, Failure> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|config| config.join("systemd/user"))
        .ok_or_else(|| {
            Failure::new(
                Code::System,
                "HOME does not say where units belong.",
                "Set HOME.",
            )
        })
}

fn systemctl(words: &[&str]) -> bool {
    Command::new("systemctl")
        .arg("--user")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn system(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Code::System,
        format!("{}: {error}.", path.display()),
        "Check the permissions of that folder. The agent starts without systemd, too: with any command.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_reads_the_units_as_they_are_meant() {
        let folder = tempfile::tempdir().unwrap();
        let units = Units::of(&Paths::below(folder.path()), Path::new("/bin/true")).unwrap();
        fs::write(folder.path().join(SOCKET), &units.socket).unwrap();
        fs::write(folder.path().join(SERVICE), &units.service).unwrap();
        let verified = Command::new("systemd-analyze")
            .args(["--user", "verify"])
            .arg(folder.path().join(SOCKET))
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()))
            .output()
            .expect("apt install systemd");
        let said = [verified.stdout, verified.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            verified.status.success() && !said.contains("Unknown"),
            "{said}"
        );
    }

    #[test]
    fn odd_paths_are_escaped_and_impossible_ones_refused() {
        let paths = Paths::below(Path::new("/a %h \"b\""));
        let units = Units::of(&paths, Path::new("/opt/my $x/touch\\keep")).unwrap();
        assert!(
            units
                .socket
                .contains("ListenStream=/a %%h \"b\"/run/agent.sock\n")
        );
        assert!(
            units
                .service
                .contains("ExecStart=\"/opt/my $$x/touch\\\\keep\" agent\n")
        );
        assert!(Units::of(&paths, Path::new("/a\nExecStart=/evil")).is_err());
    }
}
