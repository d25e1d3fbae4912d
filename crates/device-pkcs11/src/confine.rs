//! What the child gives up before it loads a module, and what it is given of the environment.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs, io,
    os::fd::RawFd,
};

use rustix::{
    process::{DumpableBehavior, Resource, Rlimit, Signal},
    thread::set_no_new_privs,
    time::{ClockId, clock_gettime},
};

use crate::raw;

/// Address space: modules with a runtime of their own reserve more than they use.
const MEMORY_BYTES: u64 = 4 << 30;
/// The largest file that a module may write: token stores and logs.
const FILE_BYTES: u64 = 256 << 20;
/// Open files.
const FILES: u64 = 512;

/// What a module's environment is made of. Everything else that the agent was started with (`LD_PRELOAD` among it) stays out.
const NAMES: [&str; 12] = [
    "HOME",
    "LANG",
    "PATH",
    "TZ",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "PCSCLITE_CSOCK_NAME",
    "SOFTHSM2_CONF",
    "YUBIHSM_PKCS11_CONF",
    "CKNFAST_LOADSHARING",
    "ChrystokiConfigurationPath",
];
const PREFIXES: [&str; 10] = [
    "LC_",
    "PKCS11_",
    "YKCS11",
    "OPENSC_",
    "NSS",
    "TPM2_PKCS11_",
    "TSS2_",
    "P11_KIT_",
    "CKNFAST_",
    "CS_PKCS11_",
];

/// The part of this process' environment that a module may see.
pub(crate) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter(|(name, _)| is_passed_on(name))
}

fn is_passed_on(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Makes this process one that may load foreign code: no descriptors but the three, no core, no tracing, no new privileges,
/// bounded memory and files, and an end with the thread that started it.
pub(crate) fn this_process() -> io::Result<()> {
    raw::close_all(&inherited()?);
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    set_no_new_privs(true)?;
    limit(Resource::Core, 0)?;
    limit(Resource::As, MEMORY_BYTES)?;
    limit(Resource::Fsize, FILE_BYTES)?;
    limit(Resource::Nofile, FILES)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

fn inherited() -> io::Result<Vec<RawFd>> {
    let names = fs::read_dir("/proc/self/fd")?.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let mut numbers: Vec<RawFd> = names
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    // The folder was open while it was listed, and stands in its own list.
    numbers.retain(|number| {
        *number > 2 && fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()
    });
    Ok(numbers)
}

/// Whether what was loaded since has a socket open.
pub(crate) fn has_socket() -> bool {
    let open = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten();
    let mut open = open.filter(|entry| {
        // The three came with the process; standard error is often the journal's socket.
        let number = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        number.is_some_and(|number: RawFd| number > 2)
    });
    open.any(|entry| {
        fs::read_link(entry.path()).is_ok_and(|target| {
            target
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(b"socket:")
        })
    })
}

// Never more than what is allowed already.
fn limit(what: Resource, most: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(what);
    let most = now.maximum.map_or(most, |maximum| maximum.min(most));
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    Ok(rustix::process::setrlimit(what, limit)?)
}

/// Allows so many more seconds of processor time; one that computes on after its answer is ended by the kernel.
pub(crate) fn allow_seconds(more: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(Resource::Cpu);
    let wanted = used_seconds() + more;
    let limit = Rlimit {
        current: Some(now.maximum.map_or(wanted, |maximum| maximum.min(wanted))),
        maximum: now.maximum,
    };
    Ok(rustix::process::setrlimit(Resource::Cpu, limit)?)
}

fn used_seconds() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    u64::try_from(used).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loader_would_follow_is_not_passed_on() {
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "OPENSSL_CONF",
            "XNSS",
            "SSH_AUTH_SOCK",
        ] {
            assert!(!is_passed_on(OsStr::new(name)), "{name}");
        }
        for name in [
            "SOFTHSM2_CONF",
            "YKCS11_DBG",
            "OPENSC_CONF",
            "NSS_LIB_PARAMS",
            "LC_ALL",
        ] {
            assert!(is_passed_on(OsStr::new(name)), "{name}");
        }
    }

    // Against what ps says: whole seconds, of which one may pass between the two.
    #[test]
    fn processor_time_is_what_ps_says() {
        let started = std::time::Instant::now();
        while used_seconds() == 0 && started.elapsed().as_secs() < 60 {
            std::hint::spin_loop();
        }
        let pid = std::process::id().to_string();
        let arguments = ["-o", "cputimes=", "-p", &pid];
        let output = std::process::Command::new("ps").args(arguments).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let theirs: u64 = text.trim().parse().unwrap();
        let ours = used_seconds();
        assert!(ours >= 1 && ours.abs_diff(theirs) <= 1, "{ours} {theirs}");
    }
}
