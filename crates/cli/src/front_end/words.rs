//! Questions in words, for a terminal. Everything from outside was made visible by the agent, which is made sure of here; and
//! none of it can stand where our own words stand: a value that is longer than its line goes on below itself, never at the
//! left.

use touchkeep_core::text::surely_visible as visible;
use touchkeep_wire::{Approval, Scope, UseRequest};

use crate::{
    layout,
    output::{Output, Style},
};

/// Columns in front of every line.
const MARGIN: usize = 2;
/// Columns of a name, with the gap behind it: as many as leave a fingerprint on one line of a small terminal.
const NAME: usize = 14;
/// A value beside its name has so many columns at least. Where there is no room for that it stands below it.
const LEAST: usize = 20;
/// Columns in front of a value that stands below its name.
const BELOW: usize = 2;
/// No line is shorter.
const SHORTEST: usize = 4;

/// Where a request stands among those that wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its number.
    pub(crate) number: u32,
    /// How many more wait.
    pub(crate) behind: usize,
}

struct Page {
    text: String,
    width: usize,
    // Where values begin.
    column: usize,
    output: Output,
    lines: usize,
}

impl Page {
    fn new(output: Output) -> Self {
        let width = layout::room(std::io::stderr());
        Self::of(width.unwrap_or(layout::USUAL_WIDTH), output)
    }

    fn of(width: usize, output: Output) -> Self {
        Self {
            text: String::new(),
            width,
            column: match width < MARGIN + NAME + LEAST {
                true => BELOW,
                false => NAME,
            },
            output,
            lines: 0,
        }
    }

    // Text of several lines, at the left.
    fn heading(&mut self, style: Style, text: &str) {
        for chunk in chunks(text, self.room(0)) {
            self.line("", &self.output.err(style, &chunk), 0);
        }
    }

    fn row(&mut self, name: &str, style: Option<Style>, value: &str) {
        // A name that leaves no gap has a line of its own, or its end would read as the value's beginning.
        let name = if name.chars().count() < self.column {
            name
        } else {
            self.heading(Style::Quiet, name);
            ""
        };
        for (at, chunk) in chunks(value, self.room(self.column))
            .into_iter()
            .enumerate()
        {
            let chunk = style.map_or_else(|| chunk.clone(), |style| self.output.err(style, &chunk));
            self.line(if at == 0 { name } else { "" }, &chunk, self.column);
        }
    }

    fn room(&self, column: usize) -> usize {
        self.width.saturating_sub(MARGIN + column).max(SHORTEST)
    }

    fn unusual(&mut self, all: &[String]) {
        for (at, one) in all.iter().enumerate() {
            let name = if at == 0 { "Unusual" } else { "" };
            self.row(name, Some(Style::Warn), &visible(one));
        }
    }

    fn line(&mut self, name: &str, value: &str, column: usize) {
        let name = format!("{:MARGIN$}{name:<column$}", "");
        self.text.push_str(format!("{name}{value}").trim_end());
        self.text.push_str("\r\n");
        self.lines += 1;
    }

    fn blank(&mut self) {
        self.text.push_str("\r\n");
        self.lines += 1;
    }
}

// A text in pieces of at most `room` columns, broken behind a blank where one is near the end. Nothing is left out. What is
// not ASCII may take two columns.
fn chunks(text: &str, room: usize) -> Vec<String> {
    let mut all = Vec::new();
    let (mut line, mut taken) = (String::new(), 0);
    for c in text.chars() {
        let columns = if c.is_ascii() { 1 } else { 2 };
        if taken + columns > room {
            let kept = match line.rfind(' ') {
                Some(at) if at + 1 > line.len() / 2 => line.split_off(at + 1),
                _ => String::new(),
            };
            taken = kept.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum();
            all.push(std::mem::replace(&mut line, kept));
        }
        line.push(c);
        taken += columns;
    }
    all.push(line);
    all
}

/// A request in words.
pub(crate) fn describe(approval: &Approval, place: Option<Place>, output: Output) -> String {
    described(Page::new(output), approval, place)
}

