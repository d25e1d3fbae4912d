//! Who may be holding a card: other processes of this user that talk to the same pcscd. pcscd itself does not say.

use std::{env, fs, os::unix::fs::MetadataExt, process};

use touchkeep_device::Holder;

const SOCKET: &str = "PCSCLITE_CSOCK_NAME";
const LIBRARY: &str = "libpcsclite";

/// The processes of this user, other than this one, that have the PC/SC library loaded and use the same pcscd. Those that
/// are known to keep cards for long come first. What another user runs cannot be seen.
#[must_use]
pub fn holders() -> Vec<Holder> {
    let own = process::id();
    let service = env::var_os(SOCKET);
    let Ok(uid) = fs::metadata("/proc/self").map(|data| data.uid()) else {
        return Vec::new();
    };
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut holders: Vec<Holder> = pids
        .filter(|pid| *pid != own)
        .filter(|pid| fs::metadata(format!("/proc/{pid}")).is_ok_and(|data| data.uid() == uid))
        .filter(|pid| has_the_library(*pid) && service_of(*pid) == service)
        .filter_map(|pid| {
            let name = touchkeep_core::text::visible(&name_of(pid)?);
            Some(Holder { name, pid })
        })
        .collect();
    holders.sort_by_key(|holder| (remedy(&holder.name).is_none(), holder.pid));
    holders
}

/// Bytes of a name that the system keeps.
const KEPT: usize = 15;

// A name that the system may have cut is looked for in whole: it is that of the program, or of the script that it runs.
fn name_of(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let name = name.trim_end_matches('\n');
    if name.len() < KEPT {
        return Some(name.to_owned());
    }
    let program = fs::read_link(format!("/proc/{pid}/exe"));
    let program = program.map(|path| path.to_string_lossy().into_owned());
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments = arguments.split(|byte| *byte == 0).take(2);
    let arguments = arguments.map(|argument| String::from_utf8_lossy(argument).into_owned());
    let whole = program.into_iter().chain(arguments).find_map(|path| {
        let last = path.trim_end_matches(" (deleted)").rsplit('/').next()?;
        last.starts_with(name).then(|| last.to_owned())
    });
    Some(whole.unwrap_or_else(|| name.to_owned()))
}

fn has_the_library(pid: u32) -> bool {
    // A process that may not be read is not listed; it is another's, or ends just now.
    fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains(LIBRARY))
}

fn service_of(pid: u32) -> Option<std::ffi::OsString> {
    use std::os::unix::ffi::OsStrExt;
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let prefix = format!("{SOCKET}=");
    let mut variables = environment.split(|byte| *byte == 0);
    variables.find_map(|variable| {
        let value = variable.strip_prefix(prefix.as_bytes())?;
        Some(std::ffi::OsStr::from_bytes(value).to_owned())
    })
}

/// What a person can do about these holders, in one sentence for each that is known.
#[must_use]
pub fn what_to_do(holders: &[Holder]) -> String {
    let mut known: Vec<&str> = holders
        .iter()
        .filter_map(|holder| remedy(&holder.name))
        .collect();
    known.dedup();
    match (known.is_empty(), holders) {
        (false, _) => format!("{} Then try again.", known.join(" ")),
        (true, []) => {
            "Close other programs that use the card (gpg, ykman, an authenticator, a browser) and try again.".into()
        }
        (true, _) => "Close it and try again.".into(),
    }
}

/// What lets go of a card, for programs that are known to keep it. Names are cut at 15 characters by the system.
fn remedy(name: &str) -> Option<&'static str> {
    let known = [
        ("scdaemon", "Let GnuPG go of it: gpgconf --kill scdaemon."),
        (
            "yubikey-agent",
            "Let yubikey-agent go of it: pkill -HUP yubikey-agent.",
        ),
        ("ykman", "End ykman."),
        ("authenticator", "Close the Yubico Authenticator."),
        ("yubioath", "Close the Yubico Authenticator."),
        ("age-plugin-yubi", "Wait for age to end."),
        (
            "ssh-pkcs11-help",
            "Take the card out of ssh-agent: ssh-add -e with the path of its PKCS#11 module.",
        ),
        (
            "p11-kit",
            "End the program that has a PKCS#11 module loaded.",
        ),
        (
            "firefox",
            "Close the browser, or unload the security device in its settings.",
        ),
        ("chrom", "Close the browser."),
        ("opensc", "End opensc-notify and the other OpenSC tools."),
    ];
    known
        .iter()
        .find_map(|(start, remedy)| name.starts_with(start).then_some(*remedy))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str) -> Holder {
        Holder {
            name: name.into(),
            pid: 1,
        }
    }

    #[test]
    fn a_name_that_the_system_cuts_is_said_in_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-name-of-more-than-fifteen");
        fs::copy("/bin/sleep", &path).unwrap();
        let mut child = process::Command::new(&path).arg("60").spawn().unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // Until it has become that program it is still this one.
        let mut name = String::new();
        while name != "a-name-of-more-than-fifteen" && std::time::Instant::now() < until {
            name = name_of(child.id()).unwrap_or_default();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(name, "a-name-of-more-than-fifteen");
        let own = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(name_of(process::id()).unwrap().starts_with(own.trim_end()));
    }

    #[test]
    fn what_is_known_gets_a_command_and_the_rest_a_hint() {
        assert!(what_to_do(&[holder("scdaemon")]).contains("gpgconf --kill scdaemon"));
        assert_eq!(what_to_do(&[holder("mystery")]), "Close it and try again.");
        assert!(what_to_do(&[]).contains("other programs"));
        let twice = what_to_do(&[holder("ykman"), holder("ykman"), holder("mystery")]);
        assert_eq!(twice, "End ykman. Then try again.");
    }
}
