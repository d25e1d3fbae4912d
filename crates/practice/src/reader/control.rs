//! The control socket: one JSON line asks, one JSON line answers. It is the finger on the key and the hand that pulls
//! it out, and it tells tests what the card has seen.

use super::{link::Slot, presence};
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
    sync::Arc,
    thread,
    time::Duration,
};

/// A question longer than this is not one.
const LONGEST_QUESTION_BYTES: u64 = 64 * 1024;
/// How long pcscd may take to notice that a card came or went.
const PCSCD_PATIENCE: Duration = Duration::from_secs(10);

/// Everything that can be asked about.
pub(super) struct Control {
    pub(super) button: Arc<Button>,
    pub(super) slot: Arc<Slot>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) serial: u32,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Question {
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
    #[serde(flatten)]
    seen: Seen,
}

impl Control {
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
        let question = match serde_json::from_str(line) {
            Ok(question) => question,
            Err(error) => return Answer::no(&format!("not understood: {error}")),
        };
        match question {
            Question::Touch { wait_ms } => Answer::when(
                self.button.touch(Duration::from_millis(wait_ms)),
                "not waiting",
            ),
            Question::State {} => Answer {
                state: Some(self.state()),
                ..Answer::yes()
            },
            Question::Remove {} => self.move_card(false),
            Question::Insert {} => self.move_card(true),
        }
    }

    fn move_card(&self, present: bool) -> Answer {
        if self.slot.is_inserted() == present {
            return Answer::no(if present { "already in" } else { "already out" });
        }
        let before = presence::events();
        if present {
            self.slot.insert();
        } else {
            self.slot.remove();
        }
        Answer::when(
            presence::wait_for(present, before, PCSCD_PATIENCE),
            "pcscd has not noticed",
        )
    }

    fn state(&self) -> StateAnswer {
        StateAnswer {
            serial: self.serial,
            inserted: self.slot.is_inserted(),
            waiting: self.button.is_waiting(),
            touches: self.button.touches(),
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
