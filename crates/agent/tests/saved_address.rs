//! Withdrawals to a name under which the venue keeps an address: what the name means is shown and held to, and a name that has
//! come to mean something else is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use common::{Agent, Person, add_bot, http, key_of, no, practice_vault, yes};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use touchkeep_client::Connection;
use touchkeep_wire::*;

const GOOD: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
const EVIL: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdp";
const SECRET: &str = "c2F2ZWQtYWRkcmVzcy1zZWNyZXQ=";
const POLICY: &str = "[[rule]]\nname = \"reads\"\nkinds = [\"read\"]\naction = \"allow\"\n\
    [[rule]]\nname = \"money\"\nkinds = [\"withdraw\"]\naction = \"touch\"\n";

/// Kraken's address book, and the withdrawals that arrived.
#[derive(Default)]
struct Book {
    // None: the key has no right to look.
    address: Option<&'static str>,
    // None: it does not say.
    free: Option<&'static str>,
    withdrawals: Vec<String>,
    looks: usize,
    balances: usize,
}

struct Desk {
    agent: Agent,
    client: Connection,
    book: Arc<Mutex<Book>>,
    port: u16,
    token: String,
}

async fn kraken(book: Arc<Mutex<Book>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let book = Arc::clone(&book);
            let service = service_fn(move |request: Request<Incoming>| {
                let book = Arc::clone(&book);
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    let answer = answer(&mut book.lock().unwrap(), &path, body);
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer))))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    url
}

fn answer(book: &mut Book, path: &str, body: String) -> String {
    match path {
        "/0/private/WithdrawAddresses" => {
            book.looks += 1;
            assert!(body.contains("XBT&key="), "{body}");
            match book.address {
                Some(address) => format!(
                    r#"{{"error":[],"result":[{{"address":"{address}","asset":"XBT","method":"Bitcoin","key":"cold","verified":true}},
                    {{"address":"other","asset":"XBT","method":"Bitcoin","key":"warm","verified":true}}]}}"#
                ),
                None => r#"{"error":["EGeneral:Permission denied"]}"#.to_owned(),
            }
        }
        "/0/private/Balance" => {
            book.balances += 1;
            match book.free {
                Some(free) => format!(r#"{{"error":[],"result":{{"ZUSD":"9","XXBT":"{free}"}}}}"#),
                None => r#"{"error":["EGeneral:Permission denied"]}"#.to_owned(),
            }
        }
        "/0/private/Withdraw" => {
            book.withdrawals.push(body);
            r#"{"error":[],"result":{"refid":"R"}}"#.to_owned()
        }
        _ => r#"{"error":["EGeneral:Unknown method"]}"#.to_owned(),
    }
}

impl Desk {
    async fn new(policy: &str) -> Self {
        let book = Arc::<Mutex<Book>>::default();
        let url = kraken(Arc::clone(&book)).await;
        let agent = Agent::start().await;
        let client = agent.client().await;
        practice_vault(&agent, &client).await;
        let _owner = Person::new(&agent, yes).await;
        for class in ["read", "move-money"] {
            let api_key = format!("{class}-key-0123456789");
            let add = key_of("kraken", class, &api_key, &url, SECRET);
            client.call(add).await.unwrap();
        }
        let text = policy.into();
        client.call(SetPolicy { text }).await.unwrap();
        let bot = add_bot(&client).await;
        let (port, _) = common::place(&bot.base_url());
        Self {
            agent,
            client,
            book,
            port,
            token: bot.token.into_inner(),
        }
    }

    fn keeps(&self, address: Option<&'static str>) {
        self.book.lock().unwrap().address = address;
    }

    fn has(&self, free: Option<&'static str>) {
        self.book.lock().unwrap().free = free;
    }

    fn withdrawals(&self) -> Vec<String> {
        std::mem::take(&mut self.book.lock().unwrap().withdrawals)
    }

    // What the bot is told, and what a person was asked.
    async fn withdraw(&self, more: &str) -> (u16, String, Vec<Approval>) {
        self.withdraw_of("XBT", more).await
    }

    async fn withdraw_of(&self, asset: &str, more: &str) -> (u16, String, Vec<Approval>) {
        self.withdraw_asking(yes, asset, more).await
    }

