//! The agent's two sockets, spoken to from outside: who may connect, and what is answered.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{os::unix::fs::PermissionsExt, process::Command, time::Duration};

use common::Agent;
use touchkeep_client::{CallError, Connection, frames, start_on_demand};
use touchkeep_core::{Code, PromptId};
use touchkeep_wire::{Answer, AnswerPrompt, GetStatus, ListPrompts, PROTOCOL, StopAgent};

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
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_finds_no_place_waits_for_one() {
    let agent = Agent::start().await;
    let socket = agent.paths.agent_socket();
    let mut held = Vec::new();
    for _ in 0..32 {
        held.push(Connection::connect(&socket, "greedy").await.unwrap());
    }
    // Both ways of asking.
    let late = tokio::spawn({
        let socket = socket.clone();
        async move {
            let late = Connection::connect(&socket, "late").await.unwrap();
            late.call(GetStatus {}).await.unwrap()
        }
    });
    let asked = tokio::task::spawn_blocking(move || {
        let patience = common::PATIENCE;
        touchkeep_client::blocking::ask(&socket, "late", &GetStatus {}, patience, || {})
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!late.is_finished() && !asked.is_finished());
    drop(held);
    late.await.unwrap();
    asked.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_process_does_not_take_every_connection() {
    let agent = Agent::start().await;
    let socket = agent.paths.agent_socket();
    let mut held = Vec::new();
    for _ in 0..80 {
        match Connection::connect(&socket, "greedy").await {
            Ok(connection) => held.push(connection),
            Err(error) => {
                assert_eq!(
                    error.failure().fix,
                    "Nothing was done. Try again when other commands have ended."
                );
                break;
            }
        }
    }
    assert_eq!(held.len(), 32);
    // Another process still gets in.
    let script = r#"
use IO::Socket::UNIX;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die;
my $body = '{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":7,"name":"other"}}';
syswrite($s, pack("N", length $body) . $body);
print sysread($s, my $answer, 100) ? "answered" : "closed";
"#;
    let output = Command::new("perl")
        .args(["-e", script])
        .arg(&socket)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "answered");
    drop(held);
    // The agent sees one after the other end.
    let back = async {
        loop {
            match Connection::connect(&socket, "again").await {
                Ok(connection) => return connection,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(10), back).await;
    back.unwrap().call(GetStatus {}).await.unwrap();
}

#[tokio::test]
async fn an_older_and_a_newer_program_are_told_what_to_do_and_an_older_agent_is_recognised() {
    let agent = Agent::start().await;
    for protocol in [PROTOCOL - 1, PROTOCOL + 1] {
        let hello = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"hello","params":{{"protocol":{protocol},"name":"touchkeep 0.0.9"}}}}"#
        );
        let answer = say(&agent, hello.as_bytes()).await.unwrap();
        assert!(answer.contains("protocol-mismatch"), "{answer}");
        assert!(answer.contains("touchkeep agent stop"), "{answer}");
    }
    // The other way round: an agent of the version before, as it answered then.
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    touchkeep_client::folder::make(&run).unwrap();
    let listener = tokio::net::UnixListener::bind(run.join("agent.sock")).unwrap();
    let old = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let hello = frames::read(&mut stream).await.unwrap().unwrap();
        assert!(String::from_utf8_lossy(&hello).contains(&format!(r#""protocol":{PROTOCOL}"#)));
        let failure = r#"{"code":"protocol-mismatch","what":"The other side (touchkeep 0.2.0) speaks protocol 2, this program speaks 1.","fix":"Stop the agent with `touchkeep agent stop`; the next command starts the installed version."}"#;
        let answer = format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":"m","data":{failure}}}}}"#
        );
        frames::write(&mut stream, answer.as_bytes()).await.unwrap();
    });
    let refused = Connection::connect(&run.join("agent.sock"), "touchkeep 0.2.0").await;
    let failure = refused.unwrap_err().failure();
    assert_eq!(failure.code, Code::ProtocolMismatch);
    assert!(failure.fix.contains("touchkeep agent stop"), "{failure:?}");
    old.await.unwrap();
}

