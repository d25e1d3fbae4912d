//! What helps to type: the help of each verb, manual pages, the completions of shells.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use touchkeep_tests::Home;

use crate::desk::Desk;

// The verbs that a help lists: of the program in groups, of a verb below one heading. A verb's line begins with two blanks, one
// that goes on with more.
fn listed_in(help: &str) -> Vec<&str> {
    let heads = help
        .split_once("Options:\n")
        .map_or(help, |(heads, _)| heads);
    let groups = heads.split("\n\n").filter(|part| {
        let head = part.lines().next().unwrap_or_default();
        head.ends_with(':')
            && part
                .lines()
                .nth(1)
                .is_some_and(|line| line.starts_with("  "))
    });
    let lines = groups.flat_map(|group| group.lines().skip(1));
    let lines = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines
        .filter_map(|line| line.split_whitespace().next())
        // Arguments have a heading as well.
        .filter(|word| !word.starts_with(['<', '[', '-']))
        .collect()
}

// Every verb that can be typed, as the help lists them.
pub(crate) fn verbs_below(home: &Home, path: &[&str]) -> Vec<String> {
    let help = home.touchkeep().args(path).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs = listed_in(&help);
    if verbs.is_empty() {
        return vec![path.join(" ")];
    }
    let verbs = verbs.into_iter();
    verbs
        .filter(|verb| *verb != "help")
        .flat_map(|verb| verbs_below(home, &[path, &[verb]].concat()))
        .collect()
}

#[test]
fn every_verb_has_examples_and_a_page() {
    let home = Home::new(None);
    let folder = home.path("man");
    std::fs::create_dir(&folder).unwrap();
    let done = home.touchkeep().arg("man").arg(&folder).output().unwrap();
    assert!(done.status.success());
    let help = home.touchkeep().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let verbs = listed_in(&help);
    assert!(verbs.len() > 25 && verbs.contains(&"history"), "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        let page = std::fs::read_to_string(folder.join(format!("touchkeep-{verb}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{verb}");
        assert!(page.contains(".SH EXAMPLES\n.nf\n"), "{verb}: {page}");
        assert!(!page.contains("EXTRA"), "{verb}: {page}");
        let title = page.lines().find(|line| line.starts_with(".TH "));
        assert!(title.unwrap().contains("\"touchkeep "), "{verb}: {page}");
        let help = home.touchkeep().args([verb, "--help"]).output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(help.contains("Examples:"), "{help}");
        assert!(!help.contains('\u{1b}'));
    }
    let page =
        |verb: &str| std::fs::read_to_string(folder.join(format!("touchkeep-{verb}.1"))).unwrap();
    // What is copied from a page is what was meant: a straight quote, and a hyphen that is none of typography.
    let helper = "\\(aq!touchkeep credential git \\-\\-host github.com";
    assert!(
        page("credential").contains(helper),
        "{}",
        page("credential")
    );
    let synopsis = "touchkeep run [OPTIONS] \\-\\- <CMD>...";
    assert!(page("run").contains(synopsis), "{}", page("run"));
    assert!(page("run").contains(".SH \"EXIT STATUS\""));
}

/// A shell that has loaded its completions, with the real command line in its path.
struct Shell<'a> {
    home: &'a Home,
    script: PathBuf,
    path: String,
}

impl<'a> Shell<'a> {
    fn with(home: &'a Home, shell: &str) -> Self {
        let printed = home.touchkeep().args(["completions", shell]).output();
        let script = home.path(&format!("completions.{shell}"));
        std::fs::write(&script, printed.unwrap().stdout).unwrap();
        let cli = home.touchkeep();
        let folder = Path::new(cli.get_program()).parent().unwrap().display();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
        Self { home, script, path }
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command.args(["30", program]).args(args);
        let environment = self.home.environment();
        command.envs(environment).env("PATH", &self.path);
        command
            .env("HOME", self.home.path("home"))
            .output()
            .unwrap()
    }

    // What fish offers for a line.
    fn completes(&self, line: &str) -> String {
        let ask = format!("source {}; complete -C '{line}'", self.script.display());
        let done = self.run("fish", &["--no-config", "-c", &ask]);
        let said = String::from_utf8(done.stdout).unwrap();
        let words = said.lines().filter_map(|line| line.split('\t').next());
        words.collect::<Vec<_>>().join(" ")
    }

