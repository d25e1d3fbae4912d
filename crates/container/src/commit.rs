//! Commits: what a vault holds, after which other commits, signed by its author. A commit is named by its hash.
//!
//! # Why additions and drops, and not the list of all members
//! The hash of the whole list is in the commit, and the list follows from its ancestors; so a commit stays small however
//! large the vault is, and the union of two histories is again a set of additions less a set of drops.

use std::fmt::Write as _;

use touchkeep_core::{Id, UnixMillis, UserId, VaultId};

use crate::{
    hash::Hash,
    name::MemberName,
    note::{Note, NoteError},
};

/// First word of a commit's text.
pub const COMMIT_HEADER: &str = "touchkeep/commit/v1";
/// Parents that one commit may have, and heads that one file may have: the next commit names them all.
pub const MAX_PARENTS: usize = 64;

/// The head of the author's audit log when a commit was made (RFC 6962 tree head).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditHead {
    /// Which log: each machine has its own. None: no log at all.
    pub log: Option<Id>,
    /// Rows.
    pub size: u64,
    /// Root hash.
    pub root: Hash,
}

impl AuditHead {
    /// The head where there is no log (of an empty one, RFC 6962, 2.1).
    #[must_use]
    pub fn empty() -> Self {
        Self {
            log: None,
            size: 0,
            root: Hash::of(b""),
        }
    }
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The vault's id.
    pub vault: VaultId,
    /// Who signs.
    pub author: UserId,
    /// The last link of the membership chain that the author knew.
    pub members: Hash,
    /// The commits before it, ascending. None: the first.
    pub parents: Vec<Hash>,
    /// Members that are live after it.
    pub live_count: u32,
    /// The hash of their list: a line `<name> <hash>` for each, ascending by name.
    pub live: Hash,
    /// The audit log's head.
    pub audit: AuditHead,
    /// The author's clock.
    pub time: UnixMillis,
    /// Members that it adds, ascending by name.
    pub added: Vec<(MemberName, Hash)>,
    /// Members that it drops, ascending by name and hash.
    pub dropped: Vec<(MemberName, Hash)>,
}

impl Commit {
    /// The text to be signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{COMMIT_HEADER} {}\nauthor {}\nmembers {}\n",
            self.vault, self.author, self.members
        );
        // Writing to a String does not fail.
        for parent in &self.parents {
            let _ = writeln!(text, "parent {parent}");
        }
        let _ = writeln!(text, "live {} {}", self.live_count, self.live);
        let log = self
            .audit
            .log
            .map_or_else(|| "-".to_owned(), |log| log.to_string());
        let _ = writeln!(text, "audit {log} {} {}", self.audit.size, self.audit.root);
        let _ = writeln!(text, "time {}", self.time.0);
        for (word, members) in [("add", &self.added), ("drop", &self.dropped)] {
            for (name, hash) in members {
                let _ = writeln!(text, "{word} {name} {hash}");
            }
        }
        text
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Anything that [`Commit::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        read(text)
            .filter(|commit| commit.is_sorted() && commit.is_fit() && commit.to_text() == text)
            .ok_or(NoteError::Malformed)
    }

    /// Reads a commit with its signatures; they are not verified yet.
    ///
    /// # Errors
    /// Not a note, or not a commit.
    pub fn read(bytes: &[u8]) -> Result<(Self, Note), NoteError> {
        let note = Note::parse(bytes)?;
        if note.to_string().as_bytes() != bytes {
            return Err(NoteError::Malformed);
        }
        Ok((Self::parse(&note.text)?, note))
    }

    // Commits are in no list, a name that has a hash in it has the right one, and no log has no rows.
    fn is_fit(&self) -> bool {
        let mut members = self.added.iter().chain(&self.dropped);
        members.all(|(name, hash)| match name {
            MemberName::Commit(_) => false,
            MemberName::Membership { hash: named, .. } | MemberName::Past(named) => named == hash,
            _ => true,
        }) && (self.audit.log.is_some() || self.audit == AuditHead::empty())
    }

    fn is_sorted(&self) -> bool {
        let text = |(name, hash): &(MemberName, Hash)| (name.to_string(), *hash);
        let added: Vec<_> = self.added.iter().map(text).collect();
        let dropped: Vec<_> = self.dropped.iter().map(text).collect();
        self.parents.is_sorted_by(|a, b| a < b)
            && self.parents.len() <= MAX_PARENTS
            && added.is_sorted_by(|(a, _), (b, _)| a < b)
            && dropped.is_sorted_by(|a, b| a < b)
    }
}

fn read(text: &str) -> Option<Commit> {
    let mut lines = text.strip_suffix('\n')?.split('\n').peekable();
    let vault = after(lines.next()?, COMMIT_HEADER)?.parse().ok()?;
    let author = after(lines.next()?, "author")?.parse().ok()?;
    let members = after(lines.next()?, "members")?.parse().ok()?;
    let mut parents = Vec::new();
    while let Some(parent) = lines.peek().and_then(|line| after(line, "parent")) {
        parents.push(parent.parse().ok()?);
        lines.next();
    }
    let (live_count, live) = after(lines.next()?, "live")?.split_once(' ')?;
    let (log, head) = after(lines.next()?, "audit")?.split_once(' ')?;
    let (size, root) = head.split_once(' ')?;
    let log = match log {
        "-" => None,
        id => Some(id.parse().ok()?),
    };
    let time = UnixMillis(after(lines.next()?, "time")?.parse().ok()?);
    let (mut added, mut dropped) = (Vec::new(), Vec::new());
    for line in lines {
        let (word, member) = line.split_once(' ')?;
        let (name, hash) = member.split_once(' ')?;
        let member = (name.parse().ok()?, hash.parse().ok()?);
        match word {
            "add" => added.push(member),
            "drop" => dropped.push(member),
            _ => return None,
        }
    }
    Some(Commit {
        vault,
        author,
        members,
        parents,
        live_count: live_count.parse().ok()?,
        live: live.parse().ok()?,
        audit: AuditHead {
            log,
            size: size.parse().ok()?,
            root: root.parse().ok()?,
        },
        time,
        added,
        dropped,
    })
}

fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix(word)?.strip_prefix(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use touchkeep_core::ItemId;

    use super::*;

    proptest! {
        #[test]
        fn parse_of_print_is_the_same(
            id in any::<[u8; 16]>(), hash in any::<[u8; 32]>(), size in any::<u64>(), count in any::<u32>(),
            parents in proptest::collection::btree_set(any::<[u8; 32]>(), 0..3),
            revisions in proptest::collection::btree_set(any::<[u8; 16]>(), 0..4),
        ) {
            let (id, hash) = (Id::from_bytes(id), Hash(hash));
            let mut added: Vec<_> = revisions.into_iter().map(|r| (MemberName::Sealed { item: ItemId(id), revision: Id::from_bytes(r) }, hash)).collect();
            added.sort_by_key(|(name, _)| name.to_string());
            let commit = Commit {
                vault: VaultId(id), author: UserId(id), members: hash, parents: parents.into_iter().map(Hash).collect(),
                live_count: count, live: hash, audit: if size % 2 == 0 { AuditHead { log: Some(id), size, root: hash } } else { AuditHead::empty() }, time: UnixMillis(size),
                dropped: added.clone(), added,
            };
            prop_assert_eq!(Commit::parse(&commit.to_text()), Ok(commit));
        }

        #[test]
        fn arbitrary_texts_never_panic(text in ".{0,200}\n") {
            let _ = Commit::parse(&text);
        }
    }
}
