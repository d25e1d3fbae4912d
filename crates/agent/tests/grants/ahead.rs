//! Uses that were allowed ahead: of a program or script as it was then, and of no other.

use std::{path::Path, process::Command};

use touchkeep_wire::*;

use crate::{
    common::{
        Agent, Person,
        asker::{Asker, asker, vault_with},
        yes,
    },
    desk::{desk, uses},
};

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
    let (agent, client, _person) = desk(20, yes).await;
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
