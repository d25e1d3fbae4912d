//! Status words: the two bytes that end every answer (ISO/IEC 7816-4, NIST SP 800-73-4 part 2, section 3).

/// The last two bytes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(pub(crate) u16);

impl Status {
    pub(crate) const OK: Self = Self(0x9000);
    pub(crate) const WRITE_FAILED: Self = Self(0x6581);
    pub(crate) const WRONG_LENGTH: Self = Self(0x6700);
    pub(crate) const NOT_ALLOWED: Self = Self(0x6982);
    pub(crate) const BLOCKED: Self = Self(0x6983);
    pub(crate) const CONDITIONS: Self = Self(0x6985);
    pub(crate) const BAD_DATA: Self = Self(0x6A80);
    pub(crate) const NOT_FOUND: Self = Self(0x6A82);
    pub(crate) const NO_SPACE: Self = Self(0x6A84);
    pub(crate) const BAD_PARAMETERS: Self = Self(0x6A86);
    pub(crate) const NO_REFERENCE: Self = Self(0x6A88);
    pub(crate) const BAD_SLOT: Self = Self(0x6B00);
    pub(crate) const UNKNOWN_INSTRUCTION: Self = Self(0x6D00);
    pub(crate) const UNKNOWN_CLASS: Self = Self(0x6E00);
    pub(crate) const INTERNAL: Self = Self(0x6F00);

    /// "Wrong, so many tries left" (`63Cx`); more than fifteen do not fit and show as fifteen.
    pub(crate) fn tries(left: u8) -> Self {
        Self(0x63C0 | u16::from(left.min(0x0F)))
    }

    /// "There is more" (`61xx`); `00` stands for 256 bytes or more.
    pub(crate) fn more(left: usize) -> Self {
        Self(0x6100 | u16::from(u8::try_from(left).unwrap_or(0)))
    }
}
