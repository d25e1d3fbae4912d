//! Values where people need them: a shell with direnv, a build server without a terminal, cron, tmux, a git hook; and the helpers
//! that git, AWS and docker call.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use touchkeep_tests::{Home, Person, binary, wait_for};

const SECRET: &str = "s3cr3t-value-of-the-vault";
const HIDDEN: &str = "<hidden by touchkeep>";
const REFERENCE: &str = "tk://prod/trade/secret";

struct Desk {
    home: Home,
    person: Option<Person>,
    vault: PathBuf,
}

impl Desk {
    fn set_up() -> Self {
        let home = Home::with(&[]);
        let person = Person::sit_down(&home.paths(), None);
        let vault = home.path("team.touchkeep");
        let _made = home.json(&[
            "init",
            "--practice",
            "--work-factor",
            "10",
            "--path",
            vault.to_str().unwrap(),
        ]);
        let desk = Self {
            home,
            person: Some(person),
            vault,
        };
        desk.add("trade", "trade");
        desk
    }

    fn add(&self, name: &str, class: &str) {
        let add = [
            "add",
            name,
            "--venue",
            "binance",
            "--class",
            class,
            "--api-key",
            "public-half",
            "--secret-fd",
            "0",
        ];
        let _added = self.home.json_with(&add, SECRET);
    }

    // A shell script with `$T`, and nothing else of this test's environment.
    fn bare(&self, script: &str) -> Command {
        let home = self
            .home
            .environment()
            .find(|(name, _)| *name == "TOUCHKEEP_HOME")
            .unwrap()
            .1;
        let mut shell = Command::new("bash");
        shell
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("T", binary("touchkeep"))
            .env("TOUCHKEEP_HOME", home)
            .args(["-c", script])
            .stdin(Stdio::null());
        shell
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path(name);
        fs::create_dir(&folder).unwrap();
        folder
    }
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn done(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        out(&output),
        err(&output)
    );
    out(&output)
}

#[test]
fn a_shell_gets_references_from_direnv_and_values_only_in_programs() {
    let desk = Desk::set_up();
    let folder = desk.folder("project");
    fs::write(
        folder.join(".envrc"),
        format!("export API_SECRET={REFERENCE}\n"),
    )
    .unwrap();
    let script = "cd $FOLDER; direnv allow .; eval \"$(direnv export bash 2>/dev/null)\"; echo $API_SECRET; $T run -q -- sh -c 'echo ${#API_SECRET}'";
    let mut shell = desk.bare(script);
    shell
        .env("FOLDER", &folder)
        .env("HOME", desk.folder("direnv-home"));
    assert_eq!(done(shell), format!("{REFERENCE}\n{}\n", SECRET.len()));
}

#[test]
fn a_build_server_has_no_terminal_and_its_log_no_value() {
    let desk = Desk::set_up();
    fs::write(
        desk.home.path("ci.env"),
        format!("API_SECRET={REFERENCE}\n"),
    )
    .unwrap();
    // A session of its own, so that there is no terminal to open either.
    let script = "setsid --wait $T run -q --env-file $FILE -- sh -xc 'echo deploy with $API_SECRET; test ! -t 1; exit 3' </dev/null";
    let mut job = desk.bare(script);
    let log = job
        .env("FILE", desk.home.path("ci.env"))
        .env("CI", "true")
        .output()
        .unwrap();
    assert_eq!(log.status.code(), Some(3));
    assert_eq!(out(&log), format!("deploy with {HIDDEN}\n"));
    assert!(
        err(&log).contains(HIDDEN) && !err(&log).contains(SECRET),
        "{}",
        err(&log)
    );
}

// The block of the page that begins with `#!` and has this in it, for a folder in place of /usr/local/bin.
fn printed(with: &str, folder: &Path) -> String {
    let page = include_str!("../docs/everyday.md");
    let mut blocks = page.split("```\n");
    let block = blocks.find(|block| block.starts_with("#!") && block.contains(with));
    block
        .unwrap()
        .replace("/usr/local/bin", folder.to_str().unwrap())
}

fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

// What a shell runs where there is nobody to be asked, and no variable but these.
fn unattended(desk: &Desk, line: &str) -> Output {
    let here = binary("touchkeep");
    let path = format!("{}:/usr/bin:/bin", here.parent().unwrap().display());
    let mut environment = desk.home.environment();
    let home = environment.find(|(name, _)| *name == "TOUCHKEEP_HOME");
    let mut shell = Command::new("/bin/sh");
    shell
        .env_clear()
        .env("PATH", path)
        .env("HOME", "/nonexistent")
        .env("TOUCHKEEP_HOME", home.unwrap().1)
        .args(["-c", line])
        .stdin(Stdio::null());
    shell.output().unwrap()
}

#[test]
fn a_build_server_and_cron_do_what_the_page_says_with_nobody_there() {
    let mut desk = Desk::set_up();
    let folder = desk.folder("bin");
    let deploy = script(&folder, "deploy", &printed("make deploy", &folder));
    let nightly = script(&folder, "nightly", &printed("/job", &folder));
    let _job = script(&folder, "job", "#!/bin/sh\necho job has ${#S}\nexit 4\n");
    let stranger = script(&folder, "stranger", &printed("make deploy", &folder));
    let project = desk.folder("project");
    fs::write(project.join("ci.env"), format!("API_SECRET={REFERENCE}\n")).unwrap();
    fs::write(
        project.join("Makefile"),
        "deploy:\n\t@echo deploy with $$API_SECRET; test \"$${#API_SECRET}\" = 25\n",
    )
    .unwrap();
    for program in [&deploy, &nightly] {
        let _given = desk.home.json(&[
            "grant",
            "add",
            program.to_str().unwrap(),
            "trade",
            "--for",
            "30d",
        ]);
    }
    // From here on there is nobody.
    desk.person = None;

    let step = format!("cd {} && {}", project.display(), deploy.display());
    let log = unattended(&desk, &step);
    assert!(log.status.success(), "{}{}", out(&log), err(&log));
    assert!(
        out(&log).contains(&format!("deploy with {HIDDEN}")) && !out(&log).contains(SECRET),
        "{}",
        out(&log)
    );
    let row = unattended(&desk, &nightly.display().to_string());
    assert_eq!(
        (row.status.code(), out(&row)),
        (Some(4), format!("job has {}\n", SECRET.len())),
        "{}",
        err(&row)
    );

    // The grants are those scripts': nothing else that the shell runs has the value, and none of them once it says something else.
    let others = [
        format!("S={REFERENCE} touchkeep run --no-interaction -- true; exit $?"),
        format!(
            "cd {} && {}; exit $?",
            project.display(),
            stranger.display()
        ),
    ];
    for line in &others {
        let refused = unattended(&desk, line);
        assert!(!refused.status.success(), "{line}");
        assert!(
            err(&refused).contains("a person's word"),
            "{}",
            err(&refused)
        );
    }
    let changed = fs::read_to_string(&nightly)
        .unwrap()
        .replace("/job", "/stranger");
    fs::write(&nightly, changed).unwrap();
    assert!(
        !unattended(&desk, &nightly.display().to_string())
            .status
            .success()
    );
}

#[test]
fn a_grant_for_a_shell_is_said_to_cover_every_script() {
    let desk = Desk::set_up();
    let folder = desk.folder("bin");
    let own = script(&folder, "own", "#!/bin/sh\n");
    for (program, warns) in [
        ("/bin/sh", true),
        ("/usr/bin/env", true),
        (own.to_str().unwrap(), false),
    ] {
        let given = desk.home.cli(&["grant", "add", program, "trade"]);
        assert!(given.status.success(), "{}", err(&given));
        assert_eq!(
            err(&given).contains("covers every script"),
            warns,
            "{program}"
        );
    }
}

