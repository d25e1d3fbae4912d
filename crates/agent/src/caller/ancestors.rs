//! Parents of those who ask, as they were looked at a moment ago: most programs are started by few others.
//!
//! # What is given up
//! Nothing is decided by a parent of the client: it is shown to a person, and recorded. So of one that was looked at less than
//! [`FOR`] ago it is only looked at again whether it lives and still runs the same program; the name that it gave itself, and
//! the path of its file, may be so old. Whoever asks, and on whose behalf, is looked at anew for each connection.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{folder::Folder, process::Process};

/// How old a look may be.
const FOR: Duration = Duration::from_secs(10);
/// Each holds a descriptor.
const MAX_KNOWN: usize = 16;

static KNOWN: Mutex<Vec<Known>> = Mutex::new(Vec::new());

struct Known {
    one: Looked,
    at: Instant,
}

/// A process that was looked at, with its folder.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub(super) process: Process,
    pub(super) folder: Arc<Folder>,
}

impl Looked {
    /// Now.
    pub(super) fn now(pid: i32) -> Option<Self> {
        let folder = Folder::open(pid)?;
        Some(Self {
            process: Process::look_in(pid, &folder)?,
            folder: Arc::new(folder),
        })
    }

    /// Now, or a moment ago if it still lives and runs the same program: its folder is nobody else's after its end.
    pub(super) fn lately(pid: i32) -> Option<Self> {
        let known = {
            let mut known = lock();
            known.retain(|known| known.at.elapsed() < FOR);
            let found = known.iter().find(|known| known.one.process.pid == pid);
            found.map(|known| known.one.clone())
        };
        if let Some(one) = known
            && one.is_unchanged()
        {
            return Some(one);
        }
        let one = Self::now(pid)?;
        remember(&one);
        Some(one)
    }

    fn is_unchanged(&self) -> bool {
        let executable = self.process.executable.as_ref();
        executable.is_some_and(|executable| executable.is_still_in(&self.folder))
    }
}

/// Whoever turned out to have another parent is looked at anew.
pub(super) fn forget() {
    lock().clear();
}

fn remember(one: &Looked) {
    let mut known = lock();
    known.retain(|known| known.one.process.pid != one.process.pid);
    if known.len() >= MAX_KNOWN {
        known.remove(0);
    }
    known.push(Known {
        one: one.clone(),
        at: Instant::now(),
    });
}

fn lock() -> std::sync::MutexGuard<'static, Vec<Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_used_again_and_no_more_are_kept_than_that() {
        let own = i32::try_from(std::process::id()).unwrap();
        let first = Looked::lately(own).unwrap();
        let second = Looked::lately(own).unwrap();
        assert!(Arc::ptr_eq(&first.folder, &second.folder));
        assert_eq!(first.process, second.process);
        for pid in 0..100 {
            let mut other = first.clone();
            other.process.pid = 2_000_000 + pid;
            remember(&other);
        }
        assert_eq!(lock().len(), MAX_KNOWN);
        forget();
        let third = Looked::lately(own).unwrap();
        assert!(!Arc::ptr_eq(&first.folder, &third.folder));
    }

    #[test]
    fn an_old_look_is_no_look() {
        let own = i32::try_from(std::process::id()).unwrap();
        let first = Looked::lately(own).unwrap();
        for known in lock().iter_mut() {
            known.at = known.at.checked_sub(FOR).unwrap();
        }
        let second = Looked::lately(own).unwrap();
        assert!(!Arc::ptr_eq(&first.folder, &second.folder));
    }
}
