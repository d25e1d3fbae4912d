//! `read`, `run` and `inject`: values for programs.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};

/// `read`.
#[derive(Debug, Args)]
pub struct Read {
    /// Which value: tk://environment/item/field.
    pub reference: String,
    /// Nothing after the value, on a terminal too.
    #[arg(long)]
    pub no_newline: bool,
    /// Write it to a new file that you alone can read.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace that file where it is there.
    #[arg(long, requires = "out")]
    pub force: bool,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// Set what stands in this file, too; a later one wins, and all win over what is inherited.
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Give a value as a file that ends with the program, NAME being its path; with `,reads=N` as a pipe that can be read so often.
    #[arg(long, value_name = "NAME=REF[,reads=N]")]
    pub mount: Vec<String>,
    /// Do not mask what it prints.
    #[arg(long)]
    pub no_mask: bool,
    /// What is masked: values as they stand, or encoded ones (base64, hex, percent, JSON), too.
    #[arg(long, value_enum, default_value_t = Mask::Encoded, conflicts_with = "no_mask")]
    pub mask: Mask,
    /// No hints and no warnings.
    #[arg(long, short)]
    pub quiet: bool,
    /// The program and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What is masked: a value as it stands, or what encodings make of it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "they would become a part of the help")]
pub enum Mask {
    Encoded,
    Exact,
}

/// How `run` starts itself between a terminal and a program.
#[derive(Debug, Args)]
pub struct RunMonitor {
    /// The descriptor of the control socket.
    pub control: i32,
    /// `foreground` or `background`.
    pub place: String,
    /// The program and its arguments.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub command: Vec<OsString>,
}

/// `inject`.
#[derive(Debug, Args)]
pub struct Inject {
    /// The template; `-` for stdin.
    #[arg(long = "in", short = 'i', value_name = "FILE", default_value = "-")]
    pub template: PathBuf,
    /// A new file that you alone can read; `-` for stdout.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Replace that file where it is there.
    #[arg(long)]
    pub force: bool,
}
