//! One connection: hello first, then calls side by side; its end ends what it asked for.

use std::{path::Path, sync::Arc, time::Duration};

use serde_json::value::{RawValue, to_raw_value};
use tokio::{
    io::AsyncRead,
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, broadcast::error::RecvError},
    task::JoinSet,
};
use touchkeep_client::{connection::other_protocol, frames};
use touchkeep_core::{Code, text::visible};
use touchkeep_wire::{
    Call, Failure, Hello, MAX_ANSWER_BYTES, MAX_FRAME_BYTES, Message, PROTOCOL, Request, Response,
    Welcome,
    rpc::{RpcError, Version2},
    wiped,
};
use zeroize::{Zeroize, Zeroizing};

use super::{Channel, methods};
use crate::{
    agent::{Agent, stopped},
    caller::Caller,
    prompts::{self, Asker, Seat},
};

/// A caller says hello within this, or is closed.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls of one connection at a time.
const MAX_IN_FLIGHT: usize = 32;
/// How long answers may take to go out once the agent stops.
const FAREWELL: Duration = Duration::from_secs(1);

/// JSON-RPC: a [`Failure`] of ours.
const FAILED: i32 = -32_000;

type Frame = Zeroizing<Vec<u8>>;

// Whoever has an answer writes it: a task of its own for that would have to be woken first.
#[derive(Clone)]
struct Outbox {
    to: Arc<Mutex<OwnedWriteHalf>>,
    longest: usize,
}

impl Outbox {
    // Dropped in the middle it leaves half a frame, so only the end of the connection does that.
    async fn send(&self, frame: Frame) -> std::io::Result<()> {
        frames::write_up_to(&mut *self.to.lock().await, &frame, self.longest).await
    }

    // An answer that is too long becomes a failure: whoever waits for it would wait for ever.
    async fn answer(&self, id: u64, answer: Result<Box<RawValue>, Failure>) -> std::io::Result<()> {
        let frame = response(id, answer);
        let bytes = frame.len();
        if bytes <= self.longest {
            return self.send(frame).await;
        }
        drop(frame);
        self.send(response(id, Err(too_long(bytes, self.longest))))
            .await
    }
}

fn too_long(bytes: usize, longest: usize) -> Failure {
    tracing::warn!(bytes, longest, "an answer is too long");
    Failure::new(
        Code::Invalid,
        format!("The answer has {bytes} bytes, and no more than {longest} are sent at once."),
        "Ask for less at a time.",
    )
}

pub(super) async fn serve(agent: Arc<Agent>, stream: UnixStream, channel: Channel) {
    let caller = Arc::new(Caller::of(&stream));
    let (mut from, to) = stream.into_split();
    let outbox = Outbox {
        to: Arc::new(Mutex::new(to)),
        longest: MAX_ANSWER_BYTES,
    };
    let greeted = greet(&agent, channel, &mut from, &outbox);
    if let Ok(Some((hello, seat))) = tokio::time::timeout(HELLO_TIMEOUT, greeted).await {
        tracing::debug!(
            ?channel,
            pid = caller.pid(),
            name = visible(&hello.name),
            "connected"
        );
        let news = seat.map(|seat| tokio::spawn(tell(seat, outbox.clone())));
        converse(&agent, &caller, from, &outbox, (channel, hello)).await;
        if let Some(news) = news {
            news.abort();
        }
    }
}

// Answers the greeting; what it says where both sides speak the same version. Who answers questions has a seat by then: once it
// was welcomed, it is there.
async fn greet(
    agent: &Agent,
    channel: Channel,
    from: &mut OwnedReadHalf,
    outbox: &Outbox,
) -> Option<(Hello, Option<Seat>)> {
    let Ok(Some(Message::Request(request))) = next(from, MAX_FRAME_BYTES).await else {
        return None;
    };
    let id = request.id;
    let hello: Result<Hello, Failure> = if request.method == Hello::METHOD {
        read_params(request.params)
    } else {
        Err(Failure::new(
            Code::NotPermitted,
            "The first call on a connection must be `hello`.",
            "Update the program that calls.",
        ))
    };
    let (hello, answer) = match hello {
        Ok(hello) if hello.protocol == PROTOCOL => (
            Some(hello),
            Ok(Welcome {
                protocol: PROTOCOL,
                version: agent.version().to_owned(),
                pid: std::process::id(),
            }),
        ),
        Ok(hello) => (None, Err(other_protocol(hello.protocol, &hello.name))),
        Err(failure) => (None, Err(failure)),
    };
    let seat = hello
        .as_ref()
        .filter(|hello| channel == Channel::FrontEnds && !hello.unattended)
        .map(|_| agent.prompts().seat());
    let answer = answer.and_then(|welcome| raw(&welcome));
    outbox.answer(id, answer).await.ok()?;
    hello.map(|hello| (hello, seat))
}

