//! One member of a zip archive (APPNOTE 6.3.10), read by its central directory; sizes are bounds and not promises.

use zeroize::Zeroizing;

const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
const MAX_COMMENT: usize = 0xffff;
/// Members that are looked at.
const MAX_MEMBERS: usize = 20_000;

/// Why there is no member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZipError {
    /// It is no archive, or one in parts, or with a password.
    Damaged,
    /// More members, or more bytes, than are read.
    TooLarge,
    /// There is no such member.
    Missing,
}

/// What the directory says of a member.
pub(crate) struct Member<'a> {
    pub(crate) name: &'a [u8],
    flags: u16,
    method: u16,
    crc: u32,
    packed: usize,
    size: usize,
    at: usize,
}

/// All members.
pub(crate) fn members(zip: &[u8]) -> Result<Vec<Member<'_>>, ZipError> {
    let tail = zip.len().saturating_sub(END_BYTES + MAX_COMMENT);
    let found = zip
        .get(tail..)
        .unwrap_or_default()
        .windows(END.len())
        .rposition(|window| window == END);
    let end = tail + found.ok_or(ZipError::Damaged)?;
    let count = usize::from(u16_at(zip, end + 10)?);
    let mut at = u32_at(zip, end + 16)?;
    if count > MAX_MEMBERS {
        return Err(ZipError::TooLarge);
    }
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        if zip.get(at..at + ENTRY.len()) != Some(ENTRY) {
            return Err(ZipError::Damaged);
        }
        let (name, extra, comment) = (
            u16_at(zip, at + 28)?,
            u16_at(zip, at + 30)?,
            u16_at(zip, at + 32)?,
        );
        let begin = at + ENTRY_BYTES;
        let name_end = begin + usize::from(name);
        members.push(Member {
            name: zip.get(begin..name_end).ok_or(ZipError::Damaged)?,
            flags: u16_at(zip, at + 8)?,
            method: u16_at(zip, at + 10)?,
            crc: u32_at(zip, at + 16)? as u32,
            packed: u32_at(zip, at + 20)?,
            size: u32_at(zip, at + 24)?,
            at: u32_at(zip, at + 42)?,
        });
        at = name_end + usize::from(extra) + usize::from(comment);
    }
    Ok(members)
}

/// What a member holds, up to `limit` bytes.
pub(crate) fn open(
    zip: &[u8],
    member: &Member<'_>,
    limit: usize,
) -> Result<Zeroizing<Vec<u8>>, ZipError> {
    if member.size > limit {
        return Err(ZipError::TooLarge);
    }
    let encrypted = member.flags & 1 != 0;
    if encrypted || zip.get(member.at..member.at + LOCAL.len()) != Some(LOCAL) {
        return Err(ZipError::Damaged);
    }
    let (name, extra) = (u16_at(zip, member.at + 26)?, u16_at(zip, member.at + 28)?);
    let begin = member.at + LOCAL_BYTES + usize::from(name) + usize::from(extra);
    let packed = zip
        .get(begin..begin + member.packed)
        .ok_or(ZipError::Damaged)?;
    let bytes = Zeroizing::new(match member.method {
        0 => packed.to_vec(),
        // What comes out is bounded by what the directory says, whatever the stream would like.
        8 => miniz_oxide::inflate::decompress_to_vec_with_limit(packed, member.size)
            .map_err(|_| ZipError::Damaged)?,
        _ => return Err(ZipError::Damaged),
    });
    if bytes.len() != member.size || crc32fast::hash(&bytes) != member.crc {
        return Err(ZipError::Damaged);
    }
    Ok(bytes)
}

/// A member by its name.
pub(crate) fn find<'a, 'z>(
    members: &'a [Member<'z>],
    name: &str,
) -> Result<&'a Member<'z>, ZipError> {
    let mut found = members
        .iter()
        .filter(|member| member.name == name.as_bytes());
    match (found.next(), found.next()) {
        (Some(member), None) => Ok(member),
        // Two of one name are read differently by different readers.
        (Some(_), Some(_)) => Err(ZipError::Damaged),
        (None, _) => Err(ZipError::Missing),
    }
}

fn u16_at(zip: &[u8], at: usize) -> Result<u16, ZipError> {
    let bytes = zip.get(at..).and_then(|rest| rest.first_chunk());
    bytes
        .map(|bytes| u16::from_le_bytes(*bytes))
        .ok_or(ZipError::Damaged)
}

fn u32_at(zip: &[u8], at: usize) -> Result<usize, ZipError> {
    let bytes = zip.get(at..).and_then(|rest| rest.first_chunk());
    let value = bytes
        .map(|bytes| u32::from_le_bytes(*bytes))
        .ok_or(ZipError::Damaged)?;
    Ok(value as usize)
}
