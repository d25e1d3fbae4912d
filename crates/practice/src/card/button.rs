//! The touch sensor. A touch counts only while the card waits for one: nobody can touch in advance.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The touch sensor, shared between the card and whoever touches it.
#[derive(Debug, Default)]
pub(crate) struct Button {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Touches at once, as if a finger lay on the sensor.
    held: bool,
    waiting: bool,
    answer: Option<bool>,
    touches: u64,
}

impl Button {
    /// A sensor that is touched whenever the card asks.
    pub(crate) fn held() -> Self {
        let state = State {
            held: true,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The card's side: waits for a touch. `false` when none came in time, or when the card was pulled out.
    pub(crate) fn ask(&self, timeout: Duration) -> bool {
        let mut state = self.lock();
        if !state.held {
            state.waiting = true;
            state.answer = None;
            self.changed.notify_all();
            state = self.wait(state, timeout, |state| state.answer.is_none());
            state.waiting = false;
            self.changed.notify_all();
        }
        let touched = state.held || state.answer.take() == Some(true);
        state.touches = state.touches.saturating_add(u64::from(touched));
        touched
    }

    /// The finger's side: touches if the card waits for it now or within `patience`. `false` when it did not.
    pub(crate) fn touch(&self, patience: Duration) -> bool {
        let state = self.lock();
        let mut state = self.wait(state, patience, |state| !state.expects_touch());
        let expected = state.expects_touch();
        if expected {
            state.answer = Some(true);
            self.changed.notify_all();
        }
        expected
    }

    /// Ends a wait without a touch, because the card is gone.
    pub(crate) fn give_up(&self) {
        let mut state = self.lock();
        if state.expects_touch() {
            state.answer = Some(false);
            self.changed.notify_all();
        }
    }

    /// Blocks until the card waits for a touch.
    pub(crate) fn until_waiting(&self) {
        let state = self.lock();
        drop(
            self.changed
                .wait_while(state, |state| !state.expects_touch()),
        );
    }

    /// Is the card waiting for a touch?
    pub(crate) fn is_waiting(&self) -> bool {
        self.lock().expects_touch()
    }

    /// How many touches the card has taken.
    pub(crate) fn touches(&self) -> u64 {
        self.lock().touches
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        timeout: Duration,
        mut unfinished: impl FnMut(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let start = Instant::now();
        while unfinished(&state) {
            let Some(left) = timeout
                .checked_sub(start.elapsed())
                .filter(|left| !left.is_zero())
            else {
                break;
            };
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state
    }
}

impl State {
    fn expects_touch(&self) -> bool {
        self.waiting && self.answer.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, thread};

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_touch_in_advance_is_not_stored() {
        let button = Button::default();
        assert!(!button.touch(Duration::ZERO));
        assert!(!button.ask(Duration::ZERO));
        assert_eq!(button.touches(), 0);
    }

    #[test]
    fn a_finger_that_waits_for_the_card_touches_it() {
        let button = Arc::new(Button::default());
        let finger = thread::spawn({
            let button = Arc::clone(&button);
            move || button.touch(LONG)
        });
        assert!(button.ask(LONG));
        assert!(finger.join().unwrap());
        assert_eq!(button.touches(), 1);
        assert!(!button.is_waiting());
    }

    #[test]
    fn one_touch_answers_one_wait() {
        let button = Arc::new(Button::default());
        let fingers: Vec<_> = (0..2)
            .map(|_| {
                let button = Arc::clone(&button);
                thread::spawn(move || button.touch(Duration::from_millis(300)))
            })
            .collect();
        assert!(button.ask(LONG));
        let taken = fingers
            .into_iter()
            .map(|f| f.join().unwrap())
            .filter(|touched| *touched)
            .count();
        assert_eq!(taken, 1);
    }

    #[test]
    fn pulling_the_card_out_ends_the_wait() {
        let button = Arc::new(Button::default());
        let puller = thread::spawn({
            let button = Arc::clone(&button);
            move || {
                button.until_waiting();
                button.give_up();
            }
        });
        assert!(!button.ask(LONG));
        puller.join().unwrap();
    }
}
