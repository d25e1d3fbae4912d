//! A venue that answers whatever a test wants, and a bot whose orders go there.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use touchkeep_tests::Home;

use crate::desk::{Act, Desk, say};

/// What a venue does with a request that it has read.
pub(crate) type Answering = Arc<dyn Fn(&mut TcpStream) + Send + Sync>;

/// A venue that reads a request whole and then does this.
pub(crate) struct Odd {
    pub(crate) url: String,
    pub(crate) got: Arc<AtomicUsize>,
}

impl Odd {
    pub(crate) fn open(answers: Answering) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let got = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&got);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, answers) = (Arc::clone(&counted), Arc::clone(&answers));
                thread::spawn(move || serve(stream, &counted, &*answers));
            }
        });
        Self { url, got }
    }

    pub(crate) fn got(&self) -> usize {
        self.got.load(Ordering::SeqCst)
    }
}

// Requests of one connection, one after the other; its questions for the time are not answered and not counted.
fn serve(mut stream: TcpStream, counted: &AtomicUsize, answers: &dyn Fn(&mut TcpStream)) {
    let mut read = Vec::new();
    let mut part = [0; 65536];
    while let Ok(n @ 1..) = stream.read(&mut part) {
        read.extend_from_slice(&part[..n]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let head = head.to_ascii_lowercase();
        if head.starts_with("get /api/v3/time") {
            return;
        }
        let long = head.split("content-length: ").nth(1);
        let long: usize = long.map_or(0, |rest| {
            rest.lines().next().unwrap().trim().parse().unwrap()
        });
        if body.len() >= long {
            counted.fetch_add(1, Ordering::SeqCst);
            read.clear();
            answers(&mut stream);
        }
    }
}

/// Says this, and ends the connection.
pub(crate) fn text(answer: &str) -> Answering {
    let answer = answer.to_owned();
    Arc::new(move |stream| {
        let _gone = stream.write_all(answer.as_bytes());
        let _gone = stream.shutdown(std::net::Shutdown::Both);
    })
}

/// A desk, and beside it a bot at an odd venue.
pub(crate) struct Bot {
    pub(crate) desk: Desk,
    pub(crate) odd: Odd,
    pub(crate) token: String,
}

impl Bot {
    pub(crate) fn at(answers: Answering) -> Self {
        let odd = Odd::open(answers);
        let desk = Desk::set(Home::new(None));
        let token = desk.bot_at(&odd.url);
        Self { desk, odd, token }
    }

    pub(crate) fn order(&self, number: u64) -> Option<(u16, String)> {
        let request = self.desk.written_for(Act::Order, number, &self.token);
        say(self.desk.port(), &request)
    }

    // What the log says of the only order.
    pub(crate) fn outcome(&self) -> String {
        let rows = self.desk.rows(0);
        assert_eq!(
            (rows.intents.len(), rows.outcomes.len()),
            (1, 1),
            "{rows:?}"
        );
        assert_eq!(rows.outcomes[0].of, Some(rows.intents[0].seq));
        rows.outcomes[0].decision.clone()
    }
}

impl Bot {
    // Another venue of the same agent is served as ever.
    pub(crate) fn goes_on(&self) -> Result<(), String> {
        match self.desk.ask(Act::Order, 9_000) {
            Some((200, _)) => Ok(()),
            other => Err(format!("afterwards: {other:?}")),
        }
    }
}

/// What a process has in memory of its own, in KiB. What it has mapped of its program is not counted: the kernel maps that in
/// pieces of up to 2 MiB where the file was just written.
pub(crate) fn resident(pid: u32) -> u64 {
    status(pid, "RssAnon:")
}

/// The most that it had.
pub(crate) fn peak(pid: u32) -> u64 {
    status(pid, "VmHWM:") - status(pid, "RssFile:")
}

fn status(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
