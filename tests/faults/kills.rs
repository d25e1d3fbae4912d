//! The agent is killed at each system call between the arrival of one request and its answer: S-02, S-04 and S-07.
//!
//! What the venue has in its own record, and what the log says after a new start, must fit: nothing arrived that was not
//! recorded first, nothing arrived twice, and what nobody knows is called unknown.

use std::{fs, thread, time::Duration};

use touchkeep_tests::{Home, wait_for};
use touchkeep_wire::AuditRow;

use crate::{
    desk::{Act, Desk, Rows},
    tally::{Draw, Tally, soak},
};

/// What was seen of one request after the agent's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    /// Neither recorded nor arrived.
    Before,
    /// Recorded, not arrived, and the log says that it does not know.
    Recorded,
    /// Arrived, and the log says that it does not know.
    Sent,
    /// Arrived, and the log says so.
    Done,
}

struct Scene {
    desk: Desk,
    act: Act,
    // Of the requests so far: its number, and how often it had arrived when it was judged.
    asked: Vec<(u64, usize)>,
    last_row: u64,
}

#[test]
fn an_order_by_rule() {
    campaign(Act::Order, 10);
}

#[test]
fn an_order_with_a_number_that_only_rises() {
    campaign(Act::Numbered, 10);
}

#[test]
fn a_withdrawal_with_a_yes_and_a_passphrase() {
    campaign(Act::Withdrawal, 12);
}

fn campaign(act: Act, few: usize) {
    let mut scene = Scene::new(act);
    // What the agent does beside it now and then is no part of the way.
    let calls = scene.count_calls().min(scene.count_calls());
    println!("{act:?}: {calls} calls");
    let what = format!("the agent killed at each call that it makes for {act:?}");
    let mut tally = Tally::new("S-02 S-04 S-07", what);
    let points = match soak() {
        0 => {
            // One of each part of the way, so that all of it is seen.
            let mut draw = Draw::new(&format!("{act:?}"));
            let part = |n: usize| n * calls / few + 1..=(n + 1) * calls / few;
            let one = |part: std::ops::RangeInclusive<usize>| draw.some(part.collect(), 1);
            (0..few).map(part).flat_map(one).collect()
        }
        // The threads take turns as they like: some more, in case that this was a short run.
        times => vec![1..=calls + calls / 4; times]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>(),
    };
    let mut seen = Vec::new();
    let mut strike = |at: usize, seen: &mut Vec<(usize, Side)>| {
        let judged = scene.strike(at);
        seen.extend(judged.clone().map(|side| (at, side)));
        tally.tried(
            || format!("{act:?}, call {at} of {calls}"),
            judged.map(drop),
        );
        between(seen, calls)
    };
    let mut next = Some(calls / 2);
    for at in points {
        next = strike(at, &mut seen);
    }
    // Beside other work the agent does more by the way, and comes past the record only later.
    let mut at = calls + calls / 4;
    let is_past = |(_, side): &(usize, Side)| matches!(side, Side::Sent | Side::Done);
    while soak() > 0 && at < 8 * calls && !seen.iter().any(is_past) {
        at += calls / 8;
        next = strike(at, &mut seen);
    }
    // What lies between record and outcome is narrow: it is looked for where none of these was in it.
    for _ in 0..8 {
        let Some(at) = next else { break };
        next = strike(at, &mut seen);
    }
    tally.tried(
        || "all of it, at the end".into(),
        scene.nothing_came_later(),
    );
    let count = |side| seen.iter().filter(|(_, seen)| *seen == side).count();
    tally.saw(format!(
        "{} not recorded, {} recorded and not sent, {} sent and unknown, {} done",
        count(Side::Before),
        count(Side::Recorded),
        count(Side::Sent),
        count(Side::Done)
    ));
    // In a sample it may be missed; `tests/first_light.rs` strikes it by name.
    let seen_between = count(Side::Recorded) > 0 && count(Side::Sent) > 0;
    assert!(count(Side::Before) > 0, "some die before the record");
    assert!(
        soak() == 0 || seen_between,
        "some between record and outcome"
    );
}

// A call between the last one that left nothing and the first one that left all, unless one in between was seen.
fn between(seen: &[(usize, Side)], calls: usize) -> Option<usize> {
    let is_between = |side: Side| matches!(side, Side::Recorded | Side::Sent);
    if seen.iter().any(|(_, side)| is_between(*side)) {
        return None;
    }
    let of = |wanted: Side| move |(at, side): &(usize, Side)| (*side == wanted).then_some(*at);
    let low = seen.iter().filter_map(of(Side::Before)).max().unwrap_or(0);
    let high = seen.iter().filter_map(of(Side::Done)).min();
    Some(low.midpoint(high.unwrap_or(calls + calls / 4)))
}

impl Scene {
    fn new(act: Act) -> Self {
        let mut desk = Desk::set(Home::new(None));
        // The first of all also makes what later ones find: connections, folders, rows.
        assert_eq!(desk.ask(act, 0).unwrap().0, 200, "{}", desk.home.log());
        let last_row = desk.last_row();
        desk.home.kill_agent();
        desk.person = None;
        Self {
            desk,
            act,
            asked: vec![(0, 1)],
            last_row,
        }
    }

