//! A person at a front end: approves or refuses, types PINs and passphrases, touches the card.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};
use touchkeep_client::{Event, FrontEnd, Paths};
use touchkeep_wire::{Answer, Prompt, Question, Scope, SecretText};

/// How the person answers.
#[derive(Debug, Clone)]
pub struct Mind {
    /// To requests: approve, or refuse.
    pub approves: bool,
    /// To requests, where they are approved: for how many minutes to those like it as well, where that is offered.
    pub for_minutes: Option<u32>,
    /// To programs that ask for values, where they are approved: for how much.
    pub allows: Scope,
    /// Whether a blinking key is touched.
    pub touches: bool,
    /// The PIN that is typed.
    pub pin: String,
    /// The PIN that is chosen; the present one where empty.
    pub new_pin: String,
    /// The PUK that is typed.
    pub puk: String,
    /// The passphrase that is typed.
    pub passphrase: String,
    /// The words of the recovery kit that are typed; refused where empty.
    pub words: String,
}

impl Default for Mind {
    fn default() -> Self {
        Self {
            approves: true,
            for_minutes: None,
            allows: Scope::Once,
            touches: true,
            pin: "294173".into(),
            new_pin: String::new(),
            puk: "58203917".into(),
            passphrase: "correct horse battery staple".into(),
            words: String::new(),
        }
    }
}

/// A person at a front end of one home.
#[derive(Debug)]
pub struct Person {
    /// Can be changed at any time.
    pub mind: Arc<Mutex<Mind>>,
    asked: Arc<Mutex<Vec<Prompt>>>,
    fingers: Arc<()>,
    thread: Option<std::thread::JoinHandle<()>>,
    leave: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Person {
    /// Sits down, with a card in reach or without.
    #[must_use]
    pub fn sit_down(paths: &Paths, card: Option<&Path>) -> Self {
        let mind = Arc::new(Mutex::new(Mind::default()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let fingers = Arc::new(());
        let on_the_key = Arc::clone(&fingers);
        let (leave, left) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (of_thread, heard, socket, card) = (
            Arc::clone(&mind),
            Arc::clone(&asked),
            paths.ui_socket(),
            card.map(Path::to_path_buf),
        );
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let front = FrontEnd::connect(&socket, "person").await.unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    () = answer(front, of_thread, heard, card, on_the_key) => {}
                    _ = left => {}
                }
            });
        });
        is_ready.recv().unwrap();
        Self {
            mind,
            asked,
            fingers,
            thread: Some(thread),
            leave: Some(leave),
        }
    }

    /// Will not touch the key any more, and has taken the finger off it.
    pub fn take_hands_off(&self) {
        self.mind.lock().unwrap().touches = false;
        // One is ours, one waits for the next question.
        crate::wait_for("the finger to leave the key", || {
            (Arc::strong_count(&self.fingers) <= 2).then_some(())
        });
    }

    /// Everything that was asked so far.
    #[must_use]
    pub fn was_asked(&self) -> Vec<Prompt> {
        self.asked.lock().unwrap().clone()
    }

    /// The programs among it that asked for values.
    #[must_use]
    pub fn uses(&self) -> Vec<touchkeep_wire::UseRequest> {
        let of = |prompt: Prompt| match prompt.question {
            Question::Use(request) => Some(request),
            _ => None,
        };
        self.was_asked().into_iter().filter_map(of).collect()
    }

    /// The requests among it, in words.
    #[must_use]
    pub fn requests(&self) -> Vec<touchkeep_wire::Approval> {
        let approval = |prompt: Prompt| match prompt.question {
            Question::Approval(approval) => Some(approval),
            _ => None,
        };
        self.was_asked().into_iter().filter_map(approval).collect()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        drop(self.leave.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

async fn answer(
    front: FrontEnd,
    mind: Arc<Mutex<Mind>>,
    asked: Arc<Mutex<Vec<Prompt>>>,
    card: Option<PathBuf>,
    fingers: Arc<()>,
) {
    let (answers, mut events) = front.split();
    let answers = Arc::new(answers);
    let closed = Arc::new(Mutex::new(HashSet::new()));
    while let Some(event) = events.next().await {
        let prompt = match event {
            Event::Open(prompt) => prompt,
            Event::Close(prompt) => {
                closed.lock().unwrap().insert(prompt.prompt);
                continue;
            }
            _ => continue,
        };
        asked.lock().unwrap().push((*prompt).clone());
        let mind = mind.lock().unwrap().clone();
        let answer = match &prompt.question {
            Question::Approval(approval) if mind.approves => yes(approval, mind.for_minutes),
            Question::Approval(_) => Answer::Refuse {},
            Question::Use(_) if mind.approves => Answer::Allow { scope: mind.allows },
            Question::Use(_) => Answer::Refuse {},
            Question::Pin { .. } => Answer::Secret {
                value: SecretText::new(mind.pin),
            },
            Question::Puk { .. } => Answer::Secret {
                value: SecretText::new(mind.puk),
            },
            Question::NewPin { which, .. } if which == "PUK" => Answer::Secret {
                value: SecretText::new(mind.puk),
            },
            Question::NewPin { .. } => Answer::Secret {
                value: SecretText::new(if mind.new_pin.is_empty() {
                    mind.pin
                } else {
                    mind.new_pin
                }),
            },
            Question::Passphrase { .. } | Question::NewPassphrase { .. } => Answer::Secret {
                value: SecretText::new(mind.passphrase),
            },
            Question::Words { .. } if mind.words.is_empty() => Answer::Refuse {},
            Question::Words { .. } => Answer::Secret {
                value: SecretText::new(mind.words),
            },
            Question::Touch { .. } => {
                if let (true, Some(card)) = (mind.touches, card.clone()) {
                    // Several keys may be used under one question: it is over when the agent says so.
                    for which in 1..=2 {
                        let (id, closed) = (prompt.id, Arc::clone(&closed));
                        let (finger, card) = (Arc::clone(&fingers), card.clone());
                        tokio::spawn(async move {
                            let _on_the_key = finger;
                            while !closed.lock().unwrap().contains(&id) && touch(&card, which).await
                            {
                            }
                        });
                    }
                }
                continue;
            }
        };
        let (answers, id) = (Arc::clone(&answers), prompt.id);
        // Faster than a person may be; the agent has to bear it, or refuse and be asked again.
        tokio::spawn(async move {
            let _closed = answers.answer(id, answer).await;
        });
    }
}

fn yes(approval: &touchkeep_wire::Approval, for_minutes: Option<u32>) -> Answer {
    let digest = approval.digest.clone();
    match for_minutes.filter(|_| approval.more.is_some()) {
        Some(minutes) => Answer::ApproveFor { digest, minutes },
        None => Answer::Approve { digest },
    }
}

// Whether there is such a card to be touched again.
async fn touch(control: &Path, card: u8) -> bool {
    let (read, mut write) = UnixStream::connect(control).await.unwrap().into_split();
    let touch = format!("{{\"do\":\"touch\",\"wait_ms\":500,\"card\":{card}}}\n");
    write.write_all(touch.as_bytes()).await.unwrap();
    let answer = BufReader::new(read).lines().next_line().await;
    !matches!(answer, Ok(Some(answer)) if answer.contains("no such card"))
}

/// One line to a card's control socket, one line back.
#[must_use]
pub(crate) fn ask_card(control: &Path, what: &Value) -> Value {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(control).unwrap();
    writeln!(stream, "{what}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}
