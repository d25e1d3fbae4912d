//! A program on a terminal: everything that a terminal is for works as it does without us. A real terminal (tmux) with a real
//! shell, and the programs that people use there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod support;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use support::{HIDDEN, SECRET};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with a shell in it, which has the example as `$T`.
struct Screen {
    folder: TempDir,
}

impl Screen {
    fn open() -> Self {
        let screen = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let rc = format!(
            "PS1='$ '; T='{} terminal --'; export VALUES={SECRET} LESS= ; bind 'set enable-bracketed-paste off'\n",
            support::program().display()
        );
        std::fs::write(screen.path("rc"), rc).unwrap();
        let shell = format!("bash --noprofile --rcfile {} -i", screen.path("rc"));
        screen.tmux(&[
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "-c",
            screen.folder.path().to_str().unwrap(),
            &shell,
        ]);
        screen.wait("the prompt", |text| text.contains('$'));
        screen
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", &self.path("tmux"), "-f", "/dev/null"])
            .args(arguments)
            .env_remove("TMUX")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "tmux {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn type_in(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn enter(&self, line: &str) {
        self.type_in(line);
        self.press("Enter");
    }

    fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    fn wait(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.text();
            if is_there(&text) {
                return text;
            }
            assert!(Instant::now() < end, "{what} did not come:\n{text}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn wait_line(&self, line: &str) -> String {
        self.wait(line, |text| text.lines().any(|one| one.trim_end() == line))
    }

    fn lines(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn wait_file(&self, name: &str, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        while self.lines(name) != wanted {
            assert!(
                Instant::now() < end,
                "{name}: {:?} is not {wanted:?}\n{}",
                self.lines(name),
                self.text()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _gone = Command::new("tmux")
            .args(["-S", &self.path("tmux"), "kill-server"])
            .output();
    }
}

#[test]
fn a_terminal_stays_one_and_its_output_is_masked() {
    let screen = Screen::open();
    screen.enter("$T sh -c 'test -t 0 && test -t 1 && test -t 2 && printf \"\\033[31mred $FIRST\\033[0m\\n\"; exit 5'; echo =$?");
    screen.wait_line("=5");
    let text = screen.coloured();
    assert!(text.contains(&format!("\x1b[31mred {HIDDEN}")), "{text:?}");
    assert!(!text.contains(SECRET));
}

#[test]
fn errors_that_go_elsewhere_stay_apart() {
    let screen = Screen::open();
    screen.enter("$T sh -c 'echo out $FIRST; echo err $FIRST >&2' 2>errors; echo =$?");
    let text = screen.wait_line("=0");
    assert!(
        text.lines().any(|line| line == format!("out {HIDDEN}")),
        "{text}"
    );
    assert_eq!(screen.lines("errors"), format!("err {HIDDEN}\n"));
}

#[test]
fn the_size_goes_through_and_so_do_changes() {
    let screen = Screen::open();
    screen.enter("$T bash -c 'trap \"stty size >sizes\" WINCH; stty size >first; while :; do sleep 0.05; done'");
    screen.wait_file("first", "24 80\n");
    screen.tmux(&["set-option", "-g", "window-size", "manual"]);
    screen.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    screen.wait_file("sizes", "30 100\n");
}

#[test]
fn ctrl_c_and_ctrl_backslash_end_the_program_with_their_status() {
    let screen = Screen::open();
    screen.enter("$T sh -c 'echo ready; exec sleep 60'; echo =$?");
    screen.wait_line("ready");
    screen.press("C-c");
    screen.wait("its status", |text| text.contains("=130"));
    screen.enter("clear; $T sh -c 'echo again; exec sleep 60'; echo =$?");
    screen.wait_line("again");
    screen.press("C-\\");
    screen.wait("its status", |text| text.contains("=131"));
    screen.enter("stty -a | grep -o ' icanon'");
    screen.wait_line(" icanon");
}

#[test]
fn keys_and_the_end_of_input_arrive() {
    let screen = Screen::open();
    screen.enter("$T sh -c 'cat >typed'; echo =$?");
    std::thread::sleep(Duration::from_millis(300));
    screen.enter("hello");
    screen.press("C-d");
    screen.wait_line("=0");
    assert_eq!(screen.lines("typed"), "hello\n");
    screen.enter("clear; $T sh -c 'read line; echo got $line'");
    screen.enter("abc");
    screen.wait_line("got abc");
}

#[test]
fn a_program_stops_goes_to_the_background_and_comes_back() {
    let screen = Screen::open();
    screen.enter("$T sh -c 'echo ready; cat >typed; echo over'; echo =$?");
    screen.wait_line("ready");
    screen.press("C-z");
    screen.wait("the shell", |text| text.contains("Stopped"));
    screen.enter("stty -a | grep -o ' icanon'");
    screen.wait_line(" icanon");
    screen.enter("fg");
    screen.wait("the program", |text| {
        text.matches("cat >typed").count() >= 2
    });
    std::thread::sleep(Duration::from_millis(300));
    screen.enter("after");
    screen.press("C-d");
    screen.wait_line("over");
    assert_eq!(screen.lines("typed"), "after\n");
    screen.enter("clear; $T sh -c 'while [ ! -e stop ]; do sleep 0.05; echo x >>ticks; done; echo really over'");
    std::thread::sleep(Duration::from_millis(500));
    screen.press("C-z");
    screen.wait("the shell", |text| text.contains("Stopped"));
    let stopped_at = screen.lines("ticks").len();
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(
        screen.lines("ticks").len(),
        stopped_at,
        "it is stopped, and not only we"
    );
    screen.enter("bg");
    screen.wait("the background", |_| {
        screen.lines("ticks").len() > stopped_at + 4
    });
    screen.enter("echo the shell has the keys");
    screen.wait_line("the shell has the keys");
    std::fs::write(screen.path("stop"), "").unwrap();
    screen.wait("its end", |text| text.contains("$ really over"));
}

#[test]
fn a_program_in_the_background_stops_when_it_wants_the_terminal() {
    let screen = Screen::open();
    screen.enter("$T sh -c 'read line; echo got $line' &");
    std::thread::sleep(Duration::from_millis(300));
    screen.press("Enter");
    screen.wait("the shell's word", |text| text.contains("Stopped"));
    screen.enter("fg");
    std::thread::sleep(Duration::from_millis(300));
    screen.enter("it");
    screen.wait_line("got it");
}

#[test]
fn in_a_pipeline_the_terminal_is_left_alone_until_the_program_wants_it() {
    let screen = Screen::open();
    screen.enter("seq 500 | $T sh -c 'wc -l; stty -a </dev/tty | grep -c \"^speed\"'; echo =$?");
    let text = screen.wait_line("=0");
    assert!(text.lines().any(|line| line.trim() == "500"), "{text}");
    screen.enter("clear; seq 500 | $T less");
    screen.wait("the first page", |text| {
        text.lines().any(|line| line.trim() == "23")
    });
    screen.press("G");
    screen.wait("the last page", |text| {
        text.lines().any(|line| line.trim() == "500")
    });
    screen.press("q");
    screen.wait("the prompt", |text| text.trim_end().ends_with('$'));
    screen.enter("echo back");
    screen.wait_line("back");
    screen.enter("clear; sleep 60 | $T sh -c 'echo begun; exec sleep 60'");
    screen.wait_line("begun");
    screen.press("C-c");
    screen.enter("echo =$?");
    screen.wait("its status", |text| text.contains("=130"));
}

#[test]
fn vim_edits() {
    let screen = Screen::open();
    std::fs::write(screen.path("file"), format!("first\nkey={SECRET}\nlast\n")).unwrap();
    screen.enter("$T vim -u NONE -N -i NONE file");
    let text = screen.wait("the file", |text| text.contains("first"));
    assert!(text.contains(HIDDEN) && !text.contains(SECRET), "{text}");
    screen.type_in("ggcwchanged");
    screen.press("Escape");
    std::thread::sleep(Duration::from_millis(300));
    screen.press("C-z");
    screen.wait("the shell", |text| text.contains("Stopped"));
    screen.enter("fg");
    screen.wait("the file again", |text| {
        text.contains("changed") && text.contains('~')
    });
    screen.enter(":wq");
    screen.wait("the prompt", |text| text.trim_end().ends_with('$'));
    screen.enter("echo =$?");
    screen.wait_line("=0");
    assert_eq!(
        screen.lines("file"),
        format!("changed\nkey={SECRET}\nlast\n")
    );
}

#[test]
fn tmux_runs_inside() {
    let screen = Screen::open();
    let inner = screen.path("inner");
    screen.enter(&format!(
        "$T env -u TMUX tmux -S {inner} -f /dev/null new-session 'bash --norc -i'; echo =$?"
    ));
    screen.wait("its status line", |text| text.contains("[0] 0:"));
    screen.enter("echo in $FIRST here");
    screen.wait("its output", |text| {
        text.contains(&format!("in {HIDDEN} here"))
    });
    screen.enter("exit");
    screen.wait_line("=0");
}

#[test]
fn when_we_are_killed_the_program_is_hung_up_on() {
    let screen = Screen::open();
    screen.enter("$T bash -c 'trap \"echo hup >end; exit\" HUP; echo $PPID >monitor; echo $$ >pid; while :; do sleep 0.05; done' & echo us $!");
    let text = screen.wait("our number", |text| {
        text.lines().any(|line| line.starts_with("us ")) && Path::new(&screen.path("pid")).exists()
    });
    let us = text
        .lines()
        .find_map(|line| line.strip_prefix("us "))
        .unwrap()
        .trim()
        .to_owned();
    screen.enter(&format!("kill -9 {us}"));
    screen.wait_file("end", "hup\n");
}
