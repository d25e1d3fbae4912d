//! What a value costs: a program that is started with one, and a reading through the agent, beside their limits and a peer.
//!
//! `./dev bench run`. Rounds are interleaved, so that a busy moment falls on all of them; medians are what counts.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    reason = "a bench prints figures, and fails loudly"
)]

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use touchkeep_client::Connection;
use touchkeep_tests::{Home, Person, binary};
use touchkeep_wire::{Purpose, ReadValues, Scope};

const REFERENCE: &str = "tk://prod/trade/secret";
const PROGRAMS: usize = 60;
const READINGS: usize = 400;

fn main() {
    let home = Home::with(&[]);
    let person = Person::sit_down(&home.paths(), None);
    // Asked once, for this process: what comes after is what is measured.
    person.mind.lock().unwrap().allows = Scope::Process;
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
        "k",
        "--secret-fd",
        "0",
    ];
    let _added = home.json_with(&add, "s3cr3t-value-of-the-bench");
    let first = home.touchkeep().args(["read", REFERENCE]).output().unwrap();
    assert_eq!(first.stdout, b"s3cr3t-value-of-the-bench");
    programs(&home);
    readings(&home);
}

fn programs(home: &Home) {
    let folder = home.path("direnv");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join(".envrc"), "export S=x\n").unwrap();
    let direnv = |arguments: &[&str]| {
        let mut command = Command::new("direnv");
        command.args(arguments).env("HOME", home.path("direnv"));
        command
    };
    assert!(
        direnv(&["allow", folder.to_str().unwrap()])
            .status()
            .unwrap()
            .success(),
        "direnv is missing"
    );
    let touchkeep = |arguments: &'static [&'static str], with_value: bool| {
        move || {
            let mut command = home.touchkeep();
            command.args(arguments);
            if with_value {
                command.env("S", REFERENCE);
            }
            command
        }
    };
    type Way<'a> = (&'a str, Box<dyn Fn() -> Command + 'a>);
    let ways: Vec<Way<'_>> = vec![
        ("fork + exec of true", Box::new(|| Command::new("true"))),
        (
            "touchkeep run -- true, no value",
            Box::new(touchkeep(&["run", "--", "true"], false)),
        ),
        (
            "touchkeep run --no-mask -- true, one value",
            Box::new(touchkeep(&["run", "-q", "--no-mask", "--", "true"], true)),
        ),
        (
            "touchkeep run -- true, one value, masked",
            Box::new(touchkeep(&["run", "-q", "--", "true"], true)),
        ),
        (
            "touchkeep read",
            Box::new(touchkeep(&["read", REFERENCE], false)),
        ),
        (
            "touchkeep --version",
            Box::new(touchkeep(&["--version"], false)),
        ),
        (
            "direnv exec . true",
            Box::new(move || direnv(&["exec", folder.to_str().unwrap(), "true"])),
        ),
    ];
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..PROGRAMS {
        for (way, times) in ways.iter().zip(&mut times) {
            let mut command = way.1();
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let begun = Instant::now();
            let status = command.status().unwrap();
            times.push(begun.elapsed());
            assert!(status.success(), "{}", way.0);
        }
    }
    println!(
        "a program, {PROGRAMS} rounds                         median      least   ratio of medians"
    );
    let floor = median(&mut times[0]);
    for ((name, _), times) in ways.iter().zip(&mut times) {
        let middle = median(times);
        println!(
            "{name:<44} {:>8.2} ms {:>8.2} ms {:>6.1}",
            ms(middle),
            ms(times[0]),
            ms(middle) / ms(floor)
        );
    }
    println!("  binary: {}", binary("touchkeep").display());
}

fn readings(home: &Home) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let connection = runtime
        .block_on(Connection::connect(&home.paths().agent_socket(), "bench"))
        .unwrap();
    let read = || {
        let call = ReadValues {
            references: vec![REFERENCE.into()],
            purpose: Purpose::Read,
            no_interaction: true,
        };
        let out = runtime.block_on(connection.call(call)).unwrap();
        assert_eq!(out.values[0].value.expose(), "s3cr3t-value-of-the-bench");
    };
    let mut ping = ping_pong();
    let mut append = appender(&home.path("append"));
    let mut status = shortest(home);
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..READINGS {
        times[0].push(timed(&mut ping));
        times[1].push(timed(&mut append));
        times[2].push(timed(&mut status));
        times[3].push(timed(read));
    }
    let [ping, append, status, read] = &mut times;
    println!("\na reading, {READINGS} rounds                          p50         least");
    let names = [
        "unix socket, 256 bytes there and back",
        "300 bytes appended and fdatasync",
        "the agent's shortest call (status)",
        "read through the agent, recorded",
    ];
    for (name, times) in names.iter().zip([&mut *ping, append, status, read]) {
        let middle = median(times);
        println!("{name:<44} {:>8.0} µs {:>8.0} µs", us(middle), us(times[0]));
    }
    let limit = us(median(ping)) + us(median(append));
    println!(
        "  ratio of read to socket + append: {:.2}",
        us(median(read)) / limit
    );
}

fn ping_pong() -> impl FnMut() {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 256];
        while theirs.read_exact(&mut bytes).is_ok() && theirs.write_all(&bytes).is_ok() {}
    });
    move || {
        let mut bytes = [7; 256];
        ours.write_all(&bytes).unwrap();
        ours.read_exact(&mut bytes).unwrap();
    }
}

fn appender(path: &Path) -> impl FnMut() + use<> {
    let mut file = File::create(path).unwrap();
    move || {
        file.write_all(&[7; 300]).unwrap();
        file.sync_data().unwrap();
    }
}

fn shortest(home: &Home) -> impl FnMut() + use<> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let connection = runtime
        .block_on(Connection::connect(&home.paths().agent_socket(), "bench"))
        .unwrap();
    move || {
        let _status = runtime
            .block_on(connection.call(touchkeep_wire::GetStatus {}))
            .unwrap();
    }
}

fn timed(mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

// Sorts, so that the first is the least.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
