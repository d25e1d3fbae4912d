//! What is remembered of a yes: that the same was asked for before, and what it covers for a time.

use std::process::Command;

use serde_json::json;
use touchkeep_tests::Person;

use crate::desk::{Desk, POLICY, detail};

#[test]
fn the_same_again_is_flagged_in_the_question_and_in_the_log_even_after_a_restart() {
    let mut desk = Desk::with_a_passphrase("");
    let own = "&withdrawOrderId=my-own-id-1";
    assert_eq!(desk.withdraw(own).0, 200, "{}", desk.home.log());
    assert_eq!(desk.withdraw("&withdrawOrderId=my-own-id-2").0, 200);
    let shown = desk.person().requests();
    assert!(shown.iter().all(|one| one.again.is_empty()), "{shown:?}");
    let _second = desk.withdraw(own);
    let shown = desk.person().requests();
    assert!(shown[2].again.contains("asked for once"), "{:?}", shown[2]);
    let intent = desk.row(&desk.rows("intent")[0]);
    assert!(
        detail(&intent, "again").unwrap().contains("once"),
        "{intent}"
    );
    let received = desk.venue.received("/withdraw/apply");
    assert!(
        received[0].to_string().contains("my-own-id-1"),
        "kept as it was sent: {}",
        received[0]
    );

    drop(desk.person.take());
    desk.home.kill_agent();
    desk.home.start_agent();
    desk.person = Some(Person::sit_down(&desk.home.paths(), None));
    let _opened = desk.home.json(&["unlock"]);
    desk.person().mind.lock().unwrap().approves = false;
    assert_eq!(desk.withdraw(own).0, 403);
    let shown = desk.person().requests();
    assert!(shown[0].again.contains("twice"), "{:?}", shown[0]);
    let refused = desk.row(&desk.rows("request-refused")[0]);
    assert!(
        detail(&refused, "again").unwrap().contains("twice"),
        "{refused}"
    );
}

#[test]
fn a_yes_for_a_time_covers_requests_like_it_of_that_process_and_nothing_else() {
    let desk = Desk::with_a_passphrase("");
    desk.grants_for(Some(5));
    assert_eq!(desk.order("quantity=0.01"), 200, "{}", desk.home.log());
    let shown = &desk.person().requests()[0];
    let more = shown.more.as_ref().unwrap();
    assert_eq!(
        more.what,
        "buy up to 0.01 BTCUSDT at 20000 or less on binance"
    );
    assert!(
        shown
            .process
            .iter()
            .any(|one| one.contains(&std::process::id().to_string()))
    );
    assert!(shown.executable.contains("approvals"), "{shown:?}");
    assert_eq!(shown.kept, "in the vault");

    desk.grants_for(None);
    assert_eq!(desk.order("quantity=0.005"), 200);
    assert_eq!(desk.order("quantity=0.01"), 200);
    assert_eq!(desk.asked(), 1, "those are covered");
    let grants = desk.home.json(&["grant", "list"]);
    let grant = &grants[0];
    assert_eq!(grant["kind"], "requests");
    assert_eq!(
        (&grant["client"], &grant["uses_left"]),
        (&json!("grid-bot"), &json!(18))
    );
    let id = grant["id"].as_str().unwrap().to_owned();
    let intents = desk.rows("intent");
    let by = |n: usize| detail(&desk.row(&intents[n]), "grant");
    assert_eq!((by(0), by(1)), (Some(id.clone()), Some(id.clone())));
    assert_eq!(by(2), None, "the first was clicked");
    assert_eq!(intents[0]["decision"], "approved");
    let given = desk.row(&desk.rows("grant-given")[0]);
    assert_eq!(detail(&given, "grant"), Some(id.clone()));

    assert_eq!(desk.order("quantity=0.011"), 200);
    assert_eq!(desk.asked(), 2, "more than was allowed");
    let (status, said) = from_another_process(&desk);
    assert_eq!(status, 200, "{said}");
    assert_eq!(desk.asked(), 3, "another process with the same token");
    let twice = "quantity=0.01&newClientOrderId=mine";
    assert_eq!(desk.order(twice), 200);
    assert_eq!(desk.asked(), 4, "a parameter that the first did not have");

    let _revoked = desk.home.json(&["grant", "revoke", &id]);
    assert_eq!(desk.order("quantity=0.005"), 200);
    assert_eq!(desk.asked(), 5, "revoked");
    desk.grants_for(Some(15));
    assert_eq!(desk.order("quantity=0.005&newClientOrderId=a"), 200);
    assert_eq!(desk.order("quantity=0.005&newClientOrderId=b"), 200);
    assert_eq!(desk.asked(), 6, "covered, whatever the client's own id");
    desk.order("quantity=0.005&newClientOrderId=b");
    assert_eq!(
        desk.asked(),
        7,
        "the same id of the client's own is meant once"
    );
    desk.grants_for(None);
    let _locked = desk.home.json(&["lock"]);
    let _opened = desk.home.json(&["unlock"]);
    assert_eq!(desk.home.json(&["grant", "list"]), json!([]));
    assert_eq!(desk.order("quantity=0.005&newClientOrderId=c"), 200);
    assert_eq!(desk.asked(), 8, "a lock ends everything");
    let verdict = desk.home.json(&["audit", "verify"]);
    assert_eq!(verdict["sound"], true, "{verdict}");
}

