//! What a venue, or whoever is in its place, can answer: S-09 and S-04. Whatever it is, the request goes out once, to one place,
//! the log says what is known, and the agent stays small and goes on.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;
use touchkeep_tests::Home;

use crate::{
    desk::{Act, Desk, say},
    odd::{Answering, Bot, Odd, peak, resident, text},
    tally::{Tally, soak},
};

/// What the agent's memory may grow by, whatever comes.
const MOST_KIB: u64 = 48 * 1024;

/// What came of it at the bot.
#[derive(Clone, Copy)]
enum Told {
    /// This status, which is the venue's own.
    Passed(u16),
    /// This status, which is ours.
    Ours(u16),
    /// An answer that nobody can take for a whole one.
    Cut,
}

#[test]
fn whatever_the_venue_answers_the_order_goes_out_once_and_the_log_says_what_is_known() {
    let mut tally = Tally::new("S-04 S-09", "answers of a venue that is broken or hostile");
    let elsewhere = Odd::open(text("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"));
    let to = |status: &str| {
        format!(
            "HTTP/1.1 {status}\r\nLocation: {}/api/v3/order\r\nContent-Length: 0\r\n\r\n",
            elsewhere.url
        )
    };
    let many = "X-A: b\r\n".repeat(100_000);
    let long = format!("X-A: {}\r\n", "b".repeat(1_000_000));
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\n{{}}");
    let json = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let cases = [
        (
            "301 to another place",
            to("301 Moved"),
            Told::Passed(301),
            "unknown",
        ),
        (
            "307 to another place",
            to("307 Temporary"),
            Told::Passed(307),
            "unknown",
        ),
        (
            "308 to another place",
            to("308 Permanent"),
            Told::Passed(308),
            "unknown",
        ),
        ("no answer", String::new(), Told::Ours(504), "unknown"),
        (
            "no HTTP",
            "SSH-2.0-OpenSSH_9.2\r\n".repeat(20),
            Told::Ours(504),
            "unknown",
        ),
        (
            "half a head",
            "HTTP/1.1 200 OK\r\nContent-".into(),
            Told::Ours(504),
            "unknown",
        ),
        (
            "half a body",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"orderId\":".into(),
            Told::Cut,
            "done",
        ),
        (
            "chunks without an end",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n".into(),
            Told::Cut,
            "done",
        ),
        (
            "chunks of no size",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n".into(),
            Told::Cut,
            "done",
        ),
        (
            "two lengths",
            head("Content-Length: 7\r\n"),
            Told::Ours(504),
            "unknown",
        ),
        ("a head of 1 MB", head(&long), Told::Ours(504), "unknown"),
        ("100 000 headers", head(&many), Told::Ours(504), "unknown"),
        (
            "a switch of protocols",
            "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".into(),
            Told::Ours(504),
            "unknown",
        ),
        ("500", json("500 Oops", "{}"), Told::Passed(500), "unknown"),
        ("503", json("503 Busy", "{}"), Told::Passed(503), "unknown"),
        (
            "a limit of requests",
            json("429 Slow", r#"{"code":-1003}"#),
            Told::Passed(429),
            "failed",
        ),
        (
            "a number that was used",
            json("400 Bad", r#"{"code":-1021}"#),
            Told::Passed(400),
            "failed",
        ),
    ];
    for (what, answer, told, logged) in cases {
        let bot = Bot::at(text(&answer));
        let before = resident(bot.desk.home.agent_pid());
        let answer = bot.order(1);
        let grown = resident(bot.desk.home.agent_pid()).saturating_sub(before);
        let right = match (told, &answer) {
            (Told::Passed(status), Some((got, _))) => *got == status,
            (Told::Ours(status), Some((got, body))) => {
                *got == status
                    && body.contains("Touchkeep: ")
                    && body.matches("not known").count() == 1
            }
            (Told::Cut, Some((_, body))) => !body.ends_with("}") && !body.ends_with("0\r\n\r\n"),
            (Told::Cut, None) => true,
            _ => false,
        };
        let outcome = bot.outcome();
        let held = match () {
            () if bot.odd.got() != 1 => Err(format!("it arrived {} times", bot.odd.got())),
            () if elsewhere.got() != 0 => Err("it arrived elsewhere".to_owned()),
            () if !right => Err(format!("the bot was told {answer:?}")),
            () if outcome != logged => Err(format!("the log says {outcome}")),
            () if grown > MOST_KIB => Err(format!("the agent grew by {grown} KiB")),
            () => bot.goes_on(),
        };
        tally.tried(|| what.to_owned(), held);
    }
}

#[test]
fn a_venue_that_is_down_got_nothing_and_the_log_says_so() {
    let mut tally = Tally::new("S-09", "a venue that is not there");
    let bot = Bot::at(text(""));
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let token = bot.desk.bot_at(&format!("http://{port}"));
    let request = bot.desk.written_for(Act::Order, 1, &token);
    let (status, body) = say(bot.desk.port(), &request).unwrap();
    let held = (status == 502 && body.contains("cannot be reached") && bot.outcome() == "failed")
        .then_some(())
        .ok_or_else(|| format!("{status} {body}"));
    tally.tried(|| "refused".into(), held);
}

// As slow as a venue may be, and slower: what it does after we have given up waiting is what the log does not know.
#[test]
fn a_venue_that_is_too_slow_is_not_waited_for_and_not_asked_again() {
    let mut tally = Tally::new(
        "S-04 S-09",
        "a venue that is slow, or says a byte at a time",
    );
    let desk = Desk::set(Home::new(None));
    assert_eq!(desk.ask(Act::Order, 1).unwrap().0, 200);
    let drips: Answering = Arc::new(|stream| {
        let mut head = b"HTTP/1.1 200 OK\r\nX-A: ".to_vec();
        head.extend(vec![b'a'; 600]);
        for byte in head {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    let silent: Answering = Arc::new(|_| thread::sleep(Duration::from_secs(40)));
    let (drips, silent) = (Odd::open(drips), Odd::open(silent));
    let (at_drips, at_silent) = (desk.bot_at(&drips.url), desk.bot_at(&silent.url));
    desk.venue
        .fault(&json!({ "next": { "delay_ms": 2000 }, "path": "/api/v3/order" }));
    let answer = desk.ask(Act::Order, 2);
    let held = matches!(answer, Some((200, _)))
        .then_some(())
        .ok_or_else(|| format!("{answer:?}"));
    tally.tried(|| "2 s".into(), held);
    let last = desk.last_row();
    let answers = thread::scope(|scope| {
        let asks = [at_drips, at_silent].map(|token| {
            let (port, order) = (desk.port(), desk.written_for(Act::Order, 3, &token));
            scope.spawn(move || say(port, &order))
        });
        asks.map(|ask| ask.join().unwrap())
    });
    for (what, answer) in ["a byte at a time", "40 s"].into_iter().zip(answers) {
        let told = answer
            .as_ref()
            .is_some_and(|(status, body)| *status == 504 && body.contains("not known"));
        tally.tried(
            || what.into(),
            told.then_some(()).ok_or_else(|| format!("{answer:?}")),
        );
    }
    let rows = desk.rows(last).outcomes;
    let unknown = rows.iter().filter(|row| row.decision == "unknown").count();
    let held = ((drips.got(), silent.got()) == (1, 1) && rows.len() == 2 && unknown == 2)
        .then_some(())
        .ok_or_else(|| format!("{} {} {rows:?}", drips.got(), silent.got()));
    tally.tried(|| "the log".into(), held);
}

// The connection is there from a request before, and ends as the second one is read: only one that was not written may be
// written again.
#[test]
fn a_connection_that_ends_under_a_request_does_not_bring_it_again() {
    let mut tally = Tally::new("S-04", "connections that end under an order");
    let rounds = if soak() == 0 { 20 } else { 500 };
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let odd = Arc::<AtomicUsize>::default();
    let turn = Arc::clone(&odd);
    let bot = Bot::at(Arc::new(move |stream| {
        if turn.fetch_add(1, Ordering::SeqCst) % 2 == 0 {
            let _gone = stream.write_all(good.as_bytes());
        } else {
            let _gone = stream.shutdown(std::net::Shutdown::Both);
        }
    }));
    for round in 1..=rounds {
        let (first, second) = (bot.order(round * 2), bot.order(round * 2 + 1));
        let (first, second) = (first.map(|(s, _)| s), second.map(|(s, _)| s));
        let (got, round) = (bot.odd.got() as u64, round * 2);
        let held = (first == Some(200) && second == Some(504) && got == round)
            .then_some(())
            .ok_or_else(|| format!("{first:?} {second:?}, {got} arrived of {round}"));
        tally.tried(|| format!("order {round}"), held);
    }
}

// An answer to a question that nobody asked is not the answer to the next one.
#[test]
fn an_answer_too_many_is_nobodys() {
    let mut tally = Tally::new("S-08 S-09", "a venue that answers twice");
    let own = |n: usize| {
        let body = format!("{{\"own\":{n}}}");
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let count = AtomicUsize::new(0);
    let bot = Bot::at(Arc::new(move |stream| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let both = format!(
            "{}HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{{\"forged\":1}}",
            own(n)
        );
        let _gone = stream.write_all(both.as_bytes());
    }));
    for n in 0..20 {
        let answer = bot.order(n + 1);
        let held = (answer == Some((200, format!("{{\"own\":{n}}}"))))
            .then_some(())
            .ok_or_else(|| format!("{answer:?}"));
        tally.tried(|| format!("order {n}"), held);
    }
}

#[test]
fn a_long_answer_and_one_that_unfolds_pass_through_a_small_agent() {
    let mut tally = Tally::new(
        "S-09",
        "answers of 100 MB, and of 1 MB that unfold to 256 MB",
    );
    const LONG: usize = 100 << 20;
    let long: Answering = Arc::new(|stream| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LONG}\r\n\r\n");
        let _gone = stream.write_all(head.as_bytes());
        let part = vec![b' '; 1 << 20];
        for _ in 0..LONG >> 20 {
            if stream.write_all(&part).is_err() {
                return;
            }
        }
    });
    let bot = Bot::at(long);
    let pid = bot.desk.home.agent_pid();
    let before = resident(pid);
    let request = bot.desk.written_for(Act::Order, 1, &bot.token);
    let mut stream = TcpStream::connect(("127.0.0.1", bot.desk.port())).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    // A bot that does not read: what it does not take is not kept for it either.
    thread::sleep(Duration::from_secs(1));
    let grown = resident(pid).saturating_sub(before);
    let mut taken = 0;
    let mut part = vec![0; 1 << 20];
    while let Ok(n @ 1..) = stream.read(&mut part) {
        taken += n;
    }
    let held = (grown < MOST_KIB && taken > LONG && peak(pid).saturating_sub(before) < MOST_KIB)
        .then_some(())
        .ok_or_else(|| {
            format!(
                "{grown} KiB more, {} at most, {taken} bytes taken",
                peak(pid)
            )
        });
    tally.tried(|| "100 MB".into(), held);

    let folded = gzip_of_zeros();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        folded.len()
    );
    let whole = [head.into_bytes(), folded.clone()].concat();
    let bot = Bot::at(Arc::new(move |stream| {
        let _gone = stream.write_all(&whole);
    }));
    let pid = bot.desk.home.agent_pid();
    let before = resident(pid);
    let request = bot.desk.written_for(Act::Order, 1, &bot.token);
    let mut stream = TcpStream::connect(("127.0.0.1", bot.desk.port())).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let held = (answer.ends_with(&folded) && peak(pid).saturating_sub(before) < MOST_KIB)
        .then_some(())
        .ok_or_else(|| format!("{} bytes, {} KiB more", answer.len(), peak(pid)));
    tally.tried(|| "folded".into(), held);
    tally.saw(format!("the agent grew by {grown} KiB while 100 MB waited"));
}

// 256 MB of zeros, folded to about 1 MB by another program.
fn gzip_of_zeros() -> Vec<u8> {
    let done = std::process::Command::new("sh")
        .args(["-c", "head -c 256M /dev/zero | gzip -1"])
        .output()
        .unwrap();
    assert!(done.status.success());
    done.stdout
}
