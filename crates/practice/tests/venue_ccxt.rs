//! Unmodified ccxt trades and withdraws at the practice venue in each of its dialects (`ccxt_*.py`), and what each must
//! refuse is refused.
//!
//! Where Python cannot import ccxt, the version of `requirements.txt` is installed once into the target folder.
//! Without ccxt this test fails; it is never skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic,
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "tests may fail loudly, and use a part of what they share"
)]

mod venue_support;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use venue_support::Venue;

const REQUIREMENTS: &str = include_str!("requirements.txt");

#[test]
fn ccxt_trades_and_withdraws_at_binance() {
    agrees("ccxt_direct.py");
}

#[test]
fn ccxt_trades_and_withdraws_at_kraken() {
    agrees("ccxt_kraken.py");
}

#[test]
fn ccxt_trades_and_sends_at_coinbase() {
    agrees("ccxt_coinbase.py");
}

#[test]
fn what_is_ordered_at_the_web_site_holds_in_every_dialect() {
    agrees("site_control.py");
}

#[test]
fn ccxt_pro_trades_over_websockets() {
    agrees("sockets.py");
}

/// Runs a script against a venue of its own; its last line says that the venue saw what the script did.
fn agrees(script: &str) {
    let venue = Venue::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(script);
    let output = python(&library_path())
        .arg(script)
        .args([&venue.url, &venue.control])
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("the venue's record agrees"),
        "{}",
        said(&output)
    );
}

/// What has to stand in PYTHONPATH so that ccxt can be imported; nothing where Python has it already.
fn library_path() -> OsString {
    if has_ccxt(&OsString::new()) {
        return OsString::new();
    }
    let wanted = REQUIREMENTS
        .lines()
        .rfind(|line| line.starts_with("ccxt=="))
        .expect("a pin");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join(wanted.replace("==", "-"));
    let library = cache.clone().into_os_string();
    if !has_ccxt(&library) {
        install(&cache);
        assert!(
            has_ccxt(&library),
            "ccxt was installed but cannot be imported"
        );
    }
    library
}

/// Installs beside the cache and renames, so that two tests at once both find a whole one.
fn install(cache: &Path) {
    let staging: PathBuf = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap()
        .keep();
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/requirements.txt");
    let output = Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--target",
        ])
        .arg(&staging)
        .arg("--requirement")
        .arg(requirements)
        .output()
        .expect("python3 starts");
    assert!(
        output.status.success(),
        "ccxt cannot be had: {}",
        said(&output)
    );
    if std::fs::rename(&staging, cache).is_err() {
        std::fs::remove_dir_all(&staging).unwrap();
    }
}

fn has_ccxt(library: &OsString) -> bool {
    let import = python(library)
        .args(["-c", "import ccxt, cryptography"])
        .output();
    import.expect("python3 starts").status.success()
}

fn python(library: &OsString) -> Command {
    let mut command = Command::new("python3");
    // The scripts stand in the source tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    if !library.is_empty() {
        command.env("PYTHONPATH", library);
    }
    command
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}
