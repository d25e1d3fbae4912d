//! Which process is at the other end of a loopback connection. Best effort and bounded: the answer is shown to a person as
//! information, and a process can be gone or lie by the time it is read.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    thread,
    time::Duration,
};

use crate::caller::Caller;

/// Processes that are looked at.
const MAX_PROCESSES: usize = 4096;
/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 4096;
/// A program that starts another one has all its connections in two processes until the new one has become what it is to
/// be. That is not sharing, and over within milliseconds on any machine that still answers.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(2),
    Duration::from_millis(8),
    Duration::from_millis(30),
    Duration::from_millis(100),
];

/// Whoever holds the other end of a connection to us, held so that its number stays its own; unknown where it cannot be
/// found, as another user's cannot. Blocks for some milliseconds.
pub(crate) fn caller_of(peer: SocketAddr, ours: u16) -> Caller {
    let Some(socket) = socket(peer, ours) else {
        return Caller::unknown();
    };
    match settled(socket).as_slice() {
        [] => Caller::unknown(),
        [only] => Caller::holding(*only, |pid| holds(pid, socket)),
        // It was inherited, and any of them may have written: one is shown, and none is known.
        [first, ..] => Caller::one_of_many(*first),
    }
}

// Who holds it, once that is no more than one process; or whoever still does after some looks.
fn settled(socket: u64) -> Vec<i32> {
    let mut holding = holders(socket);
    for pause in LOOKS {
        if holding.len() < 2 {
            break;
        }
        thread::sleep(pause);
        holding.retain(|pid| holds(*pid, socket));
    }
    holding
}

// The inode of the peer's end.
fn socket(peer: SocketAddr, ours: u16) -> Option<u64> {
    let SocketAddr::V4(peer) = peer else {
        return None;
    };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    inode(&table, peer, SocketAddrV4::new(Ipv4Addr::LOCALHOST, ours))
}

// proc_net_tcp(5): `sl local remote st … inode`, addresses as hexadecimal numbers in the machine's byte order.
fn inode(table: &str, local: SocketAddrV4, remote: SocketAddrV4) -> Option<u64> {
    let wanted = (hex(local), hex(remote));
    table.lines().skip(1).find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote) = (words.next()?, words.next()?);
        if (local, remote) != (&wanted.0, &wanted.1) {
            return None;
        }
        words.nth(6)?.parse().ok()
    })
}

fn hex(address: SocketAddrV4) -> String {
    let ip = u32::from_ne_bytes(address.ip().octets());
    format!("{ip:08X}:{:04X}", address.port())
}

// Every process that has a socket open, as far as we may look.
fn holders(inode: u64) -> Vec<i32> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .take(MAX_PROCESSES)
        .filter(|pid| holds(*pid, inode))
        .collect()
}

fn holds(pid: i32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false; // another user's, or gone
    };
    descriptors
        .flatten()
        .take(MAX_DESCRIPTORS)
        .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        os::fd::OwnedFd,
        process::{Child, Command, Stdio},
    };

    use super::*;

    #[test]
    fn our_own_connection_is_ours() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let caller = caller_of(stream.local_addr().unwrap(), port);
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(caller.pid(), Some(pid));
        assert!(!caller.is_shared() && !caller.is_gone());
    }

    #[test]
    fn the_holder_of_a_connection_is_known_as_one_that_asks() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let caller = caller_of(stream.local_addr().unwrap(), port);
        assert_eq!(caller.pid(), i32::try_from(std::process::id()).ok());
        assert!(!caller.is_gone());
        let none = Caller::holding(i32::try_from(std::process::id()).unwrap(), |_| false);
        assert_eq!(none.pid(), None);
    }

    #[test]
    fn a_connection_that_is_not_there_is_nobodys() {
        let caller = caller_of("127.0.0.1:1".parse().unwrap(), 2);
        assert!(caller.pid().is_none() && caller.lines().is_empty());
    }

    // A connection of this process that a child has as its standard input, too.
    fn shared_with(script: &str) -> (TcpStream, TcpStream, Child) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (theirs, _) = listener.accept().unwrap();
        let inherited = Stdio::from(OwnedFd::from(ours.try_clone().unwrap()));
        let mut child = Command::new("sh");
        let child = child.args(["-c", script]).stdin(inherited).spawn().unwrap();
        (ours, theirs, child)
    }

    fn ended(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    // As between fork and exec: the child has it when it is looked for, and lets go of it then.
    #[test]
    fn a_connection_that_a_child_lets_go_of_at_once_is_its_parents() {
        let (ours, mut theirs, child) = shared_with("read -r line; exec sleep 60 </dev/null");
        let (peer, port) = (ours.local_addr().unwrap(), ours.peer_addr().unwrap().port());
        assert_eq!(holders(socket(peer, port).unwrap()).len(), 2);
        theirs.write_all(b"\n").unwrap();
        let caller = caller_of(peer, port);
        ended(child);
        assert_eq!(caller.pid(), i32::try_from(std::process::id()).ok());
        assert!(!caller.is_shared());
    }

    #[test]
    fn a_connection_that_two_processes_hold_is_neithers() {
        let (ours, _theirs, child) = shared_with("exec sleep 60");
        let port = ours.peer_addr().unwrap().port();
        let caller = caller_of(ours.local_addr().unwrap(), port);
        ended(child);
        assert!(caller.is_shared() && caller.client().is_none());
    }
}
