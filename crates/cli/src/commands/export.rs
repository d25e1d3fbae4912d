//! `export`: the items into a file, encrypted unless somebody insists.

use std::{
    fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path, process::ExitCode,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Serialize;
use touchkeep_core::{Code, text::visible};
use touchkeep_values::is_place;
use touchkeep_wire::{ExportForm, ExportItems, Exported, Failure, SecretText};
use zeroize::Zeroizing;

use super::{Context, Done, passphrases};
use crate::{args::Export, terminal};

/// The schema of `--json`.
#[derive(Serialize)]
struct Shown {
    file: String,
    encrypted: bool,
    items: u32,
    left: Vec<String>,
    absent: Vec<String>,
}

pub(super) async fn export(context: &Context<'_>, args: Export) -> Done {
    // Before anybody is asked for anything; it is looked at again when it is made.
    if args.file.symlink_metadata().is_ok() {
        return Err(exists(&args.file));
    }
    is_place(&args.file)?;
    context.check_open().await?;
    let form = form(context, &args)?;
    let call = ExportItems {
        environment: args.environment.clone(),
        form,
    };
    let exported = context.call_as_front_end(call).await?;
    write(&args, &exported)?;
    let shown = Shown {
        file: args.file.display().to_string(),
        encrypted: !args.plaintext,
        items: exported.items,
        left: exported.left,
        absent: exported.absent,
    };
    context.output.result(&shown, words);
    Ok(ExitCode::SUCCESS)
}

fn exists(file: &Path) -> Failure {
    let what = format!("{} is there already", visible(&file.to_string_lossy()));
    Failure::new(
        Code::Invalid,
        what,
        "Choose another name: an export never writes over a file.",
    )
}

fn form(context: &Context<'_>, args: &Export) -> Result<ExportForm, Failure> {
    if args.plaintext {
        let question = format!(
            "Every secret goes into {} in the clear, readable for whoever gets that file or a backup of it. The audit log will say so for good.\n",
            visible(&args.file.to_string_lossy())
        );
        // There is no --yes: a script that could say so would be one that reads all secrets.
        typed_word(context, &question)?;
        return Ok(ExportForm::Plain {
            format: args.format.word().to_owned(),
        });
    }
    if !args.recipient.is_empty() {
        return Ok(ExportForm::Recipients {
            recipients: args.recipient.clone(),
        });
    }
    let passphrase = passphrases::ask_new(context, args.passphrase_fd)?;
    Ok(ExportForm::Passphrase { passphrase })
}

fn typed_word(context: &Context<'_>, question: &str) -> Result<(), Failure> {
    terminal::confirm(&context.global, question, "plaintext").map_err(|_| {
        Failure::new(
            Code::Refused,
            "nothing was exported",
            "Type plaintext on a terminal, or export encrypted: leave --plaintext out.",
        )
    })
}

fn write(args: &Export, exported: &Exported) -> Result<(), Failure> {
    let unable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(&args.file),
        _ => Failure::new(
            Code::System,
            format!(
                "{} cannot be written: {error}",
                visible(&args.file.to_string_lossy())
            ),
            "Choose another place.",
        ),
    };
    let bytes = bytes(args, &exported.file)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file)
        .map_err(unable)?;
    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half an export is none.
        let _gone = std::fs::remove_file(&args.file);
    }
    written.map_err(unable)
}

fn bytes(args: &Export, file: &SecretText) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // EXPOSE: into the file that the person named.
    let text = file.expose();
    if args.plaintext {
        return Ok(Zeroizing::new(text.as_bytes().to_vec()));
    }
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map(Zeroizing::new).map_err(|_| {
        Failure::new(
            Code::System,
            "the agent's answer cannot be read",
            "Try again.",
        )
    })
}

fn words(shown: &Shown) -> String {
    let how = if shown.encrypted {
        "encrypted"
    } else {
        "IN THE CLEAR"
    };
    let mut text = format!(
        "Wrote {} item{}, {how}, to {}\n",
        shown.items,
        if shown.items == 1 { "" } else { "s" },
        visible(&shown.file)
    );
    if shown.encrypted {
        text.push_str("It opens with stock age: age --decrypt FILE\n");
    } else {
        text.push_str("Delete it as soon as it has served, which is no erasure on an SSD, and rotate what was in it.\n");
    }
    for name in &shown.left {
        text.push_str(&format!(
            "  left out, no place in this format: {}\n",
            visible(name)
        ));
    }
    for absent in &shown.absent {
        text.push_str(&format!("  not in it: {}\n", visible(absent)));
    }
    text
}
