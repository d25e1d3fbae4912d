//! Who asks: what the kernel says of a process. Shown to a person as information, trusted for nothing.

use touchkeep_core::text::visible;

/// Parents that are named.
const MAX_CHAIN: usize = 6;

/// A process and its parents, outermost first: `bash (812)`.
pub(crate) fn chain(pid: i32) -> Vec<String> {
    let mut chain = Vec::new();
    let mut next = pid;
    while next > 1 && chain.len() < MAX_CHAIN {
        let Some((name, parent)) = stat(next) else {
            break;
        };
        chain.push(format!("{} ({next})", visible(&name)));
        next = parent;
    }
    chain.reverse();
    chain
}

// Name and parent from /proc/PID/stat (proc(5)). A name may hold blanks and brackets, so the last bracket ends it.
fn stat(pid: i32) -> Option<(String, i32)> {
    let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, tail) = text.rsplit_once(") ")?;
    let (_, name) = head.split_once(" (")?;
    let parent = tail.split(' ').nth(1)?.parse().ok()?;
    Some((name.to_owned(), parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_the_innermost() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let chain = chain(pid);
        assert!(
            chain.last().unwrap().ends_with(&format!("({pid})")),
            "{chain:?}"
        );
    }

    #[test]
    fn a_process_that_is_gone_has_no_chain() {
        assert!(chain(i32::MAX).is_empty());
    }
}
