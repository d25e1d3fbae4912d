//! Questions on the terminal: PINs, passphrases, touches, and requests that want a person's word.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use touchkeep_client::{Connection, Event, front_end::Events};
use touchkeep_core::{Clock, PromptId, SystemClock, UnixMillis, text::visible};
use touchkeep_wire::{Answer, Approval, Prompt, Question, Scope, SecretText, UseRequest};
use zeroize::Zeroizing;

use crate::{
    output::{Output, Style},
    terminal::{Echo, Line, Terminal},
};

/// A key pressed sooner than this after a request appeared was meant for something else.
const INPUT_GUARD: Duration = Duration::from_millis(600);

/// The word that approves. A word, because a single key is pressed by accident.
const APPROVE: &str = "approve";

/// Which questions are answered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    /// What a command of ours brings up: PINs and passphrases, and whether the program that started it may have a value.
    /// What other programs ask for stays for whoever watches them.
    OwnOnly,
    /// Everything.
    Everything,
}

/// Answers PIN, passphrase and touch questions until the connection ends.
pub(crate) async fn answer_secrets(answers: Connection, events: Events, output: Output) {
    watch(answers, events, output, Answering::OwnOnly, false).await;
}

/// Answers everything until the connection ends, or after one request with `once`. Returns whether the last one was approved.
pub(crate) async fn answer_everything(
    answers: Connection,
    events: Events,
    output: Output,
    once: bool,
) -> bool {
    watch(answers, events, output, Answering::Everything, once).await
}

async fn watch(
    answers: Connection,
    mut events: Events,
    output: Output,
    answering: Answering,
    once: bool,
) -> bool {
    let answers = Arc::new(answers);
    // One question at a time has the terminal; the others queue behind it.
    let terminal = Arc::new(tokio::sync::Mutex::new(()));
    let mut open = Open::default();
    let mut requests: HashMap<PromptId, ()> = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Open(prompt) => {
                let is_request =
                    matches!(prompt.question, Question::Approval(_) | Question::Use(_));
                if is_request && answering == Answering::OwnOnly && !is_own(&prompt.question) {
                    continue;
                }
                if let Question::Touch { device, why } = &prompt.question {
                    output.say(&format!(
                        "{} {} whenever it blinks: {}",
                        output.err(Style::Warn, "Touch"),
                        visible(device),
                        visible(why)
                    ));
                    continue;
                }
                if is_request {
                    requests.insert(prompt.id, ());
                }
                let stop = Arc::new(AtomicBool::new(false));
                open.0.insert(prompt.id, Arc::clone(&stop));
                let (answers, terminal) = (Arc::clone(&answers), Arc::clone(&terminal));
                tokio::spawn(async move {
                    let _turn = terminal.lock().await;
                    let id = prompt.id;
                    let asked =
                        tokio::task::spawn_blocking(move || ask(&prompt, &stop, output)).await;
                    if let Ok(Some(answer)) = asked
                        && let Err(error) = answers.answer(id, answer).await
                    {
                        output.say(&error.failure().what);
                    }
                });
            }
            Event::Close(closed) => {
                if let Some(stop) = open.0.remove(&closed.prompt) {
                    stop.store(true, Ordering::Relaxed);
                }
                if requests.remove(&closed.prompt).is_some() {
                    let approved = matches!(closed.outcome.as_str(), "approved" | "allowed");
                    let style = if approved { Style::Good } else { Style::Bad };
                    output.say(&format!("  {}\n", output.err(style, &closed.outcome)));
                    if once {
                        return approved;
                    }
                }
            }
            _ => {} // something that this front end does not show
        }
    }
    false
}

// Questions on the terminal. Whoever stops watching takes them back, so that the terminal is as it was.
#[derive(Default)]
struct Open(HashMap<PromptId, Arc<AtomicBool>>);

