//! What a person sees: lines that fit the terminal, colours where they are wanted, names that do nothing, commands to be typed.

use std::process::{Command, Stdio};

use touchkeep_tests::{Home, binary};

use crate::desk::Desk;

// What a verb shows on a terminal of so many columns.
fn in_columns(home: &Home, columns: u32, line: &str) -> String {
    let line = format!(
        "stty cols {columns} rows 24; exec {} {line}",
        binary("touchkeep").display()
    );
    let mut terminal = home.at_a_terminal(&line);
    terminal.env("NO_COLOR", "1").stdin(Stdio::null());
    let done = terminal.output().unwrap();
    String::from_utf8(done.stdout)
        .unwrap()
        .replace("\r\n", "\n")
}

#[test]
fn what_is_copied_from_a_terminal_has_its_own_lines_and_the_rest_is_broken_well() {
    let desk = Desk::set();
    let policy = desk.run(&["policy", "show"]);
    let text = policy["text"].as_str().unwrap();
    assert!(text.lines().any(|line| line.len() > 60), "{text}");
    let shown = in_columns(&desk.home, 60, "policy show");
    assert_eq!(shown.trim_end(), text.trim_end());
    let note = in_columns(&desk.home, 60, "audit checkpoint");
    let signature = note.lines().find(|line| line.starts_with('—')).unwrap();
    assert_eq!(signature.split(' ').count(), 3, "a signed note: {note}");

    let help = in_columns(&desk.home, 60, "webhook verify --help");
    assert!(
        help.contains("--scheme stripe \\\n      --header"),
        "{help}"
    );
    let examples = help.split_once("Examples:").unwrap().1;
    for line in examples.lines() {
        assert!(line.chars().count() <= 60, "{line}");
    }
}

#[test]
fn a_long_name_spoils_no_list_and_a_narrow_terminal_has_a_line_for_each_fact() {
    let desk = Desk::set();
    let long = "n".repeat(500);
    for name in ["alpha", "beta", "gamma", "delta", &long] {
        desk.add(name, "api-key", "sk-1", &[]);
    }
    let wide = in_columns(&desk.home, 80, "list");
    let rest: Vec<&str> = wide.lines().filter(|line| !line.contains("nnn")).collect();
    assert!(rest.iter().all(|line| line.len() <= 80), "{wide}");
    // The head, four rows, and the rest of the long one's.
    assert_eq!(rest.len(), 6, "{wide}");
    assert!(wide.lines().any(|line| line == long), "{wide}");
    desk.run(&["rm", &long, "--forever", "--yes"]);
    let key = [
        "add",
        "trade",
        "--venue",
        "binance",
        "--class",
        "trade",
        "--api-key",
        "abcdefghijkl",
    ];
    desk.run_with(&[&key[..], &["--secret-fd", "0"]].concat(), "secret");
    let narrow = in_columns(&desk.home, 40, "list");
    assert!(narrow.lines().all(|line| line.len() <= 40), "{narrow}");
    assert!(
        narrow.contains("NAME     trade\nKIND     exchange-key\nVENUE    binance\n"),
        "{narrow}"
    );
    let piped = desk.home.touchkeep().arg("list").output().unwrap();
    let piped = String::from_utf8(piped.stdout).unwrap();
    assert_eq!(
        piped.lines().count(),
        6,
        "a script has a row a line: {piped}"
    );
}

const COLOURFUL: &str = "xterm-256color";

// In a terminal of its own, so that colours are wanted.
fn on_a_terminal(home: &Home, args: &[&str], no_color: &str, term: &str) -> String {
    let line = [&["exec", "$TK"], args].concat().join(" ");
    let done = home
        .at_a_terminal(&line)
        .env("TK", home.touchkeep().get_program())
        .env("TERM", term)
        .env("NO_COLOR", no_color)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &["--rotate-after-days", "90"]);
    let policy = desk.home.path("policy.toml").display().to_string();
    std::fs::write(&policy, "nonsense").unwrap();
    let verbs: [&[&str]; 28] = [
        &["status"],
        &["doctor"],
        &["list"],
        &["list", "nothing-like-it"],
        &["show", "openai"],
        &["show", "no-such-item"],
        &["history", "openai"],
        &["trash"],
        &["remind"],
        &["env", "list"],
        &["proxy", "list"],
        &["grant", "list"],
        &["policy", "show"],
        &["policy", "check", &policy],
        &["policy", "check"],
        &["policy", "replay"],
        &["policy", "explain", "--kind", "withdraw", "--amount", "1"],
        &["venue", "list"],
        &["venue", "show", "kraken"],
        &["audit", "list"],
        &["audit", "show", "1"],
        &["audit", "verify"],
        &["audit", "checkpoint"],
        &["device", "list"],
        &["device", "keys-for", "kraken"],
        &["recover", "list"],
        &["backup", "list"],
        &["--help"],
    ];
    let mut coloured = 0;
    for verb in verbs {
        let piped = desk.home.touchkeep().args(verb).output().unwrap();
        let plain = [piped.stdout, piped.stderr].concat();
        assert!(!plain.contains(&0x1b), "{verb:?} into a pipe");
        let shown = on_a_terminal(&desk.home, verb, "1", COLOURFUL);
        assert!(
            !shown.is_empty() && !shown.contains('\u{1b}'),
            "{verb:?}: {shown:?}"
        );
        let shown = on_a_terminal(&desk.home, verb, "", COLOURFUL);
        coloured += usize::from(shown.contains("\u{1b}["));
    }
    let dumb = on_a_terminal(&desk.home, &["status"], "", "dumb");
    assert!(
        dumb.contains("open") && !dumb.contains('\u{1b}'),
        "{dumb:?}"
    );
    assert!(coloured > 8, "{coloured} use colours where nobody minds");
}

#[test]
fn a_command_that_is_proposed_can_be_typed_as_it_stands() {
    let desk = Desk::set();
    let cli = binary("touchkeep");
    let path = format!(
        "{}:{}",
        cli.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for name in ["two words", "it's", "$(touch x)", "🔑 main"] {
        desk.add(name, "api-key", "sk-1", &[]);
        let said = desk
            .home
            .touchkeep()
            .args(["rm", name, "--yes"])
            .output()
            .unwrap();
        let said = String::from_utf8(said.stderr).unwrap();
        let (_, proposed) = said.trim_end().rsplit_once("Take it back: ").unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", proposed]).env("PATH", &path);
        let typed = shell.envs(desk.home.environment()).output().unwrap();
        assert!(typed.status.success(), "{proposed}: {typed:?}");
        assert_eq!(desk.run(&["list"])[0]["name"], name);
        desk.run(&["rm", name, "--forever", "--yes"]);
    }
}

#[test]
fn names_from_outside_are_shown_wherever_they_stand_so_that_nothing_of_them_acts() {
    let desk = Desk::set();
    desk.run(&["proxy", "add", "ab", "--webhooks"]);
    let listed = desk.home.touchkeep().args(["proxy", "list"]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert!(
        listed.contains(" webhooks ") && !listed.contains("everything"),
        "{listed}"
    );
    desk.add("rpc\u{202e}", "api-key", "k", &[]);
    for verb in ["list", "proxy add c\u{202e}d --webhooks"] {
        let verb = verb.split(' ');
        let done = desk.home.touchkeep().args(verb).output().unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(
            said.contains("\\u{202e}") && !said.contains('\u{202e}'),
            "{said}"
        );
    }
}
