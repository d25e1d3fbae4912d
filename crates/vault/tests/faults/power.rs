//! V-02: the power goes. Each call by which an operation reaches the disk is told by `strace`, with its bytes; then what a disk
//! may hold is laid out after each of them, and judged.
//!
//! The model is that of journalling file systems (ext4, xfs, btrfs): names are kept in the order in which they were changed, but
//! as far as the folder was not synced, any number of the last changes may be missing; of a file that was not synced, any of what
//! it held, what it holds, a half of that, and zeros of its length may be there. What the model says of the end is compared with
//! the folder itself, so that no call is overlooked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::Path,
    process::Command,
};

use crate::{
    operation::{ENDS, Operation},
    oracle::{Side, judge},
    scene::{Scene, files, write},
    tally::{Draw, Tally, amount},
};

// Not every machine has all of them.
const CALLS: &str = "?open,?openat,?write,?pwrite64,?lseek,?ftruncate,?rename,?renameat,?renameat2,?link,?linkat,?unlink,?unlinkat,?fsync,?fdatasync,?close,statx";

type Files = BTreeMap<String, Vec<u8>>;

/// Which calls that sync are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syncs {
    All,
    NoneOfFiles,
    NoneOfTheFolder,
}

#[derive(Debug, Clone)]
enum Change {
    Name(String, usize),
    NoName(String),
    Rename(String, String),
    Exchange(String, String),
}

#[derive(Debug, Default)]
struct Inode {
    synced: Vec<u8>,
    now: Vec<u8>,
}

/// What is on the disk for certain, and what is on its way.
#[derive(Debug, Default)]
struct Disk {
    inodes: Vec<Inode>,
    synced: BTreeMap<String, usize>,
    changes: Vec<Change>,
}

fn changed(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Name(name, inode) => drop(names.insert(name.clone(), *inode)),
        Change::NoName(name) => drop(names.remove(name)),
        Change::Rename(from, to) => {
            let inode = names.remove(from).expect("a name that was made before");
            names.insert(to.clone(), inode);
        }
        Change::Exchange(one, other) => {
            let [a, b] = [one, other].map(|name| names[name]);
            names.insert(one.clone(), b);
            names.insert(other.clone(), a);
        }
    }
}

impl Disk {
    fn new(found: &[(String, Vec<u8>)]) -> Self {
        let mut disk = Self::default();
        for (name, bytes) in found {
            disk.synced.insert(name.clone(), disk.inodes.len());
            disk.inodes.push(Inode {
                synced: bytes.clone(),
                now: bytes.clone(),
            });
        }
        disk
    }

    fn names(&self, changes: usize) -> BTreeMap<String, usize> {
        let mut names = self.synced.clone();
        for change in &self.changes[..changes] {
            changed(&mut names, change);
        }
        names
    }

    /// As those see it who are still there.
    fn now(&self) -> Files {
        let names = self.names(self.changes.len()).into_iter();
        names
            .map(|(name, inode)| (name, self.inodes[inode].now.clone()))
            .collect()
    }

    /// Everything that may be there when the power is back.
    fn after_a_loss(&self) -> Vec<Files> {
        let mut all = Vec::new();
        for changes in 0..=self.changes.len() {
            let mut some = vec![Files::new()];
            for (name, inode) in self.names(changes) {
                let contents = self.inodes[inode].after_a_loss();
                some = some
                    .iter()
                    .flat_map(|files| {
                        contents.iter().map(|bytes| {
                            let mut files = files.clone();
                            files.insert(name.clone(), bytes.clone());
                            files
                        })
                    })
                    .collect();
            }
            all.append(&mut some);
        }
        all
    }
}

impl Inode {
    fn after_a_loss(&self) -> Vec<Vec<u8>> {
        if self.synced == self.now {
            return vec![self.now.clone()];
        }
        vec![
            self.synced.clone(),
            self.now.clone(),
            self.now[..self.now.len() / 2].to_vec(),
            vec![0; self.now.len()],
        ]
    }
}

/// A call as `strace -xx -y` writes it.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: String,
    returned: String,
}

impl Call {
    // Those that went well, in the order in which they ended.
    fn all(trace: &str) -> Vec<Self> {
        let (mut begun, mut calls) = (HashMap::new(), Vec::new());
        for line in trace.lines() {
            let (process, rest) = line.split_once(' ').unwrap();
            let rest = rest.trim_start();
            if let Some(first) = rest.strip_suffix("<unfinished ...>") {
                begun.insert(process, first.trim_end().to_owned());
                continue;
            }
            let whole = match rest.split_once(" resumed>") {
                Some((_, last)) => begun.remove(process).unwrap() + last,
                None => rest.to_owned(),
            };
            let parts = whole.split_once('(').zip(whole.rsplit_once(") "));
            if let Some(((name, _), (head, returned))) = parts {
                let returned = returned.trim_start().strip_prefix("= ").unwrap_or_default();
                calls.push(Self {
                    name: name.to_owned(),
                    arguments: head[name.len() + 1..].to_owned(),
                    returned: returned.to_owned(),
                });
            }
        }
        calls
    }

