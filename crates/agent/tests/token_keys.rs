//! Request keys on a PKCS#11 token, through the agent: of the kind that the venue takes, made on it or put into it, and what they sign at
//! the venue's side, judged by openssl.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use common::{
    Agent, Person, Venue, bot, http, place,
    token::{MODULE, PIN, make_token, on_token, with_pin},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use touchkeep_client::{CallError, Connection};
use touchkeep_wire::*;

const SECRET: &str = "canary-secret-that-goes-into-the-token";
const RULES: &str = "[[rule]]\nname = \"all\"\nkinds = [\"read\", \"trade\"]\naction = \"allow\"\n";

struct Desk {
    agent: Agent,
    client: Connection,
    _person: Person,
    folder: TempDir,
}

impl Desk {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = make_token(folder.path());
        let agent =
            Agent::start_with("approval_seconds = 20\n", &[("SOFTHSM2_CONF", &config)]).await;
        let client = agent.client().await;
        let person = Person::new(&agent, with_pin(PIN)).await;
        client
            .call(CreateVault {
                path: agent.home.path().join("v.touchkeep").display().to_string(),
                user: "Zoe".into(),
                environment: "test".into(),
                practice: true,
                device: NewDevice::Pkcs11 {
                    module: MODULE.into(),
                    token: "agent-test".into(),
                },
            })
            .await
            .unwrap();
        client.call(SetPolicy { text: RULES.into() }).await.unwrap();
        Self {
            agent,
            client,
            _person: person,
            folder,
        }
    }

    async fn add(&self, venue: &str, url: &str, secret: NewSecret) -> Result<(), CallError> {
        let key = AddItem::new("exchange-key", format!("{venue}-trade"))
            .field("venue", venue)
            .field("key-set", "main")
            .field("class", "trade")
            .field("api-key", "the-api-key")
            .field("base-url", url)
            .secret("secret", secret);
        self.client.call(key).await.map(drop)
    }

    async fn facts(&self, venue: &str) -> DeviceKey {
        let item = format!("{venue}-trade");
        let shown = self.client.call(ShowItem { item }).await.unwrap();
        shown.device_key.unwrap()
    }

    async fn public_key(&self, venue: &str, form: Option<&str>) -> Result<PublicKey, CallError> {
        let call = ExportPublicKey {
            item: format!("{venue}-trade"),
            form: form.map(str::to_owned),
        };
        self.client.call(call).await
    }

    async fn bot(&self) -> (String, String) {
        let new = self
            .client
            .call(AddClient::unbound("bot", "main"))
            .await
            .unwrap();
        (new.base_url(), new.token.into_inner())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

fn put_in(secret: &str) -> NewSecret {
    NewSecret::IntoDevice {
        value: SecretText::new(secret.into()),
        // By what the token calls itself, as `unlock` takes it.
        key: NewKey {
            device: Some("agent-test".into()),
            ..NewKey::default()
        },
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, CallError>) -> Failure {
    match outcome {
        Err(CallError::Failed(failure)) => *Box::new(failure),
        other => panic!("{other:?}"),
    }
}

fn openssl(args: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let done = child.wait_with_output().unwrap();
    (done.status.success(), done.stdout)
}

const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1&timestamp=1&signature=x";

#[tokio::test]
async fn a_secret_that_was_put_into_a_token_signs_there_and_is_nowhere_else() {
    let desk = Desk::set().await;
    let venue = Venue::start(SECRET, true).await;
    desk.add("binance", &venue.url, put_in(SECRET))
        .await
        .unwrap();
    let facts = desk.facts("binance").await;
    assert_eq!(facts.algorithm, "HMAC-SHA256");
    assert!(facts.imported && facts.attested.is_none());
    let none = refused(desk.public_key("binance", None).await);
    assert!(none.what.contains("no public half"), "{none:?}");

    let (base, token) = desk.bot().await;
    for round in 0..2 {
        let (status, answer) = bot(&base, &token, "POST", "/api/v3/order", ORDER).await;
        assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
        assert!(venue.got()[round].signed, "the venue knows the secret");
        // After a lock another process asks the token for the key that the vault names.
        desk.client.call(LockVault {}).await.unwrap();
        desk.client
            .call(UnlockVault {
                path: None,
                device: None,
            })
            .await
            .unwrap();
    }
    // The same secret a second time, and one that is none.
    let again = refused(desk.add("mexc", &venue.url, put_in(SECRET)).await);
    assert!(again.what.contains("a second time"), "{again:?}");
    // Who says of which kind it is, and is wrong, hears it.
    let of_another_kind = NewSecret::IntoDevice {
        value: SecretText::new("another secret of thirty-two bytes".into()),
        key: NewKey {
            algorithm: Some("ed25519".into()),
            ..NewKey::default()
        },
    };
    let why = refused(desk.add("mexc", &venue.url, of_another_kind).await);
    assert_eq!(why.what, "That is a key of kind HMAC-SHA256.");
    assert_eq!(why.fix, "Leave --algorithm out.");
    assert!(!desk.agent.log().contains(SECRET));
}

#[tokio::test]
async fn the_kind_of_a_key_is_what_venue_and_token_have_in_common() {
    let desk = Desk::set().await;
    let venue = Venue::start(SECRET, true).await;
    let best = || NewSecret::OnDevice {
        key: NewKey::default(),
    };
    desk.add("binance", &venue.url, best()).await.unwrap();
    desk.add("bybit", &venue.url, best()).await.unwrap();
    desk.add("hyperliquid", &venue.url, best()).await.unwrap();
    let mut kinds = Vec::new();
    for venue in ["binance", "bybit", "hyperliquid"] {
        let facts = desk.facts(venue).await;
        assert!(!facts.imported, "{facts:?}");
        assert_eq!(facts.touch, "never");
        kinds.push(facts.algorithm);
    }
    assert_eq!(kinds, ["Ed25519", "RSA-2048", "secp256k1"]);

    // What the venue gets is what openssl verifies with the key in the form that the venue takes.
    let public = desk.public_key("binance", None).await.unwrap();
    assert_eq!((public.form.as_str(), &public.text), ("pem", &public.pem));
    assert!(public.steps.unwrap().contains("self-generated"));
    let (base, token) = desk.bot().await;
    let base = format!("http://127.0.0.1:{}/binance", place(&base).0);
    let (status, answer) = bot(&base, &token, "POST", "/api/v3/order", ORDER).await;
    assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
    let got = venue.got().remove(0);
    let signature = got.signature.replace("%2B", "+").replace("%2F", "/");
    let signature = BASE64_STANDARD
        .decode(signature.replace("%3D", "="))
        .unwrap();
    let key = desk.file("key.pem", public.pem.as_bytes());
    let signature = desk.file("signature", &signature);
    for (message, good) in [
        (got.parameters.clone(), true),
        (got.parameters.replace("BUY", "SELL"), false),
    ] {
        let message = desk.file("message", message.as_bytes());
        let verify = [
            "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", &key, "-sigfile", &signature,
            "-in", &message,
        ];
        assert_eq!(openssl(&verify, b"").0, good);
    }
    let base64 = desk.public_key("binance", Some("base64")).await.unwrap();
    assert_eq!(BASE64_STANDARD.decode(&base64.text).unwrap().len(), 32);
    assert!(base64.steps.is_none(), "that is not the form that it takes");
    assert!(desk.public_key("bybit", Some("hex")).await.is_err());
    let address = desk.public_key("hyperliquid", None).await.unwrap();
    assert_eq!(address.form, "address");
    assert!(address.text.starts_with("0x") && address.text.len() == 42);

    // What cannot be is refused before anybody types anything, and says why.
    for (venue_id, secret, word) in [
        ("kraken", best(), "makes its keys itself"),
        ("coinbase", best(), "makes its keys itself"),
        ("bybit", on_token("ed25519"), "does not take it"),
        ("okx", on_token("nonsense"), "no such word"),
    ] {
        let why = refused(desk.add(venue_id, &venue.url, secret).await);
        let said = format!("{} {}", why.what, why.fix);
        assert!(
            said.contains(word) || said.contains("passphrase"),
            "{venue_id}: {said}"
        );
    }
    let rows = desk
        .client
        .call(KeysFor {
            venue: Some("coinbase".into()),
            device: None,
        })
        .await
        .unwrap();
    let ways: Vec<_> = rows[0].venues[0]
        .keys
        .iter()
        .map(|key| (key.name.as_str(), key.way.as_str()))
        .collect();
    assert_eq!(
        ways,
        [
            ("Ed25519", "put-in"),
            ("P-256", "put-in"),
            ("RSA-2048", "no"),
            ("secp256k1", "no"),
            ("HMAC-SHA256", "put-in"),
        ]
    );
}

/// Answers each request with `{}`, and keeps what it was.
async fn listener() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut text = Vec::new();
            loop {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).await.unwrap();
                text.extend_from_slice(&part[..read]);
                let all = String::from_utf8_lossy(&text).into_owned();
                let Some((head, body)) = all.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = header(head, "content-length").unwrap_or_default();
                if read == 0 || body.len() >= length.parse().unwrap_or(0) {
                    break;
                }
            }
            let text = String::from_utf8(text).unwrap();
            // Servers are asked for their time as well, without a key.
            let keyed = ["Authorization", "API-Key"];
            if keyed.iter().any(|name| header(&text, name).is_some())
                || text.starts_with("POST /exchange")
            {
                let _gone = sender.send(text);
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            stream.write_all(answer).await.unwrap();
        }
    });
    (url, receiver)
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_owned())
    })
}

