//! A source, opened: a file, an encrypted file, or a store whose entries somebody's own gpg or age decrypts.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use touchkeep_core::{
    Code,
    text::{quoted, visible},
};
use touchkeep_import::{Format, ImportError, Source, needs_password, read};
use touchkeep_wire::{Failure, ImportItems, SecretText, wiped};
use zeroize::Zeroizing;

use super::stores;
use crate::{
    args::Import,
    commands::{Context, passphrases},
};

/// The longest file: an archive may have large attachments, which are not unpacked.
const MAX_FILE_BYTES: u64 = 256 << 20;
/// The longest decrypted text.
const MAX_DECRYPTED_BYTES: u64 = 48 << 20;
/// Room in a frame for what is not items.
const FRAME_SPARE: usize = 64 << 10;
const AGE_MAGIC: &[u8] = b"age-encryption.org/v1\n";
const AGE_ARMOUR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// What was read.
pub(super) struct Opened {
    pub(super) import: touchkeep_import::Import,
    /// The file or folder, as it was named.
    pub(super) path: PathBuf,
    /// The file's bytes, as they are on disk; none of a folder.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Whether whoever could read the file could read the values.
    pub(super) was_plaintext: bool,
}

/// Reads a source.
pub(super) fn open(context: &Context<'_>, args: &Import) -> Result<Opened, Failure> {
    let format = args.format.as_deref().map(format_of).transpose()?;
    let path = args.file.clone();
    if path.is_dir() {
        if format.is_some_and(|format| format != Format::PasswordStore) {
            return Err(invalid(
                "a folder is read as a password store alone",
                "Name a file, or leave --format out.",
            ));
        }
        let import = stores::open(&path, args.identity.as_deref())?;
        return Ok(Opened {
            import,
            path,
            bytes: Zeroizing::default(),
            was_plaintext: false,
        });
    }
    let bytes = read_file(&path)?;
    let decrypted = decrypt(context, args, &path, &bytes)?;
    let text = decrypted.as_ref().unwrap_or(&bytes);
    let locked = needs_password(text);
    let password = locked
        .then(|| passphrases::ask(context, args.password_fd, "Password of the export: "))
        .transpose()?;
    let source = Source {
        bytes: text,
        // EXPOSE: to the reader that derives the export's keys from it.
        password: password.as_ref().map(SecretText::expose),
    };
    let import = read(&source, format).map_err(|error| failure(&error, &path))?;
    let was_plaintext = decrypted.is_none() && !locked;
    Ok(Opened {
        import,
        path,
        bytes,
        was_plaintext,
    })
}

fn format_of(word: &str) -> Result<Format, Failure> {
    Format::of(word).ok_or_else(|| {
        let known: Vec<_> = Format::ALL.iter().map(|format| format.word()).collect();
        invalid(
            format!("there is no format {}", quoted(word)),
            format!("Known: {}.", known.join(", ")),
        )
    })
}

pub(super) fn invalid(what: impl Into<String>, fix: impl Into<String>) -> Failure {
    Failure::new(Code::Invalid, what.into(), fix.into())
}

fn failure(error: &ImportError, path: &Path) -> Failure {
    let code = match error {
        ImportError::WrongPassword => Code::WrongPassphrase,
        _ => Code::Unreadable,
    };
    Failure::new(
        code,
        format!("{}: {error}", shown(path)),
        error.fix().to_owned(),
    )
}

/// A path, fit to be shown.
pub(super) fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy())
}

/// A file's bytes, where it is an ordinary one.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unable = |error: std::io::Error| {
        invalid(
            format!("{} cannot be read: {error}", shown(path)),
            "Look at its name and its permissions.",
        )
    };
    let known = std::fs::metadata(path).map_err(unable)?;
    if !known.is_file() {
        return Err(invalid(
            format!("{} is no ordinary file", shown(path)),
            "Name a file, or the folder of a password store.",
        ));
    }
    if known.len() > MAX_FILE_BYTES {
        return Err(invalid(
            format!("{} is longer than 256 MiB", shown(path)),
            "Import it in parts.",
        ));
    }
    let file = File::open(path).map_err(unable)?;
    read_all(file, MAX_FILE_BYTES).map_err(unable)
}

// Read into memory of which no unwiped copy stays behind.
fn read_all(mut from: impl Read, limit: u64) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
    let mut piece = Zeroizing::new([0_u8; 16 << 10]);
    loop {
        let count = from.read(&mut *piece)?;
        if count == 0 {
            return Ok(bytes);
        }
        if (bytes.len() + count) as u64 > limit {
            return Err(std::io::Error::other("it is too long"));
        }
        wiped::reserve(&mut bytes, count);
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
}

