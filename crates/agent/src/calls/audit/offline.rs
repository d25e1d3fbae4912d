//! Verifying evidence where there is neither an agent nor a vault: what a bundle needs stands in it.

use std::io::BufRead;

use data_encoding::HEXLOWER;
use serde::Serialize;
use touchkeep_audit::{BundleVerdict, bundle::read_key, verify_bundle};
use touchkeep_core::Code;
use touchkeep_wire::Failure;

use crate::failure;

/// What a bundle was found to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfflineVerdict {
    /// Whether everything fits.
    pub sound: bool,
    /// The origin line of the log.
    pub origin: String,
    /// Rows that the signed checkpoint covers.
    pub size: u64,
    /// Its root, in hex.
    pub root: String,
    /// The keys that signed it.
    pub signers: Vec<String>,
    /// Whether these were named by whoever verifies, and not only by the bundle.
    pub signers_known: bool,
    /// Earlier checkpoints that it continues, by their sizes.
    pub earlier: Vec<u64>,
    /// Rows in the bundle.
    pub rows: u64,
    /// The first and the last.
    pub span: Option<(u64, u64)>,
    /// Whether all between are there.
    pub complete: bool,
    /// How many are disclosed.
    pub disclosed: u64,
    /// The first bad row.
    pub first_bad: Option<u64>,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Verifies a bundle against these public keys (C2SP's form), or where there are none against those that it brings along.
///
/// # Errors
/// A key that is none, or a bundle that cannot be read.
pub fn verify_offline(bundle: impl BufRead, keys: &[String]) -> Result<OfflineVerdict, Failure> {
    let known: Option<Vec<_>> = keys.iter().map(|key| read_key(key)).collect();
    let known = known.ok_or_else(|| {
        failure::invalid(
            "That is not a public key.",
            "Give it as `touchkeep audit checkpoint` prints it: NAME+ID+BASE64",
        )
    })?;
    let verdict = verify_bundle(bundle, &known)
        .map_err(|error| {
            let fix = "Check that all of the bundle can be read: it may be on a medium that fails, or still be copied.";
            Failure::new(Code::System, format!("{error}."), fix)
        })?;
    let mut said = OfflineVerdict {
        sound: false,
        origin: String::new(),
        size: 0,
        root: String::new(),
        signers: Vec::new(),
        signers_known: !known.is_empty(),
        earlier: Vec::new(),
        rows: 0,
        span: None,
        complete: false,
        disclosed: 0,
        first_bad: None,
        problem: None,
    };
    match verdict {
        BundleVerdict::Sound(shown) => {
            said.sound = true;
            said.origin = shown.origin;
            said.size = shown.head.size;
            said.root = HEXLOWER.encode(&shown.head.root);
            (said.signers, said.earlier) = (shown.signers, shown.earlier);
            (said.rows, said.span) = (shown.rows, shown.span);
            (said.complete, said.disclosed) = (shown.complete, shown.disclosed);
        }
        BundleVerdict::Damaged(damage) => {
            said.first_bad = damage.seq;
            said.problem = Some(damage.to_string());
        }
    }
    Ok(said)
}
