//! Webhooks: their senders' own libraries sign, the real agent verifies, over the command line and over HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Barrier,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use touchkeep_tests::{Home, Person};
use touchkeep_wire::Scope;

/// A sender: its scheme, the secret that it signs with, and the one that its console shows.
struct Sender {
    item: &'static str,
    scheme: &'static str,
    signs: &'static str,
    shows: &'static str,
}

const SENDERS: [Sender; 5] = [
    Sender {
        item: "stripe-hook",
        scheme: "stripe",
        signs: "whsec_canary5Xq7bM1cVtLw",
        shows: "whsec_canary5Xq7bM1cVtLw",
    },
    Sender {
        item: "github-hook",
        scheme: "github",
        signs: "It's a canary to Everybody",
        shows: "It's a canary to Everybody",
    },
    Sender {
        item: "commerce-hook",
        scheme: "coinbase-commerce",
        signs: "canary-1-0bd1-4267-9b0f-e6e7b123c0bf",
        shows: "canary-1-0bd1-4267-9b0f-e6e7b123c0bf",
    },
    Sender {
        item: "standard-hook",
        scheme: "standard",
        signs: "whsec_canary9r8GKYqrTwjUPD8ILPZIo2LaLa",
        shows: "whsec_canary9r8GKYqrTwjUPD8ILPZIo2LaLa",
    },
    // The first key of RFC 8032, 7.1.
    Sender {
        item: "asymmetric-hook",
        scheme: "standard",
        signs: "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
        shows: "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    },
];

type Headers = Vec<(String, String)>;

/// A vault with the secrets of all senders, their libraries, and a person who lets this process through once for all.
struct Desk {
    home: Home,
    person: Person,
    signer: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Desk {
    fn set() -> Self {
        let home = Home::new(None);
        let person = Person::sit_down(&home.paths(), None);
        person.mind.lock().unwrap().allows = Scope::Process;
        let path = home.path("v.touchkeep").display().to_string();
        let _made = home.json(&["init", "--practice", "--path", &path, "--work-factor", "10"]);
        for sender in &SENDERS {
            let add = ["add", sender.item, "--kind", "api-key", "--secret-fd", "0"];
            let _added = home.json_with(&add, sender.shows);
        }
        let python = std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test");
        let mut signer = Command::new(python)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("webhook_signer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (signer.stdin.take().unwrap(), signer.stdout.take().unwrap());
        Self {
            home,
            person,
            signer,
            to,
            from: BufReader::new(from),
        }
    }

    fn sign(&mut self, sender: &Sender, body: &[u8], time: u64, id: &str) -> Headers {
        self.sign_with(sender, sender.signs, body, time, id)
    }

    fn sign_with(
        &mut self,
        sender: &Sender,
        secret: &str,
        body: &[u8],
        time: u64,
        id: &str,
    ) -> Headers {
        let body = BASE64_STANDARD.encode(body);
        let asked = json!({"scheme": sender.scheme, "secret": secret, "body": body, "time": time, "id": id});
        writeln!(self.to, "{asked}").unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        serde_json::from_value(said["headers"].clone()).unwrap()
    }

    // `touchkeep webhook verify`: its exit code and its document.
    fn verify(
        &self,
        sender: &Sender,
        headers: &Headers,
        body: &[u8],
        more: &[&str],
    ) -> (i32, Value) {
        let mut args = vec![
            "webhook",
            "verify",
            sender.item,
            "--scheme",
            sender.scheme,
            "--json",
        ];
        let lines: Vec<String> = headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        for line in &lines {
            args.extend(["--header", line]);
        }
        args.extend(more);
        let mut cli = self.home.touchkeep();
        cli.args(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = cli.spawn().unwrap();
        // One that refuses before it reads closes the pipe.
        let _closed = child.stdin.take().unwrap().write_all(body);
        let done = child.wait_with_output().unwrap();
        let said: Value = serde_json::from_slice(&done.stdout).unwrap_or_default();
        self.home.to_judge("webhook", &said);
        (done.status.code().unwrap(), said)
    }

    // The reason that one is refused for; empty where it is verified.
    fn reason(&self, sender: &Sender, headers: &Headers, body: &[u8]) -> String {
        let (code, said) = self.verify(sender, headers, body, &[]);
        assert_eq!(said["verified"], json!(code == 0), "{code} {said}");
        said["reason"].as_str().unwrap_or_default().to_owned()
    }

    fn client(&self) -> Http {
        let client = self.home.json(&["proxy", "add", "shop", "--webhooks"]);
        assert_eq!(client["base_urls"], json!({}));
        let place = client["webhooks"].as_str().unwrap();
        let place = place.strip_prefix("http://").unwrap();
        let host = place.strip_suffix("/-/webhook/").unwrap();
        Http {
            host: host.to_owned(),
            token: client["token"].as_str().unwrap().to_owned(),
        }
    }

    fn rows(&self, kind: &str) -> Vec<Value> {
        let rows = self
            .home
            .json(&["audit", "list", "--kind", kind, "-n", "200"]);
        rows["rows"].as_array().unwrap().clone()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _gone = self.signer.kill();
        let _gone = self.signer.wait();
    }
}

/// Another program, that hands deliveries over; written out, so that the test shares no client with the product.
struct Http {
    host: String,
    token: String,
}

impl Http {
    fn post(&self, target: &str, headers: &Headers, body: &[u8]) -> (u16, Value) {
        let token = [("X-Touchkeep-Token".to_owned(), self.token.clone())];
        self.send("POST", target, &[&token, &headers[..]].concat(), body)
    }

    fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> (u16, Value) {
        // 0: nobody is there.
        let Ok(mut stream) = TcpStream::connect(&self.host) else {
            return (0, Value::Null);
        };
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        if headers
            .iter()
            .all(|(name, _)| !name.eq_ignore_ascii_case("host"))
        {
            head += &format!("Host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!(
            "Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let _closed = stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or_default())
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn place(sender: &Sender) -> String {
    format!("/-/webhook/{}?scheme={}", sender.item, sender.scheme)
}

#[test]
fn what_each_senders_own_library_signs_is_taken_once_and_nothing_else() {
    let mut desk = Desk::set();
    for (n, sender) in SENDERS.iter().enumerate() {
        let event = format!("evt-{n}");
        let body = json!({"id": event, "object": "event", "event": {"id": event}, "text": "Straße canary-body"});
        let body = body.to_string().into_bytes();
        let headers = desk.sign(sender, &body, now(), &event);
        // Everything that is wrong with it first: none of it may take the delivery's place.
        let mut changed = body.clone();
        changed[3] ^= 1;
        assert_eq!(
            desk.reason(sender, &headers, &changed),
            "wrong-signature",
            "{}",
            sender.item
        );
        let secret = match (sender.scheme, sender.signs.starts_with("whsk_")) {
            (_, true) => "whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=",
            ("standard", _) => "whsec_bGF0ZXIgdGhhbiB0aGUgb3RoZXIgb25l",
            _ => "whsec_another",
        };
        let forged = desk.sign_with(sender, secret, &body, now(), &event);
        assert_eq!(desk.reason(sender, &forged, &body), "wrong-signature");
        for at in 0..headers.len() {
            let mut fewer = headers.clone();
            let (name, value) = fewer.remove(at);
            let other = vec![("X-Other".to_owned(), "1".to_owned())];
            let fewer = if fewer.is_empty() { other } else { fewer };
            assert_eq!(
                desk.reason(sender, &fewer, &body),
                "missing-header",
                "{name}"
            );
            let mut doubled = headers.clone();
            doubled.push((name.to_uppercase(), value));
            assert_eq!(
                desk.reason(sender, &doubled, &body),
                "doubled-header",
                "{name}"
            );
        }
        if sender.scheme == "stripe" || sender.scheme == "standard" {
            let (old, new) = (
                desk.sign(sender, &body, now() - 310, &event),
                desk.sign(sender, &body, now() + 320, &event),
            );
            assert_eq!(desk.reason(sender, &old, &body), "too-old");
            assert_eq!(desk.reason(sender, &new, &body), "too-new");
            // The time of another delivery in place of its own.
            let (right, other) = (
                desk.sign(sender, &body, now(), &event),
                desk.sign(sender, &body, now() - 7, &event),
            );
            let moved = right
                .iter()
                .zip(&other)
                .map(|((name, value), (_, other))| match &**name {
                    "webhook-timestamp" => (name.clone(), other.clone()),
                    "Stripe-Signature" => (
                        name.clone(),
                        format!(
                            "{},{}",
                            other.split_once(',').unwrap().0,
                            value.split_once(',').unwrap().1
                        ),
                    ),
                    _ => (name.clone(), value.clone()),
                });
            assert_eq!(
                desk.reason(sender, &moved.collect(), &body),
                "wrong-signature"
            );
        }
        // Now it itself, its names in another case.
        let shouted: Headers = headers
            .iter()
            .map(|(n, v)| (n.to_uppercase(), v.clone()))
            .collect();
        let (code, said) = desk.verify(sender, &shouted, &body, &[]);
        assert_eq!(
            (code, &said["verified"], &said["id"]),
            (0, &json!(true), &json!(event)),
            "{said}"
        );
        assert_eq!(desk.reason(sender, &headers, &body), "replayed");
    }
    assert_eq!(
        desk.person.uses().len(),
        SENDERS.len(),
        "asked once for each secret"
    );
    // The log has each of them, and neither a secret nor a body.
    let rows = desk.rows("webhook");
    let done = rows.iter().filter(|row| row["decision"] == "done").count();
    assert_eq!(done, SENDERS.len());
    assert!(
        rows.iter()
            .filter(|row| row["decision"] == "denied")
            .count()
            > 25
    );
    // A person was asked once for each; afterwards the delivery's own row says by what right it was checked.
    let used = desk.rows("secret-used");
    assert_eq!(used.len(), SENDERS.len());
    assert!(
        rows[0].to_string().contains("[\"allowed by\",\"grant "),
        "{}",
        rows[0]
    );
    let all = format!("{rows:?}{used:?}{}", desk.home.log());
    for sender in &SENDERS {
        assert!(!all.contains(sender.signs) && !all.contains(sender.shows));
    }
    assert!(!all.contains("canary-body"));
    let verdict = desk.home.json(&["audit", "verify"]);
    assert_eq!(verdict["sound"], json!(true));
}

#[test]
fn the_page_s_own_program_hands_deliveries_over() {
    let mut desk = Desk::set();
    let http = desk.client();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/webhooks.md");
    let page = std::fs::read_to_string(page).unwrap();
    let program = page.split_once("```python\n").unwrap().1;
    let program = program.split_once("```").unwrap().0;
    let body = r#"{"id":"evt_page"}"#;
    let [(name, value)] = &desk.sign(&SENDERS[0], body.as_bytes(), now(), "")[..] else {
        panic!("one header")
    };
    let port = http.host.rsplit(':').next().unwrap();
    // A server's own headers beside it, one of which the proxy would take for a token.
    let program = format!(
        "PORT, TOKEN = {port}, {:?}\n{program}
delivered = {{{name:?}: {value:?}, 'Authorization': 'Bearer of the sender', 'Host': 'shop.example'}}
print(verified(delivered, {body:?}), verified(delivered, {body:?}), verified(delivered, 'x'))",
        http.token
    );
    let done = Command::new(std::env::var("TOUCHKEEP_PYTHON").unwrap())
        .args(["-c", &program])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(
        said,
        "True False False\n",
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    // That client has no way to a venue.
    let venue = format!("http://{}/binance", http.host);
    let key = [("X-MBX-APIKEY", http.token.as_str())];
    let account = "/api/v3/account?timestamp=1&signature=0";
    let (status, said) = touchkeep_tests::http(&venue, "GET", account, &key, "");
    assert_eq!(
        (status, said.contains("has no keys")),
        (403, true),
        "{said}"
    );
    // The process at the other end was asked about, not the one that started it.
    let uses = desk.person.uses();
    assert!(
        uses.len() == 1 && uses[0].client.starts_with("python"),
        "{uses:?}"
    );
}

#[test]
fn a_senders_second_try_is_taken_where_that_is_wanted() {
    let mut desk = Desk::set();
    for sender in [&SENDERS[0], &SENDERS[3]] {
        let body = br#"{"id":"msg_1"}"#;
        let first = desk.sign(sender, body, now() - 20, "msg_1");
        assert_eq!(desk.reason(sender, &first, body), "");
        let again = desk.sign(sender, body, now(), "msg_1");
        let (code, refused) = desk.verify(sender, &again, body, &[]);
        assert_eq!((code, &refused["reason"]), (1, &json!("repeated")));
        let (code, said) = desk.verify(sender, &again, body, &["--accept-retries"]);
        assert_eq!(code, 0, "{said}");
        // That it was taken before, and when, is said all the same: to the program, in words, and on record.
        let first_seen = refused["first_seen"].as_u64().unwrap();
        assert_eq!(said["first_seen"].as_u64(), Some(first_seen), "{said}");
        let what = said["what"].as_str().unwrap();
        assert!(what.contains("Its id was taken at "), "{what}");
        assert!(!what.contains("not taken before"), "{what}");
        let rows = desk.rows("webhook");
        let newest = rows[0]["what"].as_str().unwrap();
        assert!(newest.contains(" again: its id was taken at "), "{newest}");
        let (code, said) = desk.verify(sender, &again, body, &["--accept-retries"]);
        assert_eq!((code, &said["reason"]), (1, &json!("replayed")));
        assert!(said["first_seen"].as_u64().unwrap() / 1000 >= now() - 60);
    }
    // GitHub's id is not signed: an attacker gives a recorded delivery another one.
    let github = &SENDERS[1];
    let mut headers = desk.sign(github, b"{}", 0, "id-1");
    let (code, said) = desk.verify(github, &headers, b"{}", &[]);
    // It signs no time, so nothing is said of one.
    let what = "Its sender signed it. It was not taken before.";
    assert_eq!((code, &said["what"]), (0, &json!(what)), "{said}");
    headers[0].1 = "id-2".to_owned();
    let (code, said) = desk.verify(github, &headers, b"{}", &["--accept-retries"]);
    assert_eq!((code, &said["reason"]), (1, &json!("replayed")));
}

#[test]
fn what_was_answered_before_a_crash_is_not_taken_after_it_and_forgeries_do_not_fill_the_log() {
    let mut desk = Desk::set();
    let http = desk.client();
    let sender = &SENDERS[0];
    let sign = |desk: &mut Desk, n: u32| {
        let body = format!("{{\"id\":\"evt_{n}\"}}").into_bytes();
        (desk.sign(sender, &body, now(), ""), body)
    };
    let all: Vec<_> = (0..200).map(|n| sign(&mut desk, n)).collect();
    // Killed while it takes one after the other.
    let answered: Vec<u16> = std::thread::scope(|scope| {
        let (http, all) = (&http, &all);
        let posting = scope.spawn(move || {
            let post =
                |(headers, body): &(Headers, Vec<u8>)| http.post(&place(sender), headers, body).0;
            all.iter()
                .map(post)
                .take_while(|status| *status != 0)
                .collect()
        });
        touchkeep_tests::wait_for("some of them", || {
            (desk.rows("webhook").len() > 8).then_some(())
        });
        desk.home.kill_agent();
        posting.join().unwrap()
    });
    assert!(
        answered.len() < all.len() && answered.iter().all(|status| *status == 200),
        "{answered:?}"
    );
    desk.home.start_agent();
    desk.person = Person::sit_down(&desk.home.paths(), None);
    desk.person.mind.lock().unwrap().allows = Scope::Process;
    let _opened = desk.home.json(&["unlock"]);
    for (n, (headers, body)) in all.iter().take(answered.len() + 10).enumerate() {
        let (status, said) = http.post(&place(sender), headers, body);
        // The one that it was at when it was killed was taken, or not; nobody was told.
        let expected: &[u16] = match n.cmp(&answered.len()) {
            std::cmp::Ordering::Less => &[409],
            std::cmp::Ordering::Equal => &[200, 409],
            std::cmp::Ordering::Greater => &[200],
        };
        assert!(
            expected.contains(&status),
            "{n} of {}: {said}",
            answered.len()
        );
    }
    // Of what is refused, a hundred an hour have a row; the next row says how many had none.
    let (forged, _) = sign(&mut desk, 1000);
    for n in 0..150 {
        let body = format!("forged {n}");
        assert_eq!(http.post(&place(sender), &forged, body.as_bytes()).0, 400);
    }
    let (headers, body) = sign(&mut desk, 1001);
    assert_eq!(http.post(&place(sender), &headers, &body).0, 200);
    let refused = desk.home.json(&[
        "audit",
        "list",
        "--kind",
        "webhook",
        "--decision",
        "denied",
        "-n",
        "500",
    ]);
    assert_eq!(refused["rows"].as_array().unwrap().len(), 100);
    let newest = desk
        .rows("webhook")
        .iter()
        .max_by_key(|row| row["seq"].as_u64())
        .unwrap()
        .to_string();
    let unsaid = answered.len() + 150 - 100;
    let range =
        [unsaid, unsaid + 1].map(|n| format!("[\"refused without a row before it\",\"{n}\"]"));
    assert!(range.iter().any(|said| newest.contains(said)), "{newest}");
}

#[test]
fn over_http_one_of_ten_at_once_is_fresh_and_a_restart_forgets_nothing() {
    let mut desk = Desk::set();
    let http = desk.client();
    // A first one, so that a person was asked.
    let mut old = Vec::new();
    for sender in &SENDERS {
        let headers = desk.sign(sender, b"{}", now(), "msg_0");
        let (status, said) = http.post(&place(sender), &headers, b"{}");
        assert_eq!((status, &said["verified"]), (200, &json!(true)), "{said}");
        old.push((sender, headers));
    }
    assert_eq!(desk.person.uses().len(), SENDERS.len());
    assert!(
        desk.person.uses()[0]
            .process
            .last()
            .unwrap()
            .contains("webhooks")
    );
    for sender in &SENDERS {
        let headers = desk.sign(sender, b"{\"n\":1}", now(), "msg_1");
        let start = Barrier::new(10);
        let answers: Vec<_> = std::thread::scope(|scope| {
            let post = || {
                start.wait();
                http.post(&place(sender), &headers, b"{\"n\":1}")
            };
            let threads: Vec<_> = (0..10).map(|_| scope.spawn(post)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let fresh = answers.iter().filter(|(status, _)| *status == 200).count();
        let seen = answers
            .iter()
            .filter(|(status, said)| *status == 409 && said["reason"] == "replayed")
            .count();
        assert_eq!((fresh, seen), (1, 9), "{}: {answers:?}", sender.item);
    }
    desk.home.kill_agent();
    desk.home.start_agent();
    desk.person = Person::sit_down(&desk.home.paths(), None);
    let (sender, headers) = &old[0];
    let (status, said) = http.post(&place(sender), headers, b"{}");
    assert_eq!((status, &said["reason"]), (503, &json!("locked")));
    let (code, _) = desk.verify(sender, headers, b"{}", &[]);
    assert_eq!(code, 3);
    let _opened = desk.home.json(&["unlock"]);
    for (sender, headers) in &old {
        let (status, said) = http.post(&place(sender), headers, b"{}");
        assert_eq!(
            (status, &said["reason"]),
            (409, &json!("replayed")),
            "{}",
            sender.item
        );
    }
}

#[test]
fn bodies_are_bytes_up_to_a_mebibyte() {
    let mut desk = Desk::set();
    let http = desk.client();
    let mebibyte = 1 << 20;
    let bytes: Vec<u8> = (0..=255u8).cycle().take(mebibyte).collect();
    for sender in SENDERS
        .iter()
        .filter(|sender| sender.item != "standard-hook")
    {
        // Neither text nor JSON, with every byte that there is.
        let headers = desk.sign(sender, &bytes, now(), "msg_long");
        let (status, said) = http.post(&place(sender), &headers, &bytes);
        assert_eq!(status, 200, "{}: {said}", sender.item);
        assert_eq!(desk.reason(sender, &headers, &bytes), "replayed");
        let longer = [&bytes[..], b"x"].concat();
        let (status, said) = http.post(&place(sender), &headers, &longer);
        assert_eq!((status, &said["reason"]), (413, &json!("body")), "{said}");
        let (code, said) = desk.verify(sender, &headers, &longer, &[]);
        assert_eq!((code, &said["error"]["code"]), (2, &json!("invalid")));
        // Nothing at all is a body, too.
        let headers = desk.sign(sender, b"", now(), "msg_empty");
        assert_eq!(desk.reason(sender, &headers, b""), "", "{}", sender.item);
    }
}

#[test]
fn who_may_not_ask_is_told_so_and_learns_nothing() {
    let mut desk = Desk::set();
    let http = desk.client();
    let sender = &SENDERS[0];
    let headers = desk.sign(sender, b"{}", now(), "");
    let with = |more: &[(&str, &str)]| -> Vec<(String, String)> {
        let more = more.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        headers.iter().cloned().chain(more).collect()
    };
    let token = ("X-Touchkeep-Token", http.token.as_str());
    let bearer = format!("Bearer {}", http.token);
    for (method, target, headers, status) in [
        ("POST", place(sender), with(&[]), 401),
        (
            "POST",
            place(sender),
            with(&[("Authorization", &bearer)]),
            401,
        ),
        (
            "POST",
            place(sender),
            with(&[("X-Touchkeep-Token", "tkc_aaaa")]),
            401,
        ),
        ("POST", place(sender), with(&[token, token]), 401),
        (
            "POST",
            place(sender),
            with(&[token, ("Origin", "http://evil.test")]),
            403,
        ),
        (
            "POST",
            place(sender),
            with(&[token, ("Sec-Fetch-Site", "same-origin")]),
            403,
        ),
        (
            "POST",
            place(sender),
            with(&[token, ("Host", "evil.test")]),
            421,
        ),
        ("GET", place(sender), with(&[token]), 405),
        ("POST", "/-/webhook/".to_owned(), with(&[token]), 404),
        (
            "POST",
            "/-/webhook/no-such?scheme=stripe".to_owned(),
            with(&[token]),
            404,
        ),
        (
            "POST",
            "/-/webhook/nowhere/stripe-hook?scheme=stripe".to_owned(),
            with(&[token]),
            404,
        ),
        (
            "POST",
            "/-/webhook/stripe-hook".to_owned(),
            with(&[token]),
            400,
        ),
        (
            "POST",
            "/-/webhook/stripe-hook?scheme=md5".to_owned(),
            with(&[token]),
            400,
        ),
        (
            "POST",
            format!("{}&tolerance=0", place(sender)),
            with(&[token]),
            400,
        ),
        (
            "POST",
            format!("{}&scheme=github", place(sender)),
            with(&[token]),
            400,
        ),
        (
            "POST",
            format!("{}&retry=accept", place(sender)),
            with(&[token]),
            400,
        ),
    ] {
        let (got, said) = http.send(method, &target, &headers, b"{}");
        assert_eq!(got, status, "{method} {target} {headers:?}: {said}");
        assert_eq!(said["verified"], json!(false));
    }
    assert!(
        desk.person.uses().is_empty(),
        "nobody is asked for what comes to nothing"
    );
    // A person who says no; one who cannot be asked; and the delivery is still fresh afterwards.
    desk.person.mind.lock().unwrap().approves = false;
    let (status, said) = http.post(&place(sender), &headers, b"{}");
    assert_eq!(
        (status, &said["reason"]),
        (403, &json!("refused")),
        "{said}"
    );
    assert_eq!(desk.verify(sender, &headers, b"{}", &[]).0, 1);
    let quiet = format!("{}&ask=no", place(sender));
    let (status, said) = http.post(&quiet, &headers, b"{}");
    assert_eq!((status, &said["reason"]), (403, &json!("not-permitted")));
    desk.person.mind.lock().unwrap().approves = true;
    let named = "/-/webhook/prod/stripe-hook?scheme=stripe&tolerance=600&retries=accept";
    assert_eq!(http.post(named, &headers, b"{}").0, 200);
    assert_eq!(http.post(&quiet, &headers, b"{}").0, 409);
    // It was said in the person's own words.
    let uses = desk.person.uses();
    assert!(uses[0].purpose.contains("check a webhook"), "{uses:?}");
    let shown = desk.rows("webhook");
    assert!(shown.iter().any(|row| row["client"] == "shop"));
}

#[test]
fn a_key_of_another_purpose_checks_no_webhook_and_a_sealed_secret_is_asked_for_each_time() {
    let mut desk = Desk::set();
    desk.person.mind.lock().unwrap().allows = Scope::Once;
    let signer = &SENDERS[0];
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
    let _added = desk.home.json_with(&add, signer.shows);
    let sealed = [
        "add",
        "sealed-hook",
        "--kind",
        "api-key",
        "--sealed",
        "--secret-fd",
        "0",
    ];
    let _added = desk.home.json_with(&sealed, signer.shows);
    let bad = ["add", "bad-hook", "--kind", "api-key", "--secret-fd", "0"];
    let _added = desk.home.json_with(&bad, "canary-of-no-form");
    let named = |item, scheme| Sender {
        item,
        scheme,
        ..SENDERS[0]
    };
    let headers = desk.sign(signer, b"{}", now(), "");
    let (code, said) = desk.verify(&named("trade", "stripe"), &headers, b"{}", &[]);
    assert_eq!((code, &said["error"]["code"]), (2, &json!("invalid")));
    assert!(desk.person.uses().is_empty());
    for n in 1..=2 {
        let (code, _) = desk.verify(&named("sealed-hook", "stripe"), &headers, b"{}", &[]);
        assert_eq!(code, n - 1);
        assert_eq!(desk.person.uses().len(), usize::try_from(n).unwrap());
    }
    let _thrown = desk.home.json(&["rm", "stripe-hook", "--yes"]);
    let (code, said) = desk.verify(&SENDERS[0], &headers, b"{}", &[]);
    assert_eq!(code, 2, "what is in the trash is not used: {said}");
    let standard = desk.sign(&SENDERS[3], b"{}", now(), "msg_1");
    let (code, said) = desk.verify(&named("bad-hook", "standard"), &standard, b"{}", &[]);
    assert_eq!(code, 2, "{said}");
    assert!(said["error"]["what"].as_str().unwrap().contains("whsec_"));
    assert!(!format!("{said}{}", desk.home.log()).contains("canary-of-no-form"));
}
