//! The proxy's added time and its rate, against nginx as a reverse proxy in front of the same upstream, in one interleaved run.
//!
//! `./dev bench proxy`. Every request through Touchkeep is decoded, judged, durably recorded, signed and recorded again; nginx only
//! forwards. Start-up of the agent and of a verb is measured beside fork+exec of `/bin/true`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a bench prints figures, and fails loudly"
)]

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use touchkeep_tests::{Home, Person, Running, wait_for};

const ROUNDS: usize = 5;
const SECONDS: u32 = 3;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let (upstream, reverse) = (free_port(), free_port());
    let _nginx = nginx(folder.path(), upstream, reverse);

    let started = Instant::now();
    let home = Home::with(&[]);
    let ready = started.elapsed();
    let _person = Person::sit_down(&home.paths(), None);
    let path = home.path("v.touchkeep").display().to_string();
    let _made = home.json(&["init", "--practice", "--work-factor", "10", "--path", &path]);
    let base = format!("http://127.0.0.1:{upstream}");
    let _key = home.json_with(
        &[
            "add",
            "trade",
            "--venue",
            "binance",
            "--class",
            "read",
            "--api-key",
            "k",
            "--base-url",
            &base,
            "--secret-fd",
            "0",
        ],
        "secret",
    );
    let policy = home.path("p.toml");
    std::fs::write(
        &policy,
        "[[rule]]\nname = \"all\"\nkinds = [\"read\"]\naction = \"allow\"\n",
    )
    .unwrap();
    let _set = home.json(&["policy", "set", policy.to_str().unwrap()]);
    let client = home.json(&["proxy", "add", "bench"]);
    let (token, ours) = (
        client["token"].as_str().unwrap(),
        client["base_url"].as_str().unwrap(),
    );

    let targets = [
        ("direct", format!("{base}/api/v3/account")),
        (
            "nginx reverse proxy",
            format!("http://127.0.0.1:{reverse}/api/v3/account"),
        ),
        (
            "touchkeep, recorded and signed",
            format!("{ours}/api/v3/account?timestamp=1&signature=0"),
        ),
    ];
    for connections in [1u32, 16] {
        let mut results = vec![Vec::new(); targets.len()];
        for _ in 0..ROUNDS {
            for ((_, url), result) in targets.iter().zip(&mut results) {
                result.push(wrk(url, token, connections));
            }
        }
        println!("{connections} connection(s), {ROUNDS} rounds of {SECONDS} s, median:");
        let medians: Vec<(f64, f64)> = results
            .iter_mut()
            .map(|runs| {
                (
                    middle(runs.iter().map(|r| r.0).collect()),
                    middle(runs.iter().map(|r| r.1).collect()),
                )
            })
            .collect();
        for ((name, _), (p50, rate)) in targets.iter().zip(&medians) {
            println!(
                "  {name:<34} p50 {p50:>8.0} µs   {rate:>8.0} requests/s   added p50 {:>7.0} µs",
                p50 - medians[0].0
            );
        }
        println!(
            "  rate, touchkeep / nginx: {:.2}",
            medians[2].1 / medians[1].1
        );
    }

    println!(
        "agent: {} ms from exec to the first answer",
        ready.as_millis()
    );
    let verb = per_run(|| drop(home.cli(&["status"])));
    let floor = per_run(|| drop(Command::new("/bin/true").status()));
    println!(
        "touchkeep status: {verb:.2} ms; fork+exec of true: {floor:.2} ms; ratio {:.1}",
        verb / floor
    );
    let pss = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", home.agent_pid()))
        .unwrap_or_default();
    let pss = pss
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .unwrap_or(" not readable")
        .trim()
        .to_owned();
    println!("agent PSS with one item, after the load: {pss}");
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

fn nginx(folder: &Path, upstream: u16, reverse: u16) -> Running {
    let config = folder.join("nginx.conf");
    let folder = folder.display();
    std::fs::write(
        &config,
        format!(
            "daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\nevents {{ worker_connections 512; }}\nhttp {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 100000000;\nupstream up {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}\nserver {{ listen 127.0.0.1:{upstream}; location / {{ default_type application/json; return 200 '{{}}'; }} }}\nserver {{ listen 127.0.0.1:{reverse}; location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ''; }} }} }}\n"
        ),
    )
    .unwrap();
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&config).stderr(Stdio::null());
    let running = Running::start(command);
    wait_for("nginx", || {
        std::net::TcpStream::connect(("127.0.0.1", reverse)).ok()
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
