//! `import`: another program's file into the vault. Read here, shown, asked about, and only then sent to the agent; foreign
//! bytes never meet the process that has the keys.

mod plan;
mod show;
mod source;
mod stores;
mod tidy;

use std::process::ExitCode;

use touchkeep_core::{Clock, Code, SystemClock};
use touchkeep_import::map;
use touchkeep_wire::{Failure, ImportItems};

use self::{plan::Plan, source::Opened};
use super::{Context, Done};
use crate::{args::Import, terminal};

pub(super) async fn import(context: &Context<'_>, args: Import) -> Done {
    let mappings: Result<Vec<_>, _> = args.map.iter().map(|text| map::parse(text)).collect();
    let mappings = mappings.map_err(|what| Failure::new(Code::Invalid, what, map::HOW))?;
    context.check_open().await?;
    let mut opened = source::open(context, &args)?;
    map::apply(&mut opened.import, &mappings)
        .map_err(|what| Failure::new(Code::Invalid, what, map::HOW))?;
    if args.replace_with_references {
        tidy::may_replace(&opened)?;
    }
    let report = context
        .call_as_front_end(call(&args, &opened, true)?)
        .await?;
    let mut plan = Plan::new(opened, report, &args);
    if args.delete_source {
        plan.may_delete()?;
    }
    if args.dry_run {
        context
            .output
            .result(&plan.shown(), |_| show::preview(&plan, context.output));
        return Ok(ExitCode::SUCCESS);
    }
    context.output.say(&show::preview(&plan, context.output));
    if plan.goes_in() == 0 && plan.replaceable() == 0 && !args.delete_source {
        context.output.say("There is nothing to import.");
        context.output.result(&plan.shown(), |_| String::new());
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes {
        terminal::confirm(&context.global, &show::consequences(&plan), "import")?;
    }
    plan.leave_out_refused();
    let done = context
        .call_as_front_end(call(&args, &plan.source, false)?)
        .await?;
    plan.done(done)?;
    if args.delete_source {
        // The vault may be another one by now than it was when the person was asked.
        plan.may_delete()
            .map_err(|why| tidy::kept(&plan.source.path, &why.what))?;
    }
    if args.replace_with_references {
        plan.replaced = tidy::replace(&plan)?;
    }
    if args.delete_source {
        tidy::delete(&plan.source)?;
        plan.deleted = true;
    }
    context
        .output
        .result(&plan.shown(), |_| show::report(&plan, context.output));
    Ok(ExitCode::SUCCESS)
}

fn call(args: &Import, opened: &Opened, dry_run: bool) -> Result<ImportItems, Failure> {
    let now = SystemClock.now();
    let items = opened.import.items.iter().map(plan::to_wire).collect();
    let call = ImportItems {
        environment: args.environment.clone(),
        source: opened.import.format.word().to_owned(),
        items,
        on_duplicate: plan::on_duplicate(args.on_duplicate),
        plaintext_seen: opened.was_plaintext.then_some(now),
        dry_run,
    };
    source::fits_a_frame(&call)?;
    Ok(call)
}
