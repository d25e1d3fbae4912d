//! End to end: real binaries, real pcscd, real PKCS#11 modules, a practice venue, a real window.