impl Drop for Open {
    fn drop(&mut self) {
        for stop in self.0.values() {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Asks one question. `None` where there is nobody to ask, or somebody else was first.
pub(crate) fn ask(prompt: &Prompt, stop: &AtomicBool, output: Output) -> Option<Answer> {
    let terminal = Terminal::open().ok()?;
    let until = deadline(prompt.deadline);
    match &prompt.question {
        Question::Approval(approval) => ask_approval(&terminal, approval, stop, until, output),
        Question::Use(request) => ask_use(&terminal, request, stop, until, output),
        Question::Pin {
            device,
            why,
            tries_left,
        } => {
            let left = tries_left
                .map(|n| format!(", {n} tries left"))
                .unwrap_or_default();
            ask_secret(
                &terminal,
                &format!("PIN of {} ({}{left}): ", visible(device), visible(why)),
                stop,
                until,
            )
        }
        Question::Puk {
            device,
            why,
            tries_left,
        } => {
            let left = tries_left
                .map(|n| format!(", {n} tries left"))
                .unwrap_or_default();
            ask_secret(
                &terminal,
                &format!("PUK of {} ({}{left}): ", visible(device), visible(why)),
                stop,
                until,
            )
        }
        Question::Passphrase { why } => ask_secret(
            &terminal,
            &format!("Passphrase ({}): ", visible(why)),
            stop,
            until,
        ),
        Question::NewPin { device, which } => {
            let label = format!(
                "New {} for {} (6 to 8 characters): ",
                visible(which),
                visible(device)
            );
            ask_twice(&terminal, &label, stop, until)
        }
        Question::NewPassphrase {} => ask_twice(&terminal, "New passphrase: ", stop, until),
        Question::Touch { .. } => None,
    }
}

// Whether a command of this process brought the question up.
fn is_own(question: &Question) -> bool {
    matches!(question, Question::Use(request) if request.pid == std::process::id())
}

fn ask_secret(
    terminal: &Terminal,
    label: &str,
    stop: &AtomicBool,
    until: Instant,
) -> Option<Answer> {
    terminal.ask(label);
    match terminal
        .read_line(Echo::Dots, stop, Some(until), |_, _| {})
        .ok()?
    {
        Line::Typed(value) => Some(secret(value)),
        Line::Cancelled => Some(Answer::Refuse {}),
        Line::Ended => None,
    }
}

fn ask_twice(
    terminal: &Terminal,
    label: &str,
    stop: &AtomicBool,
    until: Instant,
) -> Option<Answer> {
    loop {
        let read = |label: &str| {
            terminal.ask(label);
            terminal
                .read_line(Echo::Dots, stop, Some(until), |_, _| {})
                .ok()
        };
        let (first, again) = match read(label)? {
            Line::Typed(first) => (first, read("Once more: ")?),
            Line::Cancelled => return Some(Answer::Refuse {}),
            Line::Ended => return None,
        };
        match again {
            Line::Typed(second) if first == second => return Some(secret(first)),
            Line::Typed(_) => terminal.write("They differ. Again.\r\n"),
            Line::Cancelled => return Some(Answer::Refuse {}),
            Line::Ended => return None,
        }
    }
}

fn secret(mut typed: Zeroizing<String>) -> Answer {
    Answer::Secret {
        value: SecretText::new(std::mem::take(&mut *typed)),
    }
}

fn ask_approval(
    terminal: &Terminal,
    approval: &Approval,
    stop: &AtomicBool,
    until: Instant,
    output: Output,
) -> Option<Answer> {
    terminal.write(&describe(approval, output));
    terminal.settle(INPUT_GUARD);
    let label = |terminal: &Terminal, typed: usize| {
        if typed == 0 {
            let left = until.saturating_duration_since(Instant::now()).as_secs();
            terminal.write(&format!("\r  Type {APPROVE} to go on, Esc or Enter to refuse (refuses by itself in {left:>2} s): "));
        }
    };
    label(terminal, 0);
    match terminal
        .read_line(Echo::Shown, stop, Some(until), label)
        .ok()?
    {
        Line::Typed(word) if word.trim() == APPROVE => Some(Answer::Approve {
            digest: approval.digest.clone(),
        }),
        Line::Typed(_) | Line::Cancelled => Some(Answer::Refuse {}),
        Line::Ended => None,
    }
}

/// A request in words, for a terminal. Everything from outside is made visible.
pub(crate) fn describe(approval: &Approval, output: Output) -> String {
    let mut text = String::from("\r\n");
    let mut line = |s: &str| {
        text.push_str("  ");
        text.push_str(s);
        text.push_str("\r\n");
    };
    if approval.practice {
        line(&output.err(Style::Warn, "PRACTICE: no real money"));
    }
    line(&output.err(Style::Strong, &visible(&approval.sentence)));
    for (name, value) in &approval.facts {
        line(&format!("{:<12} {}", visible(name), visible(value)));
    }
    for unusual in &approval.unusual {
        line(&output.err(Style::Warn, &format!("unusual      {}", visible(unusual))));
    }
    line(&format!("{:<12} {}", "asked by", visible(&approval.client)));
    for process in &approval.process {
        line(&output.err(Style::Quiet, &format!("{:<12} {}", "", visible(process))));
    }
    line(&format!("{:<12} {}", "key", visible(&approval.key)));
    line(&format!("{:<12} {}", "rule", visible(&approval.rule)));
    if approval.touch {
        line("Then touch the key.");
    }
    text.push_str("\r\n");
    text
}

fn ask_use(
    terminal: &Terminal,
    request: &UseRequest,
    stop: &AtomicBool,
    until: Instant,
    output: Output,
) -> Option<Answer> {
    terminal.write(&describe_use(request, output));
    terminal.settle(INPUT_GUARD);
    let words: Vec<&str> = request.scopes.iter().map(|scope| word(*scope)).collect();
    let words = words.join(", ");
    let label = |terminal: &Terminal, typed: usize| {
        if typed == 0 {
            let left = until.saturating_duration_since(Instant::now()).as_secs();
            terminal.write(&format!(
                "\r  Type {words}; Esc or Enter refuses (refuses by itself in {left:>2} s): "
            ));
        }
    };
    label(terminal, 0);
    match terminal
        .read_line(Echo::Shown, stop, Some(until), label)
        .ok()?
    {
        Line::Typed(typed) => {
            let meant = |scope: &&Scope| word(**scope) == typed.trim();
            let scope = request.scopes.iter().find(meant).copied();
            Some(scope.map_or(Answer::Refuse {}, |scope| Answer::Allow { scope }))
        }
        Line::Cancelled => Some(Answer::Refuse {}),
        Line::Ended => None,
    }
}

const fn word(scope: Scope) -> &'static str {
    match scope {
        Scope::Once => "once",
        Scope::Process => "process",
        Scope::Terminal => "terminal",
    }
}

/// A program that asks for values, in words, for a terminal.
pub(crate) fn describe_use(request: &UseRequest, output: Output) -> String {
    let mut text = String::from("\r\n");
    let mut line = |name: &str, value: &str| {
        text.push_str(format!("  {name:<12} {value}").trim_end());
        text.push_str("\r\n");
    };
    if request.practice {
        line(&output.err(Style::Warn, "PRACTICE"), "");
    }
    line(&output.err(Style::Strong, &visible(&request.sentence)), "");
    for (at, value) in request.values.iter().enumerate() {
        line(if at == 0 { "values" } else { "" }, &visible(value));
    }
    line("purpose", &visible(&request.purpose));
    for unusual in &request.unusual {
        line("unusual", &output.err(Style::Warn, &visible(unusual)));
    }
    line("program", &visible(&request.executable));
    for (at, process) in request.process.iter().enumerate() {
        let process = output.err(Style::Quiet, &visible(process));
        line(if at == 0 { "processes" } else { "" }, &process);
    }
    if !request.place.is_empty() {
        line("runs in", &visible(&request.place));
    }
    if let [_, more @ ..] = request.scopes.as_slice()
        && !more.is_empty()
    {
        let what = if more.contains(&Scope::Terminal) {
            "`process` and `terminal` hold"
        } else {
            "`process` holds"
        };
        line(
            "",
            &format!("{what} for {} min, or until the lock.", request.minutes),
        );
    }
    text.push_str("\r\n");
    text
}

fn deadline(at: UnixMillis) -> Instant {
    Instant::now() + Duration::from_millis(at.since(SystemClock.now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_moves_no_cursor() {
        let approval = Approval {
            sentence: "Withdraw 1 BTC".into(),
            operation: "withdraw".into(),
            facts: vec![("to".into(), "bc1q\u{1b}[2K\u{202e}x".into())],
            unusual: vec![],
            client: "bot\r\nkey".into(),
            process: vec![],
            key: "money".into(),
            rule: "withdrawals".into(),
            touch: true,
            digest: String::new(),
            practice: false,
        };
        let shown = describe(&approval, Output::new(true));
        assert!(shown.contains("bc1q\\u{1b}[2K\\u{202e}x"), "{shown}");
        assert!(shown.contains("bot\\u{d}\\u{a}key"), "{shown}");
    }
}
