//! Why a command came to nothing, as the pages read it.

use serde::Serialize;
use touchkeep_client::{CallError, ConnectError, StartError};
use touchkeep_core::Code;
use touchkeep_wire::Failure;

/// Why a command came to nothing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Trouble {
    /// Whether the agent was there to answer at all.
    agent: bool,
    failure: Failure,
}

impl Trouble {
    /// The shell itself refuses.
    pub(crate) fn ours(code: Code, what: &str, fix: &str) -> Self {
        Self {
            agent: true,
            failure: Failure::new(code, what, fix),
        }
    }

    /// There is no home to look for the agent in.
    pub(crate) fn no_home() -> Self {
        Self {
            agent: false,
            failure: Failure::new(
                Code::System,
                "Neither TOUCHKEEP_HOME nor HOME is an absolute path.",
                "Set HOME.",
            ),
        }
    }
}

// What the link to the agent needs is not there.
impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self {
            agent: false,
            failure,
        }
    }
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self {
            agent: !matches!(error, CallError::Gone),
            failure: error.failure(),
        }
    }
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Self {
        Self {
            agent: false,
            failure: error.failure(),
        }
    }
}

impl From<StartError> for Trouble {
    fn from(error: StartError) -> Self {
        Self {
            agent: false,
            failure: error.failure(),
        }
    }
}
