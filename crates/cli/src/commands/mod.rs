//! One function per verb; each asks the agent and shows the answer.

mod answer;
mod audit;
mod backup;
mod clients;
mod device;
mod doctor;
mod env;
mod export;
mod git;
mod grants;
mod import;
mod items;
mod join;
mod keys_for;
mod manual;
mod paper;
mod passphrases;
mod policy;
mod recover;
mod remind;
mod service;
mod vault;
mod venue;
mod webhook;

use std::process::ExitCode;

use touchkeep_client::FrontEnd;
use touchkeep_core::{Code, text::visible};
use touchkeep_values::{Done, NAME};
use touchkeep_wire::{EndRests, Failure, ListEnvironments};

use crate::{
    args::{AgentVerb, Audit, Cli, Global, Proxy, Verb},
    demo, front_end,
    output::Output,
    session::Session,
    terminal::{Terminal, Unechoed},
};

pub(crate) use audit::{render_row, render_verdict};

/// Runs a verb.
pub(crate) fn run(cli: Cli, output: Output) -> Done {
    if matches!(cli.verb, Verb::Demo(_)) {
        touchkeep_client::vault::mean_any();
    } else if let Some(path) = &cli.vault {
        touchkeep_client::vault::mean(path).map_err(|error| {
            Failure::new(
                Code::Invalid,
                format!("--vault {}: {error}", visible(&path.display().to_string())),
                "Name the file by its whole path.",
            )
        })?;
    }
    match cli.verb {
        Verb::Completions { shell } => manual::completions(shell),
        Verb::Man { folder } => manual::man(&folder, output),
        Verb::Agent(agent) if agent.verb.is_none() => be_the_agent(agent.background),
        Verb::Agent(crate::args::Agent {
            verb: Some(AgentVerb::Pkcs11Host { module }),
            ..
        }) => touchkeep_agent::pkcs11_host(&module)
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| {
                let fix = "The agent runs this by itself; see: touchkeep doctor";
                Failure::new(Code::DeviceFailed, error.to_string(), fix)
            }),
        // What follows them is a program, which needs no runtime beside it.
        Verb::Values(verb) => touchkeep_values::perform(verb, cli.global, output),
        Verb::Git(verb) => git::git(&verb, output),
        Verb::Proxy(Proxy::Exec(args)) => clients::exec(args, cli.global, output),
        verb => crate::session::runtime()?.block_on(talk(verb, cli.global, output)),
    }
}

async fn talk(verb: Verb, global: Global, output: Output) -> Done {
    if let Verb::Demo(args) = verb {
        return demo::run(args, global, output).await;
    }
    // These need no agent, and end the one that runs.
    if let Verb::Agent(crate::args::Agent {
        verb: Some(verb), ..
    }) = &verb
    {
        match verb {
            AgentVerb::Install => return service::install(output).await,
            AgentVerb::Uninstall => return service::uninstall(output).await,
            AgentVerb::Stop => return service::stop(output).await,
            AgentVerb::Pkcs11Host { .. } => {}
        }
    }
    // It has something to say without an agent, too.
    if let Verb::Doctor { all } = verb {
        return doctor::doctor(all, output).await;
    }
    if let Verb::ItemsForCompletion = verb {
        return manual::items(NAME).await;
    }
    if let Verb::AnswerForParent = verb {
        return answer::answer(output).await;
    }
    // Evidence is verified where there is neither an agent nor a vault.
    if let Verb::Audit(Audit::Verify {
        file: Some(file),
        key,
    }) = &verb
        && let Some(done) = audit::verify_alone(output, file, key)
    {
        return done;
    }
    let session = Session::start(NAME, global).await?;
    let context = Context {
        session: &session,
        global,
        output,
    };
    match verb {
        Verb::Init(args) => vault::init(&context, args).await,
        Verb::Unlock { path, device, arm } => vault::unlock(&context, path, device, arm).await,
        Verb::Arm { time } => vault::arm(&context, time).await,
        Verb::Lock { all } => vault::lock(&context, all).await,
        Verb::Status => vault::status(&context).await,
        Verb::Add(args) => items::add(&context, args).await,
        Verb::List(args) => items::list(&context, args).await,
        Verb::Show { item } => items::show(&context, item).await,
        Verb::Edit(args) => items::edit(&context, args).await,
        Verb::Trash => {
            let args = crate::args::List {
                trash: true,
                ..Default::default()
            };
            items::list(&context, args).await
        }
        Verb::Restore { item, name } => items::restore(&context, item, name).await,
        Verb::History { item, restore, yes } => items::history(&context, item, restore, yes).await,
        Verb::Env(verb) => env::env(&context, verb).await,
        Verb::SetApiKey { item, api_key } => items::set_api_key(&context, item, api_key).await,
        Verb::PublicKey { item, form } => items::public_key(&context, item, form).await,
        Verb::Rm { item, forever, yes } => items::remove(&context, item, forever, yes).await,
        Verb::Proxy(verb) => clients::proxy(&context, verb).await,
        Verb::Grant(verb) => grants::grant(&context, verb).await,
        Verb::Policy(verb) => policy::policy(&context, verb).await,
        Verb::Venue(verb) => venue::venue(&context, verb).await,
        Verb::Approve { once } => approve(&context, once).await,
        Verb::Audit(verb) => audit::audit(&context, verb).await,
        Verb::Remind { now } => remind::remind(&context, now).await,
        Verb::Device(verb) => device::device(&context, verb).await,
        Verb::Recover(verb) => recover::recover(&context, verb).await,
        Verb::Backup(verb) => backup::backup(&context, verb).await,
        Verb::Import(args) => import::import(&context, args).await,
        Verb::Export(args) => export::export(&context, args).await,
        Verb::Merge { path } => backup::merge(&context, &path).await,
        Verb::Webhook(verb) => webhook::webhook(&context, verb).await,
        Verb::Demo(_)
        | Verb::Doctor { .. }
        | Verb::Completions { .. }
        | Verb::Man { .. }
        | Verb::Agent(_)
        | Verb::ItemsForCompletion
        | Verb::AnswerForParent
        | Verb::Values(_)
        | Verb::Git(_) => Ok(ExitCode::SUCCESS),
    }
}