fn described(mut page: Page, approval: &Approval, place: Option<Place>) -> String {
    page.blank();
    if let Some(place) = place {
        let of = match place.behind {
            0 => String::new(),
            n => format!(", the first of {} that wait", n + 1),
        };
        page.heading(Style::Quiet, &format!("Request {}{of}", place.number));
    }
    if approval.practice {
        page.heading(Style::Warn, "PRACTICE: no real money");
    }
    page.heading(Style::Strong, &visible(&approval.sentence));
    if !approval.again.is_empty() {
        let again = format!("{}. Is it a replay?", visible(&approval.again));
        page.row("AGAIN", Some(Style::Bad), &again);
    }
    page.unusual(&approval.unusual);
    let mut last = "";
    for (name, value) in &approval.facts {
        let shown = if name == last { "" } else { name.as_str() };
        page.row(&visible(shown), None, &visible(value));
        last = name;
    }
    page.row("Asked by", None, &visible(&approval.client));
    who(
        &mut page,
        &approval.executable,
        &approval.process,
        &approval.place,
    );
    let kept = match approval.kept.as_str() {
        "" => String::new(),
        kept => format!(" ({})", visible(kept)),
    };
    page.row("Key", None, &format!("{}{kept}", visible(&approval.key)));
    page.row("Rule", None, &visible(&approval.rule));
    page.row(
        "Fingerprint",
        Some(Style::Quiet),
        &visible(&approval.digest),
    );
    if page.lines > layout::height(std::io::stderr()).unwrap_or(usize::MAX) {
        page.blank();
        page.heading(Style::Strong, &visible(&approval.sentence));
    }
    page.blank();
    page.text
}

fn who(page: &mut Page, executable: &str, processes: &[String], place: &str) {
    if !executable.is_empty() {
        page.row("Program", None, &visible(executable));
    }
    for (at, process) in processes.iter().enumerate() {
        let name = if at == 0 { "Processes" } else { "" };
        page.row(name, Some(Style::Quiet), &visible(process));
    }
    if !place.is_empty() {
        page.row("Runs in", None, &visible(place));
    }
}

/// What can be answered to a request, and what each means.
pub(crate) fn choices(approval: &Approval, behind: usize, output: Output) -> String {
    let mut page = Page::new(output);
    let then = if approval.touch {
        "this request alone; then the key is to be touched, or the passphrase typed"
    } else {
        "this request alone"
    };
    page.row("approve", None, then);
    if let Some(more) = &approval.more {
        let minutes: Vec<String> = more.minutes.iter().map(ToString::to_string).collect();
        let what = format!(
            "the same, and for as many minutes ({}) without being asked: {}; {} times at most, from this process",
            minutes.join(", "),
            visible(&more.what),
            more.uses
        );
        let least = minutes.first().map_or("", String::as_str);
        page.row(&format!("approve {least}"), None, &what);
    }
    if behind > 0 {
        page.row(
            "next",
            None,
            "look at the next one first; this one stays open",
        );
    }
    page.row("Esc or Enter", None, "refuse, as everything else does");
    page.text
}

/// A program that asks for values, in words.
pub(crate) fn describe_use(request: &UseRequest, place: Option<Place>, output: Output) -> String {
    let mut page = Page::new(output);
    page.blank();
    if let Some(place) = place {
        page.heading(Style::Quiet, &format!("Question {}", place.number));
    }
    if request.practice {
        page.heading(Style::Warn, "PRACTICE");
    }
    page.heading(Style::Strong, &visible(&request.sentence));
    for (at, value) in request.values.iter().enumerate() {
        page.row(if at == 0 { "Values" } else { "" }, None, &visible(value));
    }
    page.row("Purpose", None, &visible(&request.purpose));
    page.unusual(&request.unusual);
    who(
        &mut page,
        &request.executable,
        &request.process,
        &request.place,
    );
    page.blank();
    page.text
}

/// What can be answered to a program that asks for values, and what each means.
pub(crate) fn choices_use(request: &UseRequest, output: Output) -> String {
    let mut page = Page::new(output);
    for scope in &request.scopes {
        let hold = format!("for {} min, or until the lock", request.minutes);
        let what = match scope {
            Scope::Once => "this time alone".to_owned(),
            Scope::Process => format!("this process, {hold}"),
            Scope::Terminal => format!("whatever runs in this terminal, {hold}"),
        };
        page.row(scope_word(*scope), None, &what);
    }
    page.row("Esc or Enter", None, "refuse, as everything else does");
    page.text
}

/// What something is for, and below it what that means in full.
pub(crate) fn in_full(why: &str) -> String {
    let lines: Vec<String> = why.lines().map(visible).collect();
    lines.join("\n  - ")
}

/// The word that gives so much.
pub(crate) const fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Once => "once",
        Scope::Process => "process",
        Scope::Terminal => "terminal",
    }
}

#[cfg(test)]
mod tests {
    use touchkeep_wire::More;

    use super::*;

    fn hostile() -> Approval {
        Approval {
            sentence: "Withdraw 1 BTC".into(),
            operation: "withdraw".into(),
            facts: vec![("to".into(), "bc1q\u{1b}[2K\u{202e}x".into())],
            client: "bot\r\nkey".into(),
            key: "money".into(),
            rule: "withdrawals".into(),
            touch: true,
            ..Approval::default()
        }
    }

