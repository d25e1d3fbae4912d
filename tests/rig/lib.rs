//! What the end-to-end tests stand on: private folders, real binaries, and an end for every process that they started.