/// What a verb works with.
pub(crate) struct Context<'a> {
    pub(crate) session: &'a Session,
    pub(crate) global: Global,
    pub(crate) output: Output,
}

impl Context<'_> {
    /// For what comes after the verb's own document: there is one on standard output, and the rest is talk.
    const fn beside(&self) -> Self {
        Self {
            session: self.session,
            global: self.global,
            output: self.output.beside(),
        }
    }

    /// Fails where the vault is not open, before anybody types something for what needs it.
    async fn check_open(&self) -> Result<(), Failure> {
        self.call(ListEnvironments {}).await.map(drop)
    }

    async fn call<C: touchkeep_wire::Call>(&self, call: C) -> Result<C::Result, Failure> {
        self.session.call(call).await
    }

    /// Calls what front ends alone may call, and answers questions on the terminal meanwhile.
    async fn call_as_front_end<C: touchkeep_wire::Call>(
        &self,
        call: C,
    ) -> Result<C::Result, Failure> {
        self.session
            .call_as_front_end(call, self.global, self.output)
            .await
    }

    async fn call_asking<C: touchkeep_wire::Call>(&self, call: C) -> Result<C::Result, Failure> {
        self.session
            .call_asking(call, self.global, self.output)
            .await
    }
}

/// So many of something that has a plural in s.
fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

async fn approve(context: &Context<'_>, once: bool) -> Done {
    if context.global.no_interaction {
        return Err(Failure::new(
            Code::Invalid,
            "approving needs a person at a terminal",
            "Leave --no-interaction out.",
        ));
    }
    // A front end that can ask nobody would have others wait for it.
    if Terminal::open().is_err() {
        return Err(device::needs_a_person("Run it at one: touchkeep approve"));
    }
    let front = FrontEnd::connect(&context.session.paths().ui_socket(), NAME)
        .await
        .map_err(|error| error.failure())?;
    let (answers, events) = front.split();
    // Somebody is there again.
    let rested = answers.call(EndRests {}).await;
    for one in rested.map_err(|error| error.failure())? {
        let after = match one.refused {
            true => "three questions that were refused",
            false => "two questions that nobody answered",
        };
        context.output.say(&format!(
            "{} may ask again: it rested after {after}.",
            visible(&one.asker)
        ));
    }
    context.output.say("Waiting for requests. Ctrl-C ends.");
    // Without it what is typed is seen, and nothing else is worse.
    let _unechoed = Unechoed::begin();
    let ended = tokio::select! {
        why_not = front_end::answer_everything(answers, events, context.output, once) => Some(why_not),
        _ended = tokio::signal::ctrl_c() => None,
    };
    if ended == Some(Some(Code::Unreachable)) && !once {
        return Err(Failure::new(
            Code::Unreachable,
            "the agent went away",
            "What waited was refused. Start it with any command, as in: touchkeep status",
        ));
    }
    let approved = ended.map(|why_not| why_not.is_none());
    let said = serde_json::json!({ "approved": approved });
    context.output.result(&said, |_| String::new());
    Ok(match ended.flatten() {
        None => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(code.exit_code()),
    })
}

fn be_the_agent(background: bool) -> Done {
    let paths = touchkeep_values::ask::paths()?;
    touchkeep_agent::run(&touchkeep_agent::Options { paths, background })
        .map(|()| ExitCode::SUCCESS)
        .map_err(|error| {
            let fix = "Look at the runtime and data folders, and at the agent that may run already: touchkeep doctor";
            Failure::new(Code::System, error.to_string(), fix)
        })
}
