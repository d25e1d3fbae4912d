//! The practice laboratory: what Yubico's certification authority is for real keys. Its private keys are public, see
//! `lab/README.md`.

use crate::card::Firmware;
use rsa::{RsaPrivateKey, pkcs8::DecodePrivateKey};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// From this firmware on, slot F9 is signed below the newer root.
const NEWER_ROOT: Firmware = (5, 7, 4);
const PIV_ROOT: &str = "Touchkeep Practice PIV Root CA";
const PIV_ATTESTATION: &str = "Touchkeep Practice PIV Attestation B 1";

/// Every certificate, with the name of the file that it is written to.
const CERTIFICATES: [(&str, &str); 4] = [
    ("piv-root-ca.pem", include_str!("../lab/piv-root-ca.pem")),
    (
        "attestation-root-1.pem",
        include_str!("../lab/attestation-root-1.pem"),
    ),
    (
        "attestation-intermediate-b-1.pem",
        include_str!("../lab/attestation-intermediate-b-1.pem"),
    ),
    (
        "piv-attestation-b-1.pem",
        include_str!("../lab/piv-attestation-b-1.pem"),
    ),
];

/// Who signs slot F9 of a new card.
pub(crate) struct Authority {
    /// Common name in its certificate.
    pub(crate) name: &'static str,
    /// First and last day of what it signs, as X.509 writes them.
    pub(crate) validity: [&'static str; 2],
    pem: &'static str,
}

impl Authority {
    /// The one for keys of this firmware.
    pub(crate) fn of(firmware: Firmware) -> Self {
        if firmware < NEWER_ROOT {
            Self {
                name: PIV_ROOT,
                validity: ["160314000000Z", "20520417000000Z"],
                pem: include_str!("../lab/piv-root-ca.key"),
            }
        } else {
            Self {
                name: PIV_ATTESTATION,
                validity: ["241201000000Z", "99991231235959Z"],
                pem: include_str!("../lab/piv-attestation-b-1.key"),
            }
        }
    }

    /// Its private key, which everybody may have.
    pub(crate) fn key(&self) -> Option<RsaPrivateKey> {
        RsaPrivateKey::from_pkcs8_pem(self.pem).ok()
    }
}

/// Where to write the certificates to.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder for the four PEM files; it is made if it is not there.
    #[arg(long)]
    dir: PathBuf,
}

/// Writes the laboratory's certificates.
#[expect(
    clippy::print_stderr,
    reason = "the one place where its error is printed"
)]
pub(crate) fn run(args: &Args) -> ExitCode {
    match write(&args.dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "touchkeep-practice: the certificates could not be written to {}: {error}",
                args.dir.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    CERTIFICATES
        .iter()
        .try_for_each(|(name, pem)| fs::write(dir.join(name), pem))
}
