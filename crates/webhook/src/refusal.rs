//! Why a delivery is not taken.

/// Why a delivery is not taken. Nothing of a secret, a signature or a body is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A header that the scheme needs is not there.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// A header of the scheme is there more than once, so that two readers could take different ones.
    #[error("the header {0} is there more than once")]
    Doubled(&'static str),
    /// A header is not of its form.
    #[error("the header {0} is not of its form")]
    Unreadable(&'static str),
    /// No signature of the kind that the secret checks.
    #[error("there is no signature of the kind that this secret checks")]
    NoSignature,
    /// None of the signatures is right: another secret, or other bytes than were signed.
    #[error("no signature is right: it was signed with another secret, or changed on its way")]
    WrongSignature,
    /// Signed longer ago than is tolerated.
    #[error("it was signed {0} seconds ago, longer than is tolerated")]
    TooOld(u64),
    /// Signed further ahead than is tolerated.
    #[error("it was signed {0} seconds ahead of this machine's clock, more than is tolerated")]
    TooNew(u64),
}

impl Refusal {
    /// Its stable word, for programs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing-header",
            Self::Doubled(_) => "doubled-header",
            Self::Unreadable(_) => "unreadable-header",
            Self::NoSignature => "no-signature",
            Self::WrongSignature => "wrong-signature",
            Self::TooOld(_) => "too-old",
            Self::TooNew(_) => "too-new",
        }
    }
}
