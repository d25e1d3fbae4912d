//! A socket whose client is listened to: only reading passes, and ours goes in the place of its logins.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message, Utf8Bytes,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use touchkeep_venue::stream::{Guard, Heard, LoginAsked, Told};

use super::{LOOK, shut_out};
use crate::{
    agent::Agent,
    sockets::{Ours, Socket},
};

/// What a client may say at once.
const MAX_CLIENT_BYTES: usize = 64 * 1024;
/// What a venue may.
const MAX_VENUE_BYTES: usize = 16 * 1024 * 1024;
/// A client that is refused this often is not listened to any longer.
const MAX_REFUSALS: u32 = 16;
/// What a client may say while its login is signed.
const MAX_WAITING: usize = 64;
/// A side that takes nothing for this long is not waited for any longer.
const STALLED: Duration = Duration::from_secs(30);

type Side = WebSocketStream<TokioIo<Upgraded>>;

// What the client said, and what is said in its place, or why nothing is.
type LoggedIn = (Utf8Bytes, Result<(String, Ours), String>);

/// Both ends of a socket.
struct Relay {
    agent: Arc<Agent>,
    socket: Socket,
    guard: Guard,
    client: Side,
    venue: Side,
    login: Option<JoinHandle<LoggedIn>>,
    // What the client said since its login began, in its order.
    waiting: VecDeque<Utf8Bytes>,
    // The venue's word that the next login answers.
    noted: Option<String>,
    refusals: u32,
}

pub(super) async fn guarded(
    agent: &Arc<Agent>,
    socket: &Socket,
    guard: Guard,
    client: Upgraded,
    venue: Upgraded,
) {
    let bounded = |bytes| {
        WebSocketConfig::default()
            .max_message_size(Some(bytes))
            .max_frame_size(Some(bytes))
    };
    let (of_client, of_venue) = (bounded(MAX_CLIENT_BYTES), bounded(MAX_VENUE_BYTES));
    let client = TokioIo::new(client);
    let venue = TokioIo::new(venue);
    let mut relay = Relay {
        agent: Arc::clone(agent),
        socket: socket.clone(),
        guard,
        client: Side::from_raw_socket(client, Role::Server, Some(of_client)).await,
        venue: Side::from_raw_socket(venue, Role::Client, Some(of_venue)).await,
        login: None,
        waiting: VecDeque::new(),
        noted: None,
        refusals: 0,
    };
    let ended = tokio::select! {
        _ = relay.run() => None,
        () = shut_out(agent, socket, Some(guard)) => Some("Touchkeep: no access any more"),
    };
    if let Some(login) = relay.login.take() {
        login.abort();
    }
    let why = ended.map(|reason| CloseFrame {
        code: CloseCode::Policy,
        reason: reason.into(),
    });
    let _ = timeout(LOOK, relay.client.close(why)).await;
    let _ = timeout(LOOK, relay.venue.close(None)).await;
}

impl Relay {
    // Ends with none when one side has ended.
    async fn run(&mut self) -> Option<()> {
        loop {
            tokio::select! {
                said = self.client.next() => self.client_said(said?.ok()?).await?,
                said = self.venue.next() => self.venue_said(said?.ok()?).await?,
                signed = done(&mut self.login) => self.logged_in(signed?).await?,
            }
        }
    }

    async fn venue_said(&mut self, said: Message) -> Option<()> {
        match said {
            Message::Text(text) if self.guard.listens() => self.listen(text).await,
            Message::Binary(_) if self.guard.listens() => None,
            Message::Text(_) | Message::Binary(_) => say(&mut self.client, said).await,
            Message::Close(frame) => {
                let _ = self.client.close(frame).await;
                None
            }
            Message::Ping(_) => answered(&mut self.venue).await,
            _ => Some(()),
        }
    }

    async fn listen(&mut self, text: Utf8Bytes) -> Option<()> {
        let passed = match self.guard.told(&text) {
            Told::Passes => text,
            Told::Noted(word) => {
                self.noted = Some(word);
                text
            }
            Told::Instead(other) => other.into(),
            Told::Cut => {
                tracing::warn!(
                    venue = self.socket.venue,
                    "a message of the venue that cannot be read may hold a token; the socket ends"
                );
                return None;
            }
        };
        say(&mut self.client, Message::Text(passed)).await
    }