#[test]
fn what_a_rule_would_have_let_through_is_said_with_its_sum_and_its_limit() {
    let desk = Desk::with_a_passphrase("");
    let small = "[[rule]]\nname = \"small orders\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\nwindow_amount = \"0.02\"\nwindow_hours = 24\naction = \"allow\"\n";
    let policy = desk.home.path("small.toml");
    std::fs::write(&policy, format!("{small}{POLICY}")).unwrap();
    let _set = desk.home.json(&["policy", "set", policy.to_str().unwrap()]);
    assert_eq!(desk.order("quantity=0.01"), 200, "{}", desk.home.log());
    assert_eq!(desk.order("quantity=0.01"), 200);
    assert_eq!(desk.asked(), 0);
    assert_eq!(desk.order("quantity=0.01"), 200);
    let shown = &desk.person().requests()[0];
    assert_eq!(shown.rule, "orders");
    let beyond = "beyond the rule small orders: 0.02 so far and 0.01 now, of at most 0.02 in 24 h";
    assert!(shown.unusual.contains(&beyond.to_owned()), "{shown:?}");
}

// The order that is covered, from a process of its own with the bot's token.
fn from_another_process(desk: &Desk) -> (u16, String) {
    let done = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
        .args(["-H", &format!("x-mbx-apikey: {}", desk.token)])
        .args(["-d", "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000&quantity=0.005&timestamp=1&signature=0"])
        .arg(format!("{}/api/v3/order", desk.base))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    (said.parse().unwrap_or(0), said)
}

#[test]
fn a_process_that_becomes_another_program_has_lost_what_was_allowed_to_it() {
    let desk = Desk::with_a_passphrase("");
    desk.grants_for(Some(5));
    // Twice as one program, then, under the same number, as another.
    let script = r#"
import http.client, os, sys
host, path = sys.argv[1].removeprefix("http://").split("/", 1)
body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=20000&quantity=0.005&timestamp=1&signature=0"
headers = {"x-mbx-apikey": sys.argv[2], "content-type": "application/x-www-form-urlencoded"}
for _ in range(2):
    bot = http.client.HTTPConnection(host)
    bot.request("POST", f"/{path}/api/v3/order", body, headers)
    assert bot.getresponse().status == 200
    bot.close()
os.execvp("curl", ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"x-mbx-apikey: {sys.argv[2]}", "-d", body, f"{sys.argv[1]}/api/v3/order"])
"#;
    let done = Command::new("python3")
        .args(["-c", script, &desk.base, &desk.token])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&done.stdout), "200", "{done:?}");
    let programs: Vec<String> = desk
        .person()
        .requests()
        .into_iter()
        .map(|one| one.executable)
        .collect();
    assert_eq!(programs.len(), 2, "{programs:?}");
    assert!(
        programs[0].contains("python") && programs[1].contains("curl"),
        "{programs:?}"
    );
}

// Whoever gets one careless yes has not made an address known by it.
#[test]
fn a_yes_that_nobody_touched_makes_no_address_usual() {
    let desk = Desk::with_a_card("");
    desk.person().take_hands_off();
    let (status, answer) = desk.withdraw("&withdrawOrderId=first");
    assert_eq!(status, 403, "{answer}");
    desk.person().mind.lock().unwrap().touches = true;
    for id in ["second", "third"] {
        let (status, answer) = desk.withdraw(&format!("&withdrawOrderId={id}"));
        assert_eq!(status, 200, "{answer}");
    }
    let of_money = |request: touchkeep_wire::Approval| {
        let is_it = request.operation == "withdraw";
        is_it.then(|| request.unusual.join("; "))
    };
    let unusual: Vec<_> = desk
        .person()
        .requests()
        .into_iter()
        .filter_map(of_money)
        .collect();
    let new = "first time to this address; no withdrawal of this client was signed before";
    assert_eq!(unusual[..2], [new, new]);
    assert_eq!(unusual[2..], [""], "that one was signed");
}