    fn report(&self) -> Vec<String> {
        let text = fs::read_to_string(self.desk.home.path("report")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    // Starts an agent that will end at that call, once it is told to count.
    fn start(&mut self, at: usize) {
        let report = self.desk.home.path("report");
        let _none = fs::remove_file(&report);
        let python = std::env::var("TOUCHKEEP_PYTHON").expect("run by ./dev test");
        let strike = concat!(env!("CARGO_MANIFEST_DIR"), "/faults/strike.py");
        let (at, report) = (at.to_string(), report.display().to_string());
        self.desk.start_again(&[&python, strike, &report, &at]);
        self.last_row = self.desk.last_row();
        self.tell();
        wait_for("the count to begin", || {
            self.report().contains(&"armed".to_owned()).then_some(())
        });
    }

    fn tell(&self) {
        let pid = self.desk.home.agent_pid().to_string();
        let told = std::process::Command::new("kill")
            .args(["-USR1", &pid])
            .status();
        assert!(told.unwrap().success());
    }

    // How many calls an undisturbed request makes, up to the row of its outcome.
    fn count_calls(&mut self) -> usize {
        self.start(0);
        let number = self.asked.len() as u64;
        let answer = self.desk.ask(self.act, number);
        assert_eq!(answer.unwrap().0, 200, "{}", self.desk.home.log());
        self.asked.push((number, 1));
        self.tell();
        let calls = wait_for("the count", || {
            let report = self.report();
            report
                .iter()
                .find_map(|line| line.strip_prefix("counted ")?.parse().ok())
        });
        self.end();
        calls
    }

    fn end(&mut self) {
        let _ended = self.desk.home.signal_agent("-TERM");
        self.desk.person = None;
    }

    fn strike(&mut self, at: usize) -> Result<Side, String> {
        self.start(at);
        let before = self.last_row;
        let number = self.asked.len() as u64;
        let answer = self.desk.ask(self.act, number);
        // Where it had fewer calls to make this time, it ends here, after its answer.
        self.end();
        // The venue may still have bytes to read of an agent that is gone.
        thread::sleep(Duration::from_millis(20));
        self.desk.start_again(&[]);
        let judged = self.judge(before, number, answer);
        self.asked
            .push((number, self.desk.arrived(self.act, number).len()));
        self.desk.home.kill_agent();
        self.desk.person = None;
        judged
    }

    fn judge(
        &self,
        before: u64,
        number: u64,
        answer: Option<(u16, String)>,
    ) -> Result<Side, String> {
        let Rows { intents, outcomes } = self.desk.rows(before);
        // Before a withdrawal is put to somebody the venue is asked what is free there: a reading of its own.
        let is_reading = |row: &AuditRow| {
            self.act == Act::Withdrawal && row.item.as_deref() == Some("main-binance-trade")
        };
        let (readings, intents): (Vec<_>, Vec<_>) = intents.into_iter().partition(is_reading);
        let is_of_one = |row: &AuditRow| readings.iter().any(|it| row.of == Some(it.seq));
        let (read, outcomes): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(is_of_one);
        let arrived = self.desk.arrived(self.act, number);
        let told = format!(
            "readings {readings:?}, {read:?}, intents {intents:?}, outcomes {outcomes:?}, arrived {arrived:?}, answer {answer:?}"
        );
        let must =
            |holds: bool, what: &str| holds.then_some(()).ok_or_else(|| format!("{what}: {told}"));
        must(arrived.len() <= 1, "it arrived twice")?;
        must(intents.len() <= 1, "it was recorded twice")?;
        must(
            readings.len() <= 1 && read.len() == readings.len(),
            "a reading has not one outcome",
        )?;
        must(
            arrived.iter().all(|row| row["accepted"] == true),
            "the venue did not take it",
        )?;
        must(self.desk.is_sound(), "the log is not sound")?;
        let answered = answer.as_ref().map(|(status, _)| *status);
        must(
            answered.is_none_or(|status| status == 200),
            "it was answered with an error",
        )?;
        must(
            answered.is_none() || !arrived.is_empty(),
            "it was answered and did not arrive",
        )?;
        let Some(intent) = intents.first() else {
            must(arrived.is_empty(), "it arrived and was not recorded")?;
            must(outcomes.is_empty(), "an outcome of nothing")?;
            return Ok(Side::Before);
        };
        let decided = if self.act == Act::Withdrawal {
            "touched"
        } else {
            "allowed"
        };
        must(intent.decision == decided, "it was not decided so")?;
        must(
            outcomes.len() == 1 && outcomes[0].of == Some(intent.seq),
            "the intent has not one outcome",
        )?;
        match (outcomes[0].decision.as_str(), arrived.is_empty()) {
            ("unknown", true) => Ok(Side::Recorded),
            ("unknown", false) => Ok(Side::Sent),
            ("done", false) => Ok(Side::Done),
            _ => Err(format!("the log says what is not so: {told}")),
        }
    }

    // Nothing that an agent had begun was taken up by a later one.
    fn nothing_came_later(&self) -> Result<(), String> {
        for (number, then) in &self.asked {
            let now = self.desk.arrived(self.act, *number).len();
            // What was on its way when it was judged may have come since.
            if now > 1 || now < *then {
                return Err(format!(
                    "request {number} had arrived {then} times, and has {now}"
                ));
            }
        }
        Ok(())
    }
}
