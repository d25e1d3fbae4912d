//! `read`, `run` and `inject`, from the vault to the program: real agent, real programs, the five everyday places.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::{Command, Output, Stdio},
};

use touchkeep_tests::{Home, Person, binary};

const SECRET: &str = "s3cr3t-value-of-the-vault";
const HIDDEN: &str = "<hidden by touchkeep>";
const REFERENCE: &str = "tk://prod/trade/secret";

/// A vault with one key in it, and a person who lets programs through.
struct Desk {
    home: Home,
    person: Person,
}

impl Desk {
    fn set_up() -> Self {
        let home = Home::with(&[]);
        let person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let _made = home.json(&["init", "--practice", "--work-factor", "10", "--path", &path]);
        let add = [
            "add",
            "trade",
            "--venue",
            "binance",
            "--class",
            "trade",
            "--api-key",
            "public-half",
            "--secret-fd",
            "0",
        ];
        let _added = home.json_with(&add, SECRET);
        Self { home, person }
    }

    // The command line, with questions for the person at the desk.
    fn cli(&self, args: &[&str]) -> Output {
        self.home
            .touchkeep()
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    // A program of this home, with a variable that is a reference.
    fn run(&self, options: &[&str], command: &[&str]) -> Output {
        let mut run = self.home.touchkeep();
        run.arg("run")
            .args(options)
            .arg("--")
            .args(command)
            .env("API_SECRET", REFERENCE);
        run.stdin(Stdio::null()).output().unwrap()
    }
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn a_value_is_read_to_a_pipe_and_to_a_private_file() {
    let desk = Desk::set_up();
    let read = desk.cli(&["read", REFERENCE]);
    assert_eq!((out(&read), err(&read)), (SECRET, ""));
    let read = desk.cli(&["--json", "read", REFERENCE]);
    let json: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(
        json,
        serde_json::json!({ "reference": REFERENCE, "value": SECRET })
    );
    assert_eq!(
        out(&desk.cli(&["read", "tk://prod/trade/api-key"])),
        "public-half"
    );

    let file = desk.home.path("key");
    let name = file.to_str().unwrap();
    let under_mask_0 = format!(
        "umask 000; exec {} read {REFERENCE} --out {name}",
        binary("touchkeep").display()
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &under_mask_0])
        .envs(desk.home.environment());
    assert!(shell.status().unwrap().success());
    assert_eq!(fs::read_to_string(&file).unwrap(), SECRET);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    let again = desk.cli(&["read", REFERENCE, "--out", name]);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("is there already") && err(&again).contains("--force"));
    assert!(
        desk.cli(&["read", REFERENCE, "--out", name, "--force"])
            .status
            .success()
    );

    let rows = desk
        .home
        .json(&["audit", "list", "--kind", "secret-revealed"]);
    assert_eq!(
        rows["rows"].as_array().unwrap().len(),
        5,
        "each reading is a row: {rows}"
    );
    assert!(!rows.to_string().contains(SECRET));
}

