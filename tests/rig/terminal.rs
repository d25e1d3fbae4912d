//! Terminals of a test's own, as `script` of util-linux makes them.

use std::process::{Command, Stdio};

use crate::Home;

impl Home {
    /// A line of shell at a terminal of its own, in this home: what it shows comes out of a pipe, what is put into another one
    /// is typed, and it ends with the line's exit code.
    #[must_use]
    pub fn at_a_terminal(&self, line: &str) -> Command {
        let mut terminal = Command::new("script");
        terminal
            .args(["-qfec", line, "/dev/null"])
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        terminal
    }
}
