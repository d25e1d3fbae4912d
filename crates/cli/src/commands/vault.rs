//! `init`, `unlock`, `arm`, `lock`, `status`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use touchkeep_client::vault::meant;
use touchkeep_core::{
    Code,
    text::{quoted, surely_visible, visible},
};
use touchkeep_wire::{
    ArmTradeKeys, Armed, CreateVault, Failure, GetStatus, LateKeys, ListDevices, LockAll,
    LockVault, NewDevice, Status, UnlockVault, VaultSummary,
};

use super::{Context, Done, counted, device::class_hint, grants::time_left, recover};
use crate::{args::Init, output::Style};

pub(super) async fn init(context: &Context<'_>, args: Init) -> Done {
    let path = match &args.path {
        Some(path) => absolute(path)?,
        None => absolute(&meant().unwrap_or_else(|| context.session.paths().default_vault()))?,
    };
    let recovery = recover::chosen(context, args.recovery, args.practice)?;
    let device = choose_device(
        context,
        &args.device,
        args.work_factor,
        args.adopt.as_deref(),
    )
    .await?;
    let create = CreateVault {
        path,
        user: args.user,
        environment: args.environment,
        practice: args.practice,
        device,
    };
    let summary = context.call_asking(create).await?;
    context.output.result(&summary, |summary| {
        let weak = summary.devices.iter().any(|device| device.kind == "software");
        let token: String = summary.devices.iter().map(class_hint).collect();
        let hint = if weak { "\nIt opens with a passphrase alone: as strong as that passphrase. A YubiKey or an HSM is stronger." } else { "" };
        format!("Made {}{hint}{token}\nIt is open. Next: touchkeep add NAME, touchkeep proxy add NAME.", visible(&summary.path))
    });
    recover::after_init(context, recovery, &args.second, args.page.as_deref()).await
}

/// The device that a person means: `software`, `piv`, `piv:SERIAL`, `pkcs11:MODULE:TOKEN`.
pub(super) async fn choose_device(
    context: &Context<'_>,
    text: &str,
    work_factor: u8,
    adopt: Option<&str>,
) -> Result<NewDevice, Failure> {
    if adopt.is_some() && !text.starts_with("piv") {
        return Err(Failure::new(
            Code::Invalid,
            "only a YubiKey has a key of age-plugin-yubikey to be taken over",
            "Leave --adopt out, or use: --device piv",
        ));
    }
    if text == "software" {
        return Ok(NewDevice::Software { work_factor });
    }
    if let Some(serial) = text.strip_prefix("piv:") {
        return Ok(NewDevice::Piv {
            serial: serial.to_owned(),
            adopt: adopt.map(str::to_owned),
        });
    }
    if text == "piv" {
        let mut found: Vec<_> = context
            .call(ListDevices {})
            .await?
            .into_iter()
            .filter(|device| device.kind == "piv" && device.enrolled.is_none())
            .collect();
        return match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(NewDevice::Piv {
                serial: only.serial.unwrap_or_default(),
                adopt: adopt.map(str::to_owned),
            }),
            (None, _) => Err(Failure::new(
                Code::NoDevice,
                "no YubiKey is connected that is not in the vault already",
                "Connect one, or see `touchkeep device list`.",
            )),
            _ => Err(Failure::new(
                Code::Ambiguous,
                "several YubiKeys are connected",
                "Say which one: piv:SERIAL (see `touchkeep device list`).",
            )),
        };
    }
    if let Some((module, token)) = text
        .strip_prefix("pkcs11:")
        .and_then(|rest| rest.split_once(':'))
    {
        return Ok(NewDevice::Pkcs11 {
            module: module.to_owned(),
            token: token.to_owned(),
        });
    }
    Err(Failure::new(
        Code::Invalid,
        format!("{} is no device", quoted(text)),
        "Use software, piv, piv:SERIAL or pkcs11:MODULE:TOKEN.",
    ))
}

pub(super) async fn unlock(
    context: &Context<'_>,
    path: Option<PathBuf>,
    device: Option<String>,
    arm_for: Option<u64>,
) -> Done {
    let path = path.or_else(meant);
    let path = path.map(|path| absolute(&path)).transpose()?;
    let summary = context.call_asking(UnlockVault { path, device }).await?;
    context
        .output
        .result(&summary, |summary| format!("Open: {}", describe(summary)));
    match arm_for {
        Some(seconds) => match context.call_asking(ArmTradeKeys { seconds }).await {
            Ok(armed) => {
                context.output.say(&armed_words(&armed));
                Ok(ExitCode::SUCCESS)
            }
            // The vault is open all the same, and that was said.
            Err(failure) => {
                context.beside().output.failure(&failure);
                Ok(ExitCode::from(failure.code.exit_code()))
            }
        },
        None => Ok(ExitCode::SUCCESS),
    }
}

