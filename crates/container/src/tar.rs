//! A strict subset of POSIX ustar (IEEE Std 1003.1-2017, pax "ustar Interchange Format"): one way to write each archive,
//! and nothing else is read. GNU tar and bsdtar open what is written here; most of what they write is refused.
//!
//! Regular files only, in ascending byte order of their names, each name once; owner 0, time 0, mode 0644, every unused
//! field zero; padding zero; two zero blocks at the end and not a byte after them.

use std::{borrow::Cow, convert::Infallible};

/// Bytes of a tar block.
pub const BLOCK_BYTES: usize = 512;
/// Bytes that a name may have: the prefix field stays empty.
pub const MAX_NAME_BYTES: usize = 100;
/// Members that one archive may have.
pub const MAX_MEMBERS: usize = 65_536;
/// Bytes that one member may have.
pub const MAX_MEMBER_BYTES: usize = 64 << 20;
/// Bytes that one archive may have.
pub const MAX_ARCHIVE_BYTES: usize = 512 << 20;

const END: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

/// The only name with capital letters, so that a person sees it first.
pub const README_NAME: &str = "README.txt";

/// Why bytes are not an archive of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// Larger than [`MAX_ARCHIVE_BYTES`], a member larger than [`MAX_MEMBER_BYTES`], or more of them than [`MAX_MEMBERS`].
    #[error("larger than this format allows")]
    TooLarge,
    /// It ends in the middle.
    #[error("cut off")]
    CutOff,
    /// A header is not in the one form that this format writes.
    #[error("a header at byte {offset} is not canonical")]
    Header {
        /// Where the header starts.
        offset: usize,
    },
    /// The names are not in ascending order, or one is there twice.
    #[error("the member at byte {offset} is out of order")]
    Order {
        /// Where its header starts.
        offset: usize,
    },
    /// Padding is not zero.
    #[error("padding before byte {offset} is not zero")]
    Padding {
        /// Where the padding ends.
        offset: usize,
    },
    /// Something follows the end, or the end is not two zero blocks.
    #[error("the end is not two zero blocks at the end of the file")]
    End,
    /// The name cannot be a member's.
    #[error("not a member's name")]
    Name,
}

/// Whether a name may be a member's: `[a-z0-9._-]` in segments between single slashes, no segment of dots alone; or
/// [`README_NAME`].
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    let segment = |part: &str| part.bytes().all(plain) && part.bytes().any(|b| b != b'.');
    name == README_NAME || (name.len() <= MAX_NAME_BYTES && name.split('/').all(segment))
}

/// Reads an archive: names with bytes, in the order of the names.
///
/// # Errors
/// Whatever [`write()`] would not have written.
pub fn read(archive: &[u8]) -> Result<Vec<(&str, &[u8])>, TarError> {
    if archive.len() > MAX_ARCHIVE_BYTES {
        return Err(TarError::TooLarge);
    }
    let mut members: Vec<(&str, &[u8])> = Vec::new();
    let mut offset = 0;
    loop {
        let block = take(archive, offset, BLOCK_BYTES)?;
        if block.iter().all(|b| *b == 0) {
            return at_end(archive, offset).map(|()| members);
        }
        let (name, size) = read_header(block).ok_or(TarError::Header { offset })?;
        if members.last().is_some_and(|(before, _)| *before >= name) {
            return Err(TarError::Order { offset });
        }
        if size > MAX_MEMBER_BYTES || members.len() == MAX_MEMBERS {
            return Err(TarError::TooLarge);
        }
        let start = offset + BLOCK_BYTES;
        members.push((name, take(archive, start, size)?));
        offset = start + size.next_multiple_of(BLOCK_BYTES);
        let padding = take(archive, start + size, offset - start - size)?;
        if padding.iter().any(|b| *b != 0) {
            return Err(TarError::Padding { offset });
        }
    }
}

fn take(archive: &[u8], start: usize, len: usize) -> Result<&[u8], TarError> {
    archive
        .get(start..)
        .and_then(|rest| rest.get(..len))
        .ok_or(TarError::CutOff)
}

fn at_end(archive: &[u8], offset: usize) -> Result<(), TarError> {
    let rest = archive.get(offset..).ok_or(TarError::CutOff)?;
    if rest.len() < 2 * BLOCK_BYTES {
        return Err(TarError::CutOff);
    }
    if rest.len() > 2 * BLOCK_BYTES || rest.iter().any(|b| *b != 0) {
        return Err(TarError::End);
    }
    Ok(())
}

// A header is read by writing the one that its name and size must have, and comparing.
fn read_header(block: &[u8]) -> Option<(&str, usize)> {
    let field = block.get(..MAX_NAME_BYTES)?;
    let name = std::str::from_utf8(field.split(|b| *b == 0).next()?).ok()?;
    let digits = std::str::from_utf8(block.get(124..135)?).ok()?;
    let size = usize::from_str_radix(digits, 8).ok()?;
    (is_name(name) && header(name, size) == block).then_some((name, size))
}

/// Writes an archive. The same members give the same bytes, whatever their order.
///
/// # Errors
/// A name that is no name or there twice; too much.
pub fn write<'a>(
    members: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<Vec<u8>, TarError> {
    let members = members.into_iter();
    Archive::of(members.map(|(name, bytes)| (name.into(), bytes))).map(|it| it.to_bytes())
}

