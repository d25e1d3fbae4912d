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
use touchkeep_wire::{Answer, Approval, Prompt, Question, SecretText};
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
    /// What a command of ours brings up. Requests of other programs stay for whoever watches them.
    SecretsOnly,
    /// Everything.
    Everything,
}

/// Answers PIN, passphrase and touch questions until the connection ends.
pub(crate) async fn answer_secrets(answers: Connection, events: Events, output: Output) {
    watch(answers, events, output, Answering::SecretsOnly, false).await;
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
    let mut open: HashMap<PromptId, Arc<AtomicBool>> = HashMap::new();
    let mut requests: HashMap<PromptId, ()> = HashMap::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Open(prompt) => {
                let is_request = matches!(prompt.question, Question::Approval(_));
                if is_request && answering == Answering::SecretsOnly {
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
                open.insert(prompt.id, Arc::clone(&stop));
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
                if let Some(stop) = open.remove(&closed.prompt) {
                    stop.store(true, Ordering::Relaxed);
                }
                if requests.remove(&closed.prompt).is_some() {
                    let approved = closed.outcome == "approved";
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

/// Asks one question. `None` where there is nobody to ask, or somebody else was first.
pub(crate) fn ask(prompt: &Prompt, stop: &AtomicBool, output: Output) -> Option<Answer> {
    let terminal = Terminal::open().ok()?;
    let until = deadline(prompt.deadline);
    match &prompt.question {
        Question::Approval(approval) => ask_approval(&terminal, approval, stop, until, output),
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
