//! What the kernel writes to a swap file of the agent's memory: everything that it may, and no secret.

use std::{fs, path::PathBuf, process::Command};

use tempfile::TempDir;
use touchkeep_tests::{Canary, assert_nothing, need_root, search_files, wait_for};

use super::{CONTROL, Desk, PASSPHRASE};

/// Has the kernel write out all that it may of a process (`process_madvise` with `MADV_PAGEOUT`), and says how many kB it did.
const PAGE_OUT: &str = "
import ctypes, os, re, sys
libc, process = ctypes.CDLL(None), os.pidfd_open(int(sys.argv[1]))
class Range(ctypes.Structure):
    _fields_ = [('start', ctypes.c_void_p), ('bytes', ctypes.c_size_t)]
for line in open(f'/proc/{sys.argv[1]}/maps'):
    first, last = (int(part, 16) for part in line.split()[0].split('-'))
    if first < 1 << 63:
        libc.syscall(440, process, ctypes.byref(Range(first, last - first)), ctypes.c_size_t(1), 21, 0)
print(re.search(r'VmSwap:\\s+(\\d+) kB', open(f'/proc/{sys.argv[1]}/status').read())[1])
";

/// A swap file of the test's own, on a loop device, so that what is written to it can be read in the file at once.
struct Swap {
    folder: TempDir,
    device: Option<String>,
}

impl Swap {
    fn on() -> Self {
        let mut swap = Self {
            folder: tempfile::tempdir().unwrap(),
            device: None,
        };
        let file = swap.file();
        fs::File::create(&file).unwrap().set_len(256 << 20).unwrap();
        let file = file.to_str().unwrap();
        let device = said("losetup", &["--find", "--show", file]);
        swap.device = Some(device.clone());
        said("mkswap", &[&device]);
        // Used after every other, so that nothing but what the test pages out comes here.
        said("swapon", &["--priority", "0", &device]);
        swap
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("swap")
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        if let Some(device) = &self.device {
            let _off = system("swapoff").arg(device).output();
            let _free = system("losetup").args(["--detach", device]).output();
        }
    }
}

fn system(program: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

fn said(program: &str, args: &[&str]) -> String {
    // Looked up in the test's own PATH by `env`, which has what is added to it.
    let done = system("/usr/bin/env")
        .arg(program)
        .args(args)
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "a swap file of its own is needed for this test: {program} {args:?}: {why}"
    );
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

fn page_out(pid: u32) -> u64 {
    let python = std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test");
    said(&python, &["-c", PAGE_OUT, &pid.to_string()])
        .parse()
        .unwrap()
}

/// What `/proc/PID/smaps` says of each mapping that nobody else reads: its flags.
fn secret_mappings(pid: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut flags = Vec::new();
    let mut is_secret = false;
    for line in maps.lines() {
        match line.strip_prefix("VmFlags:") {
            Some(found) if is_secret => flags.push(found.trim().to_owned()),
            Some(_) => {}
            None if !line.split_once(' ').unwrap().0.ends_with(':') => {
                is_secret = line.contains("secretmem");
            }
            None => {}
        }
    }
    flags
}

#[test]
fn what_is_written_to_swap_of_an_unlocked_agent_holds_no_secret() {
    need_root();
    let desk = Desk::with_a_passphrase();
    desk.work();
    let pid = desk.home.agent_pid();
    let regions = secret_mappings(pid);
    assert!(!regions.is_empty(), "secrets have regions of their own");
    for flags in &regions {
        let flags: Vec<_> = flags.split_whitespace().collect();
        assert!(
            flags.contains(&"lo") && flags.contains(&"dd"),
            "locked, and in no dump: {flags:?}"
        );
    }
    let swap = Swap::on();
    for round in 0..3 {
        let written = page_out(pid);
        assert!(written > 1000, "{round}: only {written} kB were written");
        // What lies in the agent's memory is in the swap file, unless zswap keeps it in memory; the kernel writes when it likes.
        let control = [Canary::text("control", CONTROL)];
        wait_for("the agent's memory to be written out", || {
            let is_there = !search_files(swap.folder.path(), &control).is_empty();
            is_there.then_some(()).or_else(|| {
                let _more = page_out(pid);
                None
            })
        });
        assert_nothing(&search_files(swap.folder.path(), &desk.canaries));
        // It goes on with what it has, and what it did meanwhile is written, too.
        desk.work();
    }
    desk.lock();
    let _written = page_out(pid);
    assert_nothing(&search_files(swap.folder.path(), &desk.canaries));
    // Of a program that takes no care they are there, so the search would have found them.
    let mut careless = Command::new("sleep");
    let mut careless = careless.arg("60").env("HELD", PASSPHRASE).spawn().unwrap();
    let found = wait_for("the other program to be written out", || {
        let _written = page_out(careless.id());
        let found = search_files(swap.folder.path(), &desk.canaries);
        (!found.is_empty()).then_some(found)
    });
    careless.kill().unwrap();
    careless.wait().unwrap();
    assert_eq!(found[0].canary, "passphrase", "{found:?}");
}
