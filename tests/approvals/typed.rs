//! What is typed at a question: a word that was meant, a passphrase or PIN with its tries, and nothing that is left over.

use std::{process::Stdio, time::Duration};

use serde_json::json;

use crate::{desk::Desk, terminal::Terminal};

#[test]
fn a_key_that_was_pressed_for_something_else_approves_nothing() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 100);
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.01"));
        terminal.until("buy 0.01");
        // Within the guard: thrown away, so that the question is still open afterwards.
        terminal.types("approve\r");
        terminal.until("s left) > ");
        std::thread::sleep(Duration::from_millis(300));
        assert!(!bot.is_finished());
        terminal.types("approve\r");
        assert_eq!(bot.join().unwrap(), 200, "{}", desk.home.log());
    });
    terminal.until("Request 1 approved");
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.02"));
        terminal.until("buy 0.02");
        terminal.answers("y\r");
        assert_eq!(bot.join().unwrap(), 403, "no word is a yes but the word");
    });
    std::thread::scope(|scope| {
        let bot = scope.spawn(|| desk.order("quantity=0.03"));
        terminal.until("buy 0.03");
        terminal.answers("approve 15\r");
        assert_eq!(bot.join().unwrap(), 200);
    });
    assert_eq!(
        desk.order("quantity=0.02"),
        200,
        "covered by what was just allowed"
    );
    assert_eq!(terminal.times("buy 0.02"), 1);
}

#[test]
fn a_mistyped_passphrase_is_asked_for_again_three_times_in_all() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let _locked = desk.home.json(&["lock"]);
    let question = ": passphrase: ";
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    terminal.answers_secret(question, 1, "wrong");
    terminal.answers_secret(question, 2, "correct horse battery staple");
    assert_eq!(terminal.ends_with(), Some(0));
    assert_eq!(terminal.times("wrong passphrase"), 1);
    assert_eq!(desk.home.json(&["status"])["unlocked"], true);

    let _locked = desk.home.json(&["lock"]);
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    for nth in 1..=3 {
        terminal.answers_secret(question, nth, "wrong");
    }
    assert_eq!(terminal.ends_with(), Some(1));
    assert_eq!(terminal.times("wrong passphrase"), 3);
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    terminal.answers_secret(question, 1, "correct horse battery staple");
    assert_eq!(terminal.ends_with(), Some(0));
    // What a program asks for is as good, and whether it may have that is asked once.
    let read = "read tk://prod/money/secret";
    let mut terminal = Terminal::run(&desk.home, 80, read);
    terminal.until("Question 1");
    terminal.answers("once\r");
    terminal.answers_secret(question, 1, "wrong");
    terminal.answers_secret(question, 2, "correct horse battery staple");
    assert_eq!(terminal.ends_with(), Some(0));
    assert_eq!(terminal.times("Question "), 2, "it came and was answered");
    // That yes is used up: the next program is asked about, and one whose person gives up has nothing for the next either.
    for (number, typed) in [(2, ["wrong"; 3]), (3, ["wrong"; 3])] {
        let mut terminal = Terminal::run(&desk.home, 80, read);
        terminal.until(&format!("Question {number}"));
        terminal.answers("once\r");
        for (at, wrong) in typed.iter().enumerate() {
            terminal.answers_secret(question, at + 1, wrong);
        }
        assert_eq!(terminal.ends_with(), Some(1));
    }
}

#[test]
fn a_mistyped_pin_is_asked_for_with_its_tries_and_never_for_the_last_one() {
    let mut desk = Desk::with_a_card("");
    drop(desk.person.take());
    let card = desk.card.as_ref().unwrap();
    let state = || card.ask(&json!({ "do": "state" }));
    let sent = || state()["verify_count"].as_u64().unwrap();
    let _locked = desk.home.json(&["lock"]);
    let before = sent();
    let mut terminal = Terminal::run(&desk.home, 80, "unlock");
    terminal.answers_secret("3 tries left: ", 1, "000111");
    terminal.answers_secret("2 tries left: ", 1, "000222");
    assert_eq!(terminal.ends_with(), Some(3));
    terminal.until("device unblock");
    assert_eq!(
        (sent() - before, state()["pin_tries"].as_u64()),
        (2, Some(1))
    );
}

#[test]
fn a_terminal_says_that_a_secret_is_not_asked_for_any_more_and_shows_nothing_that_is_typed_then() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    let _locked = desk.home.json(&["lock"]);
    let mut terminal = Terminal::open(&desk.home, 100);
    let unlock = || {
        let mut unlock = desk.home.touchkeep();
        unlock.args(["unlock", "--no-interaction"]);
        unlock.stdout(Stdio::null()).stderr(Stdio::null());
        unlock.spawn().unwrap()
    };
    let mut first = unlock();
    terminal.until(": passphrase: ");
    first.kill().unwrap();
    let _ended = first.wait().unwrap();
    terminal.until("The passphrase is not asked for any more: whoever asked has gone");
    let shown = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let (_, after) = shown.split_once(": passphrase: ").unwrap();
    assert!(after.starts_with("\r\u{1b}[K"), "{shown:?}");
    std::thread::sleep(Duration::from_millis(600));
    terminal.types("typed too late\r");
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(terminal.times("typed too late"), 0);
    // The next one is asked, and what was typed before is no answer to it.
    let mut second = unlock();
    terminal.answers_secret(": passphrase: ", 2, "correct horse battery staple");
    assert!(second.wait().unwrap().success());
}

#[test]
fn a_terminal_that_showed_nothing_of_what_was_typed_does_again_once_it_is_left() {
    let mut desk = Desk::with_a_passphrase("");
    drop(desk.person.take());
    for is_asked in [true, false] {
        let program = Terminal::program(&desk.home);
        let script = format!("{program} approve; stty -a");
        let terminal = Terminal::run_script(&desk.home, 100, &script);
        terminal.until("Waiting for requests");
        std::thread::scope(|scope| {
            let bot = scope.spawn(|| is_asked.then(|| desk.order("quantity=0.01")));
            if is_asked {
                terminal.until(" s left) > ");
            }
            // It goes in the middle of that.
            let _stopped = desk.home.touchkeep().args(["agent", "stop"]).output();
            let _refused = bot.join();
        });
        terminal.until("the agent went away");
        terminal.until("noflsh");
        let shown = String::from_utf8_lossy(&terminal.bytes()).into_owned();
        let (_, after) = shown.split_once("the agent went away").unwrap();
        assert!(
            after.contains(" echo ") && after.contains(" icanon "),
            "{after:?}"
        );
        let _started = desk.home.json(&["status"]);
    }
}
