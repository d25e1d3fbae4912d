//! The proxy's added time and its rate, against nginx as a reverse proxy in front of the same upstream, in one interleaved run;
//! and a WebSocket's messages, against a bare splice of two sockets.
//!
//! `./dev bench proxy`. Every request through Touchkeep is decoded, judged, recorded, signed and recorded again; nginx only
//! forwards. One agent has its log on the disk, as every agent has; a second one, here and nowhere else, in memory, so that it
//! is seen what all the rest costs. Start-up of the agent and of a verb is measured beside fork+exec of `/bin/true`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench prints figures, and fails loudly"
)]

#[path = "proxy/slow.rs"]
mod slow;
#[path = "proxy/sockets.rs"]
mod sockets;

use std::{
    fs::File,
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use touchkeep_tests::{Home, Person, Running, wait_for};

const ROUNDS: usize = 5;
const SECONDS: u32 = 3;
/// A folder that is memory.
const MEMORY: &str = "/dev/shm";
/// About a row of the log.
const ROW_BYTES: usize = 600;

/// An agent with one key, one rule and one client.
struct Desk {
    home: Home,
    _person: Person,
    token: String,
    base: String,
}

impl Desk {
    fn set(within: &Path, venue: &str) -> Self {
        let home = Home::within(within, &[]);
        let person = Person::sit_down(&home.paths(), None);
        let path = home.path("v.touchkeep").display().to_string();
        let _made = home.json(&["init", "--practice", "--work-factor", "10", "--path", &path]);
        for (name, of) in [("trade", "binance"), ("streams", "bybit")] {
            let add = format!(
                "add {name} --venue {of} --class read --api-key k --base-url {venue} --secret-fd 0"
            );
            let add: Vec<&str> = add.split(' ').collect();
            let _key = home.json_with(&add, "secret");
        }
        let policy = home.path("p.toml");
        std::fs::write(
            &policy,
            "[[rule]]\nname = \"all\"\nkinds = [\"read\"]\naction = \"allow\"\n",
        )
        .unwrap();
        let _set = home.json(&["policy", "set", policy.to_str().unwrap()]);
        let client = home.json(&["proxy", "add", "bench"]);
        let text = |name: &str| client[name].as_str().unwrap().to_owned();
        Self {
            token: text("token"),
            base: text("base_url"),
            home,
            _person: person,
        }
    }

    fn read(&self) -> String {
        format!("{}/api/v3/account?timestamp=1&signature=0", self.base)
    }
}

/// What this program measures where it is told to: all, if it is not.
const PARTS: [&str; 4] = ["requests", "messages", "slow", "start"];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |part: &str| {
        let named = wanted.iter().any(|wanted| PARTS.contains(&&**wanted));
        !named || wanted.iter().any(|wanted| wanted == part)
    };
    let folder = tempfile::tempdir().unwrap();
    let (upstream, reverse) = (free_port(), free_port());
    let _nginx = nginxes(folder.path(), upstream, reverse);
    let venue = format!("http://127.0.0.1:{upstream}");
    let (disk, memory) = (
        Desk::set(&std::env::temp_dir(), &venue),
        Desk::set(Path::new(MEMORY), &venue),
    );
    let targets = [
        ("direct", format!("{venue}/api/v3/account"), ""),
        (
            "nginx reverse proxy",
            format!("http://127.0.0.1:{reverse}/api/v3/account"),
            "",
        ),
        ("touchkeep, log in memory", memory.read(), &*memory.token),
        ("touchkeep, log on the disk", disk.read(), &*disk.token),
    ];
    if wants("requests") {
        for connections in [1u32, 16] {
            against(&targets, connections, folder.path());
        }
    }
    if wants("slow") {
        slow::clients(&memory);
    }
    drop(memory);
    if wants("messages") {
        sockets::messages();
    }
    if wants("start") {
        start_up(&disk.home);
    }
}

