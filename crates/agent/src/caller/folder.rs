//! The folder of a process in `/proc` (proc(5)), opened once.

use std::{
    ffi::OsString,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::PathBuf,
};

use rustix::{
    buffer::spare_capacity,
    fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, readlinkat, statat},
    io::read,
};

/// What is read of a file at once.
const AT_ONCE: usize = 4096;
/// No file that is read here is longer.
const MAX_BYTES: usize = 64 * 1024;

/// It stays its process's own: what is looked up in it after that has ended fails, whoever has been given the number since
/// (pidfd_open(2) says so of these folders). So everything that is read through one is of one process, without a second look.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Of the process that has this number now; none where it is nobody's.
    pub(super) fn open(pid: i32) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, format!("/proc/{pid}"), flags, Mode::empty())
            .ok()
            .map(Self)
    }

    /// A file.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(self.0.as_fd(), name, flags, Mode::empty()).ok()?;
        let mut bytes = Vec::with_capacity(AT_ONCE);
        while bytes.len() < MAX_BYTES {
            bytes.reserve(AT_ONCE);
            if read(&file, spare_capacity(&mut bytes)).ok()? == 0 {
                break;
            }
        }
        Some(bytes)
    }

    /// Where a link leads, as the kernel words it.
    pub(super) fn link(&self, name: &str) -> Option<PathBuf> {
        let target = readlinkat(self.0.as_fd(), name, Vec::with_capacity(256)).ok()?;
        Some(OsString::from_vec(target.into_bytes()).into())
    }

    /// What a link leads to, whatever is at its path now.
    pub(super) fn target(&self, name: &str) -> Option<Stat> {
        statat(self.0.as_fd(), name, AtFlags::empty()).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::CommandExt,
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn it_is_nobodys_once_its_process_has_ended() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let folder = Folder::open(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(folder.read("stat").unwrap().ends_with(b"\n"));
        assert!(folder.link("exe").unwrap().ends_with("cat"));
        assert!(folder.target("exe").is_some());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(folder.read("stat").is_none() && folder.link("exe").is_none());
        assert!(folder.target("exe").is_none());
    }

    #[test]
    fn a_file_is_read_to_its_end() {
        let long = "x".repeat(3 * AT_ONCE);
        let child = Command::new("sleep").args(["60", "0"]).arg0(&long).spawn();
        let mut child = child.unwrap();
        let folder = Folder::open(i32::try_from(child.id()).unwrap()).unwrap();
        // `spawn` returns before the new program's words are where the kernel reads them.
        let words = loop {
            match folder.read("cmdline").unwrap() {
                words if words.is_empty() => std::thread::yield_now(),
                words => break words,
            }
        };
        assert_eq!(words, format!("{long}\0{}\0{}\0", 60, 0).into_bytes());
        child.kill().and_then(|()| child.wait()).unwrap();
    }

    #[test]
    fn there_is_none_of_a_number_that_is_nobodys() {
        assert!(Folder::open(i32::MAX).is_none());
    }
}