#[test]
fn what_names_no_value_is_said_by_name_and_nothing_is_started() {
    let desk = Desk::set_up();
    let mut run = desk.home.touchkeep();
    run.args([
        "run",
        "--",
        "touch",
        desk.home.path("started").to_str().unwrap(),
    ])
    .env("GOOD", REFERENCE)
    .env("NO_ITEM", "tk://prod/nothing/secret")
    .env("NO_FIELD", "tk://prod/trade/nothing")
    .env("BAD", "tk://prod");
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    for name in [
        "tk://prod/nothing/secret",
        "tk://prod/trade/nothing",
        "tk://prod (",
        "BAD, NO_FIELD, NO_ITEM.",
    ] {
        assert!(err(&output).contains(name), "{name}: {}", err(&output));
    }
    assert!(!err(&output).contains(SECRET) && !err(&output).contains(REFERENCE));
    assert!(!desk.home.path("started").exists());
    assert_eq!(
        desk.person.uses().len(),
        0,
        "nobody is asked for what comes to nothing"
    );
    assert_eq!(
        desk.cli(&["read", "tk://prod/nothing/secret"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_program_gets_values_and_does_not_print_them() {
    let desk = Desk::set_up();
    let file = desk.home.path("env");
    fs::write(&file, format!("# a file\nexport FROM_FILE='{REFERENCE}'\nPLAIN=\"two words\"\nAPI=tk://prod/trade/api-key\n")).unwrap();
    let options = ["--env-file", file.to_str().unwrap()];
    let script = "printf %s \"$API_SECRET\" | sha256sum; echo \"$FROM_FILE|$PLAIN|$API\"; echo $API_SECRET >&2; exit 7";
    let output = desk.run(&options, &["sh", "-c", script]);
    let hash = Command::new("sh")
        .args(["-c", &format!("printf %s {SECRET} | sha256sum")])
        .output()
        .unwrap();
    assert_eq!(
        out(&output),
        format!("{}{HIDDEN}|two words|public-half\n", out(&hash))
    );
    assert!(
        err(&output).contains(&format!("\n{HIDDEN}\n")) && !err(&output).contains(SECRET),
        "{}",
        err(&output)
    );
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        err(&output).matches("touchkeep proxy add").count(),
        1,
        "the hint comes once: {}",
        err(&output)
    );

    let quiet = desk.run(
        &["--quiet", "--no-mask"],
        &["sh", "-c", "echo $API_SECRET; echo $PPID"],
    );
    assert_eq!(err(&quiet), "");
    let lines: Vec<_> = out(&quiet).lines().collect();
    assert_eq!(lines[0], SECRET);
    assert_eq!(
        lines[1],
        std::process::id().to_string(),
        "the program is in our place: its parent is who started us"
    );
    let encoded = desk.run(
        &[],
        &["sh", "-c", "printf user:%s \"$API_SECRET\" | base64 -w0"],
    );
    assert!(out(&encoded).contains(HIDDEN), "{}", out(&encoded));
    let exact = desk.run(
        &["--mask", "exact"],
        &["sh", "-c", "printf user:%s \"$API_SECRET\" | base64 -w0"],
    );
    assert!(!out(&exact).contains(HIDDEN), "{}", out(&exact));
}

#[test]
fn the_status_says_whose_failure_it_was() {
    let desk = Desk::set_up();
    for options in [&["--no-mask"][..], &[]] {
        assert_eq!(
            desk.run(options, &["/no/such/program"]).status.code(),
            Some(127)
        );
        assert_eq!(desk.run(options, &["/etc/passwd"]).status.code(), Some(126));
        assert_eq!(
            desk.run(options, &["sh", "-c", "exit 3"]).status.code(),
            Some(3)
        );
    }
    assert_eq!(
        desk.run(&[], &["sh", "-c", "kill -TERM $$"]).status.code(),
        Some(128 + 15)
    );
    assert_eq!(
        desk.run(&["--no-such-option"], &["true"]).status.code(),
        Some(125)
    );
    for before in [&["--json"][..], &["--no-interaction", "--json"]] {
        let misused = desk.cli(&[before, &["run", "--no-such-option", "--", "true"]].concat());
        assert_eq!(misused.status.code(), Some(125), "{before:?}");
    }
    assert_eq!(
        desk.run(&["--env-file", "/no/such/file"], &["true"])
            .status
            .code(),
        Some(125)
    );
    let _locked = desk.cli(&["lock"]);
    let locked = desk.run(&["--no-mask"], &["true"]);
    assert_eq!(locked.status.code(), Some(125));
    assert!(
        err(&locked).contains("locked") && err(&locked).contains("touchkeep unlock"),
        "{}",
        err(&locked)
    );
    let mut bare = desk.home.touchkeep();
    let bare = bare
        .args(["run", "--", "sh", "-c", "exit 4"])
        .output()
        .unwrap();
    assert_eq!(
        bare.status.code(),
        Some(4),
        "what needs no value needs no vault"
    );
}

#[test]
fn a_safer_way_is_told_of_unless_the_configuration_says_otherwise() {
    let mut desk = Desk::set_up();
    let hint = "proxy add NAME";
    let told = |desk: &Desk, options: &[&str]| {
        let done = desk.run(options, &["true"]);
        assert!(done.status.success(), "{}", err(&done));
        err(&done).contains(hint)
    };
    assert!(told(&desk, &[]));
    assert!(!told(&desk, &["--quiet"]));
    for (hints, expected) in [("false", false), ("true", true)] {
        fs::write(desk.home.paths().config, format!("hints = {hints}\n")).unwrap();
        drop(desk.person);
        desk.home.kill_agent();
        desk.home.start_agent();
        desk.person = Person::sit_down(&desk.home.paths(), None);
        let _open = desk.home.json(&["unlock"]);
        assert_eq!(told(&desk, &[]), expected, "hints = {hints}");
    }
}

// What nobody reads is written nowhere; the program is not started with an output of somebody else's, and its status is told.
#[test]
fn a_program_whose_output_was_closed_has_none() {
    let desk = Desk::set_up();
    let program = binary("touchkeep").display().to_string();
    let run = |options: &str, script: &str| {
        let line = format!("exec {program} run {options} -- sh -c '{script}' >&-");
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &line])
            .env("API_SECRET", REFERENCE)
            .envs(desk.home.environment())
            .stdin(Stdio::null());
        shell.output().unwrap()
    };
    // Nor has it something of ours in its place, such as a socket or a file that was opened since.
    let script =
        "echo \"$API_SECRET\"; where=$(readlink /proc/$$/fd/1); echo \"$where\" >&2; exit 3";
    for (options, output) in [("", "pipe:"), ("--no-mask", "/dev/null")] {
        let done = run(options, script);
        let said = err(&done);
        assert_eq!(out(&done), "", "{options:?}");
        assert!(
            said.lines().any(|line| line.starts_with(output)) && !said.contains(SECRET),
            "{options:?}: {said}"
        );
        assert_eq!(done.status.code(), Some(3), "{options:?}: {said}");
    }
}

#[test]
fn mounts_end_with_the_program() {
    let desk = Desk::set_up();
    let file = "stat -c %a \"$KEYFILE\"; cat \"$KEYFILE\" | wc -c; echo \"$KEYFILE\" >&2";
    let output = desk.run(
        &["--quiet", "--mount", "KEYFILE=tk://prod/trade/secret"],
        &["sh", "-c", file],
    );
    assert_eq!(out(&output), format!("600\n{}\n", SECRET.len()));
    assert!(!std::path::Path::new(err(&output).trim()).exists());
    let killed = desk.run(
        &["--quiet", "--mount", "KEYFILE=tk://prod/trade/secret"],
        &["sh", "-c", "echo \"$KEYFILE\"; kill -9 $$"],
    );
    assert_eq!(killed.status.code(), Some(128 + 9));
    assert!(!std::path::Path::new(out(&killed).trim()).exists());
    let once = "cat \"$KEYFILE\" | wc -c; cat \"$KEYFILE\" 2>/dev/null || echo gone";
    let output = desk.run(
        &[
            "--quiet",
            "--mount",
            "KEYFILE=tk://prod/trade/secret,reads=1",
        ],
        &["sh", "-c", once],
    );
    assert_eq!(out(&output), format!("{}\ngone\n", SECRET.len()));
    // A file of ours beside it stands in no variable's way, and no variable has two files.
    let lock = ["--quiet", "--mount", "lock=tk://prod/trade/secret"];
    let output = desk.run(&lock, &["sh", "-c", "wc -c <\"$lock\""]);
    assert_eq!(
        out(&output),
        format!("{}\n", SECRET.len()),
        "{}",
        err(&output)
    );
    let asked = desk.person.uses().len();
    let twice = [&lock[..], &lock[1..]].concat();
    let output = desk.run(&twice, &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        err(&output).contains("lock is mounted twice"),
        "{}",
        err(&output)
    );
    assert_eq!(desk.person.uses().len(), asked, "before anybody is asked");
}

#[test]
fn a_signal_reaches_the_program_while_a_pipe_waits_for_a_reader() {
    let desk = Desk::set_up();
    let mut run = desk.home.touchkeep();
    run.args([
        "run",
        "-q",
        "--mount",
        "K=tk://prod/trade/secret,reads=1",
        "--",
        "bash",
        "-c",
    ])
    .arg("trap 'exit 71' TERM; echo ready; while :; do sleep 0.05; done");
    let mut child = run.stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let pid = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(71));
}