// Of what is signed ccxt makes the digest, from the action as it was sent, and libsecp256k1 says whose signature it is.
const SIGNER: &str = "
import json, sys
import ccxt
from coincurve import PublicKey
from Crypto.Hash import keccak
hashed = lambda data: keccak.new(digest_bits=256, data=data).digest()
ex = ccxt.hyperliquid()
domain = {'chainId': 1337, 'name': 'Exchange', 'verifyingContract': '0x' + '0' * 40, 'version': '1'}
types = {'Agent': [{'name': 'source', 'type': 'string'}, {'name': 'connectionId', 'type': 'bytes32'}]}
for line in sys.stdin:
    sent = json.loads(line)
    agent = ex.construct_phantom_agent(ex.action_hash(sent['action'], None, sent['nonce'], None), False)
    digest = hashed(ex.eth_encode_structured_data(domain, types, agent))
    by = sent['signature']
    raw = int(by['r'], 16).to_bytes(32, 'big') + int(by['s'], 16).to_bytes(32, 'big') + bytes([by['v'] - 27])
    point = PublicKey.from_signature_and_message(raw, digest, hasher=None).format(compressed=False)
    print('0x' + hashed(point[1:])[12:].hex())
";

fn signers(sent: &[String]) -> Vec<String> {
    let python = std::env::var("TOUCHKEEP_PYTHON").unwrap();
    let mut child = Command::new(python)
        .args(["-W", "ignore", "-c", SIGNER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(sent.join("\n").as_bytes()).unwrap();
    drop(stdin);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    let said = String::from_utf8(done.stdout).unwrap();
    said.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_token_signs_orders_that_hyperliquid_knows_by_the_keys_address() {
    let desk = Desk::set().await;
    let (url, mut got) = listener().await;
    let made = NewSecret::OnDevice {
        key: NewKey::default(),
    };
    desk.add("hyperliquid", &url, made).await.unwrap();
    let address = desk.public_key("hyperliquid", None).await.unwrap().text;
    let (base, token) = desk.bot().await;
    let (port, prefix) = place(&base);
    let mut orders = Vec::new();
    // Several, so that both values of `v` and signatures with leading zeros come by.
    for price in 100..116 {
        let body = format!(
            r#"{{"action":{{"type":"order","orders":[{{"a":1,"b":true,"p":"{price}","s":"1","r":false,"t":{{"limit":{{"tif":"Gtc"}}}}}}],"grouping":"na"}},"nonce":1,"signature":{{"r":"0x0","s":"0x0","v":27}}}}"#
        );
        let request = format!(
            "POST {prefix}/exchange HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
             X-Touchkeep-Token: {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, answer) = http(port, &request).await;
        assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
        let text = got.recv().await.unwrap();
        let (_, sent) = text.split_once("\r\n\r\n").unwrap();
        assert!(sent.contains(&format!("\"p\":\"{price}\"")), "{sent}");
        orders.push(sent.to_owned());
    }
    let by = signers(&orders);
    assert_eq!(by, vec![address.to_lowercase(); 16], "{orders:?}");
    let sold = |order: &String| order.replace("\"b\":true", "\"b\":false");
    let sold = signers(&orders.iter().map(sold).collect::<Vec<_>>());
    assert!(sold.len() == 16 && !sold.contains(&address.to_lowercase()));
}

// Kraken's way, by its documentation: HMAC-SHA512 of the path and the SHA-256 of nonce and body, with the secret that is
// base64.
#[tokio::test]
async fn a_secret_in_base64_is_put_in_as_the_bytes_that_it_means() {
    let desk = Desk::set().await;
    let (url, mut got) = listener().await;
    let bytes: Vec<u8> = (0..64).collect();
    let secret = BASE64_STANDARD.encode(&bytes);
    desk.add("kraken", &url, put_in(&secret)).await.unwrap();
    assert_eq!(desk.facts("kraken").await.algorithm, "HMAC-SHA512");
    let (base, token) = desk.bot().await;
    let (port, prefix) = place(&base);
    let request = format!(
        "POST {prefix}/0/private/Balance HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         X-Touchkeep-Token: {token}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\nnonce=1"
    );
    let (status, answer) = http(port, &request).await;
    assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
    let text = got.recv().await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let nonce = body.split('&').find_map(|pair| pair.strip_prefix("nonce="));
    let hashed = format!("{}{body}", nonce.unwrap());
    let (_, hash) = openssl(&["dgst", "-sha256", "-binary"], hashed.as_bytes());
    let message = [b"/0/private/Balance", &hash[..]].concat();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mac = [
        "mac",
        "-digest",
        "sha512",
        "-binary",
        "-macopt",
        &format!("hexkey:{hex}"),
        "HMAC",
    ];
    let (_, mac) = openssl(&mac, &message);
    let sent = header(head, "API-Sign").unwrap();
    assert_eq!(sent, BASE64_STANDARD.encode(mac));
}

// A key of Coinbase's portal: what the token signs is verified by openssl with the public half of the file.
#[tokio::test]
async fn a_key_of_a_portal_is_put_in_and_signs_tokens() {
    let desk = Desk::set().await;
    let (url, mut got) = listener().await;
    let file = desk.file("portal.pem", b"");
    let make = [
        "ecparam",
        "-name",
        "prime256v1",
        "-genkey",
        "-noout",
        "-out",
        &file,
    ];
    assert!(openssl(&make, b"").0);
    let pem = std::fs::read_to_string(&file).unwrap();
    let (_, public) = openssl(&["ec", "-pubout", "-in", &file], b"");
    desk.add("coinbase", &url, put_in(&pem.replace('\n', "\\n")))
        .await
        .unwrap();
    let facts = desk.facts("coinbase").await;
    assert_eq!((facts.algorithm.as_str(), facts.imported), ("P-256", true));
    let exported = desk.public_key("coinbase", Some("pem")).await.unwrap();
    assert_eq!(exported.pem.as_bytes(), public);

    let (base, token) = desk.bot().await;
    let (port, prefix) = place(&base);
    let request = format!(
        "GET {prefix}/api/v3/brokerage/accounts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         X-Touchkeep-Token: {token}\r\n\r\n"
    );
    let (status, answer) = http(port, &request).await;
    assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
    let text = got.recv().await.unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let bearer = header(head, "Authorization").unwrap();
    let jwt = bearer.strip_prefix("Bearer ").unwrap();
    let (signed, signature) = jwt.rsplit_once('.').unwrap();
    let raw = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .unwrap();
    let der = {
        let half = |bytes: &[u8]| {
            let digits: Vec<u8> = bytes
                .iter()
                .copied()
                .skip_while(|byte| *byte == 0)
                .collect();
            let pad = usize::from(digits[0] >= 0x80);
            [&[2, (digits.len() + pad) as u8][..], &vec![0; pad], &digits].concat()
        };
        let both = [half(&raw[..32]), half(&raw[32..])].concat();
        [&[0x30, both.len() as u8][..], &both].concat()
    };
    let (key, signature) = (desk.file("public.pem", &public), desk.file("der", &der));
    let message = desk.file("jwt", signed.as_bytes());
    let verify = [
        "dgst",
        "-sha256",
        "-verify",
        &key,
        "-signature",
        &signature,
        &message,
    ];
    assert!(openssl(&verify, b"").0, "{jwt}");
    assert!(!desk.agent.log().contains("PRIVATE KEY"));
}