#[test]
fn cron_has_next_to_nothing() {
    let desk = Desk::set_up();
    // What cron sets, and no more: no D-Bus, no XDG, a short PATH, sh.
    let home = desk
        .home
        .environment()
        .find(|(name, _)| *name == "TOUCHKEEP_HOME")
        .unwrap()
        .1
        .to_owned();
    let line = format!(
        "S={REFERENCE} {} run -q --no-mask -- sh -c 'printf %s \"$S\" >{}'",
        binary("touchkeep").display(),
        desk.home.path("out").display()
    );
    let mut cron = Command::new("/bin/sh");
    cron.env_clear()
        .env("SHELL", "/bin/sh")
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("LOGNAME", "nobody")
        .env("TOUCHKEEP_HOME", home);
    cron.args(["-c", &line])
        .current_dir("/")
        .stdin(Stdio::null());
    done(cron);
    assert_eq!(fs::read_to_string(desk.home.path("out")).unwrap(), SECRET);
}

#[test]
fn a_yes_to_what_a_manager_of_units_has_started_is_for_once() {
    let desk = Desk::set_up();
    desk.person.as_ref().unwrap().mind.lock().unwrap().allows = touchkeep_wire::Scope::Once;
    // As `ExecStart=touchkeep read …` in a unit of systemd's manager of this user: our own command is its child.
    let manager = desk.folder("bin").join("systemd");
    fs::copy("/bin/bash", &manager).unwrap();
    let units = format!(
        "'{0}' read {REFERENCE}; '{0}' read {REFERENCE}; :",
        binary("touchkeep").display()
    );
    let mut started = desk.bare("exec setsid --wait $MANAGER -c \"$UNITS\"");
    started.env("MANAGER", &manager).env("UNITS", units);
    assert_eq!(done(started), SECRET.repeat(2));
    let asked = desk.person.as_ref().unwrap().uses();
    assert_eq!(asked.len(), 2, "one unit's yes is not the other's");
    for asked in asked {
        assert_eq!(asked.client, "systemd");
        assert_eq!(asked.scopes, [touchkeep_wire::Scope::Once]);
        let why = asked
            .unusual
            .iter()
            .find(|why| why.contains("only be for once"));
        assert!(why.is_some(), "{:?}", asked.unusual);
    }
}

#[test]
fn in_tmux_each_pane_gets_values_and_shows_none() {
    let desk = Desk::set_up();
    let socket = desk.home.path("tmux");
    let tmux = |args: &[&str]| {
        let mut command = desk.bare("exec tmux -S $SOCKET -f /dev/null \"$@\"");
        done(
            command
                .env("SOCKET", &socket)
                .env("TERM", "xterm")
                .arg("tmux")
                .args(args)
                .spawn_ready(),
        )
    };
    tmux(&["new-session", "-d", "-x", "80", "-y", "24", "bash --norc"]);
    tmux(&[
        "send-keys",
        &format!("S={REFERENCE} $T run -q -- sh -c 'test -t 1 && echo shown $S'"),
        "Enter",
    ]);
    let pane = wait_for("the pane", || {
        Some(tmux(&["capture-pane", "-p"])).filter(|pane| pane.contains("\nshown "))
    });
    assert!(
        pane.contains(&format!("shown {HIDDEN}")) && !pane.contains(SECRET),
        "{pane}"
    );
    tmux(&["kill-server"]);
}

trait Ready {
    fn spawn_ready(&mut self) -> Command;
}

impl Ready for Command {
    // A copy, since `done` takes its command.
    fn spawn_ready(&mut self) -> Command {
        let mut copy = Command::new(self.get_program());
        copy.args(self.get_args())
            .env_clear()
            .envs(
                self.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null());
        copy
    }
}

struct Repository<'a> {
    desk: &'a Desk,
    folder: PathBuf,
}

impl<'a> Repository<'a> {
    fn make(desk: &'a Desk, name: &str) -> Self {
        let repository = Self {
            desk,
            folder: desk.folder(name),
        };
        repository.git("init -q -b main .");
        repository
    }