/// Members that make an archive, before it is written.
#[derive(Debug)]
pub struct Archive<'a> {
    // Ascending by name.
    members: Vec<(Cow<'a, str>, &'a [u8])>,
    len: usize,
}

impl<'a> Archive<'a> {
    pub(crate) fn of(
        members: impl Iterator<Item = (Cow<'a, str>, &'a [u8])>,
    ) -> Result<Self, TarError> {
        let mut members: Vec<_> = members.collect();
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        if members.len() > MAX_MEMBERS {
            return Err(TarError::TooLarge);
        }
        let mut offset = 0;
        let mut before: Option<&str> = None;
        for (name, bytes) in &members {
            if !is_name(name) {
                return Err(TarError::Name);
            }
            if before == Some(name) {
                return Err(TarError::Order { offset });
            }
            before = Some(name);
            offset += BLOCK_BYTES + bytes.len().next_multiple_of(BLOCK_BYTES);
            if bytes.len() > MAX_MEMBER_BYTES || offset + END.len() > MAX_ARCHIVE_BYTES {
                return Err(TarError::TooLarge);
            }
        }
        let len = offset + END.len();
        Ok(Self { members, len })
    }

    /// The whole archive.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut archive = Vec::with_capacity(self.len);
        let written: Result<(), Infallible> = self.pieces(|piece| {
            archive.extend_from_slice(piece);
            Ok(())
        });
        match written {
            Ok(()) => archive,
        }
    }

    /// The archive's bytes, one piece after the other, for who need not have them all at once.
    ///
    /// # Errors
    /// What `take` says.
    pub fn pieces<E>(&self, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        for (name, bytes) in &self.members {
            take(&header(name, bytes.len()))?;
            take(bytes)?;
            let padding = bytes.len().next_multiple_of(BLOCK_BYTES) - bytes.len();
            take(END.get(..padding).unwrap_or_default())?;
        }
        take(&END)
    }
}

fn header(name: &str, size: usize) -> [u8; BLOCK_BYTES] {
    let mut block = [0u8; BLOCK_BYTES];
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, b"0000644\0");
    put(&mut block, 108, b"0000000\0"); // uid
    put(&mut block, 116, b"0000000\0"); // gid
    put(&mut block, 124, format!("{size:011o}\0").as_bytes());
    put(&mut block, 136, b"00000000000\0"); // mtime
    put(&mut block, 148, b"        "); // the checksum is counted as blanks
    put(&mut block, 156, b"0"); // a regular file
    put(&mut block, 257, b"ustar\x0000");
    put(&mut block, 329, b"0000000\0"); // devmajor
    put(&mut block, 337, b"0000000\0"); // devminor
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in block.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_order_does_not_matter() {
        let a = write([("b/x", &b"two"[..]), (README_NAME, b""), ("a", &[7; 512])]).unwrap();
        let b = write([("a", &[7; 512][..]), ("b/x", b"two"), (README_NAME, b"")]).unwrap();
        assert_eq!(a, b);
        assert_eq!(
            read(&a).unwrap(),
            [(README_NAME, &b""[..]), ("a", &[7; 512]), ("b/x", b"two")]
        );
    }

    #[test]
    fn every_flipped_bit_outside_the_contents_is_refused() {
        let archive = write([("a", &b"hello"[..]), ("b", b"")]).unwrap();
        for at in (0..archive.len()).filter(|at| !(512..517).contains(at)) {
            for bit in 0..8 {
                let mut flipped = archive.clone();
                flipped[at] ^= 1 << bit;
                // A flipped bit of a name is another name: the layer above compares names with a signed list.
                if let Ok(members) = read(&flipped) {
                    assert_ne!(members[0].0, "a", "byte {at} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn every_truncation_and_every_appended_byte_is_refused() {
        let archive = write([("a", &b"hello"[..])]).unwrap();
        for len in 0..archive.len() {
            assert!(read(&archive[..len]).is_err(), "{len}");
        }
        for more in [1, 511, 512, 1024] {
            let longer = [archive.clone(), vec![0; more]].concat();
            assert_eq!(read(&longer), Err(TarError::End));
        }
    }

    #[test]
    fn duplicates_and_names_of_other_places_are_refused() {
        assert!(write([("a", &b""[..]), ("a", b"")]).is_err());
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "A",
            "a b",
            "ä",
            "readme.TXT",
            "a\n",
        ] {
            assert!(!is_name(bad), "{bad:?}");
            assert_eq!(write([(bad, &b""[..])]), Err(TarError::Name), "{bad:?}");
        }
        assert!(!is_name(&"a".repeat(MAX_NAME_BYTES + 1)) && is_name(&"a".repeat(MAX_NAME_BYTES)));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2048)) {
            let _ = read(&bytes);
        }

        #[test]
        fn parse_of_print_is_the_same(members in proptest::collection::btree_map("[a-z0-9_-]{1,20}(/[a-z0-9_-]{1,20}){0,2}",
                                      proptest::collection::vec(proptest::num::u8::ANY, 0..1500), 0..6)) {
            let archive = write(members.iter().map(|(n, b)| (n.as_str(), b.as_slice()))).unwrap();
            let back = read(&archive).unwrap();
            proptest::prop_assert!(back.iter().copied().eq(members.iter().map(|(n, b)| (n.as_str(), b.as_slice()))));
            proptest::prop_assert_eq!(write(back).unwrap(), archive);
        }
    }
}
