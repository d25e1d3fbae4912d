//! The example `run-masked`, with a value.
#![allow(dead_code, reason = "not every test needs everything")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) const SECRET: &str = "s3cr3t-value-of-the-test";
pub(crate) const HIDDEN: &str = "<hidden by touchkeep>";

pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let build = test.parent().and_then(Path::parent).unwrap();
    build.join("examples/run-masked")
}

/// `run-masked WAY --`, for a program to follow.
pub(crate) fn masked(way: &str) -> Command {
    let mut command = Command::new(program());
    command.args([way, "--"]).env("VALUES", SECRET);
    command
}
