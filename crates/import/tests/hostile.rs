//! Hostile files: whatever is done to a good one, reading it ends soon, without a panic, and without a value in the error.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::time::{Duration, Instant};

use proptest::prelude::*;
use touchkeep_import::{Format, MAX_ROWS, Source, read};

#[test]
fn what_is_no_source_is_called_what_it_is() {
    for (bytes, what) in [
        (&b""[..], "the file is empty"),
        (b" \r\n\n", "the file is empty"),
        (b"caf\xe9=1\n", "neither text in UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "neither text in UTF-8"),
        (b"hello\n", "looks like none of the formats"),
    ] {
        let error = read(
            &Source {
                bytes,
                password: None,
            },
            None,
        )
        .map(drop)
        .unwrap_err();
        assert!(error.to_string().contains(what), "{bytes:?}: {error}");
    }
}

const SEEDS: &[(&str, Format)] = &[
    (
        "# c\nexport A_API_KEY=canary\nA_SECRET=\"canary\\n\nx\" # y\nB='canary'\n",
        Format::Dotenv,
    ),
    (
        "{\"gate\":{\"apiKey\":\"canary\",\"secret\":\"\\u00e9canary\",\"o\":{\"a\":[1,true,null]}}}",
        Format::Ccxt,
    ),
    (
        "{//c\n\"exchange\":{\"name\":\"x\",\"key\":\"canary\",\"ccxt_config\":{\"headers\":{\"h\":\"canary\"}},},}",
        Format::Freqtrade,
    ),
    (
        "{\"encrypted\":false,\"folders\":[{\"id\":\"1\",\"name\":\"a/b\"}],\"items\":[{\"folderId\":\"1\",\"type\":1,\"name\":\"n\",\"login\":{\"uris\":[{\"uri\":\"u\"}],\"password\":\"canary\"}}]}",
        Format::Bitwarden,
    ),
    (
        "\"Group\",\"Title\",\"Username\",\"Password\",\"URL\",\"Notes\"\n\"R/a\",\"t\",\"u\",\"canary\"\"x\",\"\",\"n\nm\"\n",
        Format::KeepassCsv,
    ),
    (include_str!("keepass.xml"), Format::KeepassXml),
    (
        "[default]\naws_access_key_id = canary\naws_secret_access_key = canary\n  more\n[profile x]\nregion=eu\n",
        Format::Aws,
    ),
];

fn is_harmless(bytes: &[u8], format: Option<Format>) {
    let begun = Instant::now();
    let import = read(
        &Source {
            bytes,
            password: None,
        },
        format,
    );
    assert!(
        // Far less on a quiet machine; what grows with the square of its input takes minutes.
        begun.elapsed() < Duration::from_secs(20),
        "{format:?} took {:?}",
        begun.elapsed()
    );
    if let Err(error) = import {
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

proptest! {
    #[test]
    fn a_changed_file_does_no_harm(seed in 0..SEEDS.len(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..8)) {
        let (text, format) = SEEDS[seed];
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, how) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        is_harmless(&bytes, Some(format));
        is_harmless(&bytes, None);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in Format::ALL {
            is_harmless(&bytes, Some(*format));
        }
        let zip = [b"PK\x03\x04".as_slice(), &bytes, b"PK\x01\x02", &bytes, b"PK\x05\x06", &bytes].concat();
        is_harmless(&zip, None);
    }
}

#[test]
fn the_seeds_are_read_whole_and_every_cut_of_them_is_harmless() {
    for (text, format) in SEEDS {
        let import = read(
            &Source {
                bytes: text.as_bytes(),
                password: None,
            },
            None,
        )
        .unwrap();
        assert_eq!(import.format, *format);
        for end in 0..text.len() {
            is_harmless(&text.as_bytes()[..end], Some(*format));
        }
    }
}

#[test]
fn long_files_end_in_time() {
    let many = "A_TOKEN=abcdefgh\n".repeat(MAX_ROWS + 1);
    assert!(
        read(
            &Source {
                bytes: many.as_bytes(),
                password: None
            },
            None
        )
        .is_err()
    );
    let open = "{\"a\":".repeat(100_000);
    let quotes = format!("A=\"{}", "\\\"".repeat(1 << 20));
    let lines = "B=\"\n".repeat(5000);
    let cells = format!("Title,Username,Password\n{}", "\"a\",".repeat(100_000));
    let equals = "[a]\n".to_owned() + &" x\n".repeat(100_000);
    let entries = format!("<KeePassFile>{}", "<Entry/>".repeat(400_000));
    let history = format!(
        "<KeePassFile><Entry>{}",
        "<Entry><String><Key>Password</Key><Value>x</Value></String></Entry>".repeat(50_000)
    );
    let strings = format!(
        "<KeePassFile><Entry>{}</Entry></KeePassFile>",
        "<String><Key>a</Key><Value>x</Value></String>".repeat(50_000)
    );
    let members: String = (0..200_000)
        .map(|number| format!("\"{number}\":1,"))
        .collect();
    let members = format!("{{{members}}}");
    let folders = format!(
        "{{\"encrypted\":false,\"items\":[],\"folders\":[{}]}}",
        "{},".repeat(300_000)
    );
    for text in [
        open, quotes, lines, cells, equals, entries, history, strings, members, folders,
    ] {
        for format in Format::ALL {
            is_harmless(text.as_bytes(), Some(*format));
        }
    }
}
