//! A program that the command line lets in for as long as it runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    io::{Read, Write},
    net::TcpListener,
    process::Command,
};

use touchkeep_tests::{Home, Person};

// A venue that says yes to everything, and nobody else's.
fn venue() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 202 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        }
    });
    url
}

fn desk() -> (Home, Person) {
    let url = venue();
    let home = Home::new(None);
    let person = Person::sit_down(&home.paths(), None);
    let path = home.path("v.touchkeep").display().to_string();
    let _ = home.json(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
    for venue in ["binance", "mexc"] {
        let args = [
            "add",
            venue,
            "--kind",
            "exchange-key",
            "--secret-fd",
            "0",
            "--venue",
            venue,
            "--class",
            "read",
            "--api-key",
            "vmPUZE6mv9SD5VNH",
            "--base-url",
            &url,
        ];
        let _ = home.json_with(&args, "secret");
    }
    (home, person)
}

// The status with which the proxy answers to this token.
fn status(url: &str, token: &str) -> String {
    let said = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H"])
        .arg(format!("X-Touchkeep-Token: {token}"))
        .arg(format!("{url}/api/v3/account?timestamp=1"))
        .output()
        .unwrap();
    String::from_utf8(said.stdout).unwrap()
}

#[test]
fn a_program_is_let_in_for_as_long_as_it_runs() {
    let (home, _person) = desk();
    let script = "echo \"$TOUCHKEEP_TOKEN $TOUCHKEEP_BINANCE_URL $BINANCE_API_KEY $MEXC_SECRET\"; \
                  curl -s -o /dev/null -w '%{http_code}\\n' -H \"X-MBX-APIKEY: $BINANCE_API_KEY\" \
                  \"$TOUCHKEEP_BINANCE_URL/api/v3/account?timestamp=1\"; exit 7";
    let done = home.cli(&["proxy", "exec", "--", "sh", "-c", script]);
    assert_eq!(done.status.code(), Some(7), "its own status");
    let said = String::from_utf8(done.stdout).unwrap();
    let mut lines = said.lines();
    let first: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let [token, url, key, secret] = first.as_slice() else {
        panic!("{said}");
    };
    assert!(
        token.starts_with("tkc_") && token == key && secret.len() == 44,
        "{said}"
    );
    assert_eq!(lines.next(), Some("202"), "{said}");
    assert_eq!(status(url, token), "401", "and is not any more");
    assert!(home.json(&["proxy", "list"]).as_array().unwrap().is_empty());
    let rows = home.json(&["audit", "list"]).to_string();
    assert!(
        rows.contains("may use the key set main until it ends"),
        "{rows}"
    );
}

#[test]
fn a_client_goes_no_further_than_it_is_bound() {
    let (home, _person) = desk();
    let script = "for n in binance/api/v3/account?timestamp=1 binance/api/v3/order mexc/api/v3/account; do \
                  curl -s -w '\\n' -X ${M:-GET} -H \"X-Touchkeep-Token: $TOUCHKEEP_TOKEN\" \"$TOUCHKEEP_PROXY_URL/$n\"; M=DELETE; done";
    let bound = [
        "proxy", "exec", "--venue", "binance", "--kind", "read", "--client", "looker", "--", "sh",
        "-c", script,
    ];
    let said = String::from_utf8(home.cli(&bound).stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "{}", "{said}");
    assert!(
        lines[1].contains("may not do anything of the kind cancel; one that may: touchkeep proxy add NAME --kind cancel"),
        "{said}"
    );
    assert!(lines[2].contains("not let in to mexc"), "{said}");

    let added = home.json(&["proxy", "add", "report", "--kind", "read"]);
    let url = added["base_url"].as_str().unwrap();
    assert_eq!(status(url, added["token"].as_str().unwrap()), "202");
    let listed = home.json(&["proxy", "list"]);
    assert_eq!(listed[0]["kinds"], serde_json::json!(["read"]));
    let taken = home.cli(&["proxy", "exec", "--client", "report", "--", "true"]);
    assert_eq!(
        taken.status.code(),
        Some(125),
        "that name has a token of its own"
    );
    for misused in [
        &["proxy", "exec"][..],
        &["proxy", "exec", "--no-such-option", "--", "true"],
    ] {
        assert_eq!(home.cli(misused).status.code(), Some(125), "{misused:?}");
    }
    for [option, unknown] in [["--kind", "reed"], ["--venue", "krakken"]] {
        let unknown = home.cli(&["proxy", "add", "other", option, unknown]);
        assert!(!unknown.status.success());
    }
    assert_eq!(home.json(&["proxy", "list"]).as_array().unwrap().len(), 1);
    // It was let in with its bounds, and who was not let in was at no time.
    let rows = home.json(&[
        "audit",
        "list",
        "--kind",
        "client-added",
        "--kind",
        "client-removed",
    ]);
    let rows = rows["rows"].as_array().unwrap().iter();
    let said: Vec<_> = rows.filter_map(|row| row["what"].as_str()).collect();
    assert_eq!(
        said,
        [
            "report may use the key set main: read at all venues.",
            "looker may use the key set main until it ends: read at binance."
        ]
    );
}

#[test]
fn a_client_that_has_its_token_is_bound_closer_and_never_wider() {
    let (home, _person) = desk();
    let added = home.json(&["proxy", "add", "grid-bot"]);
    let (url, token) = (
        added["base_urls"]["binance"].as_str().unwrap(),
        added["token"].as_str().unwrap(),
    );
    let bound = home.json(&[
        "proxy", "bind", "grid-bot", "--kind", "read", "--kind", "trade",
    ]);
    assert_eq!(bound["kinds"], serde_json::json!(["read", "trade"]));
    assert_eq!(status(url, token), "202", "it needs no other token");
    // What is not named stays as it was.
    let mut bind = home.touchkeep();
    bind.args(["proxy", "bind", "grid-bot", "--venue", "mexc"]);
    let said = String::from_utf8(bind.output().unwrap().stdout).unwrap();
    assert_eq!(
        said.trim_end(),
        "grid-bot may use the key set main: read, trade at mexc."
    );
    assert_eq!(status(url, token), "403", "no more at binance");
    let wider = [
        &["--venue", "binance"][..],
        &["--kind", "withdraw"],
        &["--kind", "read", "--kind", "withdraw"],
    ];
    for bounds in wider {
        let said = home.cli(&[&["proxy", "bind", "grid-bot"], bounds].concat());
        let why = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(1), "{why}");
        assert!(
            why.contains("grid-bot may do less than that already: read, trade at mexc.")
                && why.contains("Revoke it, and let it in anew."),
            "{why}"
        );
    }
    let nobody = home.cli(&["proxy", "bind", "grid-boy", "--kind", "read"]);
    assert_eq!(nobody.status.code(), Some(2));
    let _ = home.json(&["proxy", "add", "shop", "--webhooks"]);
    let no_keys = home.cli(&["proxy", "bind", "shop", "--kind", "read"]);
    assert!(
        String::from_utf8(no_keys.stderr)
            .unwrap()
            .contains("it hands over webhooks")
    );
    assert_eq!(
        home.cli(&["proxy", "bind", "grid-bot"]).status.code(),
        Some(2)
    );
    let rows = home
        .json(&["audit", "list", "--client", "grid-bot"])
        .to_string();
    assert!(
        rows.contains("grid-bot is bound to read, trade at mexc."),
        "{rows}"
    );
}
