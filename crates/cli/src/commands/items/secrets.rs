//! Where the secrets of an item come from: a descriptor that the caller opened, or a line at the terminal. Never an argument.

use std::{
    collections::BTreeMap, fs::File, io::Read, os::fd::BorrowedFd, sync::atomic::AtomicBool,
};

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
use touchkeep_core::{Code, text::visible};
use touchkeep_wire::{Failure, NewSecret, SecretText};
use zeroize::Zeroizing;

use super::Context;
use crate::{
    args::Secrets,
    terminal::{Echo, Line, Terminal},
};

/// The longest secret: a PEM key of RSA-4096 has 3 300 characters.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// What is asked for.
pub(super) struct Wanted<'a> {
    /// Of which item.
    pub(super) item: &'a str,
    /// What its chief secret is called; none where that is not wanted.
    pub(super) chief: Option<&'a str>,
    /// It has several lines, so no line at the terminal can be it.
    pub(super) is_pem: bool,
    /// Encrypted straight to devices.
    pub(super) sealed: bool,
}

impl Wanted<'_> {
    /// The fields that are to be given as secrets.
    pub(super) fn fields(&self, args: &Secrets) -> Vec<String> {
        let chief = self.chief.is_some() || args.secret_fd.is_some();
        let chief = chief.then(|| "secret".to_owned());
        let given = args.field_fd.iter().map(|(field, _)| field.clone());
        let typed = args.secret_field.iter().cloned();
        chief.into_iter().chain(given).chain(typed).collect()
    }
}

/// All secrets that were asked for, by field.
pub(super) fn read_all(
    context: &Context<'_>,
    args: &Secrets,
    wanted: &Wanted<'_>,
) -> Result<BTreeMap<String, NewSecret>, Failure> {
    let kept = |value: SecretText| match wanted.sealed {
        true => NewSecret::Sealed { value },
        false => NewSecret::Stored { value },
    };
    let mut secrets = BTreeMap::new();
    if let Some(fd) = args.secret_fd {
        secrets.insert("secret".to_owned(), kept(chief_from(fd, wanted.is_pem)?));
    }
    for (field, fd) in &args.field_fd {
        secrets.insert(field.clone(), kept(not_empty(read_fd(*fd)?, field)?));
    }
    if let Some(name) = wanted.chief.filter(|_| args.secret_fd.is_none()) {
        if wanted.is_pem {
            return Err(Failure::new(
                Code::Invalid,
                "a private key has several lines, and is not typed",
                "Use --secret-fd, as in: --secret-fd 3 3<~/.ssh/id_ed25519",
            ));
        }
        let typed = ask(context, &format!("{name} of {}: ", visible(wanted.item)))?;
        secrets.insert("secret".to_owned(), kept(not_empty(typed, "secret")?));
    }
    for field in &args.secret_field {
        let typed = ask(context, &format!("{field} of {}: ", visible(wanted.item)))?;
        secrets.insert(field.clone(), kept(not_empty(typed, field)?));
    }
    Ok(secrets)
}

// A PEM file without its last line's end is refused by what reads it.
fn chief_from(fd: i32, is_pem: bool) -> Result<SecretText, Failure> {
    let mut text = read_fd(fd)?;
    if is_pem && !text.is_empty() {
        let mut whole = Zeroizing::new(String::with_capacity(text.len() + 1));
        whole.push_str(&text);
        whole.push('\n');
        text = whole;
    }
    not_empty(text, "secret")
}

fn ask(context: &Context<'_>, question: &str) -> Result<Zeroizing<String>, Failure> {
    let nobody = |what: &str| {
        let fix =
            "Use --secret-fd N, as in: --secret-fd 3 3<file; for further ones --field-fd NAME=N.";
        Failure::new(Code::Invalid, what, fix)
    };
    if context.global.no_interaction {
        return Err(nobody("the secret must come from somewhere"));
    }
    let terminal =
        Terminal::open().map_err(|_| nobody("there is no terminal to ask for the secret"))?;
    match terminal.read_line(
        question,
        Echo::DotsWhole,
        &AtomicBool::new(false),
        None,
        |_, _| {},
    ) {
        Ok(Line::Typed(text)) => Ok(text),
        Ok(Line::Several) => Err(nobody(
            "what was pasted has several lines, and a terminal takes one; nothing was stored",
        )),
        _ => Err(Failure::new(
            Code::Refused,
            "nothing was stored",
            "It was ended where the secret was to be typed. Run it again when that is at hand.",
        )),
    }
}

fn not_empty(mut text: Zeroizing<String>, field: &str) -> Result<SecretText, Failure> {
    if text.is_empty() {
        return Err(Failure::new(
            Code::Invalid,
            format!("the {field} is empty"),
            "Paste what was shown when it was made.",
        ));
    }
    Ok(SecretText::new(std::mem::take(&mut *text)))
}

/// What is secret, from a descriptor that the caller opened.
pub(crate) fn secret_from(fd: i32) -> Result<SecretText, Failure> {
    let mut text = read_fd(fd)?;
    Ok(SecretText::new(std::mem::take(&mut *text)))
}

fn read_fd(fd: i32) -> Result<Zeroizing<String>, Failure> {
    if fd < 0 || fd == 1 || fd == 2 {
        return Err(Failure::new(
            Code::Invalid,
            format!("file descriptor {fd} cannot be read from"),
            "Use 0 for stdin, or 3 and up with 3<file.",
        ));
    }
    let unreadable = |error: std::io::Error| {
        Failure::new(
            Code::Invalid,
            format!("file descriptor {fd} cannot be read: {error}"),
            "Open it for this command, as in: 3<file.",
        )
    };
    let file = callers(fd).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::with_capacity(4096));
    // One byte more than may be shows that there is more.
    file.take(MAX_SECRET_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    if text.len() as u64 > MAX_SECRET_BYTES {
        return Err(Failure::new(
            Code::Invalid,
            format!("what file descriptor {fd} gives is longer than 64 KiB"),
            "Store a shorter secret; a long text can be divided into several fields.",
        ));
    }
    Ok(text)
}

// What the caller opened stays open for it. Whatever this process has opened itself is closed when it becomes another
// program, so that the two can be told apart.
fn callers(fd: i32) -> std::io::Result<File> {
    #[expect(unsafe_code, reason = "a descriptor that is only known by its number")]
    // SAFETY: it is looked at and copied within this function, in which nothing closes it; a bad number only fails.
    let named = unsafe { BorrowedFd::borrow_raw(fd) };
    if fcntl_getfd(named)?.contains(FdFlags::CLOEXEC) {
        return Err(rustix::io::Errno::BADF.into());
    }
    Ok(fcntl_dupfd_cloexec(named, 3)?.into())
}
