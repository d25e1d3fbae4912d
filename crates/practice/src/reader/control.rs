//! The control socket: one JSON line asks, one JSON line answers. It is the finger on the key and the hand that pulls
//! it out, and it tells tests what the card has seen.

use super::{
    faults::Order,
    link::Slot,
    pcscd::{Deed, Event},
    presence,
};
use crate::card::{Button, Ledger, Seen};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

/// A question longer than this is not one.
const LONGEST_QUESTION_BYTES: u64 = 64 * 1024;
/// How long pcscd may take to notice that a card came or went.
const PCSCD_PATIENCE: Duration = Duration::from_secs(10);

/// Everything that can be asked about.
pub(super) struct Control {
    /// The first card, and the second if there is one.
    targets: Vec<Target>,
    /// The main thread, which keeps pcscd.
    main: Sender<Event>,
}

/// One card in its slot.
pub(super) struct Target {
    pub(super) button: Arc<Button>,
    pub(super) slot: Arc<Slot>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) serial: u32,
}

/// What is asked, and about which card.
#[derive(Deserialize)]
struct Question {
    #[serde(default = "first")]
    card: usize,
    #[serde(flatten)]
    what: What,
}

fn first() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum What {
    /// Touch the key, if it waits for it now or within `wait_ms`.
    Touch {
        #[serde(default)]
        wait_ms: u64,
    },
    /// What the card has seen.
    State {},
    /// Pull the card out; answered when pcscd has noticed.
    Remove {},
    /// Put the card in; answered when pcscd has noticed.
    Insert {},
    /// Let something go wrong at the Nth command from now.
    At(Order),
    /// End or start pcscd; answered when it is done, and when pcscd sees the cards again.
    Pcscd { then: Deed },
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    state: Option<StateAnswer>,
}

#[derive(Serialize)]
struct StateAnswer {
    serial: u32,
    inserted: bool,
    waiting: bool,
    touches: u64,
    apdus: u64,
    #[serde(flatten)]
    seen: Seen,
}

impl Control {
    /// For these cards, in the order of their readers.
    pub(super) fn new(targets: Vec<Target>, main: Sender<Event>) -> Self {
        Self { targets, main }
    }

    /// Listens at `path` (0600) and answers from a thread of its own.
    pub(super) fn listen(self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // The folder is 0700, so nobody gets in between bind and this.
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let control = Arc::new(self);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let control = Arc::clone(&control);
                // A peer that hangs up only ends its own conversation.
                thread::spawn(move || drop(control.converse(&stream)));
            }
        });
        Ok(())
    }

    fn converse(&self, stream: &UnixStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if reader
                .by_ref()
                .take(LONGEST_QUESTION_BYTES)
                .read_line(&mut line)?
                == 0
            {
                return Ok(());
            }
            let mut answer = serde_json::to_string(&self.answer(&line))?;
            answer.push('\n');
            (&*stream).write_all(answer.as_bytes())?;
        }
    }

    fn answer(&self, line: &str) -> Answer {
        let question: Question = match serde_json::from_str(line) {
            Ok(question) => question,
            Err(error) => return Answer::no(&format!("not understood: {error}")),
        };
        let target = question
            .card
            .checked_sub(1)
            .and_then(|n| self.targets.get(n));
        let Some(target) = target else {
            return Answer::no("there is no such card");
        };
        match question.what {
            What::Touch { wait_ms } => target.touch(Duration::from_millis(wait_ms)),
            What::State {} => Answer {
                state: Some(target.state()),
                ..Answer::yes()
            },
            What::Remove {} => target.remove(),
            What::Insert {} => target.insert(),
            What::At(order) => target.arm(order),
            What::Pcscd { then } => self.pcscd(then),
        }
    }

    /// Only the main thread may start pcscd (see there).
    fn pcscd(&self, deed: Deed) -> Answer {
        let (answer, done) = channel();
        let asked = self.main.send(Event::Do(deed, answer)).is_ok();
        match done.recv() {
            Ok(Ok(())) if asked => Answer::yes(),
            Ok(Err(why)) => Answer::no(&why),
            Ok(Ok(())) | Err(_) => Answer::no("the reader is ending"),
        }
    }
}

impl Target {
    fn touch(&self, patience: Duration) -> Answer {
        Answer::when(self.button.touch(patience), "not waiting")
    }

    fn arm(&self, order: Order) -> Answer {
        match order.read() {
            Ok(order) => {
                self.slot.faults().arm(order);
                Answer::yes()
            }
            Err(why) => Answer::no(&format!("not understood: {why}")),
        }
    }

    fn remove(&self) -> Answer {
        if !self.slot.is_inserted() {
            return Answer::no("already out");
        }
        self.slot.remove();
        Answer::when(self.has_left(), "pcscd has not noticed")
    }

    fn insert(&self) -> Answer {
        if self.slot.is_inserted() {
            return Answer::no("already in");
        }
        // A card that is back before pcscd has seen it go never went away for pcscd.
        if !self.has_left() {
            return Answer::no("pcscd has not noticed that the card is out");
        }
        let before = presence::events(self.slot.reader());
        self.slot.insert();
        // Without pcscd there is nobody to notice.
        let seen = before.is_none()
            || presence::wait_for(self.slot.reader(), true, before, PCSCD_PATIENCE);
        Answer::when(seen, "pcscd has not noticed")
    }

    /// Waits until pcscd has seen the card go, if it was there to see it.
    fn has_left(&self) -> bool {
        self.slot.pulled_at().is_none_or(|before| {
            presence::wait_for(self.slot.reader(), false, Some(before), PCSCD_PATIENCE)
        })
    }

    fn state(&self) -> StateAnswer {
        StateAnswer {
            serial: self.serial,
            inserted: self.slot.is_inserted(),
            waiting: self.button.is_waiting(),
            touches: self.button.touches(),
            apdus: self.slot.faults().arrived(),
            seen: self.ledger.seen(),
        }
    }
}

impl Answer {
    fn yes() -> Self {
        Self {
            ok: true,
            why: None,
            state: None,
        }
    }

    fn no(why: &str) -> Self {
        Self {
            ok: false,
            why: Some(why.to_owned()),
            state: None,
        }
    }

    fn when(ok: bool, otherwise: &str) -> Self {
        if ok { Self::yes() } else { Self::no(otherwise) }
    }
}
