//! Whether a secret in locked memory can be found by somebody who may read all of the process's memory, with an ordinary
//! buffer beside it to prove that the search finds what is there.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{
    fs::File,
    io::{BufRead, BufReader, Lines, Write},
    os::unix::fs::FileExt,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// Masked as the example unmasks it; no byte of it is a newline.
const SECRET: &[u8] = b"never in plain elsewhere 7f3a91c2";

/// The example `hold`, with its orders and answers.
struct Holder {
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    protection: String,
}

impl Holder {
    fn start(more: &[&str]) -> Self {
        let test = std::env::current_exe().unwrap();
        let build = test.parent().and_then(|deps| deps.parent()).unwrap();
        let masked: Vec<u8> = SECRET.iter().map(|byte| byte ^ 0x5a).collect();
        let mut process = Command::new(build.join("examples/hold"))
            .arg(String::from_utf8(masked).unwrap())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            orders: process.stdin.take().unwrap(),
            protection: answers.next().unwrap().unwrap(),
            answers,
            process,
        }
    }

    fn order(&mut self, what: &str) -> String {
        writeln!(self.orders, "{what}").unwrap();
        self.answers.next().unwrap().unwrap()
    }

    fn copies(&self) -> usize {
        copies(self.process.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// How often the secret stands in what can be read of a process.
fn copies(pid: u32) -> usize {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let ranges = maps.lines().map(|line| {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        number(from)..number(to)
    });
    let mut found = 0;
    for range in ranges {
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        // Guards and secret memory cannot be read: that is what this test is about.
        if memory.read_exact_at(&mut bytes, range.start).is_ok() {
            found += bytes
                .windows(SECRET.len())
                .filter(|&bytes| bytes == SECRET)
                .count();
        }
    }
    found
}

#[test]
fn secret_memory_is_not_read_by_others_and_is_empty_after_drop() {
    let mut holder = Holder::start(&[]);
    assert_eq!(
        holder.protection, "memfd_secret",
        "this kernel has none: the test needs Linux 5.14"
    );
    assert_eq!(holder.copies(), 0);
    holder.order("heap");
    assert_eq!(holder.copies(), 1, "the search finds an ordinary buffer");
    holder.order("lock");
    assert_eq!(holder.copies(), 1, "and not the locked one");
    holder.order("free");
    assert_eq!(holder.copies(), 0);
    holder.order("drop");
    assert_eq!(holder.copies(), 0);
}

#[test]
fn without_secret_memory_the_pages_are_locked_and_empty_after_drop() {
    let mut holder = Holder::start(&["--sandboxed"]);
    assert_eq!(holder.protection, "mlock");
    holder.order("lock");
    assert_eq!(
        holder.copies(),
        1,
        "root can read it, so the search finds it"
    );
    holder.order("drop");
    assert_eq!(holder.copies(), 0);
}

#[test]
fn a_child_process_inherits_none_of_it() {
    for sandbox in [&[][..], &["--sandboxed"]] {
        let mut holder = Holder::start(sandbox);
        holder.order("lock");
        let child = holder.order("fork").parse().unwrap();
        assert_eq!(copies(child), 0, "{sandbox:?}");
        holder.order("heap");
        let child = holder.order("fork").parse().unwrap();
        assert_eq!(
            copies(child),
            1,
            "{sandbox:?}: an ordinary buffer is inherited"
        );
    }
}

#[test]
fn what_is_freed_or_moved_by_the_wiping_allocator_leaves_nothing() {
    let mut holder = Holder::start(&[]);
    holder.order("heap");
    assert_eq!(holder.copies(), 1);
    holder.order("grow");
    assert_eq!(holder.copies(), 1, "the old place is wiped");
    holder.order("free");
    assert_eq!(holder.copies(), 0);
}

#[test]
fn what_is_left_on_the_stack_is_wiped() {
    let mut holder = Holder::start(&[]);
    holder.order("stack");
    assert_eq!(holder.copies(), 1, "a function leaves its variables behind");
    holder.order("clean");
    assert_eq!(holder.copies(), 0);
}