// All contestants in turn, round by round.
fn against(targets: &[(&str, String, &str)], connections: u32, folder: &Path) {
    let mut results = vec![Vec::new(); targets.len()];
    let mut syncs = Vec::new();
    for _ in 0..ROUNDS {
        syncs.push(raw_append(folder));
        for ((_, url, token), result) in targets.iter().zip(&mut results) {
            result.push(wrk(url, token, connections));
        }
    }
    let sync = middle(syncs);
    println!(
        "{connections} connection(s), {ROUNDS} rounds of {SECONDS} s, median; {}:",
        load()
    );
    let medians: Vec<(f64, f64)> = results
        .iter()
        .map(|runs| {
            let of = |part: fn(&(f64, f64)) -> f64| middle(runs.iter().map(part).collect());
            (of(|run| run.0), of(|run| run.1))
        })
        .collect();
    for ((name, ..), (p50, rate)) in targets.iter().zip(&medians) {
        println!(
            "  {name:<28} p50 {p50:>8.0} µs   added {:>7.0} µs   {rate:>8.0} requests/s",
            p50 - medians[0].0
        );
    }
    let added = |at: usize| medians[at].0 - medians[0].0;
    println!("  {ROW_BYTES} bytes appended and fdatasync: {sync:.0} µs");
    println!(
        "  log in memory: {:.2} of nginx's added p50, {:.2} of its rate",
        added(2) / added(1),
        medians[2].1 / medians[1].1
    );
    println!(
        "  log on the disk: nginx's added p50 and {:.2} fdatasync, {:.2} of its rate",
        (added(3) - added(1)) / sync,
        medians[3].1 / medians[1].1
    );
}

// One append that is on the disk, in µs.
fn raw_append(folder: &Path) -> f64 {
    const APPENDS: u32 = 200;
    let mut file = File::create(folder.join("raw")).unwrap();
    let started = Instant::now();
    for _ in 0..APPENDS {
        file.write_all(&[7; ROW_BYTES]).unwrap();
        file.sync_data().unwrap();
    }
    started.elapsed().as_secs_f64() * 1e6 / f64::from(APPENDS)
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    format!("load {}", load.split(' ').next().unwrap())
}

fn start_up(home: &Home) {
    let pss = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", home.agent_pid()))
        .unwrap_or_default();
    let pss = pss.lines().find_map(|line| line.strip_prefix("Pss:"));
    println!(
        "agent PSS with two items, after the load: {}",
        pss.unwrap_or(" not readable").trim()
    );
    let starts = (0..5).map(|_| {
        let started = Instant::now();
        drop(Home::with(&[]));
        started.elapsed().as_secs_f64() * 1e3
    });
    println!(
        "agent: {:.0} ms from exec to the first answer and its end",
        middle(starts.collect())
    );
    let verb = per_run(|| drop(home.cli(&["status"])));
    let floor = per_run(|| drop(Command::new("/bin/true").status()));
    println!(
        "touchkeep status: {verb:.2} ms; fork+exec of true: {floor:.2} ms; ratio {:.1}",
        verb / floor
    );
}

fn per_run(mut run: impl FnMut()) -> f64 {
    let times = (0..41).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    });
    middle(times.collect())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

// The venue, and the reverse proxy: each a process of its own, as a venue's is.
fn nginxes(folder: &Path, upstream: u16, reverse: u16) -> [Running; 2] {
    let venue = format!(
        "server {{ listen 127.0.0.1:{upstream}; location / {{ default_type application/json; return 200 '{{}}'; }} }}"
    );
    let proxy = format!(
        "upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}\nserver {{ listen 127.0.0.1:{reverse}; location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ''; }} }}"
    );
    [
        nginx(&folder.join("venue"), upstream, &venue),
        nginx(&folder.join("reverse"), reverse, &proxy),
    ]
}

fn nginx(folder: &Path, port: u16, servers: &str) -> Running {
    std::fs::create_dir(folder).unwrap();
    let config = folder.join("nginx.conf");
    let folder = folder.display();
    std::fs::write(
        &config,
        format!(
            "daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\nevents {{ worker_connections 512; }}\nhttp {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 100000000;\n{servers}\n}}\n"
        ),
    )
    .unwrap();
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&config).stderr(Stdio::null());
    let running = Running::start(command);
    wait_for("nginx", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    running
}

/// p50 in µs and requests a second; every answer has to be a 200.
fn wrk(url: &str, token: &str, connections: u32) -> (f64, f64) {
    let done = Command::new("wrk")
        .args([
            "-t1",
            &format!("-c{connections}"),
            &format!("-d{SECONDS}s"),
            "--latency",
            "-H",
            &format!("X-Touchkeep-Token: {token}"),
            url,
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success() && !text.contains("Non-2xx"),
        "{url}: {text}"
    );
    let p50 = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("50%"))
        .unwrap_or_else(|| panic!("{text}"))
        .trim()
        .to_owned();
    let number =
        |text: &str, unit: &str| text.strip_suffix(unit).and_then(|n| n.parse::<f64>().ok());
    let micros = number(&p50, "us")
        .or_else(|| number(&p50, "ms").map(|ms| ms * 1e3))
        .or_else(|| number(&p50, "s").map(|s| s * 1e6))
        .unwrap();
    let rate = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    (micros, rate)
}
