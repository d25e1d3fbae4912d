//! Credentials in the languages of those who ask for them: AWS, git, docker.
//!
//! Each is bound to what it is for in the asking program's configuration, and answers for nothing else: a helper that gave its
//! token to whatever host is named would give it to everybody.

use std::{
    io::{self, Read},
    process::ExitCode,
};

use serde_json::{Map, Value, json};
use touchkeep_core::{Code, Reference, text::quoted};
use touchkeep_wire::{Failure, Purpose, wiped};

use crate::{
    Done,
    args::{Credential, Docker, Git, Global},
    unwritable,
    values::{Values, write_out},
};

/// The longest question: git's lines are of at most 64 KiB, docker's is an address.
const MAX_QUESTION_BYTES: u64 = 64 << 10;
/// docker-credential-helpers: what is said where there is none, word for word.
const NOT_FOUND: &[u8] = b"credentials not found in native keychain\n";

pub(crate) fn credential(verb: &Credential, global: Global) -> Done {
    match verb {
        Credential::Aws { item } => aws(item, global),
        Credential::Git(args) => git(args, global),
        Credential::Docker(args) => docker(args, global),
    }
}

// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
fn aws(item: &str, global: Global) -> Done {
    let found = Found::ask(item, &["api-key", "secret"], &["session-token"], global)?;
    let mut answer = Map::new();
    answer.insert("Version".into(), 1.into());
    for (name, field) in [
        ("AccessKeyId", "api-key"),
        ("SecretAccessKey", "secret"),
        ("SessionToken", "session-token"),
    ] {
        if let Some(value) = found.get(field) {
            // EXPOSE: to the program that asked for this credential.
            answer.insert(name.into(), value.into());
        }
    }
    print_json(&Value::Object(answer))
}

// git-credential(1), gitcredentials(7).
fn git(args: &Git, global: Global) -> Done {
    let question = question()?;
    let asked = |name: &str| {
        question
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let is_ours = asked("protocol") == Some("https") && asked("host") == Some(args.host.as_str());
    // Nothing to say is how a helper passes the question on.
    if args.operation != "get" || !is_ours {
        return Ok(ExitCode::SUCCESS);
    }
    let wanted_user = asked("username");
    let is_anothers = |own: Option<&str>| own.zip(wanted_user).is_some_and(|(own, it)| own != it);
    let told = args.username.as_deref();
    if is_anothers(told) {
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: &[&str] = if told.is_some() { &[] } else { &["username"] };
    let found = Found::ask(&args.item, &["secret"], wanted, global)?;
    let own = told.or_else(|| found.get("username"));
    if is_anothers(own) {
        return Ok(ExitCode::SUCCESS);
    }
    let mut answer = zeroize::Zeroizing::new(Vec::with_capacity(1024));
    for (name, value) in [
        ("username", own.or(wanted_user)),
        ("password", found.get("secret")),
    ] {
        let Some(value) = value else { continue };
        if value.contains(['\n', '\0']) {
            return Err(Failure::new(
                Code::Invalid,
                format!("the {name} has a line break in it, which git cannot take"),
                "Store it without: touchkeep edit ITEM --secret, or --set username=NAME",
            ));
        }
        // EXPOSE: to git, for the host that it was named for.
        wiped::reserve(&mut answer, name.len() + value.len() + 2);
        answer.extend_from_slice(name.as_bytes());
        answer.push(b'=');
        answer.extend_from_slice(value.as_bytes());
        answer.push(b'\n');
    }
    write_out(&answer)?;
    Ok(ExitCode::SUCCESS)
}

// https://github.com/docker/docker-credential-helpers, README: Development.
fn docker(args: &Docker, global: Global) -> Done {
    let registries = args.registries.iter().map(|one| {
        one.split_once('=').ok_or_else(|| {
            Failure::new(
                Code::Invalid,
                format!("{} is no registry", quoted(one)),
                "Write HOST=environment/item.",
            )
        })
    });
    let registries = registries.collect::<Result<Vec<_>, _>>()?;
    match args.operation.as_str() {
        "get" => {
            let question = question()?;
            let server = question.trim();
            let item = registries.iter().find(|(host, _)| *host == host_of(server));
            let Some((_, item)) = item else {
                write_out(NOT_FOUND)?;
                return Ok(ExitCode::FAILURE);
            };
            let found = Found::ask(item, &["secret"], &["username"], global)?;
            // EXPOSE: to docker, for the registry that it was named for.
            let (user, secret) = (
                found.get("username").unwrap_or("<token>"),
                found.get("secret"),
            );
            print_json(&json!({ "ServerURL": server, "Username": user, "Secret": secret }))
        }
        "list" => {
            let names = registries
                .iter()
                .map(|(host, _)| ((*host).to_owned(), Value::from("")));
            print_json(&Value::Object(names.collect()))
        }
        _ => Err(Failure::new(
            Code::Invalid,
            "touchkeep stores no credentials of docker's",
            "Use: touchkeep add NAME",
        )),
    }
}

fn host_of(server: &str) -> &str {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
    bare.split('/').next().unwrap_or(bare)
}

/// Fields of one item.
struct Found {
    base: String,
    values: Values,
}

impl Found {
    // Those of `wanted` that it has, and all of `needed`.
    fn ask(item: &str, needed: &[&str], wanted: &[&str], global: Global) -> Result<Self, Failure> {
        let base = item.strip_prefix("tk://").unwrap_or(item);
        let base = format!("tk://{base}");
        let parsed: Result<Reference, _> = format!("{base}/secret").parse();
        parsed.map_err(|error| {
            Failure::new(
                Code::Invalid,
                format!("{} is no item: {error}", quoted(item)),
                "Write environment/item.",
            )
        })?;
        let ask = |fields: Vec<&str>| {
            let references: Vec<String> = fields
                .iter()
                .map(|field| format!("{base}/{field}"))
                .collect();
            Values::ask(
                references.iter().map(String::as_str),
                Purpose::Helper,
                global,
            )
        };
        let values = match ask([needed, wanted].concat()) {
            Err(failure) if failure.code == Code::NotFound && !wanted.is_empty() => {
                ask(needed.to_vec())?
            }
            values => values?,
        };
        Ok(Self { base, values })
    }

    fn get(&self, field: &str) -> Option<&str> {
        let value = self.values.of(&format!("{}/{field}", self.base)).ok()?;
        // EXPOSE: to the three above, which say to whom.
        Some(value.value.expose())
    }
}

fn question() -> Result<zeroize::Zeroizing<String>, Failure> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let read = io::stdin()
        .take(MAX_QUESTION_BYTES)
        .read_to_string(&mut text);
    read.map_err(|error| {
        Failure::new(
            Code::Invalid,
            format!("cannot read the question: {error}"),
            "It is asked by git or docker on standard input, in UTF-8 and of at most 64 KiB.",
        )
    })?;
    Ok(text)
}

fn print_json(answer: &Value) -> Done {
    let mut text = wiped::to_json(answer).map_err(|_| unwritable())?;
    wiped::reserve(&mut text, 1);
    text.push(b'\n');
    write_out(&text)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_meant_by_its_host() {
        for server in [
            "ghcr.io",
            "https://ghcr.io",
            "https://ghcr.io/v1/",
            "ghcr.io/team",
        ] {
            assert_eq!(host_of(server), "ghcr.io");
        }
        assert_eq!(host_of("https://ghcr.io.evil.test/"), "ghcr.io.evil.test");
    }
}
