//! PKCS#11 modules, hosted in a child process.
