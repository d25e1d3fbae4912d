//! The vault that is meant: no other one is used, and where there is none that is said.

use serde_json::{Value, json};
use touchkeep_client::vault::VAULT_VARIABLE;
use touchkeep_tests::{Home, wait_for};

use crate::desk::Desk;

#[test]
fn nothing_is_done_with_another_vault_than_the_one_that_is_meant() {
    let mut desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let place = |name: &str| desk.home.path(name).display().to_string();
    let (here, there, link) = (place("v.touchkeep"), place("w.touchkeep"), place("link"));
    std::os::unix::fs::symlink(&here, &link).unwrap();
    let reference = "tk://prod/openai/secret";
    let items = |desk: &Desk, more: &[&str]| {
        let listed = desk.run(&[&["list"], more].concat());
        listed.as_array().unwrap().len()
    };
    let refused = (1, "not-permitted".to_owned());

    assert_eq!(items(&desk, &["--vault", &here]), 1);
    assert_eq!(items(&desk, &["--vault", &link]), 1);
    assert_eq!(desk.fails(&["list", "--vault", &there]), refused);
    assert_eq!(desk.fails(&["read", reference, "--vault", &there]), refused);

    desk.home.set(VAULT_VARIABLE, &there);
    assert_eq!(desk.fails(&["list"]), refused);
    assert_eq!(desk.fails(&["read", reference]), refused);
    let removed = desk.fails(&["rm", "openai"]);
    assert_eq!(removed, refused);
    assert_eq!(desk.run(&["status"])["path"], *here);

    // By another path it is the same, and open: nobody is asked, and nothing ends.
    let asked = desk.person.was_asked().len();
    desk.run(&["unlock", &link]);
    assert_eq!(desk.person.was_asked().len(), asked);
    assert_eq!(desk.run(&["status"])["path"], *here);

    // A device that is not there, a name that was mistyped, and a file that is no vault lock nothing.
    std::fs::copy(&here, &there).unwrap();
    let absent = desk.fails(&["unlock", &there, "--device", "12345678"]);
    assert_eq!(absent, (3, "no-device".to_owned()));
    assert_eq!(desk.run(&["status"])["unlocked"], true);
    std::fs::write(&there, "no vault").unwrap();
    assert_eq!(
        desk.fails(&["unlock", "/nonexistent"]),
        (2, "no-vault".to_owned())
    );
    assert_eq!(desk.fails(&["unlock", &there]), (4, "damaged".to_owned()));
    for verb in ["unlock", "merge"] {
        let done = desk.home.cli(&[verb, &there, "--vault", &here]);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let what = said["error"]["what"].as_str().unwrap();
        assert!(
            what.contains("is no Touchkeep vault: it is a text"),
            "{what}"
        );
        assert!(what.contains(&there), "{what}");
    }
    std::fs::remove_file(&there).unwrap();
    let status = desk.run(&["status"]);
    assert_eq!(
        (&status["path"], &status["unlocked"]),
        (&json!(here), &json!(true))
    );

    // It is the one that is made, and the one that is opened.
    desk.run(&["init", "--practice", "--work-factor", "10"]);
    assert_eq!(desk.run(&["status"])["path"], *there);
    assert_eq!(items(&desk, &[]), 0);
    desk.run(&["unlock", "--vault", &here]);
    assert_eq!(items(&desk, &["--vault", &here]), 1);
    assert_eq!(desk.fails(&["list"]), refused);
    desk.run(&["unlock"]);
    assert_eq!(items(&desk, &[]), 0);
}

#[test]
fn where_there_is_no_vault_that_is_said_and_not_that_it_is_locked() {
    let home = Home::new(None);
    let none = |args: &[&str]| {
        let done = home.cli(args);
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        let error = &said["error"];
        assert_eq!(
            (done.status.code(), error["code"].as_str()),
            (Some(2), Some("no-vault")),
            "{args:?}: {said}"
        );
        assert!(
            error["fix"].as_str().unwrap().contains("touchkeep init"),
            "{said}"
        );
    };
    for args in [
        &["list"][..],
        &["show", "a"],
        &["env", "list"],
        &["policy", "show"],
        &["proxy", "list"],
        &["grant", "list"],
        &["remind"],
        &["arm", "8h"],
        &["read", "tk://prod/a/secret"],
        &["unlock"],
        &["audit", "list"],
        &["trash"],
    ] {
        none(args);
    }
    let run = ["run", "--", "sh", "-c", "exit 9"];
    let run = home
        .touchkeep()
        .args(run)
        .env("A", "tk://prod/a/secret")
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&run.stderr).contains("touchkeep init"),
        "{run:?}"
    );
}

// The agent was started from a shell that means a vault. Whoever is shown its questions is shown its vault.
#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_that_the_agent_starts_means_the_vault_that_the_agent_has() {
    let Desk { mut home, person } = Desk::set();
    let vault = home.path("v.touchkeep").display().to_string();
    drop(person);
    home.kill_agent();
    let program = home.path("desktop");
    let said = home.path("desktop.said");
    std::fs::write(
        &program,
        "#!/bin/sh\nenv > \"$0.part\" && mv \"$0.part\" \"$0.said\"\n",
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    home.set("DISPLAY", ":77");
    home.set("TOUCHKEEP_DESKTOP", program.to_str().unwrap());
    home.set(VAULT_VARIABLE, "/some/other.touchkeep");
    home.start_agent();
    let socket = home.paths().agent_socket();
    let client = touchkeep_client::Connection::connect(&socket, "test")
        .await
        .unwrap();
    let unlock = touchkeep_wire::UnlockVault {
        path: Some(vault),
        device: None,
    };
    let asked = tokio::spawn(async move { client.call(unlock).await });
    let said = wait_for("the desktop", || std::fs::read_to_string(&said).ok());
    assert!(
        said.contains("TOUCHKEEP_DESKTOP=") && !said.contains(VAULT_VARIABLE),
        "{said}"
    );
    asked.abort();
}
