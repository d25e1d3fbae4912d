//! The payload of an age file (C2SP age v1): chunks of 64 KiB, each under ChaCha20-Poly1305 with its number and whether it is the
//! last in the nonce. It is opened straight into memory that the caller has, whole or some bytes of it.
//!
//! # Why not by the age crate
//! It opens each chunk into new memory, copies it twice and wipes it twice, and its cipher takes three times as long: opening a large vault was
//! little else. The header, its stanzas and its MAC stay with age, and the vectors that judge age judge this (`cctv.rs`).

use std::{cell::RefCell, io, ops::Range};

use age::DecryptError;
use age_core::{
    format::{FileKey, Stanza},
    primitives::hkdf,
    secrecy::ExposeSecret,
};
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use touchkeep_locked::LockedBytes;
use zeroize::Zeroizing;

use super::header;

const CHUNK_BYTES: usize = 64 << 10;
const TAG_BYTES: usize = 16;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
const NONCE_BYTES: usize = 16;
const LABEL: &[u8] = b"payload";

/// The key of one payload, kept so that its header need not be opened for each line that is looked at: that is a key agreement.
pub(crate) struct PayloadKey {
    key: LockedBytes,
    // Where the chunks begin.
    chunks_at: usize,
}

/// The payload of a file whose header was found right, with its key.
pub(crate) struct Payload<'a> {
    key: LessSafeKey,
    chunks: &'a [u8],
}

impl<'a> Payload<'a> {
    /// Finds it, with the first of these identities that can.
    pub(crate) fn of<'i>(
        identities: impl Iterator<Item = &'i dyn age::Identity>,
        file: &'a [u8],
    ) -> Result<Self, DecryptError> {
        let (key, chunks) = open_header(identities, file)?;
        Self::with(&key[..], chunks)
    }

    /// Finds it, and its key for the next time, unless no memory can be locked for that.
    pub(crate) fn found<'i>(
        identities: impl Iterator<Item = &'i dyn age::Identity>,
        file: &'a [u8],
    ) -> Result<(Self, Option<PayloadKey>), DecryptError> {
        let (key, chunks) = open_header(identities, file)?;
        let kept = LockedBytes::copy_of(&key[..]).ok().map(|key| PayloadKey {
            key,
            chunks_at: file.len().saturating_sub(chunks.len()),
        });
        Ok((Self::with(&key[..], chunks)?, kept))
    }

    /// Takes the payload of the file again that this key was found in.
    pub(crate) fn again(key: &PayloadKey, file: &'a [u8]) -> Result<Self, DecryptError> {
        // EXPOSE: to the provider, which wipes its copy.
        let chunks = file.get(key.chunks_at..).ok_or_else(bad)?;
        Self::with(key.key.expose(), chunks)
    }

    fn with(key: &[u8], chunks: &'a [u8]) -> Result<Self, DecryptError> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| bad())?;
        Ok(Self {
            key: LessSafeKey::new(key),
            chunks,
        })
    }

    /// Opens all of it.
    pub(crate) fn open(&self) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let mut plaintext = Zeroizing::new(vec![0; self.len()?]);
        self.open_into(&mut plaintext)?;
        Ok(plaintext)
    }

    /// Opens all of it into memory that is used again and again. What was there is gone.
    pub(crate) fn open_in<'b>(&self, scratch: &'b mut Scratch) -> Result<&'b [u8], DecryptError> {
        let place = scratch.place(self.len()?);
        self.open_into(place)?;
        Ok(place)
    }

    fn open_into(&self, plaintext: &mut [u8]) -> Result<(), DecryptError> {
        let chunks = self.chunks.chunks(SEALED_CHUNK_BYTES);
        let places = plaintext.chunks_mut(CHUNK_BYTES);
        // A last chunk of nothing has no place: it may only be the first.
        let places = places.chain(std::iter::once(&mut [][..]));
        for ((number, chunk), place) in (0..).zip(chunks).zip(places) {
            self.open_chunk(number, chunk, place)?;
        }
        Ok(())
    }

    /// Opens some bytes of it, without the rest.
    pub(crate) fn open_range(&self, range: Range<u64>) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let [start, end] = [range.start, range.end].map(usize::try_from);
        let (start, end) = (start.map_err(|_| bad())?, end.map_err(|_| bad())?);
        let length = end.checked_sub(start).ok_or_else(bad)?;
        let mut wanted = Zeroizing::new(Vec::with_capacity(length));
        let mut opened = Zeroizing::new(vec![0; CHUNK_BYTES.min(self.len()?)]);
        let first = start / CHUNK_BYTES;
        let chunks = self.chunks.chunks(SEALED_CHUNK_BYTES).enumerate();
        for (number, chunk) in chunks.skip(first) {
            let at = number * CHUNK_BYTES;
            if at >= end {
                break;
            }
            let place = opened.get_mut(..chunk.len().saturating_sub(TAG_BYTES));
            let place = place.ok_or_else(bad)?;
            self.open_chunk(u64::try_from(number).map_err(|_| bad())?, chunk, place)?;
            let from = start.saturating_sub(at);
            let to = (end - at).min(place.len());
            wanted.extend_from_slice(place.get(from..to).ok_or_else(bad)?);
        }
        (wanted.len() == length).then_some(wanted).ok_or_else(bad)
    }

    // Of its plaintext, if its chunks are whole.
    fn len(&self) -> Result<usize, DecryptError> {
        let count = self.chunks.len().div_ceil(SEALED_CHUNK_BYTES);
        let len = self.chunks.len().checked_sub(count * TAG_BYTES);
        let len = len.filter(|_| count > 0).ok_or_else(bad)?;
        // Only of nothing is the last chunk empty.
        let is_whole = count == 1 || len > (count - 1) * CHUNK_BYTES;
        is_whole.then_some(len).ok_or_else(bad)
    }

    fn open_chunk(&self, number: u64, chunk: &[u8], place: &mut [u8]) -> Result<(), DecryptError> {
        let (sealed, tag) = chunk.split_at_checked(place.len()).ok_or_else(bad)?;
        let count = self.chunks.len().div_ceil(SEALED_CHUNK_BYTES);
        let is_last = u64::try_from(count).is_ok_and(|count| number + 1 == count);
        let mut nonce = [0; NONCE_LEN];
        let [_, _, _, middle @ .., last] = &mut nonce;
        *middle = number.to_be_bytes();
        *last = u8::from(is_last);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .open_separate_gather(nonce, Aad::empty(), sealed, tag, place)
            .map_err(|_| bad())
    }
}