    fn shell(&self, script: &str) -> Output {
        let mut shell = self.desk.bare(script);
        for (name, value) in [
            ("GIT_AUTHOR_NAME", "a"),
            ("GIT_AUTHOR_EMAIL", "a@a"),
            ("GIT_COMMITTER_NAME", "a"),
            ("GIT_COMMITTER_EMAIL", "a@a"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("HOME", "/nonexistent"),
        ] {
            shell.env(name, value);
        }
        shell.current_dir(&self.folder).output().unwrap()
    }

    fn git(&self, arguments: &str) -> String {
        let output = self.shell(&format!("git {arguments}"));
        assert!(
            output.status.success(),
            "git {arguments}: {}{}",
            out(&output),
            err(&output)
        );
        out(&output)
    }

    fn take_in(&self, vault: &Path) {
        fs::copy(vault, self.folder.join("team.touchkeep")).unwrap();
        self.git("add -A");
        self.git("commit -q -m vault");
    }
}

#[test]
fn a_git_hook_gets_a_value() {
    let desk = Desk::set_up();
    let repository = Repository::make(&desk, "hooked");
    let hook = repository.folder.join(".git/hooks/pre-commit");
    fs::write(&hook, format!("#!/bin/sh\nS={REFERENCE} exec \"$T\" run -q -- sh -c 'test \"${{#S}}\" = {}; echo signed with $S'\n", SECRET.len())).unwrap();
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
    let commit = repository.shell("git commit --allow-empty -m hooked");
    assert!(
        commit.status.success() && err(&commit).contains(&format!("signed with {HIDDEN}")),
        "{}",
        err(&commit)
    );
}

#[test]
fn git_merges_two_branches_of_a_vault_and_its_diff_shows_no_value() {
    let desk = Desk::set_up();
    let repository = Repository::make(&desk, "repository");
    let installed = repository.shell("$T git install && $T git install");
    assert!(installed.status.success(), "{}", err(&installed));
    let attributes = fs::read_to_string(repository.folder.join(".gitattributes")).unwrap();
    assert_eq!(
        attributes,
        "*.touchkeep merge=touchkeep diff=touchkeep -text\n"
    );
    repository.take_in(&desk.vault);
    let base = fs::read(&desk.vault).unwrap();

    repository.git("checkout -q -b one");
    desk.add("one", "read");
    repository.take_in(&desk.vault);
    let diff = repository.git("diff main one");
    assert!(
        diff.contains("+prod/one (exchange-key)") && diff.contains("+  secret: stored"),
        "{diff}"
    );
    assert!(
        !diff.contains(SECRET) && !diff.contains("public-half") && !diff.contains("Binary"),
        "{diff}"
    );

    // The other branch goes on from where both began: as another clone would.
    let other = Home::with(&[]);
    let _other_person = Person::sit_down(&other.paths(), None);
    let theirs = other.path("team.touchkeep");
    fs::write(&theirs, &base).unwrap();
    let _open = other.json(&["unlock", theirs.to_str().unwrap()]);
    let add = [
        "add",
        "two",
        "--venue",
        "binance",
        "--class",
        "move-money",
        "--api-key",
        "k",
        "--secret-fd",
        "0",
    ];
    let _added = other.json_with(&add, SECRET);
    repository.git("checkout -q main");
    repository.git("checkout -q -b two");
    repository.take_in(&theirs);

    let merged = repository.shell("git merge -q --no-edit one");
    assert!(merged.status.success(), "{}{}", out(&merged), err(&merged));
    let file = repository.folder.join("team.touchkeep");
    let _locked = desk.home.json(&["lock"]);
    let unlocked = desk.home.json(&["unlock", file.to_str().unwrap()]);
    assert_eq!(unlocked["items"], 3, "{unlocked}");
    let names = desk.home.json(&["list"]).to_string();
    assert!(
        ["trade", "one", "two"]
            .iter()
            .all(|name| names.contains(&format!("\"{name}\""))),
        "{names}"
    );

    let _locked = desk.home.json(&["lock"]);
    let diff = repository.git("diff main two");
    assert!(
        diff.contains("locked here") && diff.contains("+commits: "),
        "{diff}"
    );
    assert!(!diff.contains("prod/"), "{diff}");
    // A version that cannot be read stands in the history, which goes on.
    let whole = fs::read(&desk.vault).unwrap();
    fs::write(&desk.vault, &whole[..whole.len() - 700]).unwrap();
    repository.take_in(&desk.vault);
    fs::write(&desk.vault, &whole).unwrap();
    repository.take_in(&desk.vault);
    let history = repository.git("log -p -m");
    let said = "-# touchkeep: The vault is damaged or not authentic: ";
    assert!(
        history.contains(said) && history.contains(&said.replacen('-', "+", 1)),
        "{history}"
    );
    assert!(history.contains("+prod/one") || history.contains("+commits: "));
    fs::write(repository.folder.join("bad.touchkeep"), "no vault").unwrap();
    let scripted = repository.shell("$T git show bad.touchkeep --json");
    assert_eq!(scripted.status.code(), Some(4), "{}", out(&scripted));
    let missing = repository.shell("$T git show missing.touchkeep");
    assert_eq!(missing.status.code(), Some(1), "{}", err(&missing));
}

#[test]
fn git_gets_a_password_for_one_host_and_no_other() {
    let desk = Desk::set_up();
    let repository = Repository::make(&desk, "remote");
    repository.git("config credential.helper '!\"$T\" credential git --host git.example.test --item prod/trade --username bot'");
    let fill = |address: &str| {
        repository.shell(&format!(
            "printf 'url={address}\\n\\n' | git credential fill"
        ))
    };
    let ours = fill("https://git.example.test/team/x");
    assert!(
        out(&ours).contains(&format!("username=bot\npassword={SECRET}\n")),
        "{}{}",
        out(&ours),
        err(&ours)
    );
    assert_eq!(out(&fill("https://bot@git.example.test/x")), out(&ours));
    for other in [
        "https://alice@git.example.test/x",
        "https://git.example.test.evil.test/x",
        "http://git.example.test/x",
        "https://git.example.test:444/x",
    ] {
        let refused = fill(other);
        assert!(
            !refused.status.success() && !out(&refused).contains(SECRET),
            "{other}: {}",
            out(&refused)
        );
    }
    let store = repository.shell("printf 'protocol=https\\nhost=git.example.test\\nusername=u\\npassword=p\\n' | git credential approve");
    assert!(store.status.success(), "{}", err(&store));
}

#[test]
fn aws_and_docker_get_what_they_expect() {
    let desk = Desk::set_up();
    let aws = done(desk.bare("exec $T credential-process aws prod/trade"));
    let aws: serde_json::Value = serde_json::from_str(&aws).unwrap();
    assert_eq!(
        aws,
        serde_json::json!({ "Version": 1, "AccessKeyId": "public-half", "SecretAccessKey": SECRET })
    );

    let helper = "exec $T credential docker --registry registry.example.test=prod/trade";
    let docker = |operation: &str, server: &str| {
        desk.bare(&format!("printf %s {server} | {{ {helper} {operation}; }}"))
            .output()
            .unwrap()
    };
    let got = docker("get", "https://registry.example.test/v1/");
    let json: serde_json::Value = serde_json::from_slice(&got.stdout).unwrap();
    assert_eq!(json["Secret"], SECRET);
    assert_eq!(json["ServerURL"], "https://registry.example.test/v1/");
    let other = docker("get", "https://other.example.test");
    assert_eq!(
        (other.status.code(), out(&other).as_str()),
        (Some(1), "credentials not found in native keychain\n")
    );
    let listed: serde_json::Value = serde_json::from_slice(&docker("list", "x").stdout).unwrap();
    assert_eq!(listed, serde_json::json!({ "registry.example.test": "" }));
    assert_eq!(docker("store", "{}").status.code(), Some(2));
    let unknown = desk
        .bare("exec $T credential aws prod/nothing")
        .output()
        .unwrap();
    assert_eq!(
        (unknown.status.code(), out(&unknown).as_str()),
        (Some(2), "")
    );
}
