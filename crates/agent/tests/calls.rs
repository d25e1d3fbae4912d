//! Every call that there is, with parameters that fit nothing, and while the vault is locked: N-10.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::path::Path;

use common::{Agent, Person, asker::vault_with, yes};
use tokio::net::UnixStream;
use touchkeep_client::frames;
use touchkeep_wire::{FindItems, GetStatus, ItemFilter, LockVault, METHODS, PROTOCOL};

/// What stands in the vault, and in no answer while it is locked.
const CANARIES: [&str; 3] = ["canary-item", "canary-secret-value", "api-key-of-the-test"];

#[tokio::test(flavor = "multi_thread")]
async fn no_call_says_what_is_in_a_locked_vault_and_none_hurts_the_agent() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let person = Person::new(&agent, yes).await;
    vault_with(&client, &agent, &[("canary-item", "trade", false)]).await;
    let everything = FindItems {
        filter: ItemFilter::default(),
        after: None,
    };
    let shown = client.call(everything).await.unwrap().items;
    assert_eq!(shown[0].name, CANARIES[0], "while it is open it is said");
    client.call(LockVault {}).await.unwrap();
    // Nobody is there to open it again.
    drop(person);

    let long = format!(r#"{{"item":"{}"}}"#, "x".repeat(1 << 20));
    let parameters = [
        "{}",
        "[]",
        "null",
        "7",
        r#""{}""#,
        r#"{"item":"canary-item"}"#,
        r#"{"item":7}"#,
        r#"{"items":["canary-item"]}"#,
        r#"{"filter":{}}"#,
        r#"{"references":["tk://prod/canary-item/secret"]}"#,
        &long,
    ];
    let calls = METHODS.concat();
    assert!(calls.len() > 70, "{}", calls.len());
    for socket in [agent.paths.agent_socket(), agent.paths.ui_socket()] {
        for method in &calls {
            // It would do what it is for.
            if ["hello", "agent.stop"].contains(method) {
                continue;
            }
            let answers = ask_all(&socket, method, &parameters).await;
            for (params, answer) in parameters.iter().zip(answers) {
                // What was asked for may be named.
                for canary in CANARIES.iter().filter(|it| !params.contains(*it)) {
                    assert!(!answer.contains(canary), "{method} {params}: {answer}");
                }
                assert!(!answer.contains("panic"), "{method} {params}: {answer}");
            }
        }
    }
    let status = client.call(GetStatus {}).await.unwrap();
    assert!(!status.unlocked, "nothing of it has opened the vault");
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
}

// Says that call with each of these, on one connection for as long as it lasts: what is no call at all ends it.
async fn ask_all(socket: &Path, method: &str, parameters: &[&str]) -> Vec<String> {
    let (mut answers, mut open) = (Vec::new(), None);
    for params in parameters {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => greeted(socket).await,
        };
        let call = format!(r#"{{"jsonrpc":"2.0","id":2,"method":"{method}","params":{params}}}"#);
        // A frame that is too long is not read to its end.
        let _refused = frames::write(&mut stream, call.as_bytes()).await;
        let answer = frames::read(&mut stream).await.ok().flatten();
        answers.push(match answer {
            Some(frame) => {
                open = Some(stream);
                String::from_utf8_lossy(&frame).into_owned()
            }
            None => String::new(),
        });
    }
    answers
}

async fn greeted(socket: &Path) -> UnixStream {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let hello = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"hello","params":{{"protocol":{PROTOCOL},"name":"t","unattended":true}}}}"#
    );
    frames::write(&mut stream, hello.as_bytes()).await.unwrap();
    frames::read(&mut stream).await.unwrap().unwrap();
    stream
}
