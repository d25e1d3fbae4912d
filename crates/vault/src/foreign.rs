//! Files that are no vault and never were one, told from a vault that is damaged: of the one a person has mistyped the name, of the
//! other he needs an older copy.

use std::path::Path;

use bytes::Bytes;
use touchkeep_container::{Container, tar::README_NAME};

use crate::error::VaultError;

/// Where the header of a tar's first member says that it is one, and how.
const MAGIC: (usize, &[u8]) = (257, b"ustar");

/// How other files begin.
const BEGINNINGS: [(&[u8], &str); 8] = [
    (b"age-encryption.org/v1", "it is an age file"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "it is an age file"),
    (
        b"SQLite format 3\0",
        "it is an SQLite database, as an audit log is",
    ),
    (b"PK\x03\x04", "it is a ZIP archive"),
    (b"\x1f\x8b", "it is compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd"),
    (b"\xfd7zXZ\0", "it is compressed with xz"),
    (
        b"version https://git-lfs",
        "it stands for a file that Git LFS has elsewhere",
    ),
];

/// Reads and checks the bytes of a file as a vault.
///
/// # Errors
/// It is none, or it is damaged.
pub fn container_of(path: &Path, bytes: impl Into<Bytes>) -> Result<Container, VaultError> {
    let bytes = bytes.into();
    match foreign(&bytes) {
        Some(looks) => Err(VaultError::NotAVault {
            path: path.into(),
            looks,
        }),
        None => Ok(Container::read(bytes)?),
    }
}

// What a file is that has nothing of a vault's beginning. One flipped byte is not enough to be that.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let (at, magic) = MAGIC;
    let is_tar = bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if is_tar || bytes.starts_with(README_NAME.as_bytes()) {
        return None;
    }
    if bytes.is_empty() {
        return Some("it is empty");
    }
    let mut known = BEGINNINGS.iter();
    if let Some((_, looks)) = known.find(|(begins, _)| bytes.starts_with(begins)) {
        return Some(looks);
    }
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~');
    let first = bytes.get(..512).unwrap_or(bytes);
    if first.iter().all(is_text) {
        return Some("it is a text");
    }
    Some(match first.iter().all(|byte| *byte == 0) {
        true => "it begins with nothing but zeros",
        false => "it does not begin as one",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(bytes: &[u8]) -> Option<String> {
        match container_of(Path::new("/x"), bytes.to_vec()) {
            Err(VaultError::NotAVault { looks, .. }) => Some(looks.to_owned()),
            Err(VaultError::Damaged(_)) => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_file_is_that_is_no_vault_is_said() {
        for (bytes, said) in [
            (&b""[..], "empty"),
            (b"age-encryption.org/v1\n-> X25519 x", "age file"),
            (b"SQLite format 3\0\x10\0", "SQLite"),
            (b"PK\x03\x04\x14\0", "ZIP"),
            (b"KEY=value\n", "text"),
            (&[0; 2048], "zeros"),
            (&[7; 2048], "does not begin as one"),
        ] {
            let looks = looks(bytes).unwrap();
            assert!(looks.contains(said), "{looks}");
        }
    }

    // As a disk or a network may leave it.
    #[test]
    fn a_vault_whose_beginning_is_changed_or_cut_is_a_damaged_one() {
        let mut vault = vec![0; 2048];
        vault[..10].copy_from_slice(b"README.txt");
        vault[257..263].copy_from_slice(b"ustar\0");
        for at in (0..10).chain(257..262) {
            let mut flipped = vault.clone();
            flipped[at] ^= 1;
            assert_eq!(looks(&flipped), None, "{at}");
        }
        for len in [10, 100, 512, 1000] {
            assert_eq!(looks(&vault[..len]), None, "{len}");
        }
    }
}
