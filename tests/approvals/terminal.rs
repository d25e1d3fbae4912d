//! A terminal at which somebody reads, and types.

use std::{
    io::{Read, Write},
    process::{Child, ChildStdin},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use touchkeep_tests::{Home, wait_for};

/// `touchkeep approve` at a terminal whose bytes are kept.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub(crate) fn open(home: &Home, columns: u32) -> Self {
        Self::open_with(home, columns, "")
    }

    pub(crate) fn open_with(home: &Home, columns: u32, more: &str) -> Self {
        let terminal = Self::run(home, columns, &format!("approve {more}"));
        terminal.until("Waiting for requests");
        terminal
    }

    // With another verb than `approve`.
    pub(crate) fn run(home: &Home, columns: u32, verb: &str) -> Self {
        let program = Self::program(home);
        Self::run_script(home, columns, &format!("exec {program} {verb}"))
    }

    pub(crate) fn program(home: &Home) -> String {
        let command = home.touchkeep();
        command.get_program().to_string_lossy().into_owned()
    }

    pub(crate) fn run_script(home: &Home, columns: u32, script: &str) -> Self {
        let mut child = home
            .at_a_terminal(&format!("stty cols {columns} rows 60; {script}"))
            .env("NO_COLOR", "1")
            .env("TERM", "xterm")
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let mut out = child.stdout.take().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&shown);
        thread::spawn(move || {
            let mut some = [0_u8; 4096];
            while let Ok(read) = out.read(&mut some) {
                if read == 0 {
                    return;
                }
                kept.lock().unwrap().extend_from_slice(&some[..read]);
            }
        });
        Self { child, keys, shown }
    }

    // Types once a question is there for the n-th time.
    pub(crate) fn answers_secret(&mut self, question: &str, nth: usize, with: &str) {
        wait_for(question, || (self.times(question) >= nth).then_some(()));
        // What is typed before the terminal listens is no answer.
        thread::sleep(Duration::from_millis(900));
        self.types(&format!("{with}\r"));
    }

    pub(crate) fn ends_with(&mut self) -> Option<i32> {
        wait_for("the end", || self.child.try_wait().unwrap()).code()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.shown.lock().unwrap().clone()
    }

    pub(crate) fn until(&self, text: &str) {
        wait_for(text, || {
            let shown = self.bytes();
            String::from_utf8_lossy(&shown).contains(text).then_some(())
        });
    }

    // How often a text was shown.
    pub(crate) fn times(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.bytes()).matches(text).count()
    }

    // A question that has just come takes no answer yet.
    pub(crate) fn answers(&mut self, keys: &str) {
        thread::sleep(Duration::from_millis(900));
        self.types(keys);
    }

    pub(crate) fn approves_the_withdrawal(&mut self) {
        self.until("Withdraw 0.5 BTC");
        self.answers("approve\r");
        self.until(": passphrase: ");
        thread::sleep(Duration::from_millis(300));
        self.types("correct horse battery staple\r");
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
