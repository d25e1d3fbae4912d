//! The bytes of a vault file: strict tar, signed notes, membership, commits, operations.
