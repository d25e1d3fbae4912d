//! Commits of which only a trace is left: their hashes, their parents, and what they added that is still live. A vault that
//! is saved every minute would grow by its commits alone; a list of this sort stands in their place, signed for like any
//! other member by the commit that adds it.
//!
//! ```text
//! touchkeep/past/v1 <vault>
//! commit <hash>
//! parent <hash>            ascending; left out where the one parent is the commit of the block before; `parent -`: none
//! add <name> <hash>        ascending by name
//! ```

use std::{collections::BTreeSet, fmt::Write as _};

use touchkeep_core::VaultId;

use crate::{commit::MAX_PARENTS, hash::Hash, name::MemberName, note::NoteError};

/// First word of a list's text.
pub const PAST_HEADER: &str = "touchkeep/past/v1";

/// What is left of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its hash.
    pub commit: Hash,
    /// The commits before it, ascending.
    pub parents: Vec<Hash>,
    /// What it added that was live when the list was made, ascending by name.
    pub added: Vec<(MemberName, Hash)>,
}

/// A list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The vault's id.
    pub vault: VaultId,
    /// In any order, each once.
    pub traces: Vec<Trace>,
}

impl Past {
    /// The member's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{PAST_HEADER} {}\n", self.vault);
        let mut last = None;
        for trace in &self.traces {
            // Writing to a String does not fail.
            let _ = writeln!(text, "commit {}", trace.commit);
            if last != Some(&trace.parents[..]) {
                if trace.parents.is_empty() {
                    text.push_str("parent -\n");
                }
                for parent in &trace.parents {
                    let _ = writeln!(text, "parent {parent}");
                }
            }
            for (name, hash) in &trace.added {
                let _ = writeln!(text, "add {name} {hash}");
            }
            last = Some(std::slice::from_ref(&trace.commit));
        }
        text
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Anything that [`Past::to_text`] would not have written.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let text = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        read(text)
            .filter(|past| past.is_sorted() && past.to_text() == text)
            .ok_or(NoteError::Malformed)
    }

    fn is_sorted(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.traces.iter().all(|trace| {
            let names: Vec<String> = trace.added.iter().map(|(n, _)| n.to_string()).collect();
            seen.insert(trace.commit)
                && trace.parents.is_sorted_by(|a, b| a < b)
                && trace.parents.len() <= MAX_PARENTS
                && !trace.parents.contains(&trace.commit)
                && names.is_sorted_by(|a, b| a < b)
        })
    }
}

fn read(text: &str) -> Option<Past> {
    let mut lines = text.strip_suffix('\n')?.split('\n').peekable();
    let vault = after(lines.next()?, PAST_HEADER)?.parse().ok()?;
    let mut traces: Vec<Trace> = Vec::new();
    while let Some(line) = lines.next() {
        let commit = after(line, "commit")?.parse().ok()?;
        let mut parents = None;
        while let Some(parent) = lines.peek().and_then(|line| after(line, "parent")) {
            let parents: &mut Vec<Hash> = parents.get_or_insert_default();
            if parent != "-" {
                parents.push(parent.parse().ok()?);
            }
            lines.next();
        }
        let parents = match parents {
            Some(parents) => parents,
            None => vec![traces.last()?.commit],
        };
        let mut added = Vec::new();
        while let Some(member) = lines.peek().and_then(|line| after(line, "add")) {
            let (name, hash) = member.split_once(' ')?;
            added.push((name.parse().ok()?, hash.parse().ok()?));
            lines.next();
        }
        traces.push(Trace {
            commit,
            parents,
            added,
        });
    }
    Some(Past { vault, traces })
}

fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.strip_prefix(word)?.strip_prefix(' ')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use touchkeep_core::{Id, ItemId};

    use super::*;

    fn any_past() -> impl Strategy<Value = Past> {
        let hashes = proptest::collection::btree_set(any::<[u8; 32]>(), 0..3);
        let names = proptest::collection::btree_set(any::<[u8; 16]>(), 0..3);
        let trace = (hashes, names, any::<bool>());
        let traces = proptest::collection::btree_map(any::<[u8; 32]>(), trace, 0..5);
        (any::<[u8; 16]>(), traces).prop_map(|(id, traces)| {
            let id = Id::from_bytes(id);
            let mut past = Past {
                vault: VaultId(id),
                traces: Vec::new(),
            };
            for (commit, (parents, revisions, follows)) in traces {
                let before = past.traces.last().map(|trace: &Trace| trace.commit);
                let mut added: Vec<_> = revisions
                    .into_iter()
                    .map(Id::from_bytes)
                    .map(|revision| MemberName::Sealed {
                        item: ItemId(id),
                        revision,
                    })
                    .map(|name| (name, Hash([7; 32])))
                    .collect();
                added.sort_by_key(|(name, _)| name.to_string());
                past.traces.push(Trace {
                    commit: Hash(commit),
                    parents: match before.filter(|_| follows) {
                        Some(before) => vec![before],
                        None => parents
                            .into_iter()
                            .filter(|p| *p != commit)
                            .map(Hash)
                            .collect(),
                    },
                    added,
                });
            }
            past
        })
    }

    proptest! {
        #[test]
        fn parse_of_print_is_the_same(past in any_past()) {
            prop_assert_eq!(Past::parse(past.to_text().as_bytes()), Ok(past));
        }

        #[test]
        fn arbitrary_texts_never_panic_and_are_canonical(
            text in "(touchkeep/past/v1 [a-z2-7]{26}\n)?((commit|parent|add) [a-f0-9-]{1,64}\n){0,5}"
        ) {
            if let Ok(past) = Past::parse(text.as_bytes()) {
                prop_assert_eq!(past.to_text(), text);
            }
        }
    }
}
