//! A program that asks the agent for items, and a vault that has some.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use touchkeep_client::Connection;
use touchkeep_wire::{AddItem, CreateVault, NewDevice, NewSecret, SecretText};

use super::Agent;

/// A program of the test's own that asks the agent.
pub struct Asker {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

pub fn asker() -> PathBuf {
    let path = super::program().with_file_name("asker");
    assert!(
        path.is_file(),
        "build it: cargo build -p touchkeep-agent --example asker"
    );
    path
}

impl Asker {
    pub fn start(program: &Path, agent: &Agent) -> Self {
        let mut child = Command::new(program)
            .env("TOUCHKEEP_HOME", agent.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self {
            child,
            to,
            from: BufReader::new(from),
        }
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.to, "{line}").unwrap();
    }

    pub async fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }

    /// Its next answer.
    pub fn hear(&mut self) -> String {
        tokio::task::block_in_place(|| {
            let mut answer = String::new();
            self.from.read_line(&mut answer).unwrap();
            answer.trim().to_owned()
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a practice vault with these items: name, class, whether its secret is sealed.
pub async fn vault_with(client: &Connection, agent: &Agent, items: &[(&str, &str, bool)]) {
    client
        .call(CreateVault {
            path: agent.home.path().join("v.touchkeep").display().to_string(),
            user: "me".into(),
            environment: "prod".into(),
            practice: true,
            device: NewDevice::Software { work_factor: 1 },
        })
        .await
        .unwrap();
    for (name, class, sealed) in items {
        let value = SecretText::new("canary-secret-value".into());
        client
            .call(
                AddItem::new("exchange-key", *name)
                    .field("venue", "binance")
                    .field("key-set", *name)
                    .field("class", *class)
                    .field("api-key", "api-key-of-the-test")
                    .secret(
                        "secret",
                        if *sealed {
                            NewSecret::Sealed { value }
                        } else {
                            NewSecret::Stored { value }
                        },
                    ),
            )
            .await
            .unwrap();
    }
}
