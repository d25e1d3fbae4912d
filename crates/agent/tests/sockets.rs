//! The agent's two sockets, spoken to from outside: who may connect, and what is answered.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{os::unix::fs::PermissionsExt, process::Command};

use common::Agent;
use touchkeep_client::{CallError, Connection, frames, start_on_demand};
use touchkeep_core::{Code, PromptId};
use touchkeep_wire::{Answer, AnswerPrompt, GetStatus, ListPrompts, StopAgent};

#[tokio::test]
async fn status_is_told_and_stop_ends_it_cleanly() {
    let mut agent = Agent::start().await;
    let client = agent.client().await;
    let status = client.call(GetStatus {}).await.unwrap();
    assert!(!status.unlocked && status.vault.is_none());
    assert_eq!(client.welcome().pid, agent.child.id());
    client.call(StopAgent {}).await.unwrap();
    assert!(agent.ended().await.success(), "{}", agent.log());
}

#[tokio::test]
async fn sigterm_ends_it_cleanly() {
    let mut agent = Agent::start().await;
    let pid = rustix::process::Pid::from_child(&agent.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(agent.ended().await.success(), "{}", agent.log());
}

#[tokio::test]
async fn folders_and_sockets_are_private() {
    let agent = Agent::start().await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&agent.paths.run), 0o700);
    assert_eq!(mode(&agent.paths.data), 0o700);
    assert_eq!(mode(&agent.paths.agent_socket()), 0o600);
    assert_eq!(mode(&agent.paths.ui_socket()), 0o600);
}

#[tokio::test]
async fn questions_are_answered_on_the_front_ends_socket_only() {
    let agent = Agent::start().await;
    let answer = || AnswerPrompt {
        prompt: PromptId::random(),
        answer: Answer::Refuse {},
    };
    let on_clients = agent.client().await.call(answer()).await;
    assert!(
        matches!(on_clients, Err(CallError::Failed(failure)) if failure.code == Code::NotPermitted)
    );
    let (front_end, _events) = agent.front_end().await.split();
    let on_front_ends = front_end.call(answer()).await;
    assert!(
        matches!(on_front_ends, Err(CallError::Failed(failure)) if failure.code == Code::NotFound)
    );
    assert!(front_end.call(ListPrompts {}).await.unwrap().is_empty());
}

#[tokio::test]
async fn another_version_is_told_what_to_do() {
    let agent = Agent::start().await;
    let answer = say(
        &agent,
        br#"{"jsonrpc":"2.0","id":7,"method":"hello","params":{"protocol":99,"name":"future"}}"#,
    )
    .await;
    let answer = answer.unwrap();
    assert!(
        answer.contains("protocol-mismatch") && answer.contains(r#""id":7"#),
        "{answer}"
    );
}

#[tokio::test]
async fn nothing_is_answered_before_the_greeting() {
    let agent = Agent::start().await;
    let answer = say(
        &agent,
        br#"{"jsonrpc":"2.0","id":1,"method":"status","params":{}}"#,
    )
    .await;
    assert!(answer.unwrap().contains("not-permitted"));
    for junk in [
        &b"junk"[..],
        b"[]",
        b"{}",
        br#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ] {
        assert!(say(&agent, junk).await.is_none());
    }
}

#[tokio::test]
async fn a_flood_of_connections_leaves_room_when_it_is_over() {
    let agent = Agent::start().await;
    let socket = agent.paths.agent_socket();
    let mut flood = Vec::new();
    for _ in 0..500 {
        flood.push(tokio::net::UnixStream::connect(&socket).await.unwrap());
    }
    drop(flood);
    let deadline = std::time::Instant::now() + common::PATIENCE;
    loop {
        match Connection::connect(&socket, "after").await {
            Ok(client) => {
                client.call(GetStatus {}).await.unwrap();
                return;
            }
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_modes_let_him_in() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can become somebody else
    }
    let agent = Agent::start().await;
    for path in [agent.home.path(), &agent.paths.run] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    for socket in [agent.paths.agent_socket(), agent.paths.ui_socket()] {
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o777)).unwrap();
        // Perl, because it is everywhere and `nobody` may run it.
        let script = r#"
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "no connection: $!";
my $body = '{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":2,"name":"nobody"}}';
$SIG{PIPE} = 'IGNORE';
syswrite($s, pack("N", length $body) . $body);
print sysread($s, my $answer, 100) ? "answered\n" : "closed\n";
"#;
        let run = |prefix: &[&str]| {
            let mut words = prefix.iter().copied().chain(["perl", "-e", script]);
            let output = Command::new(words.next().unwrap())
                .args(words)
                .arg(&socket)
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(
            run(&["setpriv", "--reuid", "65534", "--clear-groups"]),
            "closed\n"
        );
        assert_eq!(
            run(&["env"]),
            "answered\n",
            "the script finds the agent when it may"
        );
    }
}

#[tokio::test]
async fn it_is_started_on_demand_and_once() {
    let home = tempfile::tempdir().unwrap();
    let paths = touchkeep_client::Paths::below(home.path());
    let starter = home.path().join("starter");
    let script = format!(
        "#!/bin/sh\nTOUCHKEEP_HOME='{}' exec '{}' \"$@\"\n",
        home.path().display(),
        common::program().display()
    );
    std::fs::write(&starter, script).unwrap();
    std::fs::set_permissions(&starter, PermissionsExt::from_mode(0o755)).unwrap();
    let (first, second) = tokio::join!(
        start_on_demand(&starter, &paths, "a"),
        start_on_demand(&starter, &paths, "b")
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.welcome().pid, second.welcome().pid);
    first.call(StopAgent {}).await.unwrap();
}

// One frame on a fresh connection, and what comes back; none where the connection is closed.
async fn say(agent: &Agent, body: &[u8]) -> Option<String> {
    let mut stream = tokio::net::UnixStream::connect(agent.paths.agent_socket())
        .await
        .unwrap();
    frames::write(&mut stream, body).await.unwrap();
    let answer = frames::read(&mut stream).await.ok()??;
    Some(String::from_utf8(answer.to_vec()).unwrap())
}
