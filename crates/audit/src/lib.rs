//! The audit log: rows recorded before the act, a Merkle tree over them, checkpoints, and the verifier.
