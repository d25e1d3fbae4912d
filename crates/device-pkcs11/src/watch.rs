//! Whether a token is still there, without a use of it: a child of its own asks the module, logs in nowhere, and disturbs nobody.
//!
//! # Why another child is asked before a token counts as gone
//! Modules differ in what they see of a token that was taken away. Some list it no more; others, such as SoftHSM, only begin to
//! fail, and would fail on when it is back. What all of them see is what is there when they are loaded. So a token is gone when a
//! child that was started after the first doubt lists its tokens without it. A module that crashes, hangs or cannot list has not
//! said that.

use touchkeep_device::DeviceError;

use crate::{
    child::Host,
    device::confused,
    wire::{Presence, Reply, Request, TokenChoice},
};

/// Looks after one token.
pub struct Watch {
    host: Host,
    token: TokenChoice,
    by_socket: bool,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The token is there.
    There,
    /// The module does not have it any more, and says so in a new process, too.
    Gone,
}

impl Watch {
    pub(crate) const fn new(host: Host, token: TokenChoice) -> Self {
        Self {
            host,
            token,
            by_socket: false,
        }
    }

    /// The same, with a child of its own.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::new(self.host.again(), self.token.clone())
    }

    /// Looks. Takes a few milliseconds where the token is there, and may take as long as the module loads where it is not.
    ///
    /// # Errors
    /// When the module did not say: it is none of what it was, crashed, hung or failed. The next look starts it anew.
    pub fn look(&mut self) -> Result<Seen, DeviceError> {
        // What speaks against it in a child from before is a doubt, and no more.
        let is_from_before = self.host.is_running();
        let mut there = self.ask();
        if is_from_before && !matches!(there, Ok(true)) {
            self.host.end();
            there = self.ask();
        }
        if !matches!(there, Ok(true)) {
            self.host.end();
        }
        Ok(if there? { Seen::There } else { Seen::Gone })
    }

    /// Whether the module talks to somebody over a socket, as far as was seen: what it says then depends on whoever is there.
    #[must_use]
    pub const fn is_by_socket(&self) -> bool {
        self.by_socket
    }

    fn ask(&mut self) -> Result<bool, DeviceError> {
        let question = Request::Presence(self.token.clone());
        let Reply::Presence(Presence { there, by_socket }) = self.host.ask(&question, &[], &[])?.0
        else {
            return Err(confused());
        };
        self.by_socket |= by_socket;
        Ok(there)
    }
}
