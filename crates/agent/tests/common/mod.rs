//! An agent of a test's own: a private folder, a private process, ended with the test.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may fail loudly, and each uses a part of this"
)]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use touchkeep_client::{ConnectError, Connection, FrontEnd, Paths};

/// Nothing here takes this long on the slowest machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent.
pub struct Agent {
    pub home: TempDir,
    pub paths: Paths,
    pub child: Child,
}

/// The example program that is nothing but the agent; cargo builds it with the tests.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/agent");
    assert!(
        program.is_file(),
        "build it: cargo build -p touchkeep-agent --example agent"
    );
    program
}

impl Agent {
    pub async fn start() -> Self {
        Self::start_with("approval_seconds = 20\n", &[]).await
    }

    pub async fn start_with(config: &str, env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let child = spawn(home.path(), env);
        let paths = Paths::below(home.path());
        let agent = Self { home, paths, child };
        agent.client().await;
        agent
    }

    /// Starts it again in the same folder.
    pub async fn restart(&mut self) {
        self.child = spawn(self.home.path(), &[]);
        self.client().await;
    }

    pub async fn client(&self) -> Connection {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Connection::connect(&self.paths.agent_socket(), "test").await {
                Ok(connection) => return connection,
                Err(ConnectError::NotRunning) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}; log: {}", self.log()),
            }
        }
    }

    pub async fn front_end(&self) -> FrontEnd {
        FrontEnd::connect(&self.paths.ui_socket(), "test front end")
            .await
            .unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "it does not end; log: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn spawn(home: &Path, env: &[(&str, &str)]) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(home.join("log"))
        .unwrap();
    Command::new(program())
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .env("TOUCHKEEP_HOME", home)
        .env("TOUCHKEEP_LOG", "trace")
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