pub(super) async fn arm(context: &Context<'_>, seconds: u64) -> Done {
    let armed = context.call_asking(ArmTradeKeys { seconds }).await?;
    context.output.result(&armed, armed_words);
    Ok(ExitCode::SUCCESS)
}

fn armed_words(armed: &Armed) -> String {
    if armed.seconds_left == 0 {
        return "No key is armed.".to_owned();
    }
    let names: Vec<String> = armed.items.iter().map(|item| visible(item)).collect();
    format!(
        "Armed for {}: {}. They go on when the vault locks for idleness or with the screen.",
        time_left(armed.seconds_left),
        names.join(", ")
    )
}

pub(super) async fn lock(context: &Context<'_>, all: bool) -> Done {
    if all {
        context.call(LockAll {}).await?;
    } else {
        context.call(LockVault {}).await?;
    }
    let armed = context.call(GetStatus {}).await?.armed;
    context.output.done(&match armed {
        Some(seconds) => format!(
            "Locked. Trade keys stay armed for {}; end that with: touchkeep lock --all",
            time_left(seconds)
        ),
        None => "Locked.".to_owned(),
    });
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn status(context: &Context<'_>) -> Done {
    let status = context.call(GetStatus {}).await?;
    let output = context.output;
    context.output.result(&status, |status: &Status| {
        let (state, next) = match (&status.vault, status.unlocked) {
            (Some(vault), true) => (
                format!("{} {}", output.out(Style::Good, "open"), describe(vault)),
                "",
            ),
            (Some(vault), false) => (
                format!("{} {}", output.out(Style::Warn, "locked"), describe(vault)),
                "\nNext: touchkeep unlock",
            ),
            (None, _) => (
                format!("no vault yet at {}", visible(&status.path)),
                "\nNext: touchkeep init",
            ),
        };
        let proxy = status
            .proxy
            .as_deref()
            .map(|url| format!("\nproxy  {url}"))
            .unwrap_or_default();
        let waiting = match status.waiting {
            0 => String::new(),
            n => format!(
                "\n{}",
                output.out(
                    Style::Warn,
                    &format!("{n} waiting for a person: touchkeep approve")
                )
            ),
        };
        let armed = status
            .armed
            .map(|seconds| format!("\narmed  trade keys, for {}", time_left(seconds)))
            .unwrap_or_default();
        let note = status
            .note
            .as_deref()
            .map(|note| format!("\nnote   {note}"))
            .unwrap_or_default();
        let attention: String = status
            .attention
            .iter()
            .map(|one| {
                let look = output.out(Style::Warn, "look");
                format!(
                    "\n{look}   {}\n       {}",
                    surely_visible(&one.what),
                    surely_visible(&one.fix)
                )
            })
            .collect();
        let late = status
            .late
            .and_then(LateKeys::words)
            .map(|late| {
                let look = output.out(Style::Warn, "late");
                format!("\n{look}   {late} Which: touchkeep remind")
            })
            .unwrap_or_default();
        let resting: String = status
            .resting
            .iter()
            .map(|one| {
                let (who, seconds) = (visible(&one.asker), one.seconds_left);
                let why = match one.refused {
                    true => {
                        "three questions were refused. To be asked all the same: touchkeep approve"
                    }
                    false => "two questions went unanswered. Be there: touchkeep approve",
                };
                format!("\nrests  {who}, for {seconds} s more: {why}")
            })
            .collect();
        format!("{state}{proxy}{armed}{note}{late}{attention}{resting}{waiting}{next}")
    });
    Ok(ExitCode::SUCCESS)
}

fn describe(vault: &VaultSummary) -> String {
    let items = vault
        .items
        .map(|n| format!(", {}", counted(n.into(), "item")))
        .unwrap_or_default();
    let practice = if vault.practice { " (practice)" } else { "" };
    let in_use = vault.devices.iter().filter(|device| !device.retired);
    let devices: Vec<_> = in_use.map(|device| surely_visible(&device.label)).collect();
    let read_only = vault
        .read_only
        .as_ref()
        .map(|why| format!("\nread only: {why}"))
        .unwrap_or_default();
    let alone = if vault.rehearsed == Some(false) && !vault.practice {
        "\nno way back was tried yet: touchkeep recover kit"
    } else {
        ""
    };
    format!(
        "{}{practice}{items}\nopens with {}{read_only}{alone}",
        visible(&vault.path),
        devices.join(", ")
    )
}

pub(super) fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::new(Code::Invalid, error.to_string(), "Give the whole path."))?;
    path.into_os_string()
        .into_string()
        .map_err(|_| Failure::new(Code::Invalid, "the path is not UTF-8", "Use another name."))
}
