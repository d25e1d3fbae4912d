//! What is said over the agent's sockets: frames, JSON-RPC 2.0, calls and prompts.
//!
//! Two sockets, one language. On `agent.sock` a client calls ([`call`]); on `ui.sock` a front end receives prompts and
//! answers them ([`prompt`]). A frame is a `u32` big-endian length and that many bytes of JSON ([`frame`]). Nothing here
//! does I/O, so that the agent, its clients and the fuzzer share one parser.
//! The desktop's TypeScript types are generated from these by a test and compared.

pub mod call;
pub mod frame;
pub mod prompt;
pub mod rpc;
pub mod secret_text;
#[cfg(test)]
mod typescript;
pub mod wiped;

pub use call::*;
pub use frame::{Frame, FrameError, MAX_ANSWER_BYTES, MAX_FRAME_BYTES, MAX_FRONT_END_FRAME_BYTES};
pub use prompt::*;
pub use rpc::{Failure, Message, Notification, Request, Response};
pub use secret_text::SecretText;

/// The version of this language. Both sides say theirs in [`call::Hello`]; different ones do not talk.
pub const PROTOCOL: u32 = 7;
