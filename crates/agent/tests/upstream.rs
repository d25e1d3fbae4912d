//! The way to a venue over TLS: a real server with HTTP/2 and a certificate authority of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use common::{Agent, PATIENCE, Venue, bot};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use touchkeep_wire::*;

const SECRET: &str = "canary-upstream-secret-0123456789";
const POLICY: &str =
    "[[rule]]\nname = \"all\"\nkinds = [\"trade\", \"read\", \"cancel\"]\naction = \"allow\"\n";
const ORDER: &str =
    "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=0.5&price=100&timestamp=1&signature=dummy";

/// A certificate authority, and certificates of it.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let authority = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
        ]);
        authority
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl")
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    // For that name; signed by nobody else where `by_itself`.
    fn certificate(&self, file: &str, name: &str, by_itself: bool) {
        let (key, pem) = (format!("{file}.key"), format!("{file}.pem"));
        let names = format!("subjectAltName=DNS:{name}");
        let mut arguments = vec![
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=venue",
            "-keyout",
            &key,
            "-out",
            &pem,
            "-addext",
            &names,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ];
        if !by_itself {
            arguments.extend(["-CA", "ca.pem", "-CAkey", "ca.key"]);
        }
        self.openssl(&arguments);
    }

    fn roots(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

/// nginx, with TLS and HTTP/2, before a server of the test.
struct Nginx {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Nginx {
    fn start(folder: &Path, certificate: &str, behind: &str, more: &str) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let at = folder.display();
            let config = format!(
                "daemon off; master_process off; pid {at}/pid; error_log {at}/errors warn;\n\
                 events {{}}\n\
                 http {{\n access_log off; client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;\n\
                 uwsgi_temp_path {at}/d; scgi_temp_path {at}/e; {more}\n\
                 server {{ listen 127.0.0.1:{port} ssl http2; server_name localhost;\n\
                 ssl_certificate {at}/{certificate}.pem; ssl_certificate_key {at}/{certificate}.key;\n\
                 add_header x-spoken $server_protocol always; proxy_buffering off;\n\
                 location / {{ proxy_pass {behind}; }} }} }}\n"
            );
            std::fs::write(folder.join("nginx.conf"), config).unwrap();
            let mut child = Command::new("nginx")
                .args(["-c", "nginx.conf", "-e", "errors", "-p"])
                .arg(folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nginx, of the package nginx-light");
            while child.try_wait().unwrap().is_none() {
                if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    let folder = folder.to_owned();
                    return Self {
                        child,
                        port,
                        folder,
                    };
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            // Somebody else took the port.
            assert!(
                Instant::now() < deadline,
                "{}",
                std::fs::read_to_string(folder.join("errors")).unwrap_or_default()
            );
        }
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.folder.join("errors")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers with these bytes and closes, and counts.
async fn raw(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut read = vec![0; 65536];
                let n = stream.read(&mut read).await.unwrap_or(0);
                if n > 0 && !read.starts_with(b"GET /api/v3/time") {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            });
        }
    });
    (url, count)
}

struct Desk {
    agent: Agent,
    base: String,
    token: String,
}

impl Desk {
    async fn new(authority: &Authority, venue: &str) -> Self {
        let roots = authority.roots().display().to_string();
        let agent = Agent::start_with("", &[("SSL_CERT_FILE", &roots)]).await;
        let (base, token) = common::let_in(&agent, venue, SECRET, POLICY).await;
        Self { agent, base, token }
    }

    async fn order(&self) -> (u16, String) {
        bot(&self.base, &self.token, "POST", "/api/v3/order", ORDER).await
    }
}

#[tokio::test]
async fn an_order_goes_over_http_2_and_its_answer_comes_back_as_it_is() {
    let authority = Authority::new();
    authority.certificate("good", "localhost", false);
    let venue = Venue::start(SECRET, true).await;
    // The connection goes away after each second request.
    let nginx = Nginx::start(
        authority.folder.path(),
        "good",
        &venue.url,
        "keepalive_requests 2;",
    );
    let desk = Desk::new(&authority, &format!("https://localhost:{}", nginx.port)).await;
    for n in 1..=7 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let (mut status, mut answer) = desk.order().await;
        // The clock's own request counts too, so that an order may cross the goodbye. It is not sent again by us, and a bot that
        // does so places one order.
        if status == 502 && answer.contains("nothing was done") {
            (status, answer) = desk.order().await;
        }
        assert_eq!(
            status,
            200,
            "{answer}\n{}\n{}",
            nginx.errors(),
            desk.agent.log()
        );
        assert!(
            answer.contains("x-spoken: HTTP/2.0") && answer.contains("x-mbx-used-weight-1m: 3"),
            "{answer}"
        );
        assert_eq!(venue.got().len(), n, "each once");
    }
    assert!(venue.got().iter().all(|got| got.signed));
}

