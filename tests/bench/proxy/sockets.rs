//! Messages of a WebSocket: there and back through the agent, spliced and listened to, beside a bare splice of two sockets.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    thread,
    time::Instant,
};

use tokio_tungstenite::tungstenite::{self, ClientRequestBuilder, Message, WebSocket};

use super::{Desk, load, middle};

const ROUNDS: usize = 7;
const MESSAGES: usize = 4000;
/// A message that every guard lets through.
const SAID: &str = r#"{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}"#;

/// Measures and prints.
pub(super) fn messages() {
    let venue = echo();
    let splice = splice(venue);
    let desk = Desk::set(Path::new(super::MEMORY), &format!("http://{venue}"));
    let host = desk.base.strip_prefix("http://").unwrap();
    let (host, _) = host.split_once('/').unwrap();
    let ours: SocketAddr = host.parse().unwrap();
    let mut contestants = [
        ("direct", venue, "/v5/public/spot"),
        ("bare splice", splice, "/v5/public/spot"),
        ("touchkeep, data alone", ours, "/bybit/v5/public/spot"),
        ("touchkeep, listened to", ours, "/bybit/v5/private"),
    ]
    .map(|(name, at, path)| (name, connect(at, path, &desk.token), Vec::new()));
    for _ in 0..ROUNDS {
        for (_, socket, times) in &mut contestants {
            times.push(round(socket));
        }
    }
    println!(
        "a message of {} bytes there and back, p50, median of {ROUNDS} rounds; {}:",
        SAID.len(),
        load()
    );
    let medians = contestants.map(|(name, _, times)| (name, middle(times)));
    for (name, p50) in medians {
        println!(
            "  {name:<28} {p50:>8.1} µs   over the splice {:>6.1} µs",
            p50 - medians[1].1
        );
    }
}

fn round(socket: &mut WebSocket<TcpStream>) -> f64 {
    let mut times = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let started = Instant::now();
        socket.send(Message::text(SAID)).unwrap();
        assert_eq!(socket.read().unwrap().to_text().unwrap(), SAID);
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    middle(times)
}

fn connect(at: SocketAddr, path: &str, token: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(at).unwrap();
    stream.set_nodelay(true).unwrap();
    let uri = format!("ws://{at}{path}").parse().unwrap();
    let request = ClientRequestBuilder::new(uri).with_header("X-Touchkeep-Token", token);
    let (socket, _) = tungstenite::client(request, stream).unwrap();
    socket
}

// A venue that says what is said to it.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                // What asks for the time, and not for a socket, goes away without an answer.
                let Ok(mut socket) = tungstenite::accept(stream) else {
                    return;
                };
                while let Ok(said) = socket.read() {
                    if socket.send(said).is_err() {
                        return;
                    }
                }
            });
        }
    });
    at
}

// Bytes from one socket to another: what a proxy costs that does nothing.
fn splice(to: SocketAddr) -> SocketAddr {
    let (say, heard) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            say.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut far = tokio::net::TcpStream::connect(to).await.unwrap();
                    near.set_nodelay(true).unwrap();
                    far.set_nodelay(true).unwrap();
                    tokio::io::copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
    });
    heard.recv().unwrap()
}
