//! The README's tour, typed as it is printed: three terminals of a real tmux, a person who reads what stands there and answers.
//!
//! Two things are not as printed: where it lies and listens, so that it meets nobody else's, and the Python that has ccxt, which
//! `./dev test` made already.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    net::TcpListener,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use touchkeep_tests::{PATIENCE, binary};

const PIN: &str = "482917";
const PUK: &str = "59381726";
/// The terminals, as the README counts them.
const CARD: usize = 1;
const VAULT: usize = 2;
const BOT: usize = 3;

/// The sections whose commands are typed.
const SECTIONS: [&str; 3] = [
    "## The same by hand",
    "## Bots, rules and keys",
    "## Every day",
];

/// What stands on the screen after what was typed, where that is more than that it went well.
const SHOWN: [(&str, &str); 13] = [
    ("device set-pin", "Nothing on it is the factory's any more."),
    ("proxy add", "api key   tkc_"),
    ("order BTC/USDT buy", ": open"),
    (
        "py withdraw BTC 0.5 bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        " accepted",
    ),
    ("5mdp", "a person refused it"),
    ("audit verify", "Sound: "),
    ("recover kit", "The way back works."),
    ("policy explain --kind withdraw", "must touch the device"),
    ("policy replay", "would have been decided more strictly"),
    ("touchkeep run", "the key is <hidden by touchkeep>"),
    ("touchkeep inject", "url: https://x/?key=sk-123"),
    ("cat /", "STRIPE_KEY=tk://prod/STRIPE_KEY/secret"),
    ("audit export", "Sound: all rows from 1 to "),
];

/// The README's blocks of commands, in their order.
fn blocks() -> Vec<String> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let mut blocks = Vec::new();
    for section in SECTIONS {
        let (_, text) = readme.split_once(section).expect(section);
        let text = text.split("\n## ").next().unwrap();
        let mut parts = text.split("```");
        while let (Some(_), Some(block)) = (parts.next(), parts.next()) {
            blocks.push(block.strip_prefix("sh\n").expect("commands").to_owned());
        }
    }
    blocks
}

// Commands, each with the lines that it goes on with.
fn commands(block: &str) -> Vec<String> {
    let joined = block.replace("\\\n", "\\\u{0}");
    let lines = joined.lines().map(str::trim);
    let typed = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    typed.map(|line| line.replace('\u{0}', "\n")).collect()
}

/// Three terminals, and who sits there.
struct Room {
    folder: tempfile::TempDir,
    // The number of each terminal's next command, as its shell counts.
    next: BTreeMap<usize, u32>,
    touched: usize,
    // What is said to questions about requests and values.
    answers: VecDeque<&'static str>,
    words: String,
}

impl Room {
    fn enter() -> Self {
        let folder = tempfile::Builder::new().prefix("tk").tempdir().unwrap();
        let room = Self {
            folder,
            next: (CARD..=BOT).map(|terminal| (terminal, 1)).collect(),
            touched: 0,
            answers: VecDeque::new(),
            words: String::new(),
        };
        // A shell that is hung up on writes nothing where the folder goes away.
        let shell = "HISTFILE= PS1='[\\#:$?] ' exec bash --norc --noprofile";
        room.tmux(&[
            "new-session",
            "-d",
            "-x",
            "220",
            "-y",
            "50",
            "-s",
            "t",
            shell,
        ]);
        // From now on the README's numbers.
        room.tmux(&["move-window", "-t", "t:1"]);
        for terminal in VAULT..=BOT {
            room.tmux(&["new-window", "-t", &format!("t:{terminal}"), shell]);
        }
        room
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.folder.path().join("tmux"));
        tmux.args(["-f", "/dev/null"]).args(args);
        tmux.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        tmux.env_clear().envs([
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin"),
            ("TERM", "xterm"),
            ("LANG", "C.UTF-8"),
        ]);
        tmux.env("HOME", self.folder.path());
        let done = tmux.output().expect("apt install tmux");
        assert!(
            done.status.success(),
            "tmux {args:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap()
    }

    // All that was shown, without the empty lines at the end.
    fn screen(&self, terminal: usize) -> String {
        let target = format!("t:{terminal}");
        let shown = self.tmux(&["capture-pane", "-p", "-J", "-S", "-", "-t", &target]);
        shown.trim_end().to_owned()
    }

    fn last(&self, terminal: usize) -> String {
        let screen = self.screen(terminal);
        screen.lines().last().unwrap_or_default().trim().to_owned()
    }

