//! Questions at a terminal: what is typed is read whole and not shown, and the terminal is left as it was.

use std::{
    io::{Read, Write},
    process::Child,
};

use serde_json::json;
use touchkeep_tests::{Home, binary};

use crate::desk::Desk;

// What a terminal shows until its end, where somebody answers its question at once.
fn answers(terminal: &mut Child, question: &str, answer: &[u8]) -> String {
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let (mut shown, mut byte) = (String::new(), [0; 1]);
    while screen.read(&mut byte).is_ok_and(|count| count == 1) {
        // A letter for a byte.
        shown.push(byte[0].into());
        if shown.ends_with(question) {
            keys.write_all(answer).unwrap();
        }
    }
    shown
}

#[test]
fn what_is_typed_as_soon_as_a_question_is_there_is_read_and_not_shown() {
    let desk = Desk::set();
    // Each call that changes the terminal takes its time, so that nobody is quick enough by luck.
    let slow = "timeout --foreground 30 strace -f -qq -o /dev/null -e trace=ioctl -e inject=ioctl:delay_enter=50000";
    let line = format!(
        "{slow} {} add typed --kind api-key",
        binary("touchkeep").display()
    );
    let mut terminal = desk.home.at_a_terminal(&line).spawn().unwrap();
    let shown = answers(&mut terminal, "of typed: ", b"canary-typed\r");
    assert!(terminal.wait().unwrap().success(), "{shown}");
    assert!(
        shown.contains("Stored typed") && !shown.contains("canary"),
        "{shown}"
    );
    assert_eq!(desk.run(&["list"])[0]["name"], "typed");
}

#[test]
fn a_secret_of_several_lines_is_not_cut_to_its_first_and_no_shell_gets_the_rest() {
    let desk = Desk::set();
    let add = format!(
        "{} add pasted --kind api-key",
        binary("touchkeep").display()
    );
    let line = format!("{add}; echo status $?; IFS= read -r -t 2 rest; echo \"next: <$rest>\"");
    let mut terminal = desk.home.at_a_terminal(&line);
    let mut terminal = terminal.env("SHELL", "/bin/bash").spawn().unwrap();
    let shown = answers(
        &mut terminal,
        "of pasted: ",
        b"first-line\rsecond-line\rthird-line\r",
    );
    let _ended = terminal.wait().unwrap();
    assert!(
        shown.contains("--secret-fd") && shown.contains("status 2"),
        "{shown}"
    );
    assert!(
        shown.contains("next: <>") && !shown.contains("-line"),
        "the rest went on: {shown}"
    );
    assert_eq!(desk.run(&["list"]), json!([]));
}

#[test]
fn whatever_ends_a_question_leaves_the_terminal_as_it_was() {
    let desk = Desk::set();
    let program = binary("touchkeep").display().to_string();
    for (signal, verb) in [("TERM", "add x --kind api-key"), ("HUP", "rm openai")] {
        desk.add("openai", "api-key", "sk-1", &[]);
        let line =
            format!("timeout --foreground -s {signal} 5 {program} {verb}; echo ended $?; stty -a");
        let mut terminal = desk.home.at_a_terminal(&line).spawn().unwrap();
        // Nothing is typed, and not the end of all typing either, which would be an answer.
        let shown = answers(&mut terminal, "never asked", b"");
        let _ended = terminal.wait().unwrap();
        let (asked, after) = shown
            .split_once("ended 124")
            .unwrap_or_else(|| panic!("{shown}"));
        assert!(asked.contains(": "), "it came to the question: {asked}");
        for mode in ["icanon", "echo", "isig"] {
            let mut modes = after.split_whitespace();
            assert!(modes.any(|it| it == mode), "{signal}: {after}");
        }
        desk.run(&["rm", "openai", "--forever", "--yes"]);
    }
}

#[test]
fn ctrl_c_at_a_question_is_what_it_is_elsewhere_and_leaves_nothing_half_made() {
    let home = Home::new(None);
    let program = binary("touchkeep").display().to_string();
    let vault = home.path("new.touchkeep");
    let init = format!("{program} init --practice --path {}", vault.display());
    // Esc refuses; Ctrl-C ends.
    for (key, code) in [(b"\x03", 130), (b"\x1b", 1)] {
        let line = format!("{init}; echo ended $?; stty -a");
        let mut terminal = home.at_a_terminal(&line).spawn().unwrap();
        let shown = answers(&mut terminal, "New passphrase: ", key);
        let _ended = terminal.wait().unwrap();
        let ended = format!("ended {code}\r\n");
        let (_, after) = shown
            .split_once(&ended)
            .unwrap_or_else(|| panic!("{shown}"));
        for mode in ["icanon", "echo", "isig"] {
            let mut modes = after.split_whitespace();
            assert!(modes.any(|it| it == mode), "{after}");
        }
        let beside = std::fs::read_dir(vault.parent().unwrap()).unwrap();
        let beside = beside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let made: Vec<_> = beside
            .filter(|name| name.contains("new.touchkeep"))
            .collect();
        assert_eq!(made, [""; 0]);
        assert_eq!(home.json(&["status"])["unlocked"], false);
    }
}

#[test]
fn a_passphrase_for_an_export_is_long_enough_before_it_is_typed_again() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let file = desk.home.path("items.age");
    let line = format!(
        "{} export {}",
        binary("touchkeep").display(),
        file.display()
    );
    let mut terminal = desk.home.at_a_terminal(&line).spawn().unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let mut typed = [
        "short\r",
        "long enough it is\r",
        "another one here\r",
        "long enough it is\r",
        "long enough it is\r",
    ]
    .iter();
    let (mut shown, mut byte) = (Vec::new(), [0; 1]);
    while screen.read(&mut byte).is_ok_and(|count| count == 1) {
        shown.push(byte[0]);
        if shown.ends_with(b"or more: ") || shown.ends_with(b"Once more: ") {
            keys.write_all(typed.next().unwrap().as_bytes()).unwrap();
        }
    }
    let shown = String::from_utf8_lossy(&shown);
    assert!(terminal.wait().unwrap().success(), "{shown}");
    assert_eq!(
        shown.matches("fewer than 12 characters").count(),
        1,
        "{shown}"
    );
    assert_eq!(shown.matches("They differ").count(), 1, "{shown}");
    assert!(file.exists(), "{shown}");
}