async fn converse(
    agent: &Arc<Agent>,
    caller: &Arc<Caller>,
    mut from: OwnedReadHalf,
    outbox: &Outbox,
    (channel, hello): (Channel, Hello),
) {
    let unattended = hello.unattended;
    let meant: Option<Arc<Path>> = hello.vault.map(|path| Path::new(&path).into());
    let mut stopping = agent.stopping();
    let mut calls = JoinSet::new();
    loop {
        // A frame that is half read must not be dropped, so nothing but the end of the agent interrupts this.
        let message = tokio::select! {
            message = next(&mut from, channel.longest_frame()) => message,
            () = stopped(&mut stopping) => {
                // Whoever asked the agent to stop still gets the answer.
                let _ = tokio::time::timeout(FAREWELL, async {
                    while calls.join_next().await.is_some() {}
                })
                .await;
                break;
            }
        };
        while calls.try_join_next().is_some() {}
        let request = match message {
            Ok(Some(Message::Request(request))) => request,
            Ok(Some(Message::Notification(_) | Message::Response(_)) | None) => break,
            Err(error) => {
                tracing::debug!(%error, "a connection was closed");
                break;
            }
        };
        if calls.len() >= MAX_IN_FLIGHT {
            let busy = Failure::new(
                Code::NotPermitted,
                format!("More than {MAX_IN_FLIGHT} calls at a time on one connection."),
                "Wait for answers.",
            );
            if outbox.answer(request.id, Err(busy)).await.is_err() {
                break;
            }
            continue;
        }
        let answer = answer(
            Arc::clone(agent),
            Arc::clone(caller),
            request,
            outbox.clone(),
            (channel, meant.clone()),
        );
        if unattended {
            calls.spawn(prompts::unattended(answer));
        } else {
            calls.spawn(answer);
        }
    }
}

async fn answer(
    agent: Arc<Agent>,
    caller: Arc<Caller>,
    request: Request,
    outbox: Outbox,
    (channel, meant): (Channel, Option<Arc<Path>>),
) {
    let Request {
        id, method, params, ..
    } = request;
    let _working = agent.works();
    let other = meant.and_then(|meant| methods::is_for_another(&agent, &method, &meant));
    let answer = match other {
        Some(failure) => Err(failure),
        None => {
            let done = methods::dispatch(&agent, &caller, channel, &method, params);
            match channel {
                Channel::Clients => {
                    let asker = Asker::Program(Arc::clone(&caller));
                    prompts::on_behalf_of(asker, done).await
                }
                // Who answers questions is not kept from asking.
                Channel::FrontEnds => done.await,
            }
        }
    };
    if let Err(failure) = &answer {
        tracing::debug!(%method, code = ?failure.code, "a call failed");
    }
    // The caller may be gone.
    let _ = outbox.answer(id, answer).await;
}

// Everything that waits, and then everything that comes.
async fn tell(mut seat: Seat, outbox: Outbox) {
    for frame in std::mem::take(&mut seat.open) {
        if outbox.send(Zeroizing::new(frame.to_vec())).await.is_err() {
            return;
        }
    }
    loop {
        match seat.news.recv().await {
            Ok(frame) => {
                if outbox.send(Zeroizing::new(frame.to_vec())).await.is_err() {
                    return;
                }
            }
            Err(RecvError::Lagged(missed)) => {
                // It connects again and is told what still waits.
                tracing::warn!(missed, "a front end does not keep up");
                return;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

async fn next<R: AsyncRead + Unpin>(
    from: &mut R,
    longest: usize,
) -> std::io::Result<Option<Message>> {
    match frames::read_up_to(from, longest).await? {
        Some(frame) => Ok(Some(Message::parse(&frame)?)),
        None => Ok(None),
    }
}

/// Reads parameters, and wipes the text that they were in.
pub(super) fn read_params<C: Call>(params: Box<RawValue>) -> Result<C, Failure> {
    let parsed = serde_json::from_str(params.get()).map_err(|error| {
        // serde's message may quote what was sent; its place does not.
        Failure::new(
            Code::Invalid,
            format!(
                "The parameters of `{}` cannot be read (line {}, column {}).",
                C::METHOD,
                error.line(),
                error.column()
            ),
            "Update the program that calls.",
        )
    });
    Box::<str>::from(params).into_string().zeroize();
    parsed
}

pub(super) fn raw<T: serde::Serialize>(value: &T) -> Result<Box<RawValue>, Failure> {
    to_raw_value(value).map_err(|_| {
        Failure::new(
            Code::System,
            "The agent's answer cannot be written as JSON.",
            "Please report this.",
        )
    })
}

fn response(id: u64, answer: Result<Box<RawValue>, Failure>) -> Frame {
    let (result, error) = match answer {
        Ok(result) => (Some(result), None),
        Err(failure) => (
            None,
            Some(RpcError {
                code: FAILED,
                message: failure.what.clone(),
                data: failure,
            }),
        ),
    };
    let response = Response {
        jsonrpc: Version2,
        id,
        result,
        error,
    };
    let frame = wiped::to_json(&response).unwrap_or_default();
    if let Some(result) = response.result {
        Box::<str>::from(result).into_string().zeroize();
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_a_failure_with_the_same_id() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (_from, to) = ours.into_split();
        let outbox = Outbox {
            to: Arc::new(Mutex::new(to)),
            longest: 400,
        };
        let long = raw(&"x".repeat(500)).unwrap();
        outbox.answer(7, Ok(long)).await.unwrap();
        outbox.answer(8, Ok(raw(&"short").unwrap())).await.unwrap();
        let Some(Message::Response(first)) = next(&mut theirs, 4096).await.unwrap() else {
            panic!("an answer");
        };
        let failure = first.error.unwrap().data;
        assert_eq!((first.id, failure.code), (7, Code::Invalid));
        let Some(Message::Response(second)) = next(&mut theirs, 4096).await.unwrap() else {
            panic!("an answer");
        };
        assert_eq!((second.id, second.error.is_none()), (8, true));
    }
}
