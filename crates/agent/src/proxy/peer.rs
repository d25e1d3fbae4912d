//! Which process is at the other end of a loopback connection. Best effort and bounded: the answer is shown to a person as
//! information, and a process can be gone or lie by the time it is read.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::caller::{Caller, chain};

/// Processes that are looked at.
const MAX_PROCESSES: usize = 4096;
/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 4096;

/// The process and its parents, outermost first; empty where it cannot be found. Blocks for some milliseconds.
pub(crate) fn process_of(peer: SocketAddr, ours: u16) -> Vec<String> {
    socket(peer, ours)
        .and_then(holder)
        .map(chain)
        .unwrap_or_default()
}

/// The process, held so that its number stays its own, for who asks it for more than a line to show; unknown where it cannot
/// be found, as another user's cannot. Blocks for some milliseconds.
pub(crate) fn caller_of(peer: SocketAddr, ours: u16) -> Caller {
    let Some(socket) = socket(peer, ours) else {
        return Caller::unknown();
    };
    holder(socket).map_or_else(Caller::unknown, |pid| {
        Caller::holding(pid, |pid| holds(pid, socket))
    })
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

fn holder(inode: u64) -> Option<i32> {
    let processes = std::fs::read_dir("/proc")
        .ok()?
        .flatten()
        .take(MAX_PROCESSES);
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .find(|pid| holds(*pid, inode))
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
    use super::*;

    #[test]
    fn our_own_connection_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let chain = process_of(stream.local_addr().unwrap(), port);
        let pid = std::process::id();
        assert!(
            chain.last().unwrap().ends_with(&format!("({pid})")),
            "{chain:?}"
        );
    }

    #[test]
    fn the_holder_of_a_connection_is_known_as_one_that_asks() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let caller = caller_of(stream.local_addr().unwrap(), port);
        assert_eq!(caller.pid(), i32::try_from(std::process::id()).ok());
        assert!(!caller.is_gone());
        let none = Caller::holding(i32::try_from(std::process::id()).unwrap(), |_| false);
        assert_eq!(none.pid(), None);
    }

    #[test]
    fn a_connection_that_is_not_there_is_nobodys() {
        assert!(process_of("127.0.0.1:1".parse().unwrap(), 2).is_empty());
    }
}
