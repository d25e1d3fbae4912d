//! What ten thousand clients that send half a head and then nothing do to the others: the time that a new connection with a token
//! takes for one request, before them, right after they came, and while they come again.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Instant,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Desk, load};

const SLOW: usize = 10_000;
const REQUESTS: usize = 1_000;
const ROUNDS: usize = 3;

/// Measures and prints.
pub(super) fn clients(desk: &Desk) {
    allow_descriptors();
    let host = desk.base.strip_prefix("http://").unwrap();
    let at: SocketAddr = host.split_once('/').unwrap().0.parse().unwrap();
    println!(
        "{SLOW} slow clients without a token, the p50 and p99 of {REQUESTS} new connections of another; {}:",
        load()
    );
    for _ in 0..ROUNDS {
        let before = times(desk, at);
        let came = Instant::now();
        let slow = come(at);
        let came = came.elapsed().as_secs_f64();
        let after = times(desk, at);
        drop(slow);
        let coming = thread::spawn(move || come(at));
        let during = times(desk, at);
        drop(coming.join().unwrap());
        let p99 = |times: &[f64]| times[REQUESTS * 99 / 100];
        for (when, times) in [
            ("before", &before),
            ("after they came", &after),
            ("while more come", &during),
        ] {
            println!(
                "  {when:<18} p50 {:>6.0} µs   p99 {:>6.0} µs   {:>5.2} of before   {} refused",
                times[REQUESTS / 2],
                p99(times),
                p99(times) / p99(&before),
                times.iter().filter(|time| time.is_infinite()).count()
            );
        }
        println!("  they came in {came:.2} s");
    }
}

fn come(at: SocketAddr) -> Vec<TcpStream> {
    let heads = [
        "GET /binance/api/v3/acc",
        "",
        "POST /binance/a HTTP/1.1\r\nHost: ",
    ];
    let slow = (0..SLOW).map(|n| {
        let mut stream = TcpStream::connect(at).unwrap();
        // Whose seat was taken away meanwhile cannot send any more.
        let _ = stream.write_all(heads[n % heads.len()].as_bytes());
        stream
    });
    slow.collect()
}

// µs, from the shortest on.
fn times(desk: &Desk, at: SocketAddr) -> Vec<f64> {
    let path = desk.read();
    let path = path.split_once("//").unwrap().1;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {at}\r\nX-Touchkeep-Token: {}\r\nConnection: close\r\n\r\n",
        &path[path.find('/').unwrap()..],
        desk.token
    );
    let mut times: Vec<f64> = (0..REQUESTS)
        .map(|_| {
            let began = Instant::now();
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            // Whose seat was taken before the token was read is refused, and counts as one who waited for ever.
            if answer.starts_with(b"HTTP/1.1 200") {
                began.elapsed().as_secs_f64() * 1e6
            } else {
                f64::INFINITY
            }
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let allowed = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, allowed).unwrap();
}