#[test]
fn a_value_comes_over_the_socket_and_goes_nowhere_but_into_the_environment() {
    let desk = Desk::set_up();
    let trace = desk.home.path("trace");
    let options = ["-q", "--mount", "K=tk://prod/trade/secret,reads=1"];
    for (options, way) in [
        (&["-q"][..], "masked"),
        (&["-q", "--no-mask"], "in our place"),
        (&options, "mounted"),
    ] {
        let mut traced = Command::new("strace");
        traced
            .args(["-f", "-s", "100000", "-o"])
            .arg(&trace)
            .arg(binary("touchkeep"))
            .arg("run")
            .args(options);
        traced
            .args(["--", "true"])
            .envs(desk.home.environment())
            .env("S", REFERENCE)
            .env("RUST_LOG", "trace");
        assert!(
            traced
                .stdin(Stdio::null())
                .output()
                .unwrap()
                .status
                .success(),
            "strace is missing, or {way} failed"
        );
        let calls = fs::read_to_string(&trace).unwrap();
        let with_value: Vec<_> = calls.lines().filter(|line| line.contains(SECRET)).collect();
        assert!(
            !with_value.is_empty(),
            "{way}: the search finds what the agent said"
        );
        let reads = [
            "read(",
            "recvfrom(",
            "<... read resumed>",
            "<... recvfrom resumed>",
        ];
        let expected = |line: &&&str| reads.iter().any(|read| line.contains(read));
        assert_eq!(
            with_value.iter().find(|line| !expected(line)),
            None,
            "{way}"
        );
    }
}

