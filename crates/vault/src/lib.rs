//! The vault file on disk: locks, atomic saves, recipients, items and sealed values.
