//! What a venue's requests mean, and how they are signed.
