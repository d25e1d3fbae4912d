//! The texts of the membership chain: genesis, and each further link.

use std::{fmt::Write as _, str::FromStr};

use touchkeep_core::{UnixMillis, VaultId};

use crate::{hash::Hash, membership::MembershipError, statement::Statement, words::VaultKind};

/// First word of genesis' text. What is signed says what it is, so that no signature fits two purposes.
pub const GENESIS_HEADER: &str = "touchkeep/vault/v1";
/// First word of a membership change's text.
pub const CHANGE_HEADER: &str = "touchkeep/members/v1";
/// Branches that one link may join.
pub const MAX_JOINED: usize = 16;
/// Statements that one link may make.
pub const MAX_STATEMENTS: usize = 4096;

/// Genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The vault's id.
    pub vault: VaultId,
    /// What it is for.
    pub kind: VaultKind,
    /// When it was made.
    pub time: UnixMillis,
    /// The founder, his device and its keys.
    pub statements: Vec<Statement>,
}

/// A further link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The vault's id.
    pub vault: VaultId,
    /// From 1.
    pub number: u32,
    /// The hash of the link before it.
    pub previous: Hash,
    /// The ends of other branches that are given up with it, ascending. What of them is to hold is stated again.
    pub joined: Vec<Hash>,
    /// When it was made.
    pub time: UnixMillis,
    /// What it changes.
    pub statements: Vec<Statement>,
}

impl Genesis {
    /// The text to be signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let head = format!(
            "{GENESIS_HEADER} {}\nkind {}\ntime {}\n",
            self.vault, self.kind, self.time.0
        );
        with_statements(head, &self.statements)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Anything that [`Genesis::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, MembershipError> {
        let mut lines = Lines::of(text, GENESIS_HEADER)?;
        Ok(Self {
            vault: lines.value(GENESIS_HEADER)?,
            kind: lines.value("kind")?,
            time: lines.time()?,
            statements: lines.statements()?,
        })
    }
}

impl Change {
    /// The text to be signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut head = format!(
            "{CHANGE_HEADER} {}\nnumber {}\nprev {}\n",
            self.vault, self.number, self.previous
        );
        // Writing to a String does not fail.
        for joined in &self.joined {
            let _ = writeln!(head, "join {joined}");
        }
        let _ = writeln!(head, "time {}", self.time.0);
        with_statements(head, &self.statements)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Anything that [`Change::to_text`] would not have written.
    pub fn parse(text: &str) -> Result<Self, MembershipError> {
        let mut lines = Lines::of(text, CHANGE_HEADER)?;
        let change = Self {
            vault: lines.value(CHANGE_HEADER)?,
            number: lines.value("number")?,
            previous: lines.value("prev")?,
            joined: lines.values("join")?,
            time: lines.time()?,
            statements: lines.statements()?,
        };
        let ascends = change.joined.is_sorted_by(|a, b| a < b);
        // One text for each link: `+1` and `01` are not canonical.
        (ascends && change.joined.len() <= MAX_JOINED && change.to_text() == text)
            .then_some(change)
            .ok_or(MembershipError::Line { line: 2 })
    }
}

/// The link that a note goes on from, before anything of it is believed.
pub(crate) fn previous_of(note: &[u8]) -> Result<Hash, MembershipError> {
    let text = std::str::from_utf8(note).map_err(|_| MembershipError::Line { line: 1 })?;
    let (text, _) = text
        .split_once("\n\n")
        .ok_or(MembershipError::Line { line: 1 })?;
    Change::parse(&format!("{text}\n")).map(|change| change.previous)
}

fn with_statements(mut text: String, statements: &[Statement]) -> String {
    for statement in statements {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{statement}");
    }
    text
}

struct Lines<'a> {
    lines: std::iter::Peekable<std::str::Split<'a, char>>,
    at: usize,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str, header: &str) -> Result<Self, MembershipError> {
        let (name, _) = header.rsplit_once('/').unwrap_or((header, ""));
        let is_newer = text
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with("/v") && !rest.starts_with("/v1 "));
        if is_newer {
            return Err(MembershipError::TooNew);
        }
        let text = text
            .strip_suffix('\n')
            .ok_or(MembershipError::Line { line: 1 })?;
        Ok(Self {
            lines: text.split('\n').peekable(),
            at: 0,
        })
    }

    fn value<T: FromStr>(&mut self, word: &str) -> Result<T, MembershipError> {
        self.at += 1;
        self.lines
            .next()
            .and_then(|line| line.strip_prefix(word)?.strip_prefix(' ')?.parse().ok())
            .ok_or(MembershipError::Line { line: self.at })
    }

    // Any number of lines that begin with the word.
    fn values<T: FromStr>(&mut self, word: &str) -> Result<Vec<T>, MembershipError> {
        let mut values = Vec::new();
        let is_of = |line: &&str| line.split_once(' ').is_some_and(|(first, _)| first == word);
        while self.lines.peek().is_some_and(is_of) {
            values.push(self.value(word)?);
        }
        Ok(values)
    }

    fn time(&mut self) -> Result<UnixMillis, MembershipError> {
        self.value("time").map(UnixMillis)
    }

    fn statements(&mut self) -> Result<Vec<Statement>, MembershipError> {
        let mut statements = Vec::new();
        for line in self.lines.by_ref() {
            self.at += 1;
            let bad = MembershipError::Line { line: self.at };
            if statements.len() == MAX_STATEMENTS {
                return Err(bad);
            }
            statements.push(line.parse().map_err(|_| bad)?);
        }
        Ok(statements)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use touchkeep_core::Id;

    use super::*;
    use crate::statement::tests::any_statement;

    proptest! {
        #[test]
        fn parse_of_print_is_the_same(
            id in any::<[u8; 16]>(), number in any::<u32>(), hash in any::<[u8; 32]>(), time in any::<u64>(),
            joined in proptest::collection::btree_set(any::<[u8; 32]>(), 0..3),
            statements in proptest::collection::vec(any_statement(), 0..5),
        ) {
            let vault = VaultId(Id::from_bytes(id));
            let joined = joined.into_iter().map(Hash).collect();
            let change = Change { vault, number, previous: Hash(hash), joined, time: UnixMillis(time), statements: statements.clone() };
            prop_assert_eq!(Change::parse(&change.to_text()), Ok(change));
            let genesis = Genesis { vault, kind: VaultKind::Real, time: UnixMillis(time), statements };
            prop_assert_eq!(Genesis::parse(&genesis.to_text()), Ok(genesis));
        }

        #[test]
        fn arbitrary_texts_never_panic(text in ".{0,80}\n") {
            let _ = Genesis::parse(&text);
            let _ = Change::parse(&text);
        }
    }

    #[test]
    fn a_newer_format_is_said_to_be_newer() {
        let text = "touchkeep/vault/v2 x\n";
        assert_eq!(Genesis::parse(text), Err(MembershipError::TooNew));
    }
}