    fn press(&self, terminal: usize, key: &str) {
        self.tmux(&["send-keys", "-t", &format!("t:{terminal}"), key]);
    }

    fn enter_line(&self, terminal: usize, text: &str) {
        let target = format!("t:{terminal}");
        if !text.is_empty() {
            self.tmux(&["send-keys", "-t", &target, "-l", "--", text]);
        }
        self.press(terminal, "Enter");
    }

    fn enter_lines(&self, terminal: usize, command: &str) {
        for line in command.lines() {
            self.enter_line(terminal, line);
        }
    }

    // How the last command ended, once the shell waits for another one.
    fn status(&self, terminal: usize) -> Option<i32> {
        let last = self.last(terminal);
        // A key that ended a command may stand before it.
        let (_, prompt) = last.strip_suffix(']')?.rsplit_once('[')?;
        let (number, status) = prompt.split_once(':')?;
        let number: u32 = number.parse().ok()?;
        (number > self.next[&terminal]).then(|| status.parse().ok())?
    }

    /// Types a command, and does what a person does until it has ended. Its status, and what was shown.
    fn types(&mut self, terminal: usize, command: &str) -> (i32, String) {
        self.enter_lines(terminal, command);
        let status = self.until(command, |room| room.status(terminal));
        let screen = self.screen(terminal);
        let number = self.next.get_mut(&terminal).unwrap();
        let began = format!("[{number}:");
        *number += 1;
        let shown = screen.rsplit(&began).next().unwrap().to_owned();
        for (what, expected) in SHOWN {
            if command.contains(what) {
                assert!(shown.contains(expected), "{command}\n{shown}");
            }
        }
        (status, shown)
    }

