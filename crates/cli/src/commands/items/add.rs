//! `add`.

use std::process::ExitCode;

use touchkeep_core::{
    Clock, Code, SystemClock, UnixMillis,
    text::{shell_word, visible},
    time,
};
use touchkeep_wire::{AddItem, CheckNewItem, Failure, NewKey, NewSecret};

use super::{
    Context, Done,
    list::place,
    secrets::{Wanted, read_all},
    show::same_key,
};
use crate::args::{Add, Kind};

/// The key set of a venue account that nobody named.
const KEY_SET: &str = "main";

pub(in crate::commands) async fn add(context: &Context<'_>, args: Add) -> Done {
    check(&args)?;
    let wanted = wanted(&args);
    // Whoever has typed a secret is not to hear then that it was for nothing.
    let checked = CheckNewItem {
        item: proposed(&args),
        secrets: wanted.fields(&args.secrets),
        on_device: args.on_device || args.into_device,
    };
    context.call(checked).await?;
    let mut call = proposed(&args);
    call.secrets = secrets(context, &args, &wanted)?;
    let into_device = args.into_device;
    let unnamed = args.on_device && !call.fields.contains_key("api-key");
    let item = context.call_asking(call).await?;
    context.output.result(&item, |item| {
        let what = match item.class.as_str() {
            "" => item.kind.clone(),
            class => class.to_owned(),
        };
        let place = match place(item) {
            // That it is stored is said.
            place if place.is_empty() || place == "stored" => String::new(),
            place => format!(", {place}"),
        };
        format!("Stored {} ({what}{place})", visible(&item.name))
    });
    if let Some(warning) = same_key(&item) {
        context.output.say(&warning);
    }
    if unnamed {
        let name = shell_word(&item.name);
        context.output.say(&format!(
            "Next: give {} its public half, then say what it calls the key:\n  touchkeep public-key {name}\n  touchkeep set-api-key {name} API-KEY",
            visible(&item.venue)
        ));
    }
    if into_device {
        context.output.say("The device alone has the secret now. Whoever had it on its way may have a copy: delete what it was copied from.");
    }
    Ok(ExitCode::SUCCESS)
}

// The item, without its secrets.
fn proposed(args: &Add) -> AddItem {
    let mut call = AddItem::new(args.kind.name(), args.name.clone());
    call.fields = args.field.iter().cloned().collect();
    let mut field = |name: &str, value: Option<String>| {
        call.fields
            .extend(value.map(|value| (name.to_owned(), value)));
    };
    if args.kind == Kind::ExchangeKey {
        let key_set = args.key_set.as_deref().unwrap_or(KEY_SET);
        field("key-set", Some(key_set.to_owned()));
    }
    field("venue", args.venue.clone());
    field("class", args.class.map(|class| class.name().to_owned()));
    field("api-key", args.api_key.clone());
    field("base-url", args.base_url.clone());
    field("note", args.note.clone());
    call.environment = args.environment.clone();
    call.tags = args.tag.clone();
    call.rotate_after_days = args.rotate_after_days;
    call.plaintext_seen = args.plaintext_seen;
    call.created = Some(made(args.age_days));
    call
}

/// When a key was made that is so many days old.
pub(super) fn made(age_days: u32) -> UnixMillis {
    let age_ms = u64::from(age_days) * time::DAY_MS;
    UnixMillis(SystemClock.now().0.saturating_sub(age_ms))
}

fn wanted(args: &Add) -> Wanted<'_> {
    // A note's text may be for everybody who can unlock; then nothing is asked.
    let is_open_note = args.kind == Kind::Note && args.note.is_some();
    Wanted {
        item: &args.name,
        chief: (!args.on_device && !is_open_note).then_some(args.kind.secret_name()),
        is_pem: args.kind == Kind::SshKey,
        sealed: args.sealed,
    }
}

fn check(args: &Add) -> Result<(), Failure> {
    let invalid = |what: &str, fix: &str| Err(Failure::new(Code::Invalid, what, fix));
    let is_exchange = args.kind == Kind::ExchangeKey;
    if is_exchange && (args.venue.is_none() || args.class.is_none()) {
        return invalid(
            "an exchange key needs its venue, and what it may do there",
            "Add --venue and --class; or say with --kind that it is something else.",
        );
    }
    let of_exchange = [&args.venue, &args.key_set, &args.base_url];
    let is_odd = of_exchange.iter().any(|it| it.is_some())
        || args.class.is_some()
        || args.on_device
        || args.into_device;
    if !is_exchange && is_odd {
        return invalid(
            "venue, key set, class, address and device belong to exchange keys",
            "Leave them out, or leave --kind out.",
        );
    }
    if args.on_device && args.secrets.secret_fd.is_some() {
        return invalid(
            "a key that is made on the device is not given",
            "Leave --on-device or --secret-fd out.",
        );
    }
    Ok(())
}

fn secrets(
    context: &Context<'_>,
    args: &Add,
    wanted: &Wanted<'_>,
) -> Result<std::collections::BTreeMap<String, NewSecret>, Failure> {
    let mut secrets = read_all(context, &args.secrets, wanted)?;
    let key = NewKey {
        device: args.device.clone(),
        algorithm: args.algorithm.map(|kind| kind.name().to_owned()),
        touch: args.touch.map(|touch| touch.name().to_owned()),
    };
    if args.on_device {
        secrets.insert("secret".into(), NewSecret::OnDevice { key });
    } else if args.into_device
        && let Some(NewSecret::Stored { value }) = secrets.remove("secret")
    {
        secrets.insert("secret".into(), NewSecret::IntoDevice { value, key });
    }
    Ok(secrets)
}