    #[test]
    fn a_hostile_name_moves_no_cursor() {
        let shown = describe(&hostile(), None, Output::new(true));
        assert!(shown.contains("bc1q\\u{1b}[2K\\u{202e}x"), "{shown}");
        assert!(shown.contains("bot\\u{d}\\u{a}key"), "{shown}");
    }

    #[test]
    fn a_long_value_stays_in_its_column() {
        let mut long = hostile();
        let forged = format!("x{}  Key           harmless", " ".repeat(300));
        long.facts = vec![("Also sent".into(), forged.clone())];
        long.client = "取".repeat(200);
        let shown = describe(&long, None, Output::new(true));
        let columns =
            |line: &str| -> usize { line.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum() };
        for line in shown.split("\r\n") {
            assert!(columns(line) <= layout::USUAL_WIDTH, "{line:?}");
        }
        let keys = shown.split("\r\n").filter(|line| line.starts_with("  Key"));
        assert_eq!(keys.count(), 1, "{shown}");
        assert_eq!(chunks(&forged, 30).concat(), forged, "nothing is left out");
    }

    #[test]
    fn a_long_name_does_not_run_into_its_value() {
        let mut tagged = hostile();
        tagged.facts = vec![("Destination tag".into(), "1234".into())];
        let shown = describe(&tagged, None, Output::new(true));
        let lines = format!("\r\n  Destination tag\r\n{:16}1234\r\n", "");
        assert!(shown.contains(&lines), "{shown}");
    }

    #[test]
    fn a_fingerprint_has_one_line_of_a_small_terminal() {
        let mut whole = hostile();
        whole.digest = "0123456789abcdef".repeat(4);
        let shown = describe(&whole, None, Output::new(true));
        let line = format!("\r\n  Fingerprint   {}\r\n", whole.digest);
        assert!(shown.contains(&line), "{shown}");
    }

    #[test]
    fn a_narrow_terminal_has_nothing_at_its_left_but_our_words_either() {
        let mut request = hostile();
        request.facts = vec![("Destination".into(), "Key approve Esc refuse ".repeat(5))];
        for width in [24, 30, 35] {
            let shown = described(Page::of(width, Output::new(true)), &request, None);
            let lines: Vec<&str> = shown.split("\r\n").collect();
            let at = lines
                .iter()
                .position(|line| *line == "  Destination")
                .unwrap();
            let value = lines[at + 1..]
                .iter()
                .take_while(|line| line.starts_with("    "));
            let value: Vec<&str> = value.map(|line| line.trim_start()).collect();
            assert!(value.join(" ").contains("refuse Key approve"), "{shown}");
            let longest = lines.iter().map(|line| line.chars().count()).max();
            assert!(longest <= Some(width), "{width}: {shown}");
        }
    }

    #[test]
    fn what_may_be_answered_about_a_value_stands_in_lines_with_what_it_means() {
        let request = UseRequest {
            sentence: "sh asks for prod/openai: secret".into(),
            values: vec![],
            purpose: "to print it".into(),
            client: "sh".into(),
            executable: String::new(),
            process: vec![],
            place: String::new(),
            unusual: vec![],
            scopes: vec![Scope::Once, Scope::Terminal],
            minutes: 60,
            practice: false,
            pid: 1,
        };
        assert_eq!(
            choices_use(&request, Output::new(true)),
            "  once          this time alone\r\n  \
             terminal      whatever runs in this terminal, for 60 min, or until the lock\r\n  \
             Esc or Enter  refuse, as everything else does\r\n"
        );
    }

    #[test]
    fn the_same_again_is_said_loudly_and_what_a_yes_may_cover_in_words() {
        let mut again = hostile();
        again.again = "exactly the same was asked for once within the hour, last 5 s ago".into();
        again.more = Some(More {
            what: "buy up to 1 BTCUSDT".into(),
            minutes: vec![5, 15],
            uses: 20,
        });
        let shown = describe(
            &again,
            Some(Place {
                number: 7,
                behind: 2,
            }),
            Output::new(true),
        );
        assert!(
            shown.contains("AGAIN") && shown.contains("replay"),
            "{shown}"
        );
        assert!(
            shown.contains("Request 7, the first of 3 that wait"),
            "{shown}"
        );
        let choices = choices(&again, 2, Output::new(true));
        assert!(choices.contains("approve 5") && choices.contains("buy up to 1 BTCUSDT"));
        assert!(choices.contains("next"));
    }
}