    fn until<T>(&mut self, what: &str, done: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(done) = done(self) {
                return done;
            }
            self.touch();
            self.answer();
            if Instant::now() > deadline {
                let screens = (CARD..=BOT).map(|terminal| self.screen(terminal));
                let screens = screens.collect::<Vec<_>>().join("\n----\n");
                panic!("it does not end: {what}\n{screens}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn touch(&mut self) {
        let blinked = self.screen(CARD).matches("The key is blinking").count();
        if blinked > self.touched {
            self.touched = blinked;
            self.press(CARD, "Enter");
        }
    }

    // What terminal 2 asks. Each question is answered once: it is waited for what stands there instead.
    fn answer(&mut self) {
        let asked = self.last(VAULT);
        let Some(answer) = self.answer_to(&asked) else {
            return;
        };
        match answer.as_str() {
            "Escape" => self.press(VAULT, "Escape"),
            text => self.enter_line(VAULT, text),
        }
        let deadline = Instant::now() + PATIENCE;
        while self.last(VAULT) == asked
            || (asked.ends_with('>') && self.last(VAULT).ends_with(" >"))
        {
            assert!(Instant::now() < deadline, "{asked}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn answer_to(&mut self, asked: &str) -> Option<String> {
        let says = |text: &str| asked.contains(text);
        if asked.ends_with("left) >") || (says(" s left, ") && asked.ends_with('>')) {
            return self.answers.pop_front().map(str::to_owned);
        }
        if says("Press Enter when all of it is on paper") {
            self.words = words_on(&self.screen(VAULT));
            return Some(String::new());
        }
        if says("Now type the 24 words") {
            return Some(self.words.clone());
        }
        if says("For a camera") {
            return Some(String::new());
        }
        if !asked.ends_with(':') {
            return None;
        }
        if says("New PUK") {
            Some(PUK.to_owned())
        } else if says("PIN of") || says("New PIN") {
            Some(PIN.to_owned())
        } else if says("Once more") {
            let puk = self.screen(VAULT).contains("New PUK");
            Some(if puk { PUK } else { PIN }.to_owned())
        } else {
            None
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let home = self.folder.path().join("home");
        let mut stop = Command::new(binary("touchkeep"));
        let _gone = stop
            .args(["agent", "stop"])
            .env("TOUCHKEEP_HOME", home)
            .output();
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.folder.path().join("tmux"));
        let _gone = tmux.arg("kill-server").output();
    }
}

// The words of a recovery kit, in the order of their numbers.
fn words_on(screen: &str) -> String {
    let (kit, _) = screen.split_once("The same for stock age").unwrap();
    let tokens: Vec<&str> = kit.split_whitespace().collect();
    let numbered = tokens.windows(2).filter_map(|pair| {
        let number: u32 = pair[0].parse().ok()?;
        let is_word = pair[1].bytes().all(|byte| byte.is_ascii_lowercase());
        (is_word && (1..=24).contains(&number)).then(|| (number, pair[1]))
    });
    let words: BTreeMap<u32, &str> = numbered.collect();
    assert_eq!(words.len(), 24, "{screen}");
    words.into_values().collect::<Vec<_>>().join(" ")
}

// The word on the screen that begins so.
fn word_on<'a>(screen: &'a str, start: &str) -> &'a str {
    let mut words = screen.split_whitespace();
    words.find(|word| word.starts_with(start)).expect(start)
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

// As printed, but for the places.
fn placed(block: &str, folder: &Path, ports: &[String; 2]) -> String {
    let python = std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test");
    let programs = binary("touchkeep").parent().unwrap().display().to_string();
    block
        .replace("$PWD/target/debug", &programs)
        .replace("/tmp/tk/py/bin/python3", &python)
        .replace("/tmp/tk", folder.to_str().unwrap())
        .replace("17001", &ports[0])
        .replace("17002", &ports[1])
}

#[test]
fn the_tour_is_typed_as_printed() {
    let mut room = Room::enter();
    let ports = [free_port(), free_port()];
    let folder = room.folder.path().to_owned();
    let blocks: Vec<Vec<String>> = blocks()
        .iter()
        .map(|block| commands(&placed(block, &folder, &ports)))
        .collect();
    let [each, card, vault, bot, recovery, rules, every_day] = &blocks[..] else {
        panic!("the tour has other parts than it had: {blocks:#?}");
    };
    let typed = |what: &str| blocks.iter().flatten().any(|line| line.contains(what));
    for (what, _) in SHOWN {
        assert!(typed(what), "the tour has no more {what:?}");
    }
    for terminal in CARD..=BOT {
        for command in each {
            assert_eq!(room.types(terminal, command).0, 0, "{command}");
        }
    }

    // Terminal 1 has a venue behind it and shows a card.
    let [venue, reader] = &card[..] else {
        panic!("{card:?}");
    };
    room.enter_lines(CARD, venue);
    room.until(venue, |room| {
        room.screen(CARD).contains("\"ready\":true").then_some(())
    });
    room.enter_lines(CARD, reader);
    room.until(reader, |room| {
        room.screen(CARD)
            .contains("pcsclite_csock_name")
            .then_some(())
    });

    let (approve, vault) = vault.split_last().unwrap();
    let mut shown = String::new();
    for command in vault {
        let (status, screen) = room.types(VAULT, command);
        assert_eq!(status, 0, "{command}\n{screen}");
        shown = screen;
    }
    let token = word_on(&shown, "tkc_").to_owned();
    let url = word_on(&shown, "http://127.0.0.1").to_owned();
    room.enter_lines(VAULT, approve);

    room.answers = ["approve", "Escape"].into();
    for command in bot.iter().filter(|command| !command.contains("-m venv")) {
        let command = command
            .replace("tkc_…", &token)
            .replace("http://127.0.0.1:…/binance", &url);
        let (status, screen) = room.types(BOT, &command);
        let refused = command.contains("5mdp");
        assert_eq!(status, i32::from(refused), "{command}\n{screen}");
    }
    assert!(room.answers.is_empty(), "{:?}", room.answers);
    room.press(VAULT, "C-c");
    room.until(approve, |room| room.status(VAULT));
    *room.next.get_mut(&VAULT).unwrap() += 1;

    // The doctor finds what this machine lacks, too.
    for command in recovery {
        let (status, screen) = room.types(VAULT, command);
        assert!(
            status == 0 || command.starts_with("touchkeep doctor"),
            "{command}\n{screen}"
        );
    }
    room.answers = ["terminal"].into();
    for command in rules.iter().chain(every_day) {
        let (status, screen) = room.types(VAULT, command);
        assert_eq!(status, 0, "{command}\n{screen}");
    }
    assert!(room.answers.is_empty(), "{:?}", room.answers);

    // When done.
    assert_eq!(room.types(VAULT, "touchkeep agent stop").0, 0);
    room.press(CARD, "C-c");
    room.until(reader, |room| room.last(CARD).ends_with(']').then_some(()));
    room.enter_line(CARD, "kill %1");
    room.until(venue, |_| {
        TcpListener::bind(("127.0.0.1", ports[0].parse().unwrap())).ok()
    });
}
