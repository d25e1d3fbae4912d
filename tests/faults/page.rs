//! A web page in a real browser on the same machine, that has even stolen a token: N-02, N-03, N-04.
//!
//! The page's own server answers at the port of the proxy, at another address of this machine; once the page is there it hands
//! everything through to the proxy, as a name does that is bound anew: to the browser it is the page's own origin.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;
use touchkeep_tests::{Home, Running};

use crate::{
    desk::{Act, Desk},
    tally::Tally,
};

const PAGE: &str = include_str!("page.html");

#[test]
fn a_page_in_a_browser_gets_nothing_done_and_reads_nothing() {
    let mut tally = Tally::new("N-02 N-03 N-04", "a page in Chromium, with a stolen token");
    let desk = Desk::set(Home::new(None));
    assert_eq!(desk.ask(Act::Order, 1).unwrap().0, 200, "a bot is served");
    let (venue, rows) = (desk.venue.received("").len(), desk.rows(0).intents.len());

    let control = Control::open();
    let (reported, report) = mpsc::channel();
    let rebound = Site::open(desk.port(), reported);
    let folder = tempfile::tempdir().unwrap();
    let address = format!(
        "http://evil.test:{}/page?port={}&control={}&token={}",
        desk.port(),
        desk.port(),
        control.port,
        desk.token
    );
    let mut browser = Command::new("chromium");
    browser
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-popup-blocking",
            // What the browser does of itself is not what we stand on.
            "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests,HttpsUpgrades",
            "--host-resolver-rules=MAP evil.test 127.0.0.2",
        ])
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(address)
        .env("HOME", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let browser = Running::start(browser);
    let seen: Value = report
        .recv_timeout(Duration::from_secs(90))
        .expect("the page's report");
    drop(browser);

    let tried = usize::try_from(seen["tried"].as_u64().unwrap()).unwrap();
    assert_eq!(seen["control"], "own", "the page can read what is its own");
    assert!(
        seen["statuses"]["status 421"].as_u64().unwrap() > 10,
        "the name that was bound anew led to the proxy: {seen}"
    );
    let at_control = control.got.lock().unwrap().clone();
    let orders = at_control
        .iter()
        .filter(|head| head.starts_with("POST /tkc_"));
    assert!(
        orders.count() > 5
            && at_control
                .iter()
                .any(|head| head.to_ascii_lowercase().contains("upgrade: websocket")),
        "the browser lets such requests go to this machine: {at_control:?}"
    );
    let won = seen["won"].as_array().unwrap();
    for _ in 0..tried - won.len() {
        tally.tried(String::new, Ok(()));
    }
    for one in won {
        tally.tried(|| one.to_string(), Err("was answered".into()));
    }
    let (venue_now, rows_now) = (desk.venue.received("").len(), desk.rows(0).intents.len());
    let held = ((venue, rows) == (venue_now, rows_now))
        .then_some(())
        .ok_or_else(|| {
            format!(
                "the venue got {}, {} recorded",
                venue_now - venue,
                rows_now - rows
            )
        });
    tally.tried(|| "the venue's record and the log".into(), held);
    tally.saw(format!(
        "{} reached the proxy under the page's own name, {} of the same a server without protection",
        rebound.handed_on(),
        at_control.len()
    ));
    assert_eq!(desk.ask(Act::Order, 2).unwrap().0, 200, "a bot is served");
}

/// A server of this machine that counts what comes, and is open to all.
struct Control {
    port: u16,
    got: Arc<Mutex<Vec<String>>>,
}

impl Control {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::<Mutex<Vec<String>>>::default();
        let heads = Arc::clone(&got);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let heads = Arc::clone(&heads);
                thread::spawn(move || {
                    let (head, stream) = head_of(stream);
                    heads.lock().unwrap().push(head);
                    answer(stream, "text/plain", "");
                });
            }
        });
        Self { port, got }
    }
}

/// The page's site, and then the proxy under its name.
struct Site {
    handed_on: Arc<Mutex<usize>>,
}

impl Site {
    fn open(port: u16, reported: mpsc::Sender<Value>) -> Self {
        let listener = TcpListener::bind(("127.0.0.2", port)).expect("nobody else has that port");
        let handed_on = Arc::<Mutex<usize>>::default();
        let count = Arc::clone(&handed_on);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reported, count) = (reported.clone(), Arc::clone(&count));
                thread::spawn(move || Self::serve(stream, port, &reported, &count));
            }
        });
        Self { handed_on }
    }

    fn handed_on(&self) -> usize {
        *self.handed_on.lock().unwrap()
    }

    fn serve(stream: TcpStream, port: u16, reported: &mpsc::Sender<Value>, count: &Mutex<usize>) {
        let (head, mut stream) = head_of(stream);
        match head.split(['?', ' ']).nth(1) {
            Some("/page") => answer(stream, "text/html", PAGE),
            Some("/own") => answer(stream, "text/plain", "own"),
            Some("/favicon.ico") => answer(stream, "text/plain", ""),
            Some("/report") => {
                let mut text = head.split_once("\r\n\r\n").unwrap().1.to_owned();
                let mut part = [0; 65536];
                let report = loop {
                    if let Ok(report) = serde_json::from_str(&text) {
                        break report;
                    }
                    match stream.read(&mut part) {
                        Ok(n @ 1..) => text.push_str(&String::from_utf8_lossy(&part[..n])),
                        _ => return,
                    }
                };
                let _over = reported.send(report);
                answer(stream, "text/plain", "");
            }
            _ => {
                *count.lock().unwrap() += 1;
                hand_on(head.as_bytes(), stream, port);
            }
        }
    }
}

// One request, byte for byte, and its answer.
fn hand_on(head: &[u8], stream: TcpStream, port: u16) {
    let Ok(mut proxy) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    let _gone = proxy.write_all(head);
    let (mut from, mut to) = (stream.try_clone().unwrap(), proxy.try_clone().unwrap());
    thread::spawn(move || {
        let _gone = std::io::copy(&mut from, &mut to);
        let _gone = to.shutdown(Shutdown::Write);
    });
    let mut stream = stream;
    let _gone = std::io::copy(&mut proxy, &mut stream);
    let _gone = stream.shutdown(Shutdown::Both);
}

// What came first: the head, and of the body what came with it.
fn head_of(mut stream: TcpStream) -> (String, TcpStream) {
    let (mut read, mut part) = (Vec::new(), [0; 65536]);
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(n @ 1..) => read.extend_from_slice(&part[..n]),
            _ => break,
        }
    }
    (String::from_utf8_lossy(&read).into_owned(), stream)
}

fn answer(mut stream: TcpStream, kind: &str, body: &str) {
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Headers: *\r\n\
         Access-Control-Allow-Methods: *\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let _gone = stream.write_all(text.as_bytes());
}