// What is in an age file; none where it is not one.
fn decrypt(
    context: &Context<'_>,
    args: &Import,
    path: &Path,
    bytes: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    if bytes.starts_with(AGE_MAGIC) {
        let head = bytes.get(AGE_MAGIC.len()..).unwrap_or_default();
        if head.starts_with(b"-> scrypt ") {
            let passphrase =
                passphrases::ask(context, args.password_fd, "Passphrase of the export: ")?;
            return with_passphrase(bytes, &passphrase).map(Some);
        }
    } else if !bytes.starts_with(AGE_ARMOUR) {
        return Ok(None);
    }
    let identity = args.identity.as_deref().ok_or_else(|| {
        invalid(
            format!("{} is encrypted with age", shown(path)),
            "Name what opens it: --identity FILE",
        )
    })?;
    with_age(path, identity).map(Some)
}

fn with_passphrase(bytes: &[u8], passphrase: &SecretText) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let wrong = || {
        Failure::new(
            Code::WrongPassphrase,
            "the passphrase does not open the export",
            "Try again with the one that was chosen for it.",
        )
    };
    let damaged = || {
        Failure::new(
            Code::Damaged,
            "the export is damaged",
            "Use another copy of it.",
        )
    };
    // EXPOSE: to age, which derives the file's key from it.
    let mut identity = age::scrypt::Identity::new(passphrase.expose().to_owned().into());
    identity.set_max_work_factor(MAX_WORK_FACTOR);
    let decryptor = age::Decryptor::new(bytes).map_err(|_| damaged())?;
    let identity: &dyn age::Identity = &identity;
    let reader = decryptor
        .decrypt(std::iter::once(identity))
        .map_err(|_| wrong())?;
    read_all(reader, MAX_DECRYPTED_BYTES).map_err(|_| damaged())
}

/// Twice what an export is written with, and then twice again; a file may not ask for hours.
const MAX_WORK_FACTOR: u8 = 20;

/// Decrypts with the `age` that is installed, whose plugins and encrypted identities work here as everywhere.
pub(super) fn with_age(path: &Path, identity: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let program = std::env::var_os("PASSAGE_AGE").unwrap_or_else(|| "age".into());
    let mut age = Command::new(program);
    age.arg("--decrypt")
        .arg("--identity")
        .arg(identity)
        .arg("--")
        .arg(path);
    output_of(age, "age")
}

/// What a program that decrypts writes on its standard output.
pub(super) fn output_of(mut command: Command, name: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let missing = |error: std::io::Error| {
        Failure::new(
            Code::System,
            format!("{name} cannot be started: {error}"),
            format!("Install {name}."),
        )
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(missing)?;
    let mut complaints = child.stderr.take();
    let listening = std::thread::spawn(move || {
        let mut said = String::new();
        if let Some(from) = &mut complaints {
            let _gone = from.take(4096).read_to_string(&mut said);
            let _gone = std::io::copy(from, &mut std::io::sink());
        }
        said
    });
    let read = child
        .stdout
        .take()
        .map(|out| read_all(out, MAX_DECRYPTED_BYTES));
    let ended = child.wait().map_err(missing)?;
    let said = listening.join().unwrap_or_default();
    match read {
        Some(Ok(bytes)) if ended.success() => Ok(bytes),
        _ => Err(Failure::new(
            Code::Unreadable,
            format!("{name}: {}", visible(complaint(&said))),
            "Decrypt it by hand first to see why.",
        )),
    }
}

// What went wrong, of all that was said: age calls it an error and asks for a report below, gpg says it last.
fn complaint(said: &str) -> &str {
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines
        .clone()
        .find_map(|line| line.split_once("error: ").map(|(_, why)| why));
    error.or_else(|| lines.next_back()).unwrap_or("it failed")
}

/// Whether all of it goes to the agent at once: it is one commit or none.
pub(super) fn fits_a_frame(call: &ImportItems) -> Result<(), Failure> {
    let bytes = wiped::to_json(call).map_err(|_| invalid(
            "the items cannot be sent",
            "Nothing was imported. Take parts of the file over one after another, and please report this.",
        ))?;
    if bytes.len() + FRAME_SPARE <= touchkeep_wire::MAX_FRONT_END_FRAME_BYTES {
        return Ok(());
    }
    Err(invalid(
        format!(
            "the items come to {} MiB, and one import holds 64 MiB; nothing was imported",
            bytes.len() >> 20
        ),
        "Divide them where they come from (one group, folder or vault at a time), and import those files.",
    ))
}
