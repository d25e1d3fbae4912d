//! YubiKey PIV over PC/SC: VERIFY and use in one transaction.