    async fn client_said(&mut self, said: Message) -> Option<()> {
        match said {
            Message::Text(text) if self.login.is_some() => {
                if self.waiting.len() >= MAX_WAITING {
                    return self
                        .refuse(text.as_bytes(), "too much beside a login")
                        .await;
                }
                self.waiting.push_back(text);
                Some(())
            }
            Message::Text(text) => self.hear(text).await,
            Message::Binary(_) => self.refuse(b"", "a message that is not text").await,
            Message::Close(_) => None,
            Message::Ping(_) => answered(&mut self.client).await,
            _ => Some(()),
        }
    }

    async fn hear(&mut self, text: Utf8Bytes) -> Option<()> {
        match self.guard.hears(text.as_bytes(), self.noted.as_deref()) {
            Heard::Reads => say(&mut self.venue, Message::Text(text)).await,
            Heard::Refused(word) => self.refuse(text.as_bytes(), &word).await,
            Heard::Login(asked) | Heard::Names(asked) if self.is_anothers(&asked) => {
                self.refuse(text.as_bytes(), "a login with another token")
                    .await
            }
            Heard::Names(asked) => self.name(&text, &asked).await,
            Heard::Login(asked) => {
                self.login = Some(self.log_in(text, asked));
                Some(())
            }
        }
    }

    fn is_anothers(&self, asked: &LoginAsked) -> bool {
        asked.key.starts_with("tkc_") && asked.key != self.socket.token
    }

    async fn name(&mut self, text: &Utf8Bytes, asked: &LoginAsked) -> Option<()> {
        let named = match self.agent.name_of_key(&self.socket).await {
            Ok(key) => self.guard.message(asked, &key).ok_or(UNWRITTEN.to_owned()),
            Err(refusal) => Err(refusal.words()),
        };
        match named {
            Ok(named) => say(&mut self.venue, Message::text(named)).await,
            Err(words) => self.say_no(text.as_bytes(), &words).await,
        }
    }

    fn log_in(&self, said: Utf8Bytes, asked: LoginAsked) -> JoinHandle<LoggedIn> {
        let (agent, socket, guard) = (Arc::clone(&self.agent), self.socket.clone(), self.guard);
        tokio::spawn(async move {
            let ours = match agent.logs_in(&socket, guard, &asked).await {
                Ok(ours) => match guard.message(&asked, &ours.values) {
                    Some(message) => Ok((message, ours)),
                    None => Err(UNWRITTEN.to_owned()),
                },
                Err(refusal) => Err(refusal.words()),
            };
            (said, ours)
        })
    }

    async fn logged_in(&mut self, (said, ours): LoggedIn) -> Option<()> {
        self.login = None;
        match ours {
            Ok((message, ours)) => {
                // EXPOSE: to the venue that the key is of.
                say(&mut self.venue, Message::text(message)).await?;
                drop(ours.turn);
            }
            Err(words) => self.say_no(said.as_bytes(), &words).await?,
        }
        while self.login.is_none()
            && let Some(next) = self.waiting.pop_front()
        {
            self.hear(next).await?;
        }
        Some(())
    }

    async fn refuse(&mut self, said: &[u8], word: &str) -> Option<()> {
        self.refusals += 1;
        if self.refusals > MAX_REFUSALS {
            return None;
        }
        self.agent.refused_over(&self.socket, word).await;
        let words = "only data is asked for over a socket, by subscription; orders, and what is asked for once, go over REST";
        self.say_no(said, words).await
    }

    async fn say_no(&mut self, said: &[u8], words: &str) -> Option<()> {
        let refusal = self.guard.refusal(said, &format!("Touchkeep: {words}"));
        say(&mut self.client, Message::text(refusal)).await
    }
}

const UNWRITTEN: &str = "the login cannot be written";

async fn say(side: &mut Side, message: Message) -> Option<()> {
    timeout(STALLED, side.send(message)).await.ok()?.ok()
}

// Each side's pings are answered where they come in. The answer is out before more is read: who pings and reads nothing would
// fill the memory with answers.
async fn answered(side: &mut Side) -> Option<()> {
    timeout(STALLED, side.flush()).await.ok()?.ok()
}

// What came of a login, once something did.
async fn done<T>(login: &mut Option<JoinHandle<T>>) -> Option<T> {
    match login {
        Some(login) => login.await.ok(),
        None => std::future::pending().await,
    }
}