#[test]
fn eighty_long_values_are_one_answer_and_what_is_too_long_is_said() {
    let desk = Desk::set_up();
    let long = "v".repeat(60_000);
    let keys: serde_json::Map<String, serde_json::Value> = (0..80)
        .map(|n| {
            let key =
                serde_json::json!({ "apiKey": format!("k{n}"), "secret": format!("{n}-{long}") });
            (format!("x{n}"), key)
        })
        .collect();
    let file = desk.home.path("keys.json");
    fs::write(&file, serde_json::to_string(&keys).unwrap()).unwrap();
    let file = file.to_str().unwrap();
    let _in = desk.home.json(&[
        "import",
        file,
        "--yes",
        "--format",
        "ccxt",
        "--map",
        "*.kind=api-key",
    ]);
    let template: String = (0..80)
        .map(|n| format!("tk://prod/x{n}/secret\n"))
        .collect();
    let path = desk.home.path("t");
    fs::write(&path, template).unwrap();
    let done = desk.cli(&["inject", "-i", path.to_str().unwrap()]);
    assert!(done.status.success(), "{}", err(&done));
    let lines: Vec<&str> = out(&done).lines().collect();
    assert_eq!(
        (lines.len(), lines[79]),
        (80, format!("79-{long}").as_str())
    );

    // More than one call holds: said at once, and not waited for.
    fs::write(
        &path,
        format!("tk://prod/{}/secret ", "y".repeat(60_000)).repeat(80),
    )
    .unwrap();
    let begun = std::time::Instant::now();
    let done = desk.cli(&["inject", "-i", path.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(2), "{}", err(&done).len());
    assert!(begun.elapsed() < touchkeep_tests::PATIENCE);
}

#[test]
fn a_template_is_filled_into_a_private_file() {
    let desk = Desk::set_up();
    let (template, filled) = (desk.home.path("t"), desk.home.path("f"));
    fs::write(&template, "{\"key\":\"{{ tk://prod/trade/api-key }}\",\"secret\":\"tk://prod/trade/secret\",\"x\":\"{{ .Values.y }}\"}\n").unwrap();
    let args = [
        "inject",
        "-i",
        template.to_str().unwrap(),
        "-o",
        filled.to_str().unwrap(),
    ];
    let done = desk.cli(&args);
    assert!(done.status.success(), "{}", err(&done));
    let expected = format!(
        "{{\"key\":\"public-half\",\"secret\":\"{SECRET}\",\"x\":\"{{{{ .Values.y }}}}\"}}\n"
    );
    assert_eq!(fs::read_to_string(&filled).unwrap(), expected);
    assert_eq!(fs::metadata(&filled).unwrap().mode() & 0o777, 0o600);
    assert_eq!(desk.cli(&args).status.code(), Some(2));
    let mut piped = desk.home.touchkeep();
    let piped = piped
        .arg("inject")
        .stdin(fs::File::open(&template).unwrap())
        .output()
        .unwrap();
    assert_eq!(out(&piped), expected);
    fs::write(&template, "{{ tk://prod/trade/secret | upper }}").unwrap();
    let bad = desk.cli(&["inject", "-i", template.to_str().unwrap()]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(err(&bad).contains("line 1"), "{}", err(&bad));
}

#[test]
fn each_item_that_a_program_gets_is_found_in_the_log_by_its_name() {
    let desk = Desk::set_up();
    let add = ["add", "other", "--kind", "api-key", "--secret-fd", "0"];
    let _added = desk.home.json_with(&add, "another value");
    let file = desk.home.path("env");
    fs::write(
        &file,
        "OTHER=tk://prod/other/secret\nPUBLIC=tk://prod/trade/api-key\n",
    )
    .unwrap();
    let options = ["-q", "--env-file", file.to_str().unwrap()];
    let got = desk.run(
        &options,
        &["sh", "-c", "echo ${#API_SECRET} ${#OTHER} $PUBLIC"],
    );
    assert_eq!(out(&got), format!("{} 13 public-half\n", SECRET.len()));
    desk.person.mind.lock().unwrap().approves = false;
    assert_eq!(desk.run(&options, &["true"]).status.code(), Some(125));
    let whole = desk.home.json(&["audit", "list", "-n", "100"]);
    for (item, others) in [("trade", "other:"), ("other", "trade:")] {
        let of_item = ["audit", "list", "--kind", "secret-revealed", "--item", item];
        let rows = desk.home.json(&of_item)["rows"].as_array().unwrap().clone();
        let decisions: Vec<_> = rows
            .iter()
            .map(|row| row["decision"].as_str().unwrap())
            .collect();
        assert_eq!(decisions, ["refused", "approved"], "{item}: {whole}");
        let what = rows[1]["what"].as_str().unwrap();
        assert!(
            what.contains(&format!("prod/{item}: secret")) && !what.contains(others),
            "{what}"
        );
    }
    let trade = whole.to_string();
    assert!(
        trade.contains("prod/trade: secret, prod/trade: api-key"),
        "{trade}"
    );
}

#[test]
fn a_name_is_found_in_any_case_and_what_means_two_is_not_guessed() {
    let desk = Desk::set_up();
    assert_eq!(out(&desk.cli(&["read", "tk://Prod/TRADE/secret"])), SECRET);
    let add = |name: &str, text: &str| {
        let add = ["add", name, "--kind", "note", "--secret-fd", "0"];
        desk.home.json_with(&add, text)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (upper, odd) = (add("Trade", "the other"), add("a+b, c", "of an odd name"));
    assert_eq!(out(&desk.cli(&["read", REFERENCE])), SECRET);
    assert_eq!(
        out(&desk.cli(&["read", "tk://prod/Trade/secret"])),
        "the other"
    );
    let two = desk.cli(&["read", "tk://prod/tRADE/secret"]);
    assert_eq!((two.status.code(), out(&two)), (Some(2), ""));
    assert!(
        err(&two).contains("ambiguous") && err(&two).contains(&upper),
        "{}",
        err(&two)
    );

    // What `show` prints of a name is what every verb takes.
    let shown = desk.home.json(&["show", &odd]);
    let reference = format!("{}/secret", shown["reference"].as_str().unwrap());
    assert_eq!(reference, "tk://prod/a+b,%20c/secret");
    let template = desk.home.path("odd");
    fs::write(&template, format!("{{{{ {reference} }}}}|{reference}:8080")).unwrap();
    let filled = desk.cli(&["inject", "-i", template.to_str().unwrap()]);
    assert_eq!(
        out(&filled),
        "of an odd name|of an odd name:8080",
        "{}",
        err(&filled)
    );

    let _trashed = desk.home.json(&["rm", &odd, "--yes"]);
    for gone in [reference, format!("tk://prod/{odd}/secret")] {
        assert_eq!(desk.cli(&["read", &gone]).status.code(), Some(2), "{gone}");
    }
}

#[test]
fn a_person_who_refuses_is_the_end_of_it() {
    let desk = Desk::set_up();
    desk.person.mind.lock().unwrap().approves = false;
    let output = desk.run(&[], &["true"]);
    assert_eq!(output.status.code(), Some(125), "{}", err(&output));
    let read = desk.cli(&["read", REFERENCE]);
    assert_eq!((read.status.code(), out(&read)), (Some(1), ""));
    assert_eq!(desk.person.uses().len(), 2);
}

#[test]
fn odd_environments_work_or_say_why() {
    let desk = Desk::set_up();
    let touchkeep = binary("touchkeep").display().to_string();
    let with_home = |script: &str| {
        let home = desk
            .home
            .environment()
            .find(|(name, _)| *name == "TOUCHKEEP_HOME")
            .unwrap()
            .1
            .to_owned();
        let mut shell = Command::new("bash");
        shell
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TOUCHKEEP_HOME", home)
            .args(["-c", &format!("T={touchkeep}; {script}")]);
        shell.output().unwrap()
    };
    // No HOME, no XDG_RUNTIME_DIR, no D-Bus, no locale.
    assert_eq!(out(&with_home(&format!("$T read {REFERENCE}"))), SECRET);
    assert_eq!(
        out(&with_home(&format!(
            "export LC_ALL=C TZ=Odd/Place; S={REFERENCE} $T run -q -- sh -c 'echo $S'"
        ))),
        format!("{HIDDEN}\n")
    );
    let nowhere = Command::new(&touchkeep)
        .env_clear()
        .args(["read", REFERENCE])
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(err(&nowhere).contains("HOME"), "{}", err(&nowhere));
    // Closed streams.
    let closed = with_home(&format!("$T read {REFERENCE} >&-; echo $?"));
    assert_eq!(out(&closed), "1\n");
    assert!(err(&closed).contains("standard output"), "{}", err(&closed));
    assert_eq!(out(&with_home(&format!("$T read {REFERENCE} <&-"))), SECRET);
    assert_eq!(
        out(&with_home(&format!(
            "S={REFERENCE} $T run -q -- sh -c 'exit 6' <&- >&- 2>&-; echo $?"
        ))),
        "6\n"
    );
    // Few descriptors.
    for limit in [4, 6, 8, 10, 12, 16, 24] {
        let few = with_home(&format!(
            "ulimit -n {limit}; S={REFERENCE} $T run -q -- /bin/true"
        ));
        let said = err(&few);
        let clear = said.contains("Too many open files")
            || said.contains("os error 24")
            || said.contains("error while loading");
        assert!(
            few.status.success() || (few.status.code() >= Some(125) && clear),
            "{limit}: {:?} {said}",
            few.status
        );
    }
    let full = with_home(&format!("$T read {REFERENCE} >/dev/full; echo $?"));
    assert_eq!(out(&full), "1\n");
    assert_eq!(
        out(&with_home(&format!(
            "$T read {REFERENCE} | true; echo ${{PIPESTATUS[0]}}"
        ))),
        "0\n",
        "a reader that goes away is no failure"
    );
}

// The code that Python makes of the same seed, for now and the periods beside it.
const CODES: &str = "import base64, hashlib, hmac, struct, sys, time
seed, hash, digits, period = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def code(step):
    mac = hmac.new(base64.b32decode(seed), struct.pack('>Q', step), hash).digest()
    at = mac[-1] & 15
    number = (struct.unpack('>I', mac[at:at + 4])[0] & 0x7fffffff) % 10**digits
    return str(number).zfill(digits)
print(*[code(int(time.time()) // period + step) for step in (-1, 0, 1)])";

#[test]
fn a_one_time_code_and_an_earlier_version_are_read() {
    let desk = Desk::set_up();
    let seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    // The item says of its codes what the seed does not.
    for (name, fields, python) in [
        ("usual", &[][..], ["sha1", "6", "30"]),
        (
            "other",
            &["algorithm=sha-256", "digits=8", "period=60"],
            ["sha256", "8", "60"],
        ),
    ] {
        let mut add = vec!["add", name, "--kind", "otp-seed", "--secret-fd", "0"];
        add.extend(fields.iter().flat_map(|field| ["--field", field]));
        let _added = desk.home.json_with(&add, seed);
        let read = desk.cli(&["read", &format!("tk://prod/{name}/otp")]);
        let mut codes = Command::new("python3");
        let codes = codes.args(["-c", CODES, seed]).args(python).output();
        let codes = codes.unwrap();
        assert_eq!(out(&read).len().to_string(), python[1], "{}", err(&read));
        assert!(
            out(&codes)
                .split_whitespace()
                .any(|code| code == out(&read))
        );
    }

    let _edited = desk
        .home
        .json_with(&["edit", "trade", "--secret-fd", "0"], "the next one");
    assert_eq!(out(&desk.cli(&["read", REFERENCE])), "the next one");
    let earlier = format!("{REFERENCE}@1");
    assert_eq!(out(&desk.cli(&["read", &earlier])), SECRET);
    let later = desk.cli(&["read", &format!("{REFERENCE}@9")]);
    assert!(!later.status.success() && out(&later).is_empty());
}
