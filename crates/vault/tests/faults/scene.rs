//! A folder with the files that an operation finds, and how to put them back after each strike.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use tempfile::TempDir;
use touchkeep_core::{Id, ItemId};

use crate::{
    common::{item, unlock},
    operation::{self, Operation, Paths, make, perform, put, save},
    oracle::State,
};

pub(crate) struct Scene {
    pub(crate) operation: Operation,
    pub(crate) folder: TempDir,
    /// Where the process may put temporary files. It has no reason to.
    pub(crate) temporary: TempDir,
    tracing: TempDir,
    pub(crate) paths: Paths,
    pub(crate) found: Vec<(String, Vec<u8>)>,
    /// Before and after the operation, undisturbed. Nothing is there before a vault is made.
    pub(crate) before: Option<State>,
    pub(crate) after: State,
}

impl Scene {
    pub(crate) fn new(operation: Operation) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::of(folder.path());
        prepare(operation, &paths);
        let found = files(folder.path());
        let before = paths.vault.exists().then(|| State::read(&paths).unwrap());
        let scene = Self {
            operation,
            temporary: tempfile::tempdir().unwrap(),
            tracing: tempfile::tempdir().unwrap(),
            before,
            found,
            after: State::default(),
            paths,
            folder,
        };
        perform(operation, &scene.paths, || {}).unwrap();
        let after = State::read(&scene.paths).unwrap();
        assert_ne!(
            scene.before.as_ref(),
            Some(&after),
            "{operation:?} does something"
        );
        Self { after, ..scene }
    }

    /// Puts everything back as it was found, and lets it rest: a file that has just changed is not known by its times, so that a
    /// save would go another way, by other calls.
    pub(crate) fn restore(&self) {
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                fs::remove_dir_all(path).unwrap();
            } else {
                fs::remove_file(path).unwrap();
            }
        }
        for (name, bytes) in &self.found {
            write(&self.folder.path().join(name), bytes);
        }
        thread::sleep(Duration::from_millis(30));
    }

    /// The operation, by a process of its own behind some other program.
    pub(crate) fn command(&self, behind: Command) -> Command {
        let mut command = operation::command(behind, self.operation, self.folder.path());
        command.env("TMPDIR", self.temporary.path());
        command
    }

    /// Where its calls are written down.
    pub(crate) fn trace(&self) -> PathBuf {
        self.tracing.path().join("trace")
    }

    /// The bytes of the vault as it was found.
    pub(crate) fn old(&self) -> Option<&[u8]> {
        let mut found = self.found.iter();
        found
            .find(|(name, _)| name == "team.vault")
            .map(|(_, bytes)| &**bytes)
    }
}

pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// The same, where there are folders, too.
pub(crate) fn files_only(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect();
    found.sort();
    found
}

pub(crate) fn write(path: &Path, bytes: &[u8]) {
    use std::io::Write;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

fn prepare(operation: Operation, paths: &Paths) {
    if operation == Operation::Create {
        return;
    }
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    put(&mut vault, 1, "first").unwrap();
    save(&mut vault).unwrap();
    match operation {
        Operation::Fold => {
            for number in 0..70 {
                vault.set_setting("count", &number.to_string()).unwrap();
                save(&mut vault).unwrap();
                if vault.as_locked().container().parts().len() == touchkeep_vault::MAX_SEGMENTS {
                    return;
                }
            }
            panic!("the segments were folded too early");
        }
        Operation::SaveInMany => {
            for number in 0..10_000u32 {
                let mut new = item(vault.environment(), &format!("one of many {number}"));
                let [a, b, c, d] = number.to_be_bytes();
                new.id = ItemId(Id::from_bytes([
                    9, 9, 9, 9, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0,
                ]));
                vault.put(new).unwrap();
            }
            save(&mut vault).unwrap();
        }
        Operation::Retire => operation::enroll_kit(&mut vault).unwrap(),
        Operation::Merge => {
            write(&paths.other, &fs::read(&paths.vault).unwrap());
            let mut other = unlock(touchkeep_vault::Locked::open(&paths.other).unwrap());
            put(&mut other, 3, "elsewhere").unwrap();
            save(&mut other).unwrap();
            put(&mut vault, 4, "here").unwrap();
            save(&mut vault).unwrap();
            for beside in ["other.vault.1", "other.vault.lock"] {
                fs::remove_file(paths.other.with_file_name(beside)).unwrap();
            }
        }
        Operation::Pins => {
            let elsewhere = tempfile::tempdir().unwrap();
            drop(make(&paths.other, &elsewhere.path().join("pins")).unwrap());
            fs::remove_file(paths.other.with_file_name("other.vault.lock")).unwrap();
        }
        _ => {}
    }
}
