//! Whom a rule tells: what was signed by one that says `notify`, on every front end and as a notification of the desktop.
//!
//! A bot that trades without a pause buries nobody: the first is told at once, and what comes in the seconds after it together.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use touchkeep_wire::Signed;

use crate::{notify, prompts::Prompts};

/// That long nobody is told again.
const BETWEEN: Duration = Duration::from_secs(2);

/// What is to be told, and to whom.
pub(crate) struct Told {
    prompts: Prompts,
    waits: Mutex<Waits>,
}

#[derive(Default)]
struct Waits {
    // Somebody is told, or was a moment ago.
    telling: bool,
    how_many: u32,
    last: String,
}

impl Told {
    pub(crate) fn new(prompts: Prompts) -> Arc<Self> {
        Arc::new(Self {
            prompts,
            waits: Mutex::default(),
        })
    }

    /// A request was signed by a rule that tells.
    pub(crate) fn signed(self: &Arc<Self>, what: String) {
        let was_telling = {
            let mut waits = self.waits();
            waits.how_many = waits.how_many.saturating_add(1);
            waits.last = what;
            std::mem::replace(&mut waits.telling, true)
        };
        if was_telling {
            return;
        }
        let told = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(signed) = told.next() {
                let (summary, body) = in_words(&signed);
                told.prompts.signed(&signed);
                // Whether there is anybody to show it is said in the agent's log.
                let _ = notify::show(summary, body).await;
                tokio::time::sleep(BETWEEN).await;
            }
        });
    }

    fn next(&self) -> Option<Signed> {
        let mut waits = self.waits();
        waits.telling = waits.how_many > 0;
        waits.telling.then(|| Signed {
            how_many: std::mem::take(&mut waits.how_many),
            last: std::mem::take(&mut waits.last),
        })
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_words(signed: &Signed) -> (String, String) {
    match signed.how_many {
        1 => ("Signed by rule".to_owned(), signed.last.clone()),
        many => (
            format!("Signed by rule: {many} requests"),
            format!("The last: {}", signed.last),
        ),
    }
}
