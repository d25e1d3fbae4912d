//! Building and signing a request: with a secret of the vault against the bare primitive and against ccxt in Python, with its
//! private keys and those of a token against the bare signature; each in one interleaved run.
//!
//! `./dev bench signing`. Prints the median and the minimum of seven rounds.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_arithmetic,
    clippy::indexing_slicing,
    reason = "a bench prints figures, and fails loudly"
)]

#[path = "signing/keys.rs"]
mod keys;
#[path = "signing/token.rs"]
mod token;

use std::{hint::black_box, process::Command, time::Instant};

use aws_lc_rs::hmac;
use touchkeep_core::UnixMillis;
use touchkeep_venue::{
    Algorithm, Credential, Decoded, Moment, Private, Request, ToSign, Venue, binance::Binance,
};

const ROUNDS: usize = 7;
const CALLS: u32 = 50_000;
const NOW: u64 = 1_700_000_000_000;
const SECRET: &[u8] = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";

fn main() {
    if token::is_bare() {
        return;
    }
    // As the agent begins.
    touchkeep_locked::keep_keys_apart();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    println!("load {}", load.split(' ').next().unwrap());
    hmacs();
    keys::keys();
    token::token();
}

fn hmacs() {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let request = order();
    let private = decoded(&Binance, &request);
    let signed = |private: &Private, now: u64| {
        let to_sign = drafted(&Binance, private, Algorithm::HmacSha256, now);
        let signature = hmac::sign(&key, to_sign.payload());
        to_sign.seal(&[signature]).unwrap()
    };
    let payload = drafted(&Binance, &private, Algorithm::HmacSha256, NOW);
    let payload = payload.payload().to_vec();

    let (mut ours, mut whole, mut bare, mut ccxt) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        ours.push(per_call(CALLS, |i| {
            drop(black_box(signed(black_box(&private), NOW + u64::from(i))));
        }));
        whole.push(per_call(CALLS, |i| {
            let private = decoded(&Binance, black_box(&request));
            drop(black_box(signed(&private, NOW + u64::from(i))));
        }));
        bare.push(per_call(CALLS, |_| {
            _ = black_box(hmac::sign(&key, black_box(&payload)))
        }));
        ccxt.extend(ccxt_per_call());
    }
    let limit = median(&mut bare);
    row("bare HMAC-SHA256 (aws-lc-rs)", &mut bare, limit);
    row("  build and sign: draft, sign, seal", &mut ours, limit);
    row("  and decoded and classified before", &mut whole, limit);
    if ccxt.is_empty() {
        println!("ccxt: NOT MEASURED, TOUCHKEEP_PYTHON has no ccxt that signs like 4.5.90");
    } else {
        row("  ccxt in Python, sign()", &mut ccxt, limit);
        let theirs = median(&mut ccxt);
        println!(
            "ccxt / ours: {:.1}, and {:.1} with decoding",
            theirs / median(&mut ours),
            theirs / median(&mut whole)
        );
    }
}

/// An order at Binance.
fn order() -> Request {
    Request {
        method: "POST".into(),
        path: "/api/v3/order".into(),
        query: Vec::new(),
        content_type: Some("application/x-www-form-urlencoded".into()),
        body: b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&timestamp=1&signature=00".to_vec(),
        expires: None,
    }
}

/// What a private request says.
fn decoded(venue: &dyn Venue, request: &Request) -> Box<Private> {
    match venue.decode(request) {
        Ok(Decoded::Private(private)) => private,
        _ => unreachable!("it is private"),
    }
}

/// What is to be signed of a request at that time.
fn drafted(venue: &dyn Venue, private: &Private, algorithm: Algorithm, now: u64) -> ToSign {
    let credential = Credential {
        key: "key",
        algorithm,
        passphrase: None,
    };
    let moment = Moment {
        now: UnixMillis(now),
        window_ms: 5000,
        nonce: None,
        unique: Some([7; 16]),
    };
    venue.draft(private, &credential, &moment).unwrap()
}

fn per_call(calls: u32, mut call: impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(&mut call);
    start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn ccxt_per_call() -> Option<f64> {
    const SCRIPT: &str = r#"
import ccxt, time
bot = ccxt.binance({"apiKey": "k", "secret": "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"})
order = dict(symbol="LTCBTC", side="BUY", type="LIMIT", timeInForce="GTC", quantity="1", price="0.1")
assert "signature=" in bot.sign("order", ["private"], "POST", order)["body"]
start = time.perf_counter()
for _ in range(5000): bot.sign("order", ["private"], "POST", order)
print((time.perf_counter() - start) / 5000 * 1e6)
"#;
    let python = std::env::var_os("TOUCHKEEP_PYTHON")?;
    let done = Command::new(python).args(["-c", SCRIPT]).output().ok()?;
    String::from_utf8(done.stdout).ok()?.trim().parse().ok()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(name: &str, values: &mut [f64], limit: f64) {
    let middle = median(values);
    let (least, ratio) = (values[0], middle / limit);
    println!("{name:<48} {middle:>8.2} µs   (min {least:.2})   {ratio:>6.2}");
}
