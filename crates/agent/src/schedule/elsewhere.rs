//! What others write to the vault's file: another program of the user, git, a folder that is shared. It may revoke a client, deny
//! what was allowed or take a device away, and is not to wait for the next thing that is saved here.
//!
//! An open vault takes it in and writes nothing. Of a locked one nobody can see what it says, so that armed keys end with it.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{Arc, Weak},
    time::Duration,
};

use touchkeep_vault::TakenIn;

use crate::{
    agent::Agent,
    devices::blocking,
    vault::{Armed, Because, Current, Open, disarm_because, lock_because},
};

/// Looks until one that failed is tried again, where the file stays as it is.
const AGAIN_AFTER: u32 = 60;

/// For so long a turn is waited for between signatures of a token.
const TURN: Duration = Duration::from_millis(500);

/// What is known of the file, since the unlock or the lock.
#[derive(Default)]
pub(super) struct Elsewhere {
    open: Weak<Open>,
    armed: Weak<Armed>,
    // Locked, and no keys are armed.
    is_idle: bool,
    file: File,
}

/// The file at the last look, and when something was last done about it.
#[derive(Default)]
struct File {
    known: Option<Look>,
    last: Option<Look>,
    failed_for: Option<u32>,
}

/// What tells a file that was written from one that was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    file: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok()?;
        Some(Self {
            file: (meta.dev(), meta.ino()),
            len: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }
}

impl File {
    // Whether it was written since something was done about it. Not while it is being written: it has to be the same at two looks.
    fn is_new(&mut self, now: Option<Look>) -> bool {
        let rests = now.is_some() && now == self.last;
        self.last = now;
        if let Some(looks) = &mut self.failed_for {
            *looks += 1;
            if *looks >= AGAIN_AFTER {
                *self = Self {
                    last: now,
                    ..Self::default()
                };
            }
        }
        rests && now != self.known
    }

    fn is_done(&mut self, well: bool) {
        self.known = self.last;
        self.failed_for = (!well).then_some(0);
    }
}

impl Elsewhere {
    /// Has an open vault take in what is new in its file; locks where that took away what it was opened with.
    pub(super) async fn look(&mut self, agent: &Arc<Agent>, current: &Arc<Current>) {
        let Some(open) = current.peek() else {
            return self.look_locked(agent, current).await;
        };
        if !Weak::ptr_eq(&self.open, &Arc::downgrade(&open)) {
            *self = Self {
                open: Arc::downgrade(&open),
                ..Self::default()
            };
        }
        drop(open);
        if !self.file.is_new(Look::at(current.path())) {
            return;
        }
        // A touch that is waited for looks at the vault. The next look comes soon.
        let Some(unused) = agent.devices().unused_within(TURN).await else {
            return;
        };
        let of = Arc::clone(current);
        let taken = blocking(move || {
            let taken = of.take_in();
            drop(unused);
            taken
        });
        match taken.await.and_then(|taken| taken) {
            Ok(TakenIn::NotOpened(why)) => {
                tracing::warn!(%why, "another copy took away what the vault was opened with");
                if let Err(failure) = lock_because(agent, Because::Elsewhere).await {
                    tracing::error!(what = failure.what, "the vault was not locked");
                }
            }
            Ok(taken) => {
                self.file.is_done(true);
                if matches!(taken, TakenIn::Something) {
                    tracing::info!("what was written to the vault's file elsewhere was taken in");
                    for what in ["vault", "items", "clients", "policy", "audit"] {
                        agent.prompts().changed(what);
                    }
                }
            }
            Err(failure) => {
                tracing::warn!(
                    what = failure.what,
                    "the vault's file was changed by others, and nothing of it was taken in"
                );
                self.file.is_done(false);
            }
        }
    }

    async fn look_locked(&mut self, agent: &Arc<Agent>, current: &Arc<Current>) {
        let Some(armed) = agent.armed() else {
            return self.look_at_devices(agent, current).await;
        };
        if !Weak::ptr_eq(&self.armed, &Arc::downgrade(&armed)) {
            *self = Self {
                armed: Arc::downgrade(&armed),
                ..Self::default()
            };
        }
        if !self.file.is_new(Look::at(armed.path())) {
            return;
        }
        match blocking(move || armed.is_of_the_file()).await {
            Ok(Ok(true)) => self.file.is_done(true),
            Ok(Ok(false)) => disarm_because(agent, BY_OTHERS).await,
            Ok(Err(failure)) | Err(failure) => {
                tracing::warn!(
                    what = failure.what,
                    "the vault's file was changed by others"
                );
                self.file.is_done(false);
            }
        }
    }
}

impl Elsewhere {
    // Which devices open it is said while it is locked, too.
    async fn look_at_devices(&mut self, agent: &Arc<Agent>, current: &Arc<Current>) {
        if !self.is_idle {
            *self = Self {
                is_idle: true,
                ..Self::default()
            };
        }
        if !self.file.is_new(Look::at(current.path())) {
            return;
        }
        let of = Arc::clone(current);
        let is_well = blocking(move || of.read_devices_anew()).await;
        self.file.is_done(matches!(is_well, Ok(Ok(()))));
        agent.prompts().changed("vault");
    }
}

/// Why armed keys ended.
const BY_OTHERS: &str = "The vault's file was changed elsewhere, and while it is locked nobody can see whether that revoked something.";

#[cfg(test)]
mod tests {
    use super::*;

    fn look(len: u64) -> Option<Look> {
        Some(Look {
            file: (1, 2),
            len,
            modified: (3, 4),
            changed: (5, 6),
        })
    }

    #[test]
    fn a_file_is_new_once_it_rests_and_until_something_was_done_about_it() {
        let mut file = File::default();
        assert!(!file.is_new(look(1)) && file.is_new(look(1)) && file.is_new(look(1)));
        file.is_done(true);
        assert!(!file.is_new(look(1)));
        // It is being written, and is away for a moment.
        assert!(!file.is_new(look(2)) && !file.is_new(look(3)) && !file.is_new(None));
        assert!(!file.is_new(None) && !file.is_new(look(4)) && file.is_new(look(4)));
        file.is_done(true);
        assert!((0..2 * AGAIN_AFTER).all(|_| !file.is_new(look(4))));
    }

    #[test]
    fn what_failed_is_tried_again_after_a_while() {
        let mut file = File::default();
        assert!(!file.is_new(look(1)) && file.is_new(look(1)));
        file.is_done(false);
        let again = (1..=AGAIN_AFTER).find(|_| file.is_new(look(1)));
        assert_eq!(again, Some(AGAIN_AFTER));
        file.is_done(false);
        assert!(
            !file.is_new(look(2)) && file.is_new(look(2)),
            "not for one that is another"
        );
    }
}