// The key of the payload, and its chunks.
fn open_header<'a, 'i>(
    identities: impl Iterator<Item = &'i dyn age::Identity>,
    file: &'a [u8],
) -> Result<(Zeroizing<[u8; 32]>, &'a [u8]), DecryptError> {
    header::check(file)?;
    let found = RefCell::new(None);
    let kept: Vec<_> = identities
        .map(|identity| Kept {
            identity,
            found: &found,
        })
        .collect();
    let mut chunks = file;
    age::Decryptor::new_buffered(&mut chunks)?
        .decrypt(kept.iter().map(|kept| kept as &dyn age::Identity))?;
    let before = file.len().saturating_sub(chunks.len() + NONCE_BYTES);
    let nonce = file.get(before..).and_then(|rest| rest.get(..NONCE_BYTES));
    let (nonce, found) = nonce.zip(found.take()).ok_or(DecryptError::InvalidHeader)?;
    // EXPOSE: to the derivation of the payload's key.
    let key = Zeroizing::new(hkdf(nonce, LABEL, found.expose_secret()));
    Ok((key, chunks))
}

fn bad() -> DecryptError {
    io::Error::from(io::ErrorKind::InvalidData).into()
}

/// Memory for one plaintext after the other, wiped at the end.
#[derive(Default)]
pub(crate) struct Scratch(Zeroizing<Vec<u8>>);

impl Scratch {
    fn place(&mut self, len: usize) -> &mut [u8] {
        if self.0.len() < len {
            // Parts differ by a few lines: the next one is to find room.
            self.0 = Zeroizing::new(vec![0; len.next_multiple_of(CHUNK_BYTES)]);
        }
        self.0.get_mut(..len).unwrap_or_default()
    }
}

// An identity, and the key that it finds.
struct Kept<'a> {
    identity: &'a dyn age::Identity,
    found: &'a RefCell<Option<FileKey>>,
}

impl Kept<'_> {
    fn keep(
        &self,
        found: Option<Result<FileKey, DecryptError>>,
    ) -> Option<Result<FileKey, DecryptError>> {
        if let Some(Ok(key)) = &found {
            // EXPOSE: to a copy of the same type, which is wiped as well.
            let copy = FileKey::init_with_mut(|copy| copy.copy_from_slice(key.expose_secret()));
            self.found.replace(Some(copy));
        }
        found
    }
}

impl age::Identity for Kept<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, DecryptError>> {
        self.keep(self.identity.unwrap_stanza(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        self.keep(self.identity.unwrap_stanzas(stanzas))
    }
}
