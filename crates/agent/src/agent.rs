//! What the agent holds, and its life from start to end.

use std::sync::Arc;

use tokio::sync::watch;
use touchkeep_client::Paths;
use touchkeep_wire::Status;

use crate::{config::Config, desktop::Desktop, prompts::Prompts};

/// The agent.
pub(crate) struct Agent {
    paths: Paths,
    config: Config,
    prompts: Prompts,
    stopping: watch::Sender<bool>,
}

impl Agent {
    pub(crate) fn new(paths: Paths, config: Config) -> Arc<Self> {
        let desktop = Desktop::find(&|name| std::env::var_os(name));
        Arc::new(Self {
            paths,
            config,
            prompts: Prompts::new(desktop),
            stopping: watch::channel(false).0,
        })
    }

    /// This program's version.
    pub(crate) const fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    pub(crate) const fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// Turns true once.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Ends the agent.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) fn status(&self) -> Status {
        let path = self
            .config
            .vault
            .clone()
            .unwrap_or_else(|| self.paths.default_vault());
        Status {
            vault: None,
            path: path.display().to_string(),
            unlocked: false,
            proxy: None,
            waiting: u32::try_from(self.prompts.list().len()).unwrap_or(u32::MAX),
            version: self.version().to_owned(),
        }
    }
}

/// Returns once the agent is to end.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An agent that is gone has stopped too.
    let _ = stopping.wait_for(|stop| *stop).await;
}
