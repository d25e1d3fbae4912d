//! What the process does to itself before it holds the first secret.

use std::io;

use rustix::{
    fs::Mode,
    process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask},
    thread::set_no_new_privs,
};

/// No core files, no `ptrace` and no `/proc/PID/mem` for other processes of the same user, no file that others may read, and
/// no more rights for anything that is started from here.
///
/// # Errors
/// When the operating system refuses; then the agent does not start.
pub(crate) fn harden() -> io::Result<()> {
    umask(Mode::from_raw_mode(0o077));
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_no_new_privs(true)?;
    Ok(())
}
