//! A practice venue of one's own for the length of a test, and the least HTTP that reaches it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

pub struct Venue {
    child: Child,
    pub url: String,
    pub control: String,
}

pub struct Key {
    pub api_key: String,
    pub secret: String,
}

/// Status, headers in lower case, body.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Reply {
    /// The status and Binance's error number.
    pub fn refusal(&self) -> (u16, i64) {
        (self.status, self.body["code"].as_i64().unwrap_or_default())
    }
}

pub fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_touchkeep-practice"))
}

impl Venue {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(args: &[&str]) -> Self {
        let mut child = binary()
            .arg("venue")
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the practice binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("a ready line");
        let ready: Value = serde_json::from_str(&line).expect("the ready line is JSON");
        assert_eq!(ready["ready"], true);
        let place = |name: &str| ready[name].as_str().expect("an address").to_owned();
        Self {
            url: place("url"),
            control: place("control"),
            child,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().expect("the venue can be waited for")
    }

    pub fn site(&self, method: &str, path: &str, form: Option<Value>) -> Reply {
        let body = form.map(|form| form.to_string()).unwrap_or_default();
        http(&self.control, method, path, &[], &body).expect("the web site answers")
    }

    pub fn record(&self) -> Vec<Value> {
        let page = self.site("GET", "/record", None);
        page.body.as_array().expect("the record is a list").clone()
    }

    pub fn hmac_key(&self, permissions: &[&str], ips: &[&str]) -> Key {
        let form =
            json!({ "label": "test", "type": "hmac", "permissions": permissions, "ips": ips });
        let page = self.site("POST", "/keys", Some(form));
        assert_eq!(page.status, 200, "{page:?}");
        let text = |name: &str| page.body[name].as_str().expect("text").to_owned();
        Key {
            api_key: text("api_key"),
            secret: text("secret"),
        }
    }

    pub fn fault(&self, order: Value) {
        assert_eq!(self.site("POST", "/faults", Some(order)).status, 200);
    }

    /// Signs the parameters with the time now and sends them; `POST` in the body, others in the query.
    pub fn signed(&self, key: &Key, method: &str, path: &str, params: &str) -> Reply {
        self.send(key, method, path, &stamped(params, now_ms()))
            .expect("the venue answers")
    }

    /// Signs what is given, and sends it.
    pub fn send(&self, key: &Key, method: &str, path: &str, params: &str) -> Option<Reply> {
        let signed = format!("{params}&signature={}", sign(&key.secret, params));
        self.send_raw(&key.api_key, method, path, &signed)
    }

    /// Sends what is given.
    pub fn send_raw(&self, api_key: &str, method: &str, path: &str, params: &str) -> Option<Reply> {
        let headers = [
            ("x-mbx-apikey", api_key),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        match method {
            "POST" => http(&self.url, method, path, &headers, params),
            _ => http(&self.url, method, &format!("{path}?{params}"), &headers, ""),
        }
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a clock before the year 500 million")
}

pub fn stamped(params: &str, at_ms: u64) -> String {
    let separator = if params.is_empty() { "" } else { "&" };
    format!("{params}{separator}timestamp={at_ms}")
}

pub fn sign(secret: &str, payload: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    let tag = mac.chain_update(payload).finalize().into_bytes();
    data_encoding::HEXLOWER.encode(&tag)
}

/// One request on a connection of its own; nothing if the other side hangs up without an answer.
pub fn http(
    base: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Reply> {
    let address = base.strip_prefix("http://").expect("an http address");
    let mut stream = TcpStream::connect(address).expect("the venue listens");
    let mut request =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream
        .write_all(request.as_bytes())
        .expect("the request is sent");
    let mut answer = String::new();
    // A connection that is cut may end in a reset instead of an end.
    let read = stream.read_to_string(&mut answer);
    if read.is_err() || answer.is_empty() {
        return None;
    }
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .expect("a status");
    Some(Reply {
        status,
        head: head.to_lowercase(),
        body: serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON in {answer}")),
    })
}
