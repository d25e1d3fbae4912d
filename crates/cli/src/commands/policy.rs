//! `policy show | check | explain | limits | replay | set | edit | start`.

mod change;
mod diff;
mod limits;
mod show;

use std::{io::Read, path::Path, process::ExitCode};

use touchkeep_core::Code;
use touchkeep_wire::{
    CheckPolicy, DescribedRequest, ExplainPolicy, Failure, GetPolicy, PolicyCheck, PolicyUsed,
    ReplayPolicy, StartingPolicy,
};

use super::{Context, Done, audit::moment};
use crate::args::{Explain, Policy};

pub(super) async fn policy(context: &Context<'_>, verb: Policy) -> Done {
    match verb {
        Policy::Show => show_text(context).await?,
        Policy::Check { file } => return check(context, file.as_deref()).await,
        Policy::Explain(asked) => explain(context, *asked).await?,
        Policy::Limits { policy } => {
            let text = policy.as_deref().map(read).transpose()?;
            let used = context.call(PolicyUsed { text }).await?;
            let output = context.output;
            output.result(&used, |used| limits::table(used, output));
        }
        Policy::Replay { file, since, limit } => {
            let call = ReplayPolicy {
                text: file.as_deref().map(read).transpose()?,
                since: since.as_deref().map(moment).transpose()?,
                limit,
            };
            let replayed = context.call(call).await?;
            context.output.result(&replayed, show::replayed);
        }
        Policy::Set { file } => change::to(context, read(&file)?).await?,
        Policy::Edit => change::by_hand(context).await?,
        Policy::Start { name, print } => {
            let starting = context.call(StartingPolicy { name }).await?;
            if print {
                let text = |starting: &touchkeep_wire::PolicyText| starting.text.clone();
                context.output.document(&starting, text);
            } else {
                change::to(context, starting.text).await?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show_text(context: &Context<'_>) -> Result<(), Failure> {
    let policy = context.call(GetPolicy {}).await?;
    if !policy.readable {
        context
            .output
            .say("This policy cannot be read, so everything is asked by hand.");
    }
    context
        .output
        .document(&policy, |policy| policy.text.clone());
    Ok(())
}

async fn check(context: &Context<'_>, file: Option<&Path>) -> Done {
    let text = file.map(read).transpose()?;
    let checked = context.call(CheckPolicy { text }).await?;
    let output = context.output;
    output.result(&checked, |checked| show::checked(checked, output));
    Ok(if is_fine(&checked) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(Code::Refused.exit_code())
    })
}

const fn is_fine(checked: &PolicyCheck) -> bool {
    checked.problem.is_none() && checked.findings.is_empty()
}

async fn explain(context: &Context<'_>, asked: Explain) -> Result<(), Failure> {
    let at = asked.at.as_deref().map(moment).transpose()?;
    let request = asked.kind.map(|kind| DescribedRequest {
        kind,
        venue: asked.venue,
        client: asked.client,
        key_set: asked.key_set,
        symbol: asked.symbol,
        side: asked.side,
        asset: asked.asset,
        amount: asked.amount,
        quote_amount: asked.quote_amount,
        price: asked.price,
        destination: asked.destination,
        tag: asked.tag,
        network: asked.network,
        at,
    });
    let call = ExplainPolicy {
        text: asked.policy.as_deref().map(read).transpose()?,
        request,
        row: asked.row,
    };
    let explained = context.call(call).await?;
    let output = context.output;
    output.result(&explained, |explained| show::explained(explained, output));
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| {
        Failure::new(
            Code::Invalid,
            format!("{} cannot be read: {error}", file.display()),
            "Give a TOML file, or - for stdin.",
        )
    })
}