    // That zsh, at a terminal, makes this of a line when Tab is pressed.
    fn shows(&self, line: &str, whole: &str) {
        let session = "zmodload zsh/zpty; zpty z 'zsh -f -i'
            zpty -w z \"autoload -U compinit; compinit -u -D; source $1; echo LOA''DED\"
            zpty -r -m z seen '*LOADED*' && zpty -w -n z \"$2\"$'\\t' && zpty -r -m z seen \"*$3*\"";
        let script = self.script.to_str().unwrap();
        let done = self.run("zsh", &["-f", "-c", session, "zsh", script, line, whole]);
        assert!(done.status.success(), "{line}: {done:?}");
    }
}

#[test]
fn completions_know_items_only_while_the_vault_is_open() {
    let desk = Desk::set();
    desk.add("openai", "api-key", "sk-1", &[]);
    let names = |desk: &Desk| {
        let said = desk
            .home
            .touchkeep()
            .arg("items-for-completion")
            .output()
            .unwrap();
        assert!(said.status.success());
        String::from_utf8(said.stdout).unwrap()
    };
    assert_eq!(names(&desk), "openai\n");
    // As bash itself completes.
    let script = desk.home.path("completions");
    let printed = desk
        .home
        .touchkeep()
        .args(["completions", "bash"])
        .output()
        .unwrap();
    std::fs::write(&script, printed.stdout).unwrap();
    let ask = "PATH=$2:$PATH; . \"$1\"; COMP_WORDS=(touchkeep show op); COMP_CWORD=2; _touchkeep_items touchkeep op show; echo \"${COMPREPLY[@]}\"";
    let cli = desk.home.touchkeep();
    let folder = Path::new(cli.get_program()).parent().unwrap();
    let said = Command::new("bash")
        .args(["-c", ask, "bash"])
        .args([&script, folder])
        .envs(desk.home.environment())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "openai\n");
    // With a blank in it, as it is typed.
    desk.add("my key", "api-key", "sk-2", &[]);
    let ask = ask.replace("show op)", "show 'my\\ k')");
    let said = Command::new("bash")
        .args(["-c", &ask, "bash"])
        .args([&script, folder])
        .envs(desk.home.environment())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "my\\ key\n");
    // Behind options; bash counts what stands before and behind a = as words.
    for (before, count) in [
        ("--json", 1),
        ("--vault /v --json", 3),
        ("--json --vault = /v", 4),
    ] {
        let words = format!(
            "COMP_WORDS=(touchkeep {before} show op); COMP_CWORD={}",
            count + 2
        );
        let ask = ask.replace("COMP_WORDS=(touchkeep show 'my\\ k'); COMP_CWORD=2", &words);
        let said = Command::new("bash")
            .args(["-c", &ask, "bash"])
            .args([&script, folder])
            .envs(desk.home.environment())
            .output()
            .unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            "openai\n",
            "{before}"
        );
    }
    let _gone = desk.run(&["rm", "my key", "--yes"]);
    // And as fish and zsh do, verbs of both levels and items.
    let [fish, zsh] = ["fish", "zsh"].map(|shell| Shell::with(&desk.home, shell));
    assert_eq!(fish.completes("touchkeep set-a"), "set-api-key");
    assert_eq!(fish.completes("touchkeep device insp"), "inspect");
    assert_eq!(fish.completes("touchkeep show op"), "openai");
    for (typed, whole) in [
        ("touchkeep set-a", "set-api-key"),
        ("touchkeep device insp", "inspect"),
        ("touchkeep show op", "openai"),
    ] {
        zsh.shows(typed, whole);
    }
    assert_eq!(fish.completes("touchkeep --json show op"), "openai");
    assert_eq!(fish.completes("touchkeep --vault /v show op"), "openai");
    for other in ["audit show op", "venue show op", "git show op"] {
        let offered = fish.completes(&format!("touchkeep {other}"));
        assert!(!offered.contains("openai"), "{other}: {offered}");
    }
    let _locked = desk.home.json(&["lock"]);
    assert_eq!(fish.completes("touchkeep show op"), "");
    assert_eq!(fish.completes("touchkeep set-a"), "set-api-key");
    assert_eq!(names(&desk), "");
    // Nothing is no name: zsh would complete an empty word.
    let ask = "compdef() {}; compadd() { print $#names }; source $1; _touchkeep_items";
    let said = zsh.run(
        "zsh",
        &["-f", "-c", ask, "zsh", zsh.script.to_str().unwrap()],
    );
    assert_eq!(String::from_utf8_lossy(&said.stdout), "0\n");
}
