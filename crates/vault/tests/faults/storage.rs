//! V-05: something else in the place of a file of ours, folders that cannot be written, a disk that is really full.

use std::{
    env, fs,
    io::ErrorKind,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::Command,
};

use touchkeep_vault::{BACKUPS, Locked, VaultError, danger_restore, merge_into};

use crate::{
    operation::{Paths, make, put, save},
    oracle::State,
    scene::write,
    tally::Tally,
};

const INSIDE: &str = "TOUCHKEEP_FAULT_INSIDE";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    SymbolicLink,
    HardLink,
    Pipe,
    Socket,
    Device,
    Folder,
}

const THINGS: [Thing; 6] = [
    Thing::SymbolicLink,
    Thing::HardLink,
    Thing::Pipe,
    Thing::Socket,
    Thing::Device,
    Thing::Folder,
];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
}

// Puts a thing in a place; links lead to `target`.
fn put_thing(thing: Thing, place: &Path, target: &Path) {
    let text = place.to_str().unwrap();
    match thing {
        Thing::SymbolicLink => symlink(target, place).unwrap(),
        Thing::HardLink => fs::hard_link(target, place).unwrap(),
        Thing::Pipe => run("mkfifo", &[text]),
        Thing::Socket => drop(UnixListener::bind(place).unwrap()),
        Thing::Device => run("mknod", &[text, "c", "1", "3"]),
        Thing::Folder => fs::create_dir(place).unwrap(),
    }
}

struct Found {
    folder: tempfile::TempDir,
    paths: Paths,
    target: PathBuf,
    target_bytes: Vec<u8>,
}

impl Found {
    // A vault with three backups, and a thing in one of the places. What was there is what links lead to.
    fn new(thing: Thing, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::of(folder.path());
        let mut vault = make(&paths.vault, &paths.pins).unwrap();
        for number in 0..4 {
            put(&mut vault, number, "stored").unwrap();
            save(&mut vault).unwrap();
        }
        let (place, target) = (folder.path().join(name), folder.path().join("target"));
        fs::rename(&place, &target).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
        put_thing(thing, &place, &target);
        Self {
            target_bytes: fs::read(&target).unwrap(),
            folder,
            paths,
            target,
        }
    }

    fn target_is_untouched(&self) -> Result<(), String> {
        let mode = fs::metadata(&self.target).unwrap().mode() & 0o777;
        let same = fs::read(&self.target).unwrap() == self.target_bytes;
        (same && mode == 0o640)
            .then_some(())
            .ok_or_else(|| "what a link led to was changed".into())
    }
}

fn not_a_file<T>(what: &str, done: Result<T, VaultError>, place: &Path) -> Result<(), String> {
    match done {
        Err(VaultError::NotAFile { path, .. }) if path == place => Ok(()),
        // A socket cannot be opened at all.
        Err(VaultError::Io { path, source, .. })
            if path == place && source.raw_os_error() == Some(6) =>
        {
            Ok(())
        }
        Err(error) => Err(format!("{what}: {error}")),
        Ok(_) => Err(format!("{what}: was done")),
    }
}

#[test]
fn what_is_no_file_of_its_own_is_refused_wherever_it_lies() {
    let mut tally = Tally::new(
        "V-05",
        "link, pipe, socket, device or folder in the place of a file of ours",
    );
    for thing in THINGS {
        if thing == Thing::Device && !is_root() {
            eprintln!("device nodes are made by root alone: not tried");
            continue;
        }
        for name in [
            "team.vault",
            "team.vault.lock",
            "pins",
            "pins.lock",
            "team.vault.1",
        ] {
            let found = Found::new(thing, name);
            let held = refused(thing, name, &found).and_then(|()| found.target_is_untouched());
            tally.tried(|| format!("{thing:?} for {name}"), held);
        }
    }
}

fn refused(thing: Thing, name: &str, found: &Found) -> Result<(), String> {
    let (paths, place) = (&found.paths, found.folder.path().join(name));
    match name {
        "team.vault" => {
            not_a_file("open", Locked::open(&paths.vault), &place)?;
            let copy = found.folder.path().join("copy");
            write(&copy, &found.target_bytes);
            not_a_file("merge", merge_into(&paths.vault, &copy), &place)?;
            not_a_file(
                "go back",
                danger_restore(&paths.vault, &paths.pins, 1),
                &place,
            )
        }
        "team.vault.lock" => {
            let before = fs::read(&paths.vault).unwrap();
            let mut vault = paths.open().map_err(|error| error.to_string())?;
            vault.set_setting("size", "x").unwrap();
            not_a_file("save", save(&mut vault), &place)?;
            not_a_file(
                "go back",
                danger_restore(&paths.vault, &paths.pins, 1),
                &place,
            )?;
            assert_eq!(fs::read(&paths.vault).unwrap(), before);
            // Nothing was lost: with the thing gone, the same session saves.
            remove(&place);
            save(&mut vault).map_err(|error| error.to_string())
        }
        "team.vault.1" => {
            not_a_file(
                "go back",
                danger_restore(&paths.vault, &paths.pins, 1),
                &place,
            )?;
            let mut vault = paths.open().map_err(|error| error.to_string())?;
            vault.set_setting("size", "x").unwrap();
            // It moves on as it is, until something is in its way.
            save(&mut vault).map_err(|error| error.to_string())?;
            let moved = fs::symlink_metadata(paths.vault.with_extension("vault.2")).unwrap();
            assert_eq!(moved.is_dir(), thing == Thing::Folder);
            assert!(fs::symlink_metadata(&place).unwrap().is_file());
            Ok(())
        }
        _ => not_a_file(
            "open",
            Locked::open_pinned(&paths.vault, &paths.pins),
            &place,
        ),
    }
}

