//! Who asks in vain rests, and keeps no other from asking.

use std::{path::Path, process::Command};

use touchkeep_client::CallError;
use touchkeep_wire::*;

use crate::{
    common::{
        Agent, Person,
        asker::{Asker, asker, vault_with},
        no, yes,
    },
    desk::{desk, uses},
};

fn unanswered(question: &Question) -> Option<Answer> {
    match question {
        Question::Use(_) => None,
        other => yes(other),
    }
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
async fn one_unanswered_question_keeps_nobody_else_waiting_and_two_bring_a_rest() {
    let (agent, client, person) = desk(2, unanswered).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_nobody_answers_keeps_no_other_script_and_nobody_at_his_terminal_from_asking()
{
    let (agent, client, person) = desk(1, unanswered).await;
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
    let resting = client.call(GetStatus {}).await.unwrap().resting;
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
    let (agent, client, person) = desk(20, no).await;
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
