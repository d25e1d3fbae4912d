//! The one process that opens vaults, talks to devices, signs and notifies.