fn remove(place: &Path) {
    if place.is_dir() && !place.is_symlink() {
        fs::remove_dir(place).unwrap();
    } else {
        fs::remove_file(place).unwrap();
    }
}

#[test]
fn a_folder_in_the_way_of_a_backup_is_named_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(folder.path());
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    for number in 0..4 {
        put(&mut vault, number, "stored").unwrap();
        save(&mut vault).unwrap();
    }
    let last = folder.path().join(format!("team.vault.{BACKUPS}"));
    fs::remove_file(&last).unwrap();
    fs::create_dir(&last).unwrap();
    let before: Vec<_> = crate::scene::files_only(folder.path());
    put(&mut vault, 9, "next").unwrap();
    match save(&mut vault) {
        Err(VaultError::Io { path, source, .. }) => {
            assert_eq!(
                (path, source.kind()),
                (last.clone(), ErrorKind::IsADirectory)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(crate::scene::files_only(folder.path()), before);
    fs::remove_dir(&last).unwrap();
    save(&mut vault).unwrap();
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(&folder.path().join("missing"));
    let made = make(&paths.vault, &paths.pins).err().unwrap();
    assert!(
        matches!(&made, VaultError::Io { source, .. } if source.kind() == ErrorKind::NotFound),
        "{made}"
    );
    assert!(matches!(
        Locked::open(&paths.vault),
        Err(VaultError::NoVault(_))
    ));
    assert!(matches!(
        merge_into(&paths.vault, &paths.vault),
        Err(VaultError::NoVault(_))
    ));
}

#[test]
fn a_vault_that_others_could_read_is_private_after_the_next_save() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(folder.path());
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    fs::set_permissions(&paths.vault, fs::Permissions::from_mode(0o644)).unwrap();
    put(&mut vault, 1, "stored").unwrap();
    save(&mut vault).unwrap();
    for (name, _) in crate::scene::files_only(folder.path()) {
        let mode = fs::metadata(folder.path().join(&name)).unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}

// Runs the test that is named once more, as a process of its own for which `script` prepares the folder `$1` first.
fn inside(test: &str, folder: &Path, script: &str) {
    let mut unshare = Command::new("unshare");
    // Who is not root is so in a name space of his own.
    unshare.args(if is_root() {
        &["-m"][..]
    } else {
        &["-r", "-m"]
    });
    let done = unshare
        .args(["sh", "-euc", &format!("{script}; shift; exec \"$@\""), "sh"])
        .arg(folder)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, folder)
        .output()
        .expect("unshare is installed");
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(
        done.status.success(),
        "a file system of its own is needed for this test; where mounting is forbidden it cannot run.\n{out}{err}"
    );
}

fn io_error(refused: &VaultError) -> Option<i32> {
    match refused {
        VaultError::Io { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

#[test]
fn a_disk_that_is_really_full_is_said_and_nothing_is_lost() {
    let Ok(folder) = env::var(INSIDE) else {
        let folder = tempfile::tempdir().unwrap();
        // 64 KiB are left until what fills the rest is taken away.
        let mount = "mount -t tmpfs -o size=256k,mode=700 tmpfs \"$1\"; head -c 192K /dev/zero >\"$1/filler\"";
        let test = "storage::a_disk_that_is_really_full_is_said_and_nothing_is_lost";
        return inside(test, folder.path(), mount);
    };
    let mut tally = Tally::new("V-03", "saves on a disk of 64 KiB until it is full");
    let paths = Paths::of(Path::new(&folder));
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    let mut saved = State::read(&paths).unwrap();
    let mut full = 0;
    for number in 0..40u8 {
        put(&mut vault, number, "stored").unwrap();
        vault
            .set_setting("size", &"s".repeat(usize::from(number) * 97))
            .unwrap();
        let done = save(&mut vault);
        let there = State::read(&paths);
        let held = match (done, there) {
            (_, Err(error)) => Err(error),
            (Ok(()), Ok(there)) => {
                saved = there;
                (saved == State::of(&vault))
                    .then_some(())
                    .ok_or_else(|| "not what was saved".into())
            }
            (Err(error), Ok(there)) if io_error(&error) == Some(ENOSPC) => {
                full += 1;
                (there == saved)
                    .then_some(())
                    .ok_or_else(|| "not the last that was saved".into())
            }
            (Err(error), _) => Err(error.to_string()),
        };
        tally.tried(|| format!("save {number}"), held);
    }
    let names = crate::scene::files_only(Path::new(&folder));
    assert!(names.iter().all(|(name, _)| !name.ends_with(".tmp")));
    assert!(full > 5 && full < 40, "{full} saves found it full");
    tally.saw(format!("{full} found it full"));
    // With space again, the same session saves all that it could not.
    fs::remove_file(Path::new(&folder).join("filler")).unwrap();
    save(&mut vault).unwrap();
    assert_eq!(State::read(&paths).unwrap(), State::of(&vault));
}

#[test]
fn a_folder_that_is_read_only_is_said_and_can_be_read() {
    let Ok(folder) = env::var(INSIDE) else {
        let folder = tempfile::tempdir().unwrap();
        let test = "storage::a_folder_that_is_read_only_is_said_and_can_be_read";
        return inside(test, folder.path(), "mount --bind \"$1\" \"$1\"");
    };
    let paths = Paths::of(Path::new(&folder));
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    put(&mut vault, 1, "stored").unwrap();
    save(&mut vault).unwrap();
    run("mount", &["-o", "remount,bind,ro", &folder]);
    put(&mut vault, 2, "new").unwrap();
    let refused = save(&mut vault).err().unwrap();
    assert_eq!(io_error(&refused), Some(EROFS), "{refused}");
    let refused = make(&paths.other, &paths.pins).err().unwrap();
    assert_eq!(io_error(&refused), Some(EROFS), "{refused}");
    let refused = danger_restore(&paths.vault, &paths.pins, 1).err().unwrap();
    assert_eq!(io_error(&refused), Some(EROFS), "{refused}");
    Locked::open(&paths.vault).unwrap();
    run("mount", &["-o", "remount,bind,rw", &folder]);
    save(&mut vault).unwrap();
}

#[test]
fn another_users_vault_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let paths = Paths::of(folder.path());
    if let Ok(folder) = env::var(INSIDE) {
        return not_replaced(&Paths::of(Path::new(&folder)));
    }
    let mut vault = make(&paths.vault, &paths.pins).unwrap();
    put(&mut vault, 1, "stored").unwrap();
    save(&mut vault).unwrap();
    drop(vault);
    if is_root() {
        let nobody = rustix::fs::Uid::from_raw(65_534);
        rustix::fs::chown(&paths.vault, Some(nobody), None).unwrap();
        not_replaced(&paths);
    } else {
        // Who is not root cannot give a file away; but may mount one of root's there.
        let test = "storage::another_users_vault_is_not_replaced";
        inside(
            test,
            folder.path(),
            "mount --bind /etc/hostname \"$1/team.vault\"",
        );
    }
}

fn not_replaced(paths: &Paths) {
    let before = fs::read(&paths.vault).unwrap();
    let refused = danger_restore(&paths.vault, &paths.pins, 1).err().unwrap();
    assert!(
        matches!(&refused, VaultError::NotAFile { what, .. } if what.contains("another user")),
        "{refused}"
    );
    if let Ok(mut vault) = paths.open() {
        put(&mut vault, 2, "new").unwrap();
        let refused = save(&mut vault).err().unwrap();
        assert!(
            matches!(&refused, VaultError::NotAFile { what, .. } if what.contains("another user")),
            "{refused}"
        );
    }
    assert_eq!(fs::read(&paths.vault).unwrap(), before);
}

#[test]
fn what_this_user_may_not_read_or_write_is_said() {
    let Ok(folder) = env::var(INSIDE) else {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::of(folder.path());
        drop(make(&paths.vault, &paths.pins).unwrap());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        return as_another_user(folder.path());
    };
    // A vault that is private to somebody else, in a folder of his.
    let paths = Paths::of(Path::new(&folder));
    for refused in [
        Locked::open(&paths.vault).err().unwrap(),
        make(&paths.other, &paths.pins).err().unwrap(),
        merge_into(&paths.vault, &paths.vault).err().unwrap(),
    ] {
        assert_eq!(io_error(&refused), Some(13), "{refused}");
    }
}

fn as_another_user(folder: &Path) {
    let test = "storage::what_this_user_may_not_read_or_write_is_said";
    // The program may lie where others may not go.
    let own = tempfile::tempdir().unwrap();
    fs::set_permissions(own.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = own.path().join("faults");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let mut command = if is_root() {
        let mut setpriv = Command::new("setpriv");
        setpriv
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&program);
        setpriv
    } else {
        // Without root there is no other user; who takes his own rights away is refused alike.
        fs::set_permissions(folder.join("team.vault"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o555)).unwrap();
        Command::new(&program)
    };
    let done = command
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, folder)
        .output()
        .unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
