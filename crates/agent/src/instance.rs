//! One agent per folder: whoever holds the lock file is it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::{
        fs::{FileTypeExt, OpenOptionsExt},
        net::UnixStream,
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

use tokio::net::UnixListener;

/// How long an agent may take to end that listens no more.
const ENDING: Duration = Duration::from_secs(10);
/// How long a connection stays open to one that runs.
const KEEPS: Duration = Duration::from_millis(200);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Held for as long as the agent runs. The kernel lets go of it however the agent ends.
#[derive(Debug)]
pub(crate) struct Instance {
    _lock: File,
}

impl Instance {
    /// Takes the lock; none when another agent holds it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The same, after an agent that holds the lock and no longer listens at `socket`: it is ending. None when one runs.
    pub(crate) fn take_after_another(path: &Path, socket: &Path) -> io::Result<Option<Self>> {
        let deadline = Instant::now() + ENDING;
        loop {
            let taken = Self::take(path)?;
            if taken.is_some() || is_served(socket) || Instant::now() >= deadline {
                return Ok(taken);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Listens at `path`, in the place of a socket that an earlier agent left. Only the holder of the lock may.
    pub(crate) fn listen(&self, path: &Path) -> io::Result<UnixListener> {
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.file_type().is_socket() => std::fs::remove_file(path)?,
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "something that is no socket is in its place",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(listener)
    }
}

// Whether somebody takes a connection, and keeps it: one who is ending may still have the socket, and lets go of it.
fn is_served(socket: &Path) -> bool {
    let mut stream = match UnixStream::connect(socket) {
        Ok(stream) => stream,
        Err(error) => {
            let nobody = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
            return !nobody.contains(&error.kind());
        }
    };
    if stream.set_read_timeout(Some(KEEPS)).is_err() {
        return true;
    }
    match stream.read(&mut [0]) {
        Ok(read) => read > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_agent_of_a_folder_gets_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.lock");
        let first = Instance::take(&path).unwrap();
        assert!(first.is_some());
        assert!(Instance::take(&path).unwrap().is_none());
        drop(first);
        assert!(Instance::take(&path).unwrap().is_some());
    }

    #[test]
    fn one_that_keeps_no_connection_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (path, socket) = (dir.path().join("lock"), dir.path().join("sock"));
        let first = Instance::take(&path).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        // Nobody has let go of it: it is one that runs.
        let taken = Instance::take_after_another(&path, &socket);
        assert!(taken.unwrap().is_none());
        let ending = thread::spawn(move || {
            for _ in 0..4 {
                drop(listener.accept().unwrap());
            }
            drop((listener, first));
        });
        let taken = Instance::take_after_another(&path, &socket);
        assert!(taken.unwrap().is_some());
        ending.join().unwrap();
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let instance = Instance::take(&dir.path().join("lock")).unwrap().unwrap();
        let path = dir.path().join("agent.sock");
        drop(instance.listen(&path).unwrap());
        drop(instance.listen(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        assert!(instance.listen(&path).is_err());
    }
}
