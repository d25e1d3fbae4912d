//! The header of an age file, looked at before age reads it: how much there is of it, and that every stanza ends as the format says.
//!
//! Whoever may write into a vault's file may put any header into it, and each X25519 stanza costs whoever opens it a key agreement: a
//! header of 60 MiB took minutes. And the `age` crate reads stanzas without their last, short line, which old versions of it wrote;
//! the format (C2SP age v1) refuses them.

use age::DecryptError;

/// Bytes that a header may have.
const MAX_HEADER_BYTES: usize = 1 << 20;
/// Stanzas that it may have: who may read one environment, or one user's devices.
pub(crate) const MAX_STANZAS: usize = 1024;

const VERSION: &[u8] = b"age-encryption.org/v1";
const FULL_LINE: usize = 64;
const MAC_LINE: usize = 4 + 43;
const NONCE_BYTES: usize = 16;

/// Whether age may read it.
pub(crate) fn check(file: &[u8]) -> Result<(), DecryptError> {
    is_bounded(file).ok_or(DecryptError::InvalidHeader)
}

fn is_bounded(file: &[u8]) -> Option<()> {
    let head = file.get(..MAX_HEADER_BYTES).unwrap_or(file);
    // Lines with their ends; the last may be the payload, or cut off.
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let mut read = 0;
    let mut next = || {
        let line = lines.next()?;
        read += line.len();
        line.strip_suffix(b"\n").map(|line| (line, read))
    };
    let (version, _) = next()?;
    let (mut line, mut end) = next()?;
    let mut stanzas = 0;
    while line.starts_with(b"-> ") {
        stanzas += 1;
        let mut body = next()?.0;
        while body.len() == FULL_LINE && !body.starts_with(b"-") {
            body = next()?.0;
        }
        if stanzas > MAX_STANZAS || body.len() >= FULL_LINE || body.starts_with(b"-") {
            return None;
        }
        (line, end) = next()?;
    }
    let payload = file.get(end..)?;
    let is_mac = line.starts_with(b"--- ") && line.len() == MAC_LINE;
    (version == VERSION && is_mac && payload.len() >= NONCE_BYTES).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(stanzas: &str) -> Vec<u8> {
        let mac = "--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
        [
            b"age-encryption.org/v1\n",
            stanzas.as_bytes(),
            mac.as_bytes(),
            &[0; 32],
        ]
        .concat()
    }

    #[test]
    fn so_many_stanzas_and_no_more() {
        assert!(check(&file(&"-> a\nAAAA\n".repeat(MAX_STANZAS))).is_ok());
        assert!(check(&file(&"-> a\nAAAA\n".repeat(MAX_STANZAS + 1))).is_err());
        let line = format!("{}\n", "A".repeat(64));
        assert!(check(&file(&format!("-> a\n{}\n", line.repeat(1000)))).is_ok());
        assert!(check(&file(&format!("-> a\n{}\n", line.repeat(20_000)))).is_err());
    }

    #[test]
    fn a_stanza_ends_with_a_short_line() {
        let full = "A".repeat(64);
        assert!(check(&file(&format!("-> a\n{full}\n\n"))).is_ok());
        for bad in [
            format!("-> a\n{full}\n"),
            "-> a\n".into(),
            format!("-> a\n{full}A\n"),
        ] {
            assert!(check(&file(&bad)).is_err(), "{bad}");
        }
    }
}