#[tokio::test]
async fn an_agent_of_an_older_version_can_be_stopped() {
    let home = tempfile::tempdir().unwrap();
    let run = home.path().join("run");
    touchkeep_client::folder::make(&run).unwrap();
    let listener = tokio::net::UnixListener::bind(run.join("agent.sock")).unwrap();
    // It hangs up on whoever does not speak version 1, as it did, and answers what it always answered.
    let old = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let hello = frames::read(&mut stream).await.unwrap().unwrap();
            if !String::from_utf8_lossy(&hello).contains(r#""protocol":1"#) {
                continue;
            }
            let welcome =
                r#"{"jsonrpc":"2.0","id":1,"result":{"protocol":1,"version":"0.1.0","pid":1}}"#;
            frames::write(&mut stream, welcome.as_bytes())
                .await
                .unwrap();
            let call = frames::read(&mut stream).await.unwrap().unwrap();
            let done = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
            frames::write(&mut stream, done.as_bytes()).await.unwrap();
            return String::from_utf8_lossy(&call).into_owned();
        }
    });
    let socket = run.join("agent.sock");
    let heard = touchkeep_client::connection::stop_any(&socket, "touchkeep 0.2.0").await;
    assert!(heard.unwrap());
    assert!(old.await.unwrap().contains(r#""method":"agent.stop""#));
}

#[tokio::test]
async fn what_is_too_deep_too_long_or_unknown_is_refused_and_hurts_nobody() {
    let agent = Agent::start().await;
    let mut stream = tokio::net::UnixStream::connect(agent.paths.agent_socket())
        .await
        .unwrap();
    let hello = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"hello","params":{{"protocol":{PROTOCOL},"name":"t"}}}}"#
    );
    frames::write(&mut stream, hello.as_bytes()).await.unwrap();
    frames::read(&mut stream).await.unwrap().unwrap();
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for (params, wanted) in [
        (r#"{"unknown":1}"#.to_owned(), "invalid"),
        (
            r#"{"path":null,"device":null,"more":true}"#.to_owned(),
            "invalid",
        ),
        (format!(r#"{{"x":{deep}}}"#), "invalid"),
        (deep.clone(), "invalid"),
    ] {
        let call =
            format!(r#"{{"jsonrpc":"2.0","id":2,"method":"vault.unlock","params":{params}}}"#);
        frames::write(&mut stream, call.as_bytes()).await.unwrap();
        let answer = frames::read(&mut stream).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(wanted), "{answer}");
    }
    // A member that the message itself does not have ends the connection.
    let odd = r#"{"jsonrpc":"2.0","id":3,"method":"status","params":{},"extra":1}"#;
    frames::write(&mut stream, odd.as_bytes()).await.unwrap();
    assert!(frames::read(&mut stream).await.unwrap().is_none());
    agent.client().await.call(GetStatus {}).await.unwrap();
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_modes_let_him_in() {
    // Root becomes somebody else by itself; anybody else needs a namespace with a second user in it (apt install uidmap).
    let somebody_else: &[&str] = if rustix::process::geteuid().is_root() {
        &["setpriv", "--reuid", "65534", "--clear-groups"]
    } else {
        &[
            "unshare",
            "--user",
            "--map-root-user",
            "--map-auto",
            "setpriv",
            "--reuid",
            "1",
            "--clear-groups",
        ]
    };
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
my $body = '{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":7,"name":"nobody"}}';
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
        assert_eq!(run(somebody_else), "closed\n");
        assert_eq!(
            run(&["env"]),
            "answered\n",
            "the script finds the agent when it may"
        );
    }
}

#[tokio::test]
async fn a_place_that_somebody_else_made_is_trusted_by_neither_side() {
    let home = tempfile::tempdir().unwrap();
    let (theirs, link) = (home.path().join("theirs"), home.path().join("link"));
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::symlink(&theirs, &link).unwrap();
    // A socket that answers, in a folder that is a link, open to others, or another user's.
    let _listener = std::os::unix::net::UnixListener::bind(theirs.join("agent.sock")).unwrap();
    let refused = |folder: std::path::PathBuf| async move {
        match Connection::connect(&folder.join("agent.sock"), "victim").await {
            Err(touchkeep_client::ConnectError::Folder(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(link.clone()).await.contains("symbolic link"));
    std::fs::set_permissions(&theirs, PermissionsExt::from_mode(0o777)).unwrap();
    assert!(
        refused(theirs.clone())
            .await
            .contains("open to other users")
    );
    // Everybody's but ours: the root folder of a user, a folder given away by root.
    let foreign = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&theirs, Some(65_534), None).unwrap();
        theirs.clone()
    } else {
        std::path::PathBuf::from("/usr")
    };
    assert!(refused(foreign.clone()).await.contains("belongs to user"));
    // The agent does not listen there either, and leaves what it found.
    let mut paths = touchkeep_client::Paths::below(home.path());
    for run in [link, foreign] {
        paths.run = run;
        let error = touchkeep_agent::run(&touchkeep_agent::Options {
            paths: paths.clone(),
            background: false,
        });
        assert!(
            matches!(error, Err(touchkeep_agent::AgentError::Folder(_))),
            "{error:?}"
        );
    }
    assert!(theirs.join("agent.sock").exists());
}

#[tokio::test]
async fn an_odd_environment_leaves_files_private() {
    let home = tempfile::tempdir().unwrap();
    let script = "umask 000; ulimit -n 64; exec env -i TOUCHKEEP_HOME=\"$1\" LC_ALL=C TZ=Nowhere/Land DBUS_SESSION_BUS_ADDRESS=unix:path=/no DBUS_SYSTEM_BUS_ADDRESS=unix:path=/no PCSCLITE_CSOCK_NAME=/no \"$2\"";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(home.path())
        .arg(common::program())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let paths = touchkeep_client::Paths::below(home.path());
    let deadline = std::time::Instant::now() + common::PATIENCE;
    let client = loop {
        match Connection::connect(&paths.agent_socket(), "odd").await {
            Ok(client) => break client,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    client.call(GetStatus {}).await.unwrap();
    for (folder, file_mode) in [(&paths.run, 0o600), (&paths.data, 0o600)] {
        assert_eq!(
            std::fs::metadata(folder).unwrap().permissions().mode() & 0o777,
            0o700
        );
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, file_mode, "{:?}", entry.path());
        }
    }
    client.call(StopAgent {}).await.unwrap();
    assert!(child.wait().unwrap().success());
}

#[tokio::test]
async fn it_is_started_on_demand_and_once() {
    let home = tempfile::tempdir().unwrap();
    let paths = touchkeep_client::Paths::below(home.path());
    let starter = starter(home.path());
    let (first, second) = tokio::join!(
        start_on_demand(&starter, &paths, "a"),
        start_on_demand(&starter, &paths, "b")
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.welcome().pid, second.welcome().pid);
    first.call(StopAgent {}).await.unwrap();
}

#[tokio::test]
async fn it_is_started_where_the_one_before_is_still_ending() {
    let home = tempfile::tempdir().unwrap();
    let paths = touchkeep_client::Paths::below(home.path());
    let starter = starter(home.path());
    // As an agent that listens no more and has not let go of its lock yet.
    touchkeep_client::folder::make(&paths.run).unwrap();
    let lock = std::fs::File::create(paths.lock_file()).unwrap();
    lock.try_lock().unwrap();
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        drop(lock);
    });
    let client = start_on_demand(&starter, &paths, "next").await.unwrap();
    ending.join().unwrap();
    client.call(StopAgent {}).await.unwrap();
}

#[tokio::test]
async fn in_the_foreground_it_waits_for_the_one_before_and_not_for_one_that_runs() {
    let mut agent = Agent::start().await;
    agent.client().await.call(StopAgent {}).await.unwrap();
    assert!(agent.ended().await.success());
    // As that one if it took longer: it listens no more and has not let go of its lock yet.
    let lock = std::fs::File::open(agent.paths.lock_file()).unwrap();
    lock.try_lock().unwrap();
    let ending = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        drop(lock);
    });
    agent.restart().await;
    ending.join().unwrap();

    let second = std::time::Instant::now();
    let mut another = common::spawn(agent.home.path(), &[]);
    let ended = loop {
        if let Some(ended) = another.try_wait().unwrap() {
            break ended;
        }
        if second.elapsed() > common::PATIENCE {
            another.kill().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert!(!ended.success());
    assert!(second.elapsed() < Duration::from_secs(5));
    assert!(agent.log().contains("another agent runs already"));
}

// A program that runs the agent with its things below `home`.
fn starter(home: &std::path::Path) -> std::path::PathBuf {
    let starter = home.join("starter");
    let script = format!(
        "#!/bin/sh\nTOUCHKEEP_HOME='{}' exec '{}' \"$@\"\n",
        home.display(),
        common::program().display()
    );
    std::fs::write(&starter, script).unwrap();
    std::fs::set_permissions(&starter, PermissionsExt::from_mode(0o755)).unwrap();
    starter
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
