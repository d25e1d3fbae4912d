//! `add`, `list`, `set-api-key`, `public-key`, `rm`.

use std::{fs::File, io::Read, os::fd::FromRawFd, process::ExitCode, sync::atomic::AtomicBool};

use touchkeep_core::{Clock, Code, SystemClock, UnixMillis, time};
use touchkeep_wire::{
    AddItem, ExportPublicKey, Failure, ItemSummary, ListItems, NewSecret, RemoveItem, SecretText,
    SetApiKey,
};
use zeroize::Zeroizing;

use super::{Context, Done};
use crate::{
    args::Add,
    output::{self, Style},
    terminal::{self, Echo, Line, Terminal},
};

/// The longest secret: a PEM key of RSA-4096 has 3 300 characters.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

pub(super) async fn add(context: &Context<'_>, args: Add) -> Done {
    let secret = match (args.on_device, args.sealed) {
        (true, _) => NewSecret::OnDevice { device: None },
        (false, true) => NewSecret::Sealed {
            value: read_secret(context, &args)?,
        },
        (false, false) => NewSecret::Stored {
            value: read_secret(context, &args)?,
        },
    };
    let made = UnixMillis(
        SystemClock
            .now()
            .0
            .saturating_sub(u64::from(args.age_days) * time::DAY_MS),
    );
    let mut call = AddItem::new("exchange-key", args.name)
        .field("venue", args.venue)
        .field("key-set", args.key_set)
        .field("class", args.class.name())
        .field("api-key", args.api_key)
        .secret("secret", secret);
    call.fields
        .extend(args.base_url.map(|url| ("base-url".to_owned(), url)));
    call.rotate_after_days = args.rotate_after_days;
    call.created = Some(made);
    let item = context.call_asking(call).await?;
    context.output.result(&item, |item| {
        format!("Stored {} ({}, {})", item.name, item.class, item.secret)
    });
    Ok(ExitCode::SUCCESS)
}

fn read_secret(context: &Context<'_>, args: &Add) -> Result<SecretText, Failure> {
    let mut text = match args.secret_fd {
        Some(fd) => read_fd(fd)?,
        None if context.global.no_interaction => {
            return Err(Failure::new(
                Code::Invalid,
                "the secret must come from somewhere",
                "Use --secret-fd N, as in: --secret-fd 3 3<file.",
            ));
        }
        None => {
            let terminal = Terminal::open().map_err(|_| {
                Failure::new(
                    Code::Invalid,
                    "there is no terminal to ask for the secret",
                    "Use --secret-fd N.",
                )
            })?;
            terminal.write(&format!(
                "Secret of {}: ",
                touchkeep_core::text::visible(&args.name)
            ));
            match terminal.read_line(Echo::Dots, &AtomicBool::new(false), None, |_, _| {}) {
                Ok(Line::Typed(text)) => text,
                _ => return Err(Failure::new(Code::Refused, "nothing was stored", "")),
            }
        }
    };
    if text.is_empty() {
        return Err(Failure::new(
            Code::Invalid,
            "the secret is empty",
            "Paste what the venue showed when it made the key.",
        ));
    }
    Ok(SecretText::new(std::mem::take(&mut *text)))
}

/// What is secret, from a descriptor that the caller opened.
pub(super) fn secret_from(fd: i32) -> Result<SecretText, Failure> {
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
    #[expect(
        unsafe_code,
        reason = "the one place that takes over a descriptor which the caller named; it is closed here"
    )]
    // SAFETY: the number was given to this process for this purpose, nothing else here uses it, and a bad one only fails to read.
    let file = unsafe { File::from_raw_fd(fd) };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(MAX_SECRET_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| {
            Failure::new(
                Code::Invalid,
                format!("file descriptor {fd} cannot be read: {error}"),
                "Open it for this command, as in: 3<file.",
            )
        })?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(text)
}

pub(super) async fn list(context: &Context<'_>) -> Done {
    let items = context.call(ListItems {}).await?;
    let (now, output) = (SystemClock.now(), context.output);
    context.output.result(&items, |items| {
        if items.is_empty() {
            return "No items yet. Next: touchkeep add NAME --venue binance --class trade --api-key KEY".into();
        }
        let row = |item: &ItemSummary| {
            vec![item.name.clone(), item.venue.clone(), item.key_set.clone(), item.class.clone(), item.secret.clone(), item.api_key_hint.clone(), age(item, now)]
        };
        let rows: Vec<_> = items.iter().map(row).collect();
        let table = output::table(&["NAME", "VENUE", "KEY SET", "CLASS", "SECRET", "API KEY", "AGE"], &rows);
        match table.split_once('\n') {
            Some((head, body)) => format!("{}\n{body}", output.out(Style::Quiet, head)),
            None => table,
        }
    });
    Ok(ExitCode::SUCCESS)
}

fn age(item: &ItemSummary, now: UnixMillis) -> String {
    let days = now.since(item.created) / time::DAY_MS;
    match item.due {
        Some(due) if due <= now => format!("{days} d, overdue"),
        Some(due) => format!(
            "{days} d, due in {} d",
            due.since(now).div_ceil(time::DAY_MS)
        ),
        None => format!("{days} d"),
    }
}

pub(super) async fn set_api_key(context: &Context<'_>, item: String, api_key: String) -> Done {
    let item = context.call_asking(SetApiKey { item, api_key }).await?;
    context.output.result(&item, |item| {
        format!("{} is {} at {}", item.name, item.api_key_hint, item.venue)
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn public_key(context: &Context<'_>, item: String) -> Done {
    let key = context.call(ExportPublicKey { item }).await?;
    context.output.result(&key, |key| key.pem.clone());
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn remove(context: &Context<'_>, item: String, yes: bool) -> Done {
    if !yes {
        terminal::confirm(
            &context.global,
            &format!("Remove {item}? Programs that use it stop working."),
            &item,
        )?;
    }
    context
        .call_asking(RemoveItem { item: item.clone() })
        .await?;
    context.output.say(&format!("Removed {item}. The vault's backups still have it; the venue's key still works until you delete it there."));
    Ok(ExitCode::SUCCESS)
}
