//! `webhook verify`.

use std::{
    io::{self, IsTerminal as _, Read as _},
    process::ExitCode,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use touchkeep_core::{
    Code,
    text::{quoted, visible},
    time::rfc3339,
};
use touchkeep_wire::{Failure, MAX_WEBHOOK_BYTES, VerifyWebhook, WebhookVerdict};

use super::{Context, Done};
use crate::{
    args::{Verify, Webhook},
    output::{Output, Style},
};

pub(super) async fn webhook(context: &Context<'_>, verb: Webhook) -> Done {
    let Webhook::Verify(args) = verb;
    verify(context, args).await
}

async fn verify(context: &Context<'_>, args: Verify) -> Done {
    let headers: Result<Vec<_>, _> = args.headers.iter().map(|line| header(line)).collect();
    let call = VerifyWebhook {
        item: args.item,
        scheme: args.scheme,
        headers: headers?,
        body: BASE64_STANDARD.encode(body()?),
        tolerance_seconds: args.tolerance,
        retries: args.accept_retries,
        no_interaction: context.global.no_interaction,
    };
    let verdict = context.call_asking(call).await?;
    let output = context.output;
    output.result(&verdict, |verdict| words(verdict, output));
    Ok(if verdict.verified {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Refused.exit_code())
    })
}

fn header(line: &str) -> Result<(String, String), Failure> {
    let pair = line.split_once(':').filter(|(name, _)| {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        !name.is_empty() && name.bytes().all(is_token)
    });
    let (name, value) = pair.ok_or_else(|| {
        Failure::new(
            Code::Invalid,
            format!("{} is no header", quoted(line)),
            "Write it as it came: --header 'Name: value'.",
        )
    })?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

// The body's own bytes: a line's end that was added or taken away would not be signed.
fn body() -> Result<Vec<u8>, Failure> {
    let fix = "Give the body as it came: < body";
    if io::stdin().is_terminal() {
        let what = "the body is read from standard input, and that is a terminal";
        return Err(Failure::new(Code::Invalid, what, fix));
    }
    let mut body = Vec::new();
    let most = MAX_WEBHOOK_BYTES as u64 + 1;
    io::stdin()
        .take(most)
        .read_to_end(&mut body)
        .map_err(|error| {
            Failure::new(
                Code::Invalid,
                format!("cannot read standard input: {error}"),
                fix,
            )
        })?;
    if body.len() > MAX_WEBHOOK_BYTES {
        return Err(Failure::new(
            Code::Invalid,
            format!("the body is longer than {MAX_WEBHOOK_BYTES} bytes"),
            "No sender that is known here sends such a delivery; refuse it.",
        ));
    }
    Ok(body)
}

fn words(verdict: &WebhookVerdict, output: Output) -> String {
    let mut lines = vec![if verdict.verified {
        format!("{} {}", output.out(Style::Good, "Verified."), verdict.what)
    } else {
        format!("{} {}", output.out(Style::Bad, "Refused."), verdict.what)
    }];
    if let Some(id) = &verdict.id {
        lines.push(format!("  id      {}", visible(id)));
    }
    if let Some(sent) = verdict.sent {
        lines.push(format!("  signed  {}", rfc3339(sent)));
    }
    if verdict.reason.as_deref() == Some("repeated") {
        lines.push("  If nothing came of it the first time, take it: --accept-retries".to_owned());
    }
    lines.join("\n")
}