    fn went_well(&self) -> bool {
        !self.returned.starts_with('-')
    }

    // The n-th text among the arguments.
    fn text(&self, nth: usize) -> Vec<u8> {
        // There may be none.
        let quoted = self.arguments.split('"').skip(1).step_by(2).nth(nth);
        quoted.map(unescaped).unwrap_or_default()
    }

    // The n-th number, as far as it is one.
    fn number(&self, nth: usize) -> usize {
        let text = self.arguments.split(", ").nth(nth).unwrap();
        text.parse().unwrap_or_else(|_| panic!("{self:?}"))
    }

    fn descriptor(&self, of: &str) -> (u32, Vec<u8>) {
        let (number, rest) = of.split_once('<').unwrap_or_else(|| panic!("{self:?}"));
        let path = rest.split_once('>').unwrap().0;
        (number.parse().unwrap(), unescaped(path))
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let bytes = text.split("\\x").skip(1);
    bytes
        .map(|hex| u8::from_str_radix(&hex[..2], 16).unwrap())
        .collect()
}

/// The disk, call by call; `seen` is told of each that changed it, and of the end.
fn replay(scene: &Scene, calls: &[Call], syncs: Syncs, mut seen: impl FnMut(&Disk, bool)) -> Disk {
    let folder = scene.folder.path();
    // A name in the folder.
    let name = |path: &[u8]| {
        let path = Path::new(std::str::from_utf8(path).ok()?);
        let name = path.strip_prefix(folder).ok()?.to_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    };
    let mut disk = Disk::new(&scene.found);
    // Of descriptors: which file, and where in it.
    let mut open: HashMap<u32, (usize, usize)> = HashMap::new();
    for call in calls.iter().filter(|call| call.went_well()) {
        let first = || call.arguments.split(", ").next().unwrap_or_default();
        match call.name.as_str() {
            "open" | "openat" => {
                let (descriptor, path) = call.descriptor(&call.returned);
                open.remove(&descriptor);
                if let Some(name) = name(&path) {
                    let known = disk.names(disk.changes.len()).get(&name).copied();
                    let inode = known.unwrap_or(disk.inodes.len());
                    if known.is_none() {
                        disk.inodes.push(Inode::default());
                        disk.changes.push(Change::Name(name, inode));
                    }
                    open.insert(descriptor, (inode, 0));
                }
            }
            "write" | "pwrite64" | "lseek" | "ftruncate" | "fsync" | "fdatasync" => {
                let (descriptor, path) = call.descriptor(first());
                if call.name.contains("sync") && path == folder.as_os_str().as_encoded_bytes() {
                    if syncs != Syncs::NoneOfTheFolder {
                        disk.synced = disk.names(disk.changes.len());
                        disk.changes.clear();
                    }
                    seen(&disk, false);
                    continue;
                }
                // What has the number by now may be something else.
                let Some((inode, at)) = open.get_mut(&descriptor).filter(|_| name(&path).is_some())
                else {
                    continue;
                };
                let file = &mut disk.inodes[*inode];
                match call.name.as_str() {
                    "lseek" => *at = call.returned.parse().unwrap(),
                    "ftruncate" => file.now.resize(call.number(1), 0),
                    "write" | "pwrite64" => {
                        let taken: usize = call.returned.parse().unwrap();
                        let bytes = &call.text(0)[..taken];
                        let from = match call.name.as_str() {
                            "write" => std::mem::replace(at, *at + taken),
                            _ => call.number(3),
                        };
                        let end = file.now.len().max(from + taken);
                        file.now.resize(end, 0);
                        file.now[from..from + taken].copy_from_slice(bytes);
                    }
                    _ if syncs == Syncs::NoneOfFiles => {}
                    _ => file.synced = file.now.clone(),
                }
            }
            "close" => {
                open.remove(&call.descriptor(first()).0);
                continue;
            }
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
                let (Some(from), Some(to)) = (name(&call.text(0)), name(&call.text(1))) else {
                    continue;
                };
                let change = match call.name.as_str() {
                    "link" | "linkat" => Change::Name(to, disk.names(disk.changes.len())[&from]),
                    _ if call.arguments.contains("RENAME_EXCHANGE") => Change::Exchange(from, to),
                    _ => Change::Rename(from, to),
                };
                disk.changes.push(change);
            }
            "unlink" | "unlinkat" => {
                let Some(name) = name(&call.text(0)) else {
                    continue;
                };
                disk.changes.push(Change::NoName(name));
            }
            _ => continue,
        }
        seen(&disk, false);
    }
    seen(&disk, true);
    disk
}