#[tokio::test]
async fn limits_and_errors_of_the_venue_are_passed_on_untouched() {
    let authority = Authority::new();
    authority.certificate("good", "localhost", false);
    let body = r#"{"code":-1003,"msg":"Too many requests; \u00e9"}"#;
    let answer = format!(
        "HTTP/1.1 429 Slow Down\r\nRetry-After: 17\r\nX-MBX-ORDER-COUNT-10S: 5\r\nX-Odd: a,b;c\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (behind, count) = raw(Box::leak(answer.into_boxed_str())).await;
    let nginx = Nginx::start(authority.folder.path(), "good", &behind, "");
    let desk = Desk::new(&authority, &format!("https://localhost:{}", nginx.port)).await;
    let (status, answer) = desk.order().await;
    assert_eq!(status, 429, "{answer}");
    for header in [
        "retry-after: 17",
        "x-mbx-order-count-10s: 5",
        "x-odd: a,b;c",
        "x-spoken: HTTP/2.0",
    ] {
        assert!(answer.contains(header), "{header}: {answer}");
    }
    assert!(answer.ends_with(body), "{answer}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_venue_with_another_certificate_gets_nothing() {
    let authority = Authority::new();
    authority.certificate("itself", "localhost", true);
    authority.certificate("other", "venue.test", false);
    for certificate in ["itself", "other"] {
        let (behind, count) = raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        let nginx = Nginx::start(authority.folder.path(), certificate, &behind, "");
        let desk = Desk::new(&authority, &format!("https://localhost:{}", nginx.port)).await;
        let (status, answer) = desk.order().await;
        assert_eq!(status, 502, "{certificate}: {answer}");
        assert!(answer.contains("cannot be reached"), "{answer}");
        assert_eq!(count.load(Ordering::SeqCst), 0, "{certificate}");
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_in_the_middle_is_passed_on_as_cut() {
    let authority = Authority::new();
    authority.certificate("good", "localhost", false);
    let half = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"orderId\":7,";
    let (behind, count) = raw(half).await;
    let nginx = Nginx::start(authority.folder.path(), "good", &behind, "");
    let desk = Desk::new(&authority, &format!("https://localhost:{}", nginx.port)).await;
    let (_, answer) = desk.order().await;
    // Nothing, a length that is never reached, or chunks without the last one: no client takes it for the whole.
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let short = head.contains("content-length: 100") && body.len() < 100;
    let chunks = head.contains("transfer-encoding: chunked") && !body.ends_with("0\r\n\r\n");
    assert!(answer.is_empty() || short || chunks, "{answer}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn requests_carry_the_time_of_the_venue() {
    let venue = Venue::start(SECRET, true).await;
    venue.ahead_ms.store(90_000, Ordering::SeqCst);
    let desk = Desk::new(&Authority::new(), &venue.url).await;
    assert_eq!(desk.order().await.0, 200);
    let ahead = async || {
        assert_eq!(desk.order().await.0, 200);
        let got = venue.got();
        let parameters = got.last().unwrap().parameters.clone();
        let time = parameters.split("timestamp=").nth(1).unwrap();
        let time: i64 = time.split('&').next().unwrap().parse().unwrap();
        time - common::now_ms()
    };
    // The first request asks, and those after the answer have it.
    let deadline = Instant::now() + PATIENCE;
    while !(80_000..=91_000).contains(&ahead().await) {
        assert!(Instant::now() < deadline, "{}", desk.agent.log());
    }
    assert_eq!(venue.asked_time.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_venue_whose_clock_is_hours_away_is_not_followed_and_a_person_is_told() {
    let venue = Venue::start(SECRET, true).await;
    venue.ahead_ms.store(3_600_000, Ordering::SeqCst);
    let desk = Desk::new(&Authority::new(), &venue.url).await;
    let client = desk.agent.client().await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert_eq!(desk.order().await.0, 200);
        let note = client.call(GetStatus {}).await.unwrap().note;
        if note.is_some_and(|note| note.contains("60 minutes")) {
            break;
        }
        assert!(Instant::now() < deadline, "{}", desk.agent.log());
    }
    desk.order().await;
    let got = venue.got();
    let time = got
        .last()
        .unwrap()
        .parameters
        .split("timestamp=")
        .nth(1)
        .unwrap()
        .to_owned();
    let time: i64 = time.split('&').next().unwrap().parse().unwrap();
    assert!((time - common::now_ms()).abs() < 30_000);
}

/// A venue over HTTP/2 that does something else than it is asked, and the requests that reached it.
struct OddVenue {
    _child: tokio::process::Child,
    port: u16,
    seen: tokio::io::Lines<tokio::io::BufReader<tokio::process::ChildStdout>>,
}

impl OddVenue {
    async fn start(authority: &Authority, how: &str) -> Self {
        use tokio::io::AsyncBufReadExt;

        let python = std::env::var_os("TOUCHKEEP_PYTHON").unwrap_or_else(|| "python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/h2_venue.py");
        let mut child = tokio::process::Command::new(python)
            .current_dir(authority.folder.path())
            .args(["-B", script, "good.pem", "good.key", how])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut seen = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let port = seen.next_line().await.unwrap().expect("is h2 there?");
        Self {
            _child: child,
            port: port.parse().unwrap(),
            seen,
        }
    }

    // Up to the next GET of this path: the orders before it.
    async fn orders_before(&mut self, path: &str) -> usize {
        let mut orders = 0;
        loop {
            let line = tokio::time::timeout(PATIENCE, self.seen.next_line()).await;
            let line = line.unwrap().unwrap().unwrap();
            orders += usize::from(line.starts_with("POST"));
            if line == format!("GET {path}") {
                return orders;
            }
        }
    }
}

// A venue may say that it did not come to a request. Whoever asked is told that; we do not ask again in its place.
#[tokio::test]
async fn an_order_whose_stream_the_venue_refuses_is_said_to_be_undone_and_not_sent_again() {
    let authority = Authority::new();
    authority.certificate("good", "localhost", false);
    for how in ["refuses", "goes-away"] {
        let mut venue = OddVenue::start(&authority, how).await;
        let desk = Desk::new(&authority, &format!("https://localhost:{}", venue.port)).await;
        for n in 1..=3 {
            let (status, answer) = desk.order().await;
            assert_eq!(status, 502, "{how}: {answer}\n{}", desk.agent.log());
            assert!(answer.contains("did not take it"), "{answer}");
            let path = format!("/api/v3/ticker/price?symbol=N{n}");
            let (status, _) = bot(&desk.base, &desk.token, "GET", &path, "").await;
            assert_eq!(
                status, 200,
                "{how}: a new connection serves what comes next"
            );
            assert_eq!(venue.orders_before(&path).await, 1, "{how}");
        }
    }
}

// A goodbye that names the order's own stream, or the end of the connection alone, says nothing of it.
#[tokio::test]
async fn an_order_that_the_venue_may_have_come_to_before_it_went_away_is_unknown() {
    let authority = Authority::new();
    authority.certificate("good", "localhost", false);
    for how in ["goes-away-with-it", "hangs-up", "resets"] {
        let venue = OddVenue::start(&authority, how).await;
        let desk = Desk::new(&authority, &format!("https://localhost:{}", venue.port)).await;
        for _ in 1..=2 {
            let (status, answer) = desk.order().await;
            assert_eq!(status, 504, "{how}: {answer}\n{}", desk.agent.log());
            assert!(answer.contains("is not known"), "{answer}");
        }
    }
}

#[tokio::test]
async fn orders_wait_where_the_venue_takes_one_at_a_time_and_each_goes_once() {
    let authority = Authority::new();
    authority.certificate("good", "localhost", false);
    let mut venue = OddVenue::start(&authority, "one-at-a-time").await;
    let desk = Desk::new(&authority, &format!("https://localhost:{}", venue.port)).await;
    let all = tokio::join!(desk.order(), desk.order(), desk.order(), desk.order());
    for (status, answer) in [all.0, all.1, all.2, all.3] {
        assert_eq!(status, 200, "{answer}");
    }
    let path = "/api/v3/ticker/price?symbol=LAST";
    bot(&desk.base, &desk.token, "GET", path, "").await;
    assert_eq!(venue.orders_before(path).await, 4);
}
