//! Looks for secrets in the memory of a process, as root can: every mapping that can be read, and every form that a secret
//! usually takes.

use std::{
    fmt,
    fs::File,
    ops::Range,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Read at a time.
const CHUNK: usize = 1 << 20;
const PAGE: usize = 4096;
/// Shown of what stands around a find.
const AROUND: usize = 24;
/// A shorter form would be found by chance.
const SHORTEST: usize = 6;

/// A secret that is looked for.
#[derive(Debug, Clone)]
pub struct Canary {
    /// What it is called in the report.
    pub name: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

/// A copy of a secret.
#[derive(Clone)]
pub struct Found {
    /// Which secret.
    pub canary: String,
    /// In which form.
    pub form: &'static str,
    /// Where: the mapping's line in `/proc/PID/maps`, or a file.
    pub place: String,
    /// At which address or offset.
    pub at: u64,
    around: Vec<u8>,
}

impl Canary {
    /// Something that is written as text: also in UTF-16, in hex and in base64 of any alignment.
    #[must_use]
    pub fn text(name: &str, text: &str) -> Self {
        let mut canary = Self::bytes(name, text.as_bytes());
        let wide = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        canary.forms.push(("utf-16le", wide));
        canary
    }

    /// Something that is bytes: as they are, in hex and in base64 of any alignment.
    #[must_use]
    pub fn bytes(name: &str, bytes: &[u8]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![
            ("raw", bytes.to_vec()),
            ("HEX", hex.to_ascii_uppercase().into_bytes()),
            ("hex", hex.into_bytes()),
        ];
        for before in 0..3 {
            forms.push(("base64", base64_inside(bytes, before)));
        }
        forms.retain(|(_, form)| form.len() >= SHORTEST);
        Self {
            name: name.into(),
            forms,
        }
    }
}

impl Found {
    /// The whole line that it stands in, of a file.
    #[must_use]
    pub fn line(&self) -> String {
        let bytes = std::fs::read(&self.place).unwrap();
        let (before, after) = bytes.split_at(usize::try_from(self.at).unwrap());
        let start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let end = after
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(after.len());
        String::from_utf8_lossy(&bytes[start..before.len() + end]).into_owned()
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            canary,
            form,
            place,
            at,
            around,
        } = self;
        write!(
            f,
            "\n  {canary} ({form}) at {at:#x} in {place}\n    {}",
            around.escape_ascii()
        )
    }
}

/// Says that a test cannot be run by anybody but root.
///
/// # Panics
/// When it is somebody else who runs it.
pub fn need_root() {
    let us = std::fs::metadata("/proc/self").unwrap().uid();
    assert_eq!(us, 0, "this test needs root: run ./dev test as root");
}

/// Every copy in what can be read of a process.
///
/// # Panics
/// When the process is gone, or may not be looked into: the agent's memory is open to root alone.
#[must_use]
pub fn search_memory(pid: u32, canaries: &[Canary]) -> Vec<Found> {
    need_root();
    let path = format!("/proc/{pid}/mem");
    let memory = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let search = Search::of(canaries);
    let (mut found, mut bytes_read) = (Vec::new(), 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let range = range_of(words.next().unwrap());
        // What the kernel maps for time and calls is no memory of the process.
        if words.next().unwrap().starts_with('r')
            && !line.ends_with("[vsyscall]")
            && !line.contains("[vvar")
        {
            bytes_read += search.mapping(&memory, range, line, &mut found);
        }
    }
    assert!(
        bytes_read > 1 << 20,
        "hardly anything of process {pid} was read:\n{maps}"
    );
    found
}

/// Every copy in the files of a folder.
#[must_use]
pub fn search_files(folder: &Path, canaries: &[Canary]) -> Vec<Found> {
    let search = Search::of(canaries);
    let mut found = Vec::new();
    for path in files(folder) {
        let bytes = std::fs::read(&path).unwrap();
        search.bytes(&bytes, 0, &path.display().to_string(), &mut found);
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

/// All forms at once: a table says which two bytes some form begins with.
struct Search<'a> {
    forms: Vec<(&'a str, &'static str, &'a [u8])>,
    begins: Vec<bool>,
    longest: usize,
}

impl<'a> Search<'a> {
    fn of(canaries: &'a [Canary]) -> Self {
        let forms: Vec<_> = canaries
            .iter()
            .flat_map(|canary| {
                canary
                    .forms
                    .iter()
                    .map(|(form, bytes)| (canary.name.as_str(), *form, bytes.as_slice()))
            })
            .collect();
        let mut begins = vec![false; 1 << 16];
        for (_, _, bytes) in &forms {
            begins[pair(bytes, 0)] = true;
        }
        let longest = forms
            .iter()
            .map(|(_, _, bytes)| bytes.len())
            .max()
            .unwrap_or(0);
        Self {
            forms,
            begins,
            longest,
        }
    }

    fn mapping(
        &self,
        memory: &File,
        range: Range<u64>,
        line: &str,
        found: &mut Vec<Found>,
    ) -> usize {
        let (mut at, mut bytes_read) = (range.start, 0);
        // What lies across the border of two chunks is in the next one, too.
        let mut carried = Vec::new();
        while at < range.end {
            let len = CHUNK.min(usize::try_from(range.end - at).unwrap());
            let chunk = read(memory, at, len);
            bytes_read += chunk.len();
            let step = if chunk.is_empty() {
                len.min(PAGE)
            } else {
                chunk.len()
            };
            let start = at - carried.len() as u64;
            carried.extend_from_slice(&chunk);
            self.bytes(&carried, start, line, found);
            let keep = if chunk.is_empty() {
                0
            } else {
                carried.len().min(self.longest - 1)
            };
            carried.drain(..carried.len() - keep);
            at += step as u64;
        }
        bytes_read
    }

    fn bytes(&self, bytes: &[u8], start: u64, place: &str, found: &mut Vec<Found>) {
        let mut at = 0;
        while at + 1 < bytes.len() {
            // Most of memory is empty.
            if at % PAGE == 0 && bytes[at..].starts_with(&[0; PAGE]) {
                at += PAGE;
                continue;
            }
            if self.begins[pair(bytes, at)] {
                self.forms_at(bytes, at, start, place, found);
            }
            at += 1;
        }
    }

    fn forms_at(&self, bytes: &[u8], at: usize, start: u64, place: &str, found: &mut Vec<Found>) {
        for (canary, form, wanted) in &self.forms {
            let address = start + at as u64;
            let known = |f: &Found| {
                f.at == address && f.form == *form && f.canary == *canary && f.place == place
            };
            if bytes[at..].starts_with(wanted) && !found.iter().any(known) {
                let around =
                    at.saturating_sub(AROUND)..(at + wanted.len() + AROUND).min(bytes.len());
                found.push(Found {
                    canary: (*canary).into(),
                    form,
                    place: place.into(),
                    at: address,
                    around: bytes[around].to_vec(),
                });
            }
        }
    }
}

fn pair(bytes: &[u8], at: usize) -> usize {
    usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1])
}

fn range_of(word: &str) -> Range<u64> {
    let (start, end) = word.split_once('-').unwrap();
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    number(start)..number(end)
}

/// What can be read from there on; nothing where the first page cannot.
fn read(memory: &File, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let got = memory
        .read_at(&mut bytes, at)
        .or_else(|_| memory.read_at(&mut bytes[..len.min(PAGE)], at));
    bytes.truncate(got.unwrap_or(0));
    bytes
}

/// The part of a base64 text that does not depend on what stands around the bytes, when so many stand before them.
fn base64_inside(bytes: &[u8], before: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| {
        let byte = (at / 8)
            .checked_sub(before)
            .and_then(|byte| bytes.get(byte));
        byte.map(|byte| byte >> (7 - at % 8) & 1)
    };
    let letter = |at: usize| {
        let bits = (at * 6..at * 6 + 6).map(bit).collect::<Option<Vec<u8>>>()?;
        Some(
            LETTERS[bits
                .iter()
                .fold(0, |number, bit| number << 1 | usize::from(*bit))],
        )
    };
    (0..(before + bytes.len()) * 8 / 6)
        .filter_map(letter)
        .collect()
}

/// No copies, or the whole list of them.
///
/// # Panics
/// When there is one.
pub fn assert_nothing(found: &[Found]) {
    assert!(found.is_empty(), "{} copies{found:?}", found.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(bytes: &[u8]) -> Vec<&'static str> {
        let canaries = [Canary::text("it", "violet anchor 7f3a")];
        let mut found = Vec::new();
        Search::of(&canaries).bytes(bytes, 0, "here", &mut found);
        found.iter().map(|found| found.form).collect()
    }

    // What openssl, xxd and iconv make of it.
    #[test]
    fn every_form_is_found() {
        assert_eq!(copies(b"..violet anchor 7f3a.."), ["raw"]);
        assert_eq!(copies(b"..76696f6c657420616e63686f722037663361.."), ["hex"]);
        assert_eq!(copies(b"..76696F6C657420616E63686F722037663361.."), ["HEX"]);
        assert_eq!(
            copies(b"v\0i\0o\0l\0e\0t\0 \0a\0n\0c\0h\0o\0r\0 \x007\0f\x003\0a\0"),
            ["utf-16le"]
        );
        for text in [
            "dmlvbGV0IGFuY2hvciA3ZjNh",
            "LnZpb2xldCBhbmNob3IgN2YzYS4=",
            "Li52aW9sZXQgYW5jaG9yIDdmM2EuLg==",
        ] {
            assert_eq!(copies(text.as_bytes()), ["base64"], "{text}");
        }
        assert_eq!(copies(b"violet anchor 7f3b"), [""; 0]);
    }

    #[test]
    fn a_copy_across_the_border_of_two_chunks_is_found_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("memory");
        let mut bytes = vec![b'.'; 2 * CHUNK];
        bytes[CHUNK - 4..][..18].copy_from_slice(b"violet anchor 7f3a");
        bytes[..18].copy_from_slice(b"violet anchor 7f3a");
        std::fs::write(&path, &bytes).unwrap();
        let canaries = [Canary::text("it", "violet anchor 7f3a")];
        let mut found = Vec::new();
        let read = Search::of(&canaries).mapping(
            &File::open(&path).unwrap(),
            0..2 * CHUNK as u64,
            "",
            &mut found,
        );
        assert_eq!(read, bytes.len());
        assert_eq!(
            found.iter().map(|found| found.at).collect::<Vec<_>>(),
            [0, CHUNK as u64 - 4]
        );
    }
}