// Does the operation, and says by which calls it was done.
fn traced(scene: &Scene) -> Vec<Call> {
    scene.restore();
    let path = scene.trace();
    let mut strace = Command::new("timeout");
    strace.args(["120", "strace", "-f", "-qq", "-xx", "-y", "-s", "16000000"]);
    strace.args(["-e", "signal=none", "-e", &format!("trace={CALLS}"), "-o"]);
    strace.arg(&path);
    let ended = scene.command(strace).status().expect("strace is installed");
    assert_eq!(ended.code(), Some(crate::operation::SAVED), "{ended}");
    let mut calls = Call::all(&fs::read_to_string(&path).unwrap());
    let is_end = |call: &Call| call.name == "statx" && call.text(0) == ENDS.as_bytes();
    calls.truncate(calls.iter().position(is_end).expect("it ended"));
    calls
}

fn lay_out(scene: &Scene, state: &Files) {
    for (name, _) in files(scene.folder.path()) {
        fs::remove_file(scene.folder.path().join(name)).unwrap();
    }
    for (name, bytes) in state {
        write(&scene.folder.path().join(name), bytes);
    }
}

// Every state that a loss may leave, each once; and whether it was said before that it had been saved.
fn states(scene: &Scene, calls: &[Call], syncs: Syncs) -> Vec<(Files, bool)> {
    let mut states = BTreeSet::new();
    let disk = replay(scene, calls, syncs, |disk, said| {
        states.extend(disk.after_a_loss().into_iter().map(|files| (files, said)));
    });
    let there: Files = files(scene.folder.path()).into_iter().collect();
    let lengths = |files: &Files| -> Vec<_> {
        let lengths = files
            .iter()
            .map(|(name, bytes)| (name.clone(), bytes.len()));
        lengths.collect()
    };
    assert!(
        disk.now() == there,
        "the model says {:?}, and there is {:?}",
        lengths(&disk.now()),
        lengths(&there)
    );
    states.into_iter().collect()
}

fn campaign(operation: Operation) {
    let what = format!("the power goes: {}", operation.what());
    let mut tally = Tally::new("V-02", &what);
    let scene = Scene::new(operation);
    let calls = traced(&scene);
    let all = states(&scene, &calls, Syncs::All);
    let (mut old, mut new) = (0, 0);
    let many = all.len();
    for (state, said_saved) in Draw::new(&what).some(all, amount(40, many).min(many)) {
        lay_out(&scene, &state);
        let judged = judge(&scene, said_saved);
        match judged {
            Ok(Side::Old) => old += 1,
            Ok(Side::New) => new += 1,
            Err(_) => {}
        }
        let point = || format!("{:?}, said {said_saved}", state.keys());
        tally.tried(point, judged.map(drop));
    }
    tally.saw(format!("{old} old, {new} new"));
    assert!(old > 0 && new > 0, "both sides of the change were seen");
}

#[test]
fn the_power_goes_while_a_vault_is_made_saved_and_governed() {
    for operation in [
        Operation::Create,
        Operation::Save(1),
        Operation::Save(64 << 10),
        Operation::SaveTouched,
        Operation::Enroll,
        Operation::Retire,
    ] {
        campaign(operation);
    }
}

#[test]
fn the_power_goes_while_segments_are_folded() {
    campaign(Operation::Fold);
}

#[test]
fn the_power_goes_while_copies_are_merged_restored_and_remembered() {
    for operation in [Operation::Merge, Operation::Restore, Operation::Pins] {
        campaign(operation);
    }
}

// Were a save not to sync, this would be seen.
#[test]
fn a_save_that_syncs_too_little_would_be_found_out() {
    let scene = Scene::new(Operation::Save(1));
    let calls = traced(&scene);
    for syncs in [Syncs::NoneOfFiles, Syncs::NoneOfTheFolder] {
        let mut states = Vec::new();
        replay(&scene, &calls, syncs, |disk, said| {
            states.extend(disk.after_a_loss().into_iter().map(|files| (files, said)));
        });
        // The last ones first: what was acknowledged is lost by then.
        states.reverse();
        let is_bad = |(state, said): &(Files, bool)| {
            lay_out(&scene, state);
            judge(&scene, *said).is_err()
        };
        assert!(states.iter().any(is_bad), "{syncs:?}");
    }
}