    async fn withdraw_asking(
        &self,
        says: fn(&Question) -> Option<Answer>,
        asset: &str,
        more: &str,
    ) -> (u16, String, Vec<Approval>) {
        let person = Person::new(&self.agent, says).await;
        let body = format!("nonce=1&asset={asset}&amount=0.5&{more}");
        let request = format!(
            "POST /kraken/0/private/Withdraw HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nAPI-Key: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            self.token,
            body.len()
        );
        let (status, answer) = http(self.port, &request).await;
        (status, answer, person.approvals())
    }

    async fn rows(&self, kind: &str) -> Vec<AuditRow> {
        let list = ListAudit {
            before: None,
            limit: 100,
            filter: AuditFilter {
                kinds: vec![kind.into()],
                ..Default::default()
            },
        };
        self.client.call(list).await.unwrap().rows
    }
}

#[tokio::test]
async fn what_a_name_means_is_shown_and_held_to() {
    let desk = Desk::new(POLICY).await;
    desk.keeps(Some(GOOD));
    let (_, answer, asked) = desk.withdraw("key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
    let [one] = &asked[..] else {
        panic!("{asked:?}")
    };
    let sentence = format!("Withdraw to saved address 0.5 XBT on Kraken to cold which is {GOOD}");
    assert_eq!(one.sentence, sentence);
    assert!(
        !one.unusual
            .iter()
            .any(|why| why.contains("could not be seen"))
    );
    let sent = desk.withdrawals();
    assert!(sent[0].contains(&format!("&address={GOOD}")), "{sent:?}");
    let intents = desk.rows("intent").await;
    assert_eq!(intents.len(), 3, "the looks are on record, too");
}

// The reading key asks; what the venue says is shown, and what it does not say keeps nothing up.
#[tokio::test]
async fn the_share_of_what_is_free_is_shown_where_the_venue_says_it() {
    let balance = |asked: &[Approval]| {
        let [one] = asked else { panic!("{asked:?}") };
        let facts = one.facts.iter().filter(|(name, _)| name == "Balance");
        let takes = one.unusual.iter().filter(|why| why.starts_with("takes "));
        (
            facts.map(|(_, value)| value.clone()).collect::<Vec<_>>(),
            takes.cloned().collect::<Vec<_>>(),
        )
    };
    let desk = Desk::new(POLICY).await;
    desk.keeps(Some(GOOD));
    desk.has(Some("1.613"));
    let (_, answer, asked) = desk.withdraw("key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
    let small = "31 % of 1.613 XBT that are free there".to_owned();
    assert_eq!(balance(&asked), (vec![small], vec![]));
    desk.has(Some("0.5"));
    let (_, _, asked) = desk.withdraw("key=cold").await;
    assert_eq!(balance(&asked).1, ["takes 100 % of what is free there"]);
    desk.has(Some("0.49"));
    let (_, _, asked) = desk.withdraw("key=cold").await;
    assert_eq!(
        balance(&asked).0,
        ["more than the 0.49 XBT that are free there"]
    );
    assert_eq!(balance(&asked).1, ["takes more than what is free there"]);
    desk.has(None);
    let (_, answer, asked) = desk.withdraw("key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
    assert_eq!(balance(&asked), (vec![], vec![]));
}

#[tokio::test]
async fn a_name_that_has_come_to_mean_another_address_is_refused() {
    let desk = Desk::new(POLICY).await;
    desk.keeps(Some(GOOD));
    let (_, answer, _) = desk.withdraw("key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
    desk.withdrawals();

    desk.keeps(Some(EVIL));
    let (_, answer, asked) = desk.withdraw("key=cold").await;
    assert!(
        answer.contains(&format!("keeps {EVIL}, and not {GOOD}")),
        "{answer}"
    );
    assert!(asked.is_empty() && desk.withdrawals().is_empty());
    let refused = desk.rows("request-refused").await;
    assert_eq!(refused.len(), 1);

    // Nobody sees what it is now: the venue is made to look, and refuses another than before.
    desk.keeps(None);
    let (_, _, asked) = desk.withdraw("key=cold").await;
    let unusual = &asked[0].unusual;
    assert!(
        unusual
            .iter()
            .any(|why| why.contains("EGeneral:Permission denied")
                && why.contains("refuses another than the last one")),
        "{unusual:?}"
    );
    assert!(desk.withdrawals()[0].contains(&format!("&address={GOOD}")));

    desk.keeps(Some(GOOD));
    let (_, answer, _) = desk.withdraw("key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
}

// Kraken has two names for one coin: a name of an address is the same under both.
#[tokio::test]
async fn another_spelling_of_the_asset_makes_no_name_new() {
    let desk = Desk::new(POLICY).await;
    desk.keeps(Some(GOOD));
    let (_, answer, _) = desk.withdraw_of("XBT", "key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
    desk.withdrawals();
    desk.keeps(Some(EVIL));
    let (_, answer, asked) = desk.withdraw_of("XXBT", "key=cold").await;
    assert!(
        answer.contains(&format!("keeps {EVIL}, and not {GOOD}")),
        "{answer}"
    );
    assert!(asked.is_empty() && desk.withdrawals().is_empty());
}

#[tokio::test]
async fn a_request_that_names_another_address_than_the_venue_is_refused() {
    let desk = Desk::new(POLICY).await;
    desk.keeps(Some(GOOD));
    let (_, answer, asked) = desk.withdraw(&format!("key=cold&address={EVIL}")).await;
    assert!(
        answer.contains(&format!("keeps {GOOD}, and not {EVIL}")),
        "{answer}"
    );
    assert!(asked.is_empty() && desk.withdrawals().is_empty());
    let (_, answer, _) = desk.withdraw(&format!("key=cold&address={GOOD}")).await;
    assert!(answer.contains("\"refid\""), "{answer}");
    assert_eq!(desk.withdrawals()[0].matches("address=").count(), 1);
}

#[tokio::test]
async fn where_nobody_can_look_a_person_is_told_and_what_is_denied_is_not_looked_up() {
    let deny = POLICY.replace("\"allow\"", "\"deny\"");
    let desk = Desk::new(&deny).await;
    desk.keeps(Some(GOOD));
    let (_, answer, asked) = desk.withdraw("key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
    let unusual = &asked[0].unusual;
    assert!(
        unusual
            .iter()
            .any(|why| why.contains("could not be seen: no rule lets this client")),
        "{unusual:?}"
    );
    assert!(!desk.withdrawals()[0].contains("address="));

    let desk = Desk::new(&POLICY.replace("\"touch\"", "\"deny\"")).await;
    desk.keeps(Some(GOOD));
    desk.withdraw("key=cold").await;
    assert_eq!(desk.book.lock().unwrap().looks, 0);
}

// It is refused all the same, and what is looked up counts at the venue.
#[tokio::test]
async fn nothing_is_looked_up_for_a_client_that_asks_nobody() {
    let desk = Desk::new(POLICY).await;
    desk.keeps(Some(GOOD));
    desk.has(Some("1.613"));
    let looked = || {
        let book = desk.book.lock().unwrap();
        (book.looks, book.balances)
    };
    for times in 1..=3 {
        let (_, answer, asked) = desk.withdraw_asking(no, "XBT", "key=cold").await;
        assert!(answer.contains("a person refused"), "{answer}");
        assert_eq!((asked.len(), looked()), (1, (times, times)));
    }
    for _ in 0..2 {
        let (_, answer, asked) = desk.withdraw("key=cold").await;
        assert!(answer.contains("asks nobody for another"), "{answer}");
        assert!(asked.is_empty());
    }
    assert_eq!(looked(), (3, 3));
    let refused = desk.rows("request-refused").await;
    assert_eq!(refused.len(), 5, "{refused:?}");
    let says = |row: &AuditRow, name: &str, words: &str| {
        let mut details = row.details.iter();
        details.any(|(is, value)| is == name && value.contains(words))
    };
    assert!(says(&refused[0], "why", "asks nobody for another"));
    assert!(says(&refused[0], "rule", "money"), "{:?}", refused[0]);
    assert!(desk.withdrawals().is_empty());
    // A person is there again.
    let (front, events) = desk.agent.front_end().await.split();
    let _ended = front.call(EndRests {}).await.unwrap();
    drop((front, events));
    let (_, answer, asked) = desk.withdraw("key=cold").await;
    assert!(answer.contains("\"refid\""), "{answer}");
    assert!(asked[0].sentence.contains(GOOD), "{asked:?}");
    assert_eq!(looked(), (4, 4));
}
