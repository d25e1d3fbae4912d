//! Policies to begin with, as files with comments.

/// For whom a policy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Starting {
    /// Small orders by rule, the rest asked; money leaves for listed addresses only, with a touch.
    Trader,
    /// Each order asks for a touch; in a practice vault orders go by rule.
    Developer,
    /// Nothing but reading.
    ReadOnly,
}

impl Starting {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Trader, Self::Developer, Self::ReadOnly];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trader => "trader",
            Self::Developer => "developer",
            Self::ReadOnly => "read-only",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// Its text. `practice`: for a vault whose keys are for practice venues alone.
    #[must_use]
    pub const fn text(self, practice: bool) -> &'static str {
        match self {
            Self::Trader => include_str!("../data/trader.toml"),
            Self::Developer if practice => include_str!("../data/developer-practice.toml"),
            Self::Developer => include_str!("../data/developer.toml"),
            Self::ReadOnly => include_str!("../data/read-only.toml"),
        }
    }
}
