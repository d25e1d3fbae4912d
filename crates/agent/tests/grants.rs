//! Which program may have which value, told by what the kernel says of real processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use common::{
    Agent, Person,
    asker::{Asker, asker, vault_with},
    no, yes,
};
use touchkeep_client::CallError;
use touchkeep_core::Code;
use touchkeep_wire::{
    AddGrant, AddItem, Answer, AskGrant, AuditFilter, EndRests, ListAudit, ListGrants, LockVault,
    NewSecret, Purpose, Question, ReadValues, RevokeGrant, Scope, SecretText, UnlockVault,
    UseRequest,
};

fn uses(person: &Person) -> Vec<UseRequest> {
    let seen = person.seen.lock().unwrap();
    seen.iter()
        .filter_map(|prompt| match &prompt.question {
            Question::Use(request) => Some(request.clone()),
            _ => None,
        })
        .collect()
}

fn allowing(scope: Scope) -> impl Fn(&Question) -> Option<Answer> {
    move |question| match question {
        Question::Use(_) => Some(Answer::Allow { scope }),
        other => yes(other),
    }
}

fn unanswered(question: &Question) -> Option<Answer> {
    match question {
        Question::Use(_) => None,
        other => yes(other),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_use_asks_and_the_answer_holds_for_that_process() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let person = Person::new(&agent, allowing(Scope::Process)).await;
    vault_with(
        &client,
        &agent,
        &[("bot", "trade", false), ("other", "read", false)],
    )
    .await;
    let mut first = Asker::start(&asker(), &agent);
    assert_eq!(
        first.ask("quietly bot").await,
        "NotPermitted",
        "nobody was asked yet"
    );
    assert_eq!(first.ask("ask bot").await, "allowed");
    assert_eq!(first.ask("quietly bot").await, "allowed");
    assert_eq!(
        first.ask("quietly other").await,
        "NotPermitted",
        "another item"
    );
    // Another process of the same program is another client.
    let mut second = Asker::start(&asker(), &agent);
    assert_eq!(second.ask("quietly bot").await, "NotPermitted");
    let asked = uses(&person);
    let [asked] = &asked[..] else {
        panic!("{asked:?}")
    };
    assert_eq!(asked.pid, first.pid());
    assert_eq!(
        asked.executable,
        asker().canonicalize().unwrap().display().to_string()
    );
    assert_eq!(asked.values, ["bot: secret"]);
    let own = format!("({})", std::process::id());
    assert!(
        asked.process.iter().any(|line| line.contains(&own)),
        "{:?}",
        asked.process
    );
    assert!(
        asked
            .process
            .last()
            .unwrap()
            .contains(&format!("({})", first.pid()))
    );
    let grants = client.call(ListGrants {}).await.unwrap();
    assert_eq!((grants.len(), grants[0].kind.as_str()), (1, "process"));
    assert!(grants[0].seconds_left.unwrap() > 3500);
    // On disk in the log, by whom and how: asked and allowed once, by that grant once. What was
    // denied has a row each: its first try that was to ask nobody, one for another item, and one of another process.
    let page = client
        .call(ListAudit {
            before: None,
            limit: 50,
            filter: AuditFilter {
                kinds: vec!["grant-given".into()],
                ..Default::default()
            },
        })
        .await
        .unwrap();
    let decisions: Vec<_> = page.rows.iter().map(|row| row.decision.as_str()).collect();
    assert_eq!(
        decisions,
        ["denied", "denied", "allowed", "approved", "denied"]
    );
    assert!(
        page.rows[2]
            .details
            .iter()
            .any(|(_, value)| value.contains(&grants[0].id))
    );
    client
        .call(RevokeGrant {
            grant: grants[0].id.clone(),
        })
        .await
        .unwrap();
    assert_eq!(first.ask("quietly bot").await, "NotPermitted");
    let unknown = client
        .call(RevokeGrant {
            grant: grants[0].id.clone(),
        })
        .await;
    assert!(matches!(unknown, Err(CallError::Failed(failure)) if failure.code == Code::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_is_once_and_a_lock_ends_what_was_remembered() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let mut asker = Asker::start(&asker(), &agent);
    {
        let person = Person::new(&agent, yes).await;
        vault_with(&client, &agent, &[("bot", "trade", false)]).await;
        assert_eq!(asker.ask("ask bot").await, "allowed");
        assert_eq!(asker.ask("ask bot").await, "allowed");
        assert_eq!(uses(&person).len(), 2);
        assert_eq!(asker.ask("quietly bot").await, "NotPermitted");
    }
    let _person = Person::new(&agent, allowing(Scope::Process)).await;
    assert_eq!(asker.ask("ask bot").await, "allowed");
    assert_eq!(asker.ask("quietly bot").await, "allowed");
    // The log says what was given for later by each yes.
    let page = ListAudit {
        before: None,
        limit: 50,
        filter: AuditFilter {
            kinds: vec!["grant-given".into()],
            decisions: vec!["approved".into(), "allowed".into()],
            ..Default::default()
        },
    };
    let rows = client.call(page).await.unwrap().rows;
    let said: Vec<_> = rows
        .iter()
        .map(|row| row.what.as_deref().unwrap())
        .collect();
    for (said, given) in said.iter().zip([
        "It has that already.",
        "Given to that process, for 60 min.",
        "A yes for this once gives nothing for later.",
        "A yes for this once gives nothing for later.",
    ]) {
        assert!(
            said.ends_with(&format!("to use it later. {given}")),
            "{said}"
        );
    }
    assert_eq!(said.len(), 4);
    client.call(LockVault {}).await.unwrap();
    assert_eq!(asker.ask("quietly bot").await, "Locked");
    client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    assert_eq!(asker.ask("quietly bot").await, "NotPermitted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_leaves_for_what_the_log_says_of_it_and_for_nothing_else() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let _person = Person::new(&agent, allowing(Scope::Process)).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    let ask = AskGrant {
        items: vec!["bot".into()],
        no_interaction: false,
    };
    client.call(ask).await.unwrap();
    let rows = async || {
        let newest = ListAudit {
            before: None,
            limit: 1,
            filter: AuditFilter::default(),
        };
        let page = client.call(newest).await.unwrap();
        (page.size, page.rows[0].kind.clone())
    };
    let (before, _) = rows().await;
    let read = async |purpose| {
        let call = ReadValues {
            references: vec!["tk://prod/bot/secret".into()],
            purpose,
            no_interaction: true,
        };
        client.call(call).await
    };
    // What is said to check a delivery with it, or to have it later, is no reading.
    for purpose in [Purpose::Verify, Purpose::Later] {
        let refused = read(purpose).await;
        assert!(
            matches!(refused, Err(CallError::Failed(failure)) if failure.code == Code::Invalid),
            "{purpose:?}"
        );
    }
    assert_eq!(rows().await.0, before);
    for (at, purpose) in [
        Purpose::Read,
        Purpose::Run,
        Purpose::Inject,
        Purpose::Mount,
        Purpose::Helper,
        Purpose::Copy,
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(read(purpose).await.unwrap().values.len(), 1);
        let row = (before + 1 + at as u64, "secret-revealed".to_owned());
        assert_eq!(rows().await, row, "{purpose:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_becomes_another_program_keeps_nothing() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let _person = Person::new(&agent, allowing(Scope::Process)).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("asker");
    std::fs::copy(asker(), &other).unwrap();
    let mut asker = Asker::start(&asker(), &agent);
    let pid = asker.pid();
    assert_eq!(asker.ask("ask bot").await, "allowed");
    // The same number, the same start, the same bytes even: another file.
    assert_eq!(
        asker.ask(&format!("become {}", other.display())).await,
        "becoming"
    );
    assert_eq!(asker.ask("quietly bot").await, "NotPermitted");
    assert_eq!(asker.pid(), pid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_is_to_the_program_that_was_shown() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    {
        let _person = Person::new(&agent, yes).await;
        vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    }
    // It asks, and becomes another program while the question waits; that one holds its connection.
    let script = r#"
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
sub send_ { my $b = shift; syswrite($s, pack("N", length $b) . $b) }
sub read_ { sysread($s, my $h, 4); sysread($s, my $a, unpack("N", $h)); return $a }
send_('{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":7,"name":"perl"}}'); read_();
send_('{"jsonrpc":"2.0","id":2,"method":"grant.ask","params":{"items":["bot"],"no_interaction":false}}');
open(STDIN, "<&", $s);
sleep 1 until -e $ARGV[1];
exec "cat";
"#;
    let shown = agent.home.path().join("shown");
    let mut child = Command::new("perl")
        .args(["-e", script])
        .arg(agent.paths.agent_socket())
        .arg(&shown)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (front, mut events) = agent.front_end().await.split();
    let prompt = loop {
        if let Some(touchkeep_client::Event::Open(prompt)) = events.next().await {
            break prompt;
        }
    };
    // Only now, so that the question is about perl.
    let Question::Use(request) = &prompt.question else {
        panic!("{prompt:?}")
    };
    assert!(request.executable.contains("perl"), "{request:?}");
    std::fs::write(&shown, "").unwrap();
    let comm = format!("/proc/{}/comm", child.id());
    while std::fs::read_to_string(&comm).unwrap().trim() != "cat" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    front
        .answer(prompt.id, Answer::Allow { scope: Scope::Once })
        .await
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut answer = String::new();
        while !answer.ends_with("}}}") {
            let mut part = [0; 300];
            let read = std::io::Read::read(&mut out, &mut part).unwrap();
            assert_ne!(read, 0, "it was hung up on: {answer}");
            answer.push_str(&String::from_utf8_lossy(&part[..read]));
        }
        answer
    })
    .await
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.contains("not-permitted"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_item_and_a_key_that_moves_money_are_asked_about_each_time() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let person = Person::new(&agent, yes).await;
    vault_with(
        &client,
        &agent,
        &[
            ("sealed", "trade", true),
            ("money", "move-money", false),
            ("admin", "key-admin", false),
        ],
    )
    .await;
    let mut asker = Asker::start(&asker(), &agent);
    for item in ["sealed", "money", "admin"] {
        assert_eq!(asker.ask(&format!("ask {item}")).await, "allowed");
        assert_eq!(asker.ask(&format!("quietly {item}")).await, "NotPermitted");
        let ahead = client
            .call(AddGrant {
                program: "/bin/true".into(),
                items: vec![item.into()],
                seconds: 60,
            })
            .await;
        assert!(
            matches!(ahead, Err(CallError::Failed(failure)) if failure.code == Code::NotPermitted)
        );
    }
    assert!(
        uses(&person)
            .iter()
            .all(|asked| asked.scopes == [Scope::Once])
    );
    // A front end that answers more than was offered is not heard.
    drop(person);
    let (front, mut events) = agent.front_end().await.split();
    asker.say("ask money");
    let prompt = loop {
        if let Some(touchkeep_client::Event::Open(prompt)) = events.next().await {
            break prompt;
        }
    };
    let more = front
        .answer(
            prompt.id,
            Answer::Allow {
                scope: Scope::Process,
            },
        )
        .await;
    assert!(matches!(more, Err(CallError::Failed(failure)) if failure.code == Code::Invalid));
    front.answer(prompt.id, Answer::Refuse {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_allowed_ahead_is_for_that_file_as_it_was() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let person = Person::new(&agent, yes).await;
    vault_with(
        &client,
        &agent,
        &[("bot", "trade", false), ("other", "read", false)],
    )
    .await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("grid-bot");
    std::fs::copy(asker(), &path).unwrap();
    let passphrases = person.passphrases();
    let added = client
        .call(AddGrant {
            program: path.display().to_string(),
            items: vec!["bot".into()],
            seconds: 3600,
        })
        .await
        .unwrap();
    assert_eq!(
        person.passphrases(),
        passphrases + 1,
        "it costs the passphrase"
    );
    let mut bot = Asker::start(&path, &agent);
    assert_eq!(bot.ask("quietly bot").await, "allowed");
    assert_eq!(bot.ask("quietly other").await, "NotPermitted");
    // The same bytes elsewhere are another program.
    let mut elsewhere = Asker::start(&asker(), &agent);
    assert_eq!(elsewhere.ask("quietly bot").await, "NotPermitted");
    // What nobody was asked about is in the log all the same.
    let kinds = vec!["grant-given".into()];
    let denied = ListAudit {
        before: None,
        limit: 10,
        filter: AuditFilter {
            kinds,
            decisions: vec!["denied".into()],
            ..Default::default()
        },
    };
    let denied = client.call(denied).await.unwrap().rows;
    let items: Vec<_> = denied.iter().map(|row| row.item.as_deref()).collect();
    assert_eq!(items, [Some("bot"), Some("other")]);
    let why = denied[0].details.iter().find(|(name, _)| name == "why");
    assert!(
        why.unwrap().1.contains("nobody was to be asked"),
        "{denied:?}"
    );
    // Across a lock and another agent.
    client.call(LockVault {}).await.unwrap();
    client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    assert_eq!(bot.ask("quietly bot").await, "allowed");
    // Other bytes in its place: neither what runs them nor what still runs the old ones.
    let mut swapped = std::fs::read(asker()).unwrap();
    swapped.extend_from_slice(b"swapped");
    let beside = dir.path().join("new");
    std::fs::write(&beside, &swapped).unwrap();
    std::fs::set_permissions(&beside, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    let mut after = Asker::start(&path, &agent);
    assert_eq!(after.ask("quietly bot").await, "NotPermitted");
    assert_eq!(
        bot.ask("quietly bot").await,
        "NotPermitted",
        "its file was replaced"
    );
    assert_eq!(bot.ask("ask bot").await, "allowed");
    let asked = uses(&person);
    let last = asked.last().unwrap();
    assert!(
        last.unusual.iter().any(|line| line.contains("replaced")),
        "{last:?}"
    );
    client.call(RevokeGrant { grant: added.id }).await.unwrap();
    assert!(client.call(ListGrants {}).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_is_allowed_ahead_as_it_was_written() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let _person = Person::new(&agent, yes).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    let dir = tempfile::tempdir().unwrap();
    let (script, other) = (dir.path().join("report.pl"), dir.path().join("other.pl"));
    let text = |comment: &str| {
        format!(
            r##"#!/usr/bin/env -S perl -w
# {comment}
use strict; use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
sub talk {{ my $b = shift; syswrite($s, pack("N", length $b) . $b); sysread($s, my $h, 4); sysread($s, my $a, unpack("N", $h)); return $a }}
talk('{{"jsonrpc":"2.0","id":1,"method":"hello","params":{{"protocol":7,"name":"perl"}}}}');
print talk('{{"jsonrpc":"2.0","id":2,"method":"grant.ask","params":{{"items":["bot"],"no_interaction":true}}}}');
"##
        )
    };
    let write = |path: &Path, comment: &str| {
        std::fs::write(path, text(comment)).unwrap();
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    };
    write(&script, "as it was");
    write(&other, "as it was");
    let socket = agent.paths.agent_socket();
    let folder = dir.path().to_owned();
    let run = |words: Vec<String>| {
        let (socket, folder) = (socket.clone(), folder.clone());
        async move {
            tokio::task::spawn_blocking(move || {
                let output = Command::new(&words[0])
                    .args(&words[1..])
                    .arg(socket)
                    .current_dir(folder)
                    .output()
                    .unwrap();
                String::from_utf8_lossy(&output.stdout).contains(r#""result":{}"#)
            })
            .await
            .unwrap()
        }
    };
    let path = |path: &Path| path.display().to_string();
    assert!(!run(vec![path(&script)]).await);
    client
        .call(AddGrant {
            program: path(&script),
            items: vec!["bot".into()],
            seconds: 60,
        })
        .await
        .unwrap();
    assert!(run(vec![path(&script)]).await);
    assert!(
        run(vec!["perl".into(), "report.pl".into()]).await,
        "by a relative path"
    );
    assert!(
        !run(vec![path(&other)]).await,
        "another script of the same program"
    );
    // Its name among the arguments of something else opens nothing.
    assert!(!run(vec!["perl".into(), path(&other), path(&script)]).await);
    assert!(!run(vec!["perl".into(), "-edo(shift)".into(), path(&script)]).await);
    write(&script, "changed");
    assert!(!run(vec![path(&script)]).await, "it was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_unanswered_question_keeps_nobody_else_waiting_and_two_bring_a_rest() {
    let agent = Agent::start_with("approval_seconds = 2\n", &[]).await;
    let client = agent.client().await;
    let person = Person::new(&agent, unanswered).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other-program");
    std::fs::copy(asker(), &path).unwrap();
    client
        .call(AddGrant {
            program: path.display().to_string(),
            items: vec!["bot".into()],
            seconds: 60,
        })
        .await
        .unwrap();
    let mut waits = Asker::start(&asker(), &agent);
    let mut goes_on = Asker::start(&path, &agent);
    waits.say("ask bot");
    while uses(&person).is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(goes_on.ask("quietly bot").await, "allowed");
    client
        .call(ListAudit {
            before: None,
            limit: 5,
            filter: AuditFilter {
                kinds: vec![],
                ..Default::default()
            },
        })
        .await
        .unwrap();
    assert!(
        person
            .closed
            .lock()
            .unwrap()
            .iter()
            .all(|closed| closed.outcome != "timed-out"),
        "it still waits"
    );
    assert_eq!(waits.hear(), "TimedOut");
    assert_eq!(waits.ask("ask bot").await, "TimedOut");
    // From now on nobody is asked on its behalf, nor on behalf of another process of the same program.
    assert_eq!(waits.ask("ask bot").await, "TimedOut");
    let mut anew = Asker::start(&asker(), &agent);
    assert_eq!(anew.ask("ask bot").await, "TimedOut");
    assert_eq!(uses(&person).len(), 2);
    assert_eq!(goes_on.ask("quietly bot").await, "allowed");
}

// Runs a script by an interpreter that many share, in a terminal of its own where that is wanted: what it was told.
async fn run_script(script: &Path, agent: &Agent, in_terminal: bool) -> String {
    let (script, socket) = (script.to_owned(), agent.paths.agent_socket());
    let run = move || {
        let mut command = if in_terminal {
            let mut python = Command::new("python3");
            python.args(["-c", "import pty, sys; pty.spawn(sys.argv[1:])", "perl"]);
            python
        } else {
            Command::new("perl")
        };
        let output = command.arg(script).arg(socket).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_nobody_answers_keeps_no_other_script_and_nobody_at_his_terminal_from_asking()
{
    let agent = Agent::start_with("approval_seconds = 1\n", &[]).await;
    let client = agent.client().await;
    let person = Person::new(&agent, unanswered).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    let dir = tempfile::tempdir().unwrap();
    let text = r#"
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
sub talk { my $b = shift; syswrite($s, pack("N", length $b) . $b); sysread($s, my $h, 4); sysread($s, my $a, unpack("N", $h)); return $a }
talk('{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":7,"name":"perl"}}');
print talk('{"jsonrpc":"2.0","id":2,"method":"grant.ask","params":{"items":["bot"],"no_interaction":false}}');
"#;
    let (one, other) = (dir.path().join("one.pl"), dir.path().join("other.pl"));
    for script in [&one, &other] {
        std::fs::write(script, text).unwrap();
    }
    for asked in [1, 2, 2] {
        let told = run_script(&one, &agent, false).await;
        assert!(told.contains("timed-out"), "{told}");
        assert_eq!(uses(&person).len(), asked);
    }
    let resting = client
        .call(touchkeep_wire::GetStatus {})
        .await
        .unwrap()
        .resting;
    assert!(
        resting.len() == 1 && resting[0].asker.contains("one.pl"),
        "{resting:?}"
    );
    drop(person);
    let _person = Person::new(&agent, yes).await;
    for (script, in_terminal) in [(&other, false), (&one, true)] {
        let told = run_script(script, &agent, in_terminal).await;
        assert!(told.contains(r#""result":{}"#), "{told}");
    }
    let told = run_script(&one, &agent, false).await;
    assert!(told.contains("asks nobody for another"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_refused_three_times_asks_nobody_and_keeps_no_other_from_asking() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let person = Person::new(&agent, no).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other-program");
    std::fs::copy(asker(), &path).unwrap();
    for _ in 0..3 {
        // Each time another process of the same program.
        let mut one = Asker::start(&asker(), &agent);
        assert_eq!(one.ask("ask bot").await, "Refused");
    }
    assert_eq!(uses(&person).len(), 3);
    let brought: Vec<bool> = {
        let closed = person.closed.lock().unwrap();
        let refused = closed.iter().filter(|closed| closed.outcome == "refused");
        refused.map(|closed| closed.rests.is_some()).collect()
    };
    assert_eq!(brought, [false, false, true]);
    let mut anew = Asker::start(&asker(), &agent);
    assert_eq!(anew.ask("ask bot").await, "Refused");
    assert_eq!(uses(&person).len(), 3, "nobody is asked");
    let page = ListAudit {
        before: None,
        limit: 1,
        filter: AuditFilter {
            decisions: vec!["refused".into()],
            ..Default::default()
        },
    };
    let row = client.call(page).await.unwrap().rows.remove(0);
    let why = row.details.iter().find(|(name, _)| name == "why").unwrap();
    assert!(why.1.contains("Three questions of this program"), "{row:?}");
    let mut other = Asker::start(&path, &agent);
    assert_eq!(other.ask("ask bot").await, "Refused");
    assert_eq!(uses(&person).len(), 4, "another program");
    drop(person);
    let person = Person::new(&agent, yes).await;
    // What a person does himself brings up its questions all the same.
    client
        .call(AddGrant {
            program: path.display().to_string(),
            items: vec!["bot".into()],
            seconds: 60,
        })
        .await
        .unwrap();
    assert_eq!(anew.ask("ask bot").await, "Refused");
    let (desk, _events) = agent.front_end().await.split();
    assert_eq!(desk.call(EndRests {}).await.unwrap().len(), 1);
    assert_eq!(anew.ask("ask bot").await, "allowed");
    assert_eq!(uses(&person).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_program_has_four_passphrases_asked_for_and_rests_like_any_other() {
    let agent = Agent::start_with("secret_seconds = 3\n", &[]).await;
    let client = agent.client().await;
    {
        let _person = Person::new(&agent, yes).await;
        vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    }
    let person = Person::new(&agent, |_| None).await;
    let grant = || AddGrant {
        program: "/bin/true".into(),
        items: vec!["bot".into()],
        seconds: 60,
    };
    let mut waiting = Vec::new();
    for number in 1..=4 {
        let other = agent.client().await;
        waiting.push(tokio::spawn(async move { other.call(grant()).await }));
        while person.passphrases() < number {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    let why = |outcome: Result<_, CallError>| match outcome {
        Err(CallError::Failed(failure)) => failure.what,
        other => panic!("{other:?}"),
    };
    let fifth = why(client.call(grant()).await.map(|_| ()));
    assert!(fifth.contains("Too many questions"), "{fifth}");
    for one in waiting {
        let what = why(one.await.unwrap().map(|_| ()));
        assert!(what.contains("Nobody typed"), "{what}");
    }
    let next = why(client.call(grant()).await.map(|_| ()));
    assert!(next.contains("asks nobody for another"), "{next}");
    // A person at a front end is not kept from it.
    let (desk, _events) = agent.front_end().await.split();
    let own = tokio::spawn(async move { desk.call(grant()).await });
    while person.passphrases() < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    own.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passphrase_that_nobody_types_keeps_no_change_of_others_waiting() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    {
        let _person = Person::new(&agent, yes).await;
        vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    }
    let person = Person::new(&agent, |_| None).await;
    let other = agent.client().await;
    let waiting = tokio::spawn(async move {
        let call = AddGrant {
            program: "/bin/true".into(),
            items: vec!["bot".into()],
            seconds: 60,
        };
        other.call(call).await
    });
    while person.passphrases() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let added = client
        .call(AddItem::new("note", "added meanwhile").secret(
            "secret",
            NewSecret::Stored {
                value: SecretText::new("text".into()),
            },
        ))
        .await
        .unwrap();
    assert_eq!(added.name, "added meanwhile");
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_gone_gets_nothing_for_whoever_holds_its_connection() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let _person = Person::new(&agent, allowing(Scope::Process)).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    // A connection that a process made, and that another one uses after its end.
    let socket = agent.paths.agent_socket();
    let script = r#"
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
sub say_ { my $b = shift; syswrite($s, pack("N", length $b) . $b); sysread($s, my $h, 4); sysread($s, my $a, unpack("N", $h)); return $a }
say_('{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":7,"name":"perl"}}');
my $ask = '{"jsonrpc":"2.0","id":2,"method":"grant.ask","params":{"items":["bot"],"no_interaction":%s}}';
print STDERR say_(sprintf $ask, "false"), "\n";
my $asker = $$;
exit 0 if fork;
select(undef, undef, undef, 0.005) while getppid() == $asker;
print say_(sprintf $ask, "true"), "\n";
"#;
    let output = tokio::task::spawn_blocking(move || {
        Command::new("perl")
            .args(["-e", script])
            .arg(&socket)
            .output()
            .unwrap()
    })
    .await
    .unwrap();
    let (own, inherited) = (
        String::from_utf8_lossy(&output.stderr).into_owned(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    assert!(own.contains("\"result\":{}"), "{own}");
    assert!(inherited.contains("not-permitted"), "{inherited}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_or_allowed_while_it_is_locked() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let person = Person::new(&agent, yes).await;
    vault_with(&client, &agent, &[("bot", "trade", false)]).await;
    client.call(LockVault {}).await.unwrap();
    for call in [
        client
            .call(AskGrant {
                items: vec!["bot".into()],
                no_interaction: false,
            })
            .await
            .err(),
        client.call(ListGrants {}).await.err(),
    ] {
        assert!(matches!(call, Some(CallError::Failed(failure)) if failure.code == Code::Locked));
    }
    assert!(uses(&person).is_empty());
}
