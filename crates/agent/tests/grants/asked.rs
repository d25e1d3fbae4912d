//! Uses that a person is asked about: what a yes is to, of which process, and how long it holds.

use std::process::{Command, Stdio};

use touchkeep_client::CallError;
use touchkeep_core::Code;
use touchkeep_wire::*;

use crate::{
    common::{
        Agent, Person,
        asker::{Asker, asker, vault_with},
        yes,
    },
    desk::{allowing, desk, uses},
};

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
    let (_agent, client, _person) = desk(20, allowing(Scope::Process)).await;
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
    let (agent, _client, _person) = desk(20, allowing(Scope::Process)).await;
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
async fn a_client_that_is_gone_gets_nothing_for_whoever_holds_its_connection() {
    let (agent, _client, _person) = desk(20, allowing(Scope::Process)).await;
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
    let (_agent, client, person) = desk(20, yes).await;
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
