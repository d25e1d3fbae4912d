//! A bot's requests on their way through the real agent to a venue: what arrives, what does not, and what the log says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use common::{
    Agent, PASSPHRASE, Person, Venue,
    asker::{Asker, asker},
    bot, http, no, place, undecided, until, yes,
};
use touchkeep_client::{CallError, Connection};
use touchkeep_core::Code;
use touchkeep_wire::*;

const TRADE_SECRET: &str = "canary-trade-secret-0123456789";
const POLICY: &str = r#"
[[rule]]
name = "small orders"
kinds = ["trade", "cancel"]
symbols = ["BTCUSDT"]
max_amount = "1"
action = "allow"

[[rule]]
name = "reads"
kinds = ["read"]
action = "allow"

[[rule]]
name = "money by hand"
kinds = ["withdraw", "transfer"]
action = "touch"
"#;
const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=100&timestamp=1&signature=dummy";
const WITHDRAW: &str =
    "coin=BTC&address=bc1qcanaryaddress&amount=0.5&network=BTC&timestamp=1&signature=dummy";
const WITHDRAW_PATH: &str = "/sapi/v1/capital/withdraw/apply";

struct Desk {
    agent: Agent,
    client: Connection,
    venue: Venue,
    base: String,
    token: String,
}

async fn desk(config: &str, money: fn(SecretText) -> NewSecret, answers: bool) -> Desk {
    let agent = Agent::start_with(config, &[]).await;
    let client = agent.client().await;
    let owner = Person::new(&agent, yes).await;
    let venue = Venue::start(TRADE_SECRET, answers).await;
    let path = agent.home.path().join("v.touchkeep").display().to_string();
    let made = client
        .call(CreateVault {
            path,
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device: NewDevice::Software { work_factor: 10 },
        })
        .await
        .unwrap();
    assert!(made.practice && made.items == Some(0));
    for (name, class, secret) in [
        (
            "trade",
            "trade",
            (|value| NewSecret::Stored { value }) as fn(SecretText) -> NewSecret,
        ),
        ("money", "move-money", money),
        ("read", "read", |value| NewSecret::Stored { value }),
    ] {
        client
            .call(AddItem {
                rotate_after_days: Some(90),
                ..AddItem::new("exchange-key", name)
                    .field("venue", "binance")
                    .field("key-set", "main")
                    .field("class", class)
                    .field("api-key", format!("{name}-api-key-0123456789"))
                    .field("base-url", &venue.url)
                    .secret("secret", secret(SecretText::new(TRADE_SECRET.into())))
            })
            .await
            .unwrap();
    }
    client
        .call(SetPolicy {
            text: POLICY.into(),
        })
        .await
        .unwrap();
    let bot = client
        .call(AddClient::unbound("grid-bot", "main"))
        .await
        .unwrap();
    drop(owner);
    Desk {
        agent,
        client,
        venue,
        base: bot.base_url(),
        token: bot.token.into_inner(),
    }
}

fn stored(value: SecretText) -> NewSecret {
    NewSecret::Stored { value }
}

fn sealed(value: SecretText) -> NewSecret {
    NewSecret::Sealed { value }
}

const CONFIG: &str = "approval_seconds = 20\n";

impl Desk {
    async fn order(&self) -> (u16, String) {
        bot(&self.base, &self.token, "POST", "/api/v3/order", ORDER).await
    }

    async fn withdraw(&self) -> (u16, String) {
        bot(&self.base, &self.token, "POST", WITHDRAW_PATH, WITHDRAW).await
    }

    async fn rows(&self, kinds: &[&str]) -> Vec<AuditRow> {
        let kinds = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let page = self
            .client
            .call(ListAudit {
                before: None,
                limit: 500,
                filter: AuditFilter {
                    kinds,
                    ..Default::default()
                },
            })
            .await
            .unwrap();
        // What is free was asked before, by ourselves.
        let asked = |row: &AuditRow| {
            !row.what
                .as_deref()
                .is_some_and(|what| what.starts_with("Read account"))
        };
        page.rows.into_iter().filter(asked).collect()
    }
}

#[tokio::test]
async fn an_order_within_the_rule_arrives_signed_and_recorded() {
    let desk = desk(CONFIG, stored, true).await;
    let (status, answer) = desk.order().await;
    assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
    assert!(
        answer.contains(r#"{"orderId":7}"#) && answer.contains("x-mbx-used-weight-1m: 3"),
        "{answer}"
    );
    let got = desk.venue.got();
    assert_eq!(got.len(), 1);
    assert!(got[0].signed, "{got:?}");
    assert_eq!(got[0].api_key, "trade-api-key-0123456789");
    assert!(
        got[0].parameters.starts_with("symbol=BTCUSDT&side=BUY")
            && !got[0].parameters.contains("dummy")
    );
    let rows = desk.rows(&["intent", "outcome"]).await;
    assert_eq!(rows[0].of, Some(rows[1].seq));
    assert_eq!(
        (rows[1].decision.as_str(), rows[0].decision.as_str()),
        ("allowed", "done")
    );
    assert_eq!(rows[1].client.as_deref(), Some("grid-bot"));
    let clients = desk.client.call(ListClients {}).await.unwrap();
    assert!(clients[0].last_seen.is_some());
}

// Each would count sums and numbers for itself.
#[tokio::test]
async fn of_two_agents_with_copies_of_a_vault_one_signs() {
    let desk = desk(CONFIG, stored, true).await;
    assert_eq!(desk.order().await.0, 200);
    // Whatever each was started with.
    let elsewhere = desk.agent.home.path().to_str().unwrap();
    let other = Agent::start_with(CONFIG, &[("TMPDIR", elsewhere)]).await;
    let copy = other.home.path().join("copy.touchkeep");
    std::fs::copy(desk.agent.home.path().join("v.touchkeep"), &copy).unwrap();
    let owner = Person::new(&other, yes).await;
    let client = other.client().await;
    client
        .call(UnlockVault {
            path: Some(copy.display().to_string()),
            device: None,
        })
        .await
        .unwrap();
    drop(owner);
    let base = client.call(GetStatus {}).await.unwrap().proxy.unwrap();
    let base = format!("{base}/binance");
    let reads = || bot(&base, &desk.token, "GET", "/api/v3/account", "");
    let (status, answer) = reads().await;
    assert_eq!(status, 403, "{answer}");
    let holder = format!("process {}", desk.agent.child.id());
    assert!(
        answer.contains("another agent") && answer.contains(&holder),
        "{answer}"
    );
    assert_eq!(desk.venue.got().len(), 1);
    // Once the first one is locked, the other one signs, and the first one does not.
    desk.client.call(LockVault {}).await.unwrap();
    assert_eq!(reads().await.0, 200);
    assert_eq!(desk.venue.got().len(), 2);
}

#[tokio::test]
async fn public_data_needs_a_token_and_no_key() {
    let desk = desk(CONFIG, stored, true).await;
    let (status, answer) = bot(
        &desk.base,
        &desk.token,
        "GET",
        "/api/v3/ticker/price?symbol=BTCUSDT",
        "",
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(desk.venue.got()[0].api_key, "");
    let (status, answer) = bot(
        &desk.base,
        "tkc_nobody",
        "GET",
        "/api/v3/ticker/price?symbol=BTCUSDT",
        "",
    )
    .await;
    assert_eq!(status, 401, "{answer}");
    assert_eq!(desk.venue.got().len(), 1);
}

// How many refusals had no row is not lost with a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_tells_how_many_refusals_had_no_row() {
    let desk = desk(CONFIG, sealed, true).await;
    let unreadable = || {
        bot(
            &desk.base,
            &desk.token,
            "GET",
            "/api/v3/account?a=1&a=2",
            "",
        )
    };
    for _ in 0..1_003 {
        let (status, answer) = unreadable().await;
        assert_eq!(status, 400, "{answer}");
    }
    assert_eq!(desk.rows(&["request-denied"]).await.len(), 0);
    desk.client.call(LockVault {}).await.unwrap();
    // Once: another lock has nothing to tell.
    let unlock = || UnlockVault {
        path: None,
        device: None,
    };
    let _person = Person::new(&desk.agent, yes).await;
    desk.client.call(unlock()).await.unwrap();
    desk.client.call(LockVault {}).await.unwrap();
    desk.client.call(unlock()).await.unwrap();
    let told = desk.rows(&["request-denied"]).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].client.as_deref(), Some("grid-bot"));
    let unsaid = ("refused without a row before it".to_owned(), "3".to_owned());
    assert!(told[0].details.contains(&unsaid), "{told:?}");
    // Before the lock's own row, so that the log signed at the lock has it.
    let locked = desk.rows(&["locked"]).await;
    assert_eq!(locked.last().unwrap().seq, told[0].seq + 1, "{locked:?}");
}

#[tokio::test]
async fn a_refused_withdrawal_never_reaches_the_venue() {
    let desk = desk(CONFIG, sealed, true).await;
    let person = Person::new(&desk.agent, no).await;
    let (status, answer) = desk.withdraw().await;
    assert_eq!(status, 403, "{answer}");
    assert!(
        answer.contains(r#""code":-1002"#) && answer.contains("Touchkeep: "),
        "{answer}"
    );
    assert!(desk.venue.got().is_empty());
    let shown = &person.approvals()[0];
    assert!(
        shown.sentence.contains("0.5 BTC") && shown.sentence.contains("bc1qcanaryaddress"),
        "{shown:?}"
    );
    assert!(shown.touch && shown.practice && shown.client == "grid-bot");
    assert!(
        shown
            .unusual
            .contains(&"first time to this address".to_owned())
    );
    // This very test is the process that asked.
    let own = format!("({})", std::process::id());
    assert!(
        shown.process.iter().any(|one| one.contains(&own)),
        "{:?}",
        shown.process
    );
    let rows = desk.rows(&["request-refused", "intent"]).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].decision, "refused");
}

#[tokio::test]
async fn an_approved_withdrawal_with_the_passphrase_arrives_signed() {
    for money in [sealed, stored] {
        let desk = desk(CONFIG, money, true).await;
        let person = Person::new(&desk.agent, yes).await;
        let (status, answer) = desk.withdraw().await;
        assert_eq!(status, 200, "{answer}\n{}", desk.agent.log());
        let got = desk.venue.got();
        assert!(
            got.len() == 1 && got[0].signed && got[0].path == WITHDRAW_PATH,
            "{got:?}"
        );
        assert_eq!(got[0].api_key, "money-api-key-0123456789");
        assert_eq!(
            (person.approvals().len(), person.passphrases()),
            (1, 1),
            "one yes, one passphrase"
        );
        assert_eq!(desk.rows(&["intent"]).await[0].decision, "touched");
        // The second time the address is known, and everything is asked again.
        desk.withdraw().await;
        assert_eq!((person.approvals().len(), person.passphrases()), (2, 2));
        assert!(person.approvals()[1].unusual.is_empty());
    }
}

#[tokio::test]
async fn a_wrong_passphrase_signs_nothing() {
    let desk = desk(CONFIG, sealed, true).await;
    let _person = Person::new(&desk.agent, |question| match question {
        Question::Passphrase { .. } => Some(Answer::Secret {
            value: SecretText::new("wrong".into()),
        }),
        other => yes(other),
    })
    .await;
    let (status, answer) = desk.withdraw().await;
    assert_eq!(status, 403, "{answer}");
    assert!(desk.venue.got().is_empty());
    assert!(desk.rows(&["intent"]).await.is_empty());
}

#[tokio::test]
async fn a_yes_to_another_digest_is_no_yes() {
    let desk = desk(CONFIG, sealed, true).await;
    let person = Person::new(&desk.agent, |question| match question {
        Question::Approval(_) => Some(Answer::Approve {
            digest: "00".repeat(32),
        }),
        other => yes(other),
    })
    .await;
    let (status, answer) = desk.withdraw().await;
    assert_eq!(status, 403, "{answer}");
    assert!(desk.venue.got().is_empty());
    assert_eq!(
        person.passphrases(),
        0,
        "nobody types for what was not approved"
    );
    assert_eq!(desk.rows(&["request-refused"]).await.len(), 1);
}

#[tokio::test]
async fn silence_refuses_at_the_deadline() {
    let desk = desk("approval_seconds = 1\n", sealed, true).await;
    let person = Person::new(&desk.agent, undecided).await;
    let (status, answer) = desk.withdraw().await;
    assert_eq!(status, 403, "{answer}");
    assert!(desk.venue.got().is_empty());
    assert_eq!(desk.rows(&["request-refused"]).await.len(), 1);
    assert_eq!(person.approvals().len(), 1);
    let waiting = desk.client.call(ListPrompts {}).await.unwrap();
    assert!(waiting.is_empty());
}

#[tokio::test]
async fn without_any_front_end_silence_refuses_too() {
    let desk = desk("approval_seconds = 1\n", sealed, true).await;
    let (status, _) = desk.withdraw().await;
    assert_eq!(status, 403);
    assert!(desk.venue.got().is_empty());
}

#[tokio::test]
async fn a_bot_that_hangs_up_takes_its_question_along() {
    let desk = desk(CONFIG, sealed, true).await;
    let (port, prefix) = place(&desk.base);
    let request = format!(
        "POST {prefix}{WITHDRAW_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-MBX-APIKEY: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{WITHDRAW}",
        desk.token,
        WITHDRAW.len()
    );
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
        .await
        .unwrap();
    until(async || desk.client.call(ListPrompts {}).await.unwrap().len() == 1).await;
    drop(stream);
    until(async || desk.client.call(ListPrompts {}).await.unwrap().is_empty()).await;
    until(async || !desk.rows(&["request-refused"]).await.is_empty()).await;
    let rows = desk.rows(&["request-refused", "intent"]).await;
    assert_eq!((rows.len(), rows[0].decision.as_str()), (1, "refused"));
    assert_eq!(rows[0].client.as_deref(), Some("grid-bot"));
    assert!(desk.venue.got().is_empty());
}

#[tokio::test]
async fn a_yes_to_one_of_two_that_are_alike_is_for_that_one() {
    let desk = desk("approval_seconds = 3\n", sealed, true).await;
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let person = Person::new(&desk.agent, move |question| match question {
        Question::Approval(_) if asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 => {
            None
        }
        other => yes(other),
    })
    .await;
    let (one, other) = tokio::join!(desk.withdraw(), desk.withdraw());
    let mut both = [one.0, other.0];
    both.sort_unstable();
    assert_eq!(both, [200, 403], "{one:?} {other:?}");
    let approvals = person.approvals();
    assert_eq!(approvals[0].digest, approvals[1].digest);
    assert_eq!((desk.venue.got().len(), person.passphrases()), (1, 1));
}

#[tokio::test]
async fn a_vault_that_was_made_where_another_was_can_be_changed_after_a_lock() {
    let agent = Agent::start().await;
    let client = agent.client().await;
    let _owner = Person::new(&agent, yes).await;
    let path = agent.home.path().join("v.touchkeep").display().to_string();
    for _ in 0..2 {
        let made = CreateVault {
            path: path.clone(),
            user: "Zoe".into(),
            environment: "test".into(),
            practice: true,
            device: NewDevice::Software { work_factor: 10 },
        };
        client.call(made).await.unwrap();
        client.call(LockVault {}).await.unwrap();
        let unlock = UnlockVault {
            path: Some(path.clone()),
            device: None,
        };
        client.call(unlock).await.unwrap();
        let text = POLICY.to_owned();
        client.call(SetPolicy { text }).await.unwrap();
        client.call(LockVault {}).await.unwrap();
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn what_no_rule_knows_is_denied() {
    let desk = desk(CONFIG, stored, true).await;
    let (status, answer) = bot(
        &desk.base,
        &desk.token,
        "POST",
        "/sapi/v1/nobody/knows/this",
        "a=1",
    )
    .await;
    assert_eq!(status, 403, "{answer}");
    let row = desk.rows(&["request-denied"]).await[0].seq;
    let why = "denied by default: no rule allows it, and what it does is not known";
    let fix = format!("why: touchkeep policy explain {row}");
    assert!(answer.contains(&format!("{why}; {fix}")), "{answer}");
    let (status, answer) = bot(
        &desk.base,
        &desk.token,
        "POST",
        "/api/v3/order",
        "symbol=A&symbol=B",
    )
    .await;
    assert_eq!(status, 400, "{answer}");
    let small = "symbol=btcusdt&side=BUY&type=MARKET&quantity=0.001";
    let (status, answer) = bot(&desk.base, &desk.token, "POST", "/api/v3/order", small).await;
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("write it as the venue does"), "{answer}");
    assert!(desk.venue.got().is_empty());
    assert_eq!(desk.rows(&["request-denied"]).await.len(), 1);
    assert_eq!(desk.rows(&["request-unreadable"]).await.len(), 2);
}

// A limit that is full is no missing rule.
#[tokio::test]
async fn an_order_over_a_limit_is_told_which() {
    let desk = desk(CONFIG, stored, true).await;
    let _owner = Person::new(&desk.agent, yes).await;
    let rule = "[[rule]]\nname = \"small orders\"\nkinds = [\"trade\"]\nsymbols = [\"BTCUSDT\"]\naction = \"allow\"\n";
    let rest = "[[rule]]\nname = \"rest\"\naction = \"deny\"\n";
    for (limit, below, why) in [
        ("max_amount = \"0.1\"", "", "over max_amount"),
        ("requests_per_minute = 1", "", "over requests_per_minute"),
        (
            "window_amount = \"0.1\"\nwindow_hours = 1",
            rest,
            "over window_amount",
        ),
        ("sides = [\"sell\"]", "", ""),
    ] {
        let text = format!("{rule}{limit}\n{below}");
        desk.client.call(SetPolicy { text }).await.unwrap();
        let (mut status, mut answer) = desk.order().await;
        if limit.starts_with("requests") {
            assert_eq!(status, 200, "{answer}");
            (status, answer) = desk.order().await;
        }
        assert_eq!(status, 403, "{answer}");
        let row = desk.rows(&["request-denied"]).await.remove(0);
        let fix = format!("; why: touchkeep policy explain {}", row.seq);
        let words = format!(r#"{why} of the rule \"small orders\""#);
        let told = match (why, below) {
            ("", _) => "denied by default: no rule allows it".to_owned(),
            (_, "") => format!("denied: {words}, and no other rule allows it"),
            _ => format!(r#"denied by the rule \"rest\": {words}"#),
        };
        assert!(answer.contains(&format!("{told}{fix}")), "{answer}");
        let recorded = row.details.iter().find(|(name, _)| name == "why");
        let recorded = recorded.map(|(_, why)| why.as_str());
        let words = words.replace('\\', "");
        assert_eq!(recorded, (!why.is_empty()).then_some(&*words), "{row:?}");
    }
}

#[tokio::test]
async fn loopback_is_hostile_ground() {
    let desk = desk(CONFIG, stored, true).await;
    let (port, prefix) = place(&desk.base);
    let ask = async |target: &str, headers: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        http(port, &request).await.0
    };
    let target = format!("{prefix}/api/v3/account?timestamp=1");
    let (token, host) = (
        format!("X-MBX-APIKEY: {}\r\n", desk.token),
        format!("Host: 127.0.0.1:{port}\r\n"),
    );
    for other in ["evil.test", "127.0.0.1", "127.0.0.1.evil", "[::1]"] {
        assert_eq!(
            ask(&target, &format!("Host: {other}\r\n{token}")).await,
            421,
            "{other}"
        );
    }
    assert_eq!(
        ask(&target, &format!("{host}{token}Origin: null\r\n")).await,
        403
    );
    assert_eq!(
        ask(
            &target,
            &format!("{host}{token}Sec-Fetch-Site: cross-site\r\n")
        )
        .await,
        403
    );
    assert_eq!(ask(&target, &host).await, 401);
    assert_eq!(ask("/binance/../etc", &format!("{host}{token}")).await, 404);
    assert_eq!(
        ask(
            &format!("http://evil.test{target}"),
            &format!("{host}{token}")
        )
        .await,
        421
    );
    let preflight = format!(
        "OPTIONS {target} HTTP/1.1\r\nConnection: close\r\n{host}Origin: http://evil.test\r\n\r\n"
    );
    let (status, answer) = http(port, &preflight).await;
    assert!(
        status == 403 && !answer.to_lowercase().contains("access-control"),
        "{answer}"
    );
    let twice = format!("{host}{token}Content-Type: a/b\r\nContent-Type: c/d\r\n");
    assert_eq!(ask(&target, &twice).await, 400);
    let long = format!("{host}{token}X-Long: {}\r\n", "a".repeat(100_000));
    assert_eq!(ask(&target, &long).await, 431);
    assert!(desk.venue.got().is_empty());
    assert_eq!(
        ask(&target, &format!("{host}{token}")).await,
        200,
        "and the honest one passes"
    );
}

#[tokio::test]
async fn a_revoked_client_and_a_locked_vault_get_nothing() {
    let desk = desk(CONFIG, stored, true).await;
    assert_eq!(desk.order().await.0, 200);
    desk.client.call(LockVault {}).await.unwrap();
    let (status, answer) = desk.order().await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer.contains("locked"), "{answer}");
    assert!(matches!(
        desk.client.call(ListItems {}).await,
        Err(CallError::Failed(failure)) if failure.code == Code::Locked
    ));
    let _person = Person::new(&desk.agent, yes).await;
    desk.client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    assert_eq!(desk.order().await.0, 200, "the token outlives the lock");
    desk.client
        .call(RevokeClient {
            client: "grid-bot".into(),
        })
        .await
        .unwrap();
    assert_eq!(desk.order().await.0, 401);
    assert_eq!(desk.venue.got().len(), 2);
    let kinds: Vec<_> = desk
        .rows(&[])
        .await
        .into_iter()
        .map(|row| row.kind)
        .collect();
    for kind in [
        "vault-created",
        "item-added",
        "policy-changed",
        "client-added",
        "locked",
        "unlocked",
        "client-removed",
    ] {
        assert!(kinds.iter().any(|one| one == kind), "{kind} in {kinds:?}");
    }
}

// Whoever sends a bot away, or lets it in to less, does not mean to be asked for it any more, and no late yes moves its money.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_of_a_client_that_is_revoked_ends_with_it() {
    for is_revoked in [true, false] {
        let desk = desk(CONFIG, stored, true).await;
        let person = Person::new(&desk.agent, undecided).await;
        let asked = tokio::spawn({
            let (base, token) = (desk.base.clone(), desk.token.clone());
            async move { bot(&base, &token, "POST", WITHDRAW_PATH, WITHDRAW).await }
        });
        until(async || !person.approvals().is_empty()).await;
        let client = "grid-bot".into();
        if is_revoked {
            desk.client.call(RevokeClient { client }).await.unwrap();
        } else {
            let bind = BindClient {
                client,
                venues: Vec::new(),
                kinds: vec!["read".into()],
            };
            desk.client.call(bind).await.unwrap();
        }
        let (status, answer) = asked.await.unwrap();
        assert_eq!(status, 403, "{answer}");
        assert!(
            answer.contains("this client was revoked") && answer.contains("nothing was sent"),
            "{answer}"
        );
        assert!(desk.client.call(ListPrompts {}).await.unwrap().is_empty());
        // It is on record once its row is written, which nobody waits for.
        until(async || !desk.rows(&["request-refused"]).await.is_empty()).await;
        let refused = desk.rows(&["request-refused"]).await;
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(desk.venue.got().is_empty());
    }
}

// What it has started may hold its token and its connection for longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_of_a_program_that_has_ended_ends_with_it() {
    let desk = desk(CONFIG, stored, true).await;
    let mut program = Asker::start(&asker(), &desk.agent);
    let token = program.ask("visit runner").await;
    let person = Person::new(&desk.agent, undecided).await;
    let asked = tokio::spawn({
        let base = desk.base.clone();
        async move { bot(&base, &token, "POST", WITHDRAW_PATH, WITHDRAW).await }
    });
    until(async || !person.approvals().is_empty()).await;
    drop(program);
    let (status, answer) = asked.await.unwrap();
    assert_eq!(status, 403, "{answer}");
    assert!(answer.contains("nothing was sent"), "{answer}");
    assert!(desk.client.call(ListPrompts {}).await.unwrap().is_empty());
    assert!(desk.venue.got().is_empty());
}

#[tokio::test]
async fn a_kill_between_record_and_answer_leaves_a_record_that_says_so() {
    let mut desk = desk(CONFIG, stored, false).await;
    let order = tokio::spawn({
        let (base, token) = (desk.base.clone(), desk.token.clone());
        async move { bot(&base, &token, "POST", "/api/v3/order", ORDER).await }
    });
    assert!(desk.venue.first().await.signed);
    desk.agent.kill();
    let _ = order.await;
    desk.agent.restart().await;
    desk.client = desk.agent.client().await;
    let rows = desk.rows(&["intent", "outcome"]).await;
    assert_eq!(rows[0].of, Some(rows[1].seq), "{rows:?}");
    assert_eq!(rows[0].decision, "unknown");
    let _person = Person::new(&desk.agent, yes).await;
    desk.client
        .call(UnlockVault {
            path: None,
            device: None,
        })
        .await
        .unwrap();
    let rows = desk.rows(&["outcome"]).await;
    assert!(
        rows[0].what.as_deref().unwrap().contains("State unknown"),
        "{rows:?}"
    );
    let verdict = desk.client.call(VerifyAudit { file: None }).await.unwrap();
    assert!(verdict.sound, "{verdict:?}");
}

#[tokio::test]
async fn the_log_verifies_and_one_flipped_byte_is_found() {
    let desk = desk(CONFIG, stored, true).await;
    desk.order().await;
    let verdict = desk.client.call(VerifyAudit { file: None }).await.unwrap();
    assert!(
        verdict.sound && verdict.size > 5 && verdict.signed > 0,
        "{verdict:?}"
    );
    desk.client.call(LockVault {}).await.unwrap();
    let locked = desk.client.call(VerifyAudit { file: None }).await.unwrap();
    assert_eq!(
        (locked.sound, locked.signed),
        (true, locked.size),
        "locking signs the log"
    );
    let id = desk
        .client
        .call(GetStatus {})
        .await
        .unwrap()
        .vault
        .unwrap()
        .id;
    let log = desk.agent.paths.data.join(format!("audit-{id}.sqlite"));
    let copy = desk.agent.home.path().join("copy.sqlite");
    let sql = format!("VACUUM INTO '{}'", copy.display());
    rusqlite::Connection::open(&log)
        .unwrap()
        .execute(&sql, [])
        .unwrap();
    let body: Vec<u8> = rusqlite::Connection::open(&copy)
        .unwrap()
        .query_one("SELECT body FROM row WHERE seq = 4", [], |row| row.get(0))
        .unwrap();
    let mut bytes = std::fs::read(&copy).unwrap();
    // SQLite leaves an older copy of a row where it moved it from, and nobody reads that.
    let found = bytes.windows(body.len()).enumerate();
    let found = found.filter(|(_, window)| *window == body);
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| bytes[at + 1] ^= 1);
    std::fs::write(&copy, bytes).unwrap();
    let file = Some(copy.display().to_string());
    let damaged = desk.client.call(VerifyAudit { file }).await.unwrap();
    assert!(
        !damaged.sound && damaged.first_bad == Some(4),
        "{damaged:?}"
    );
}

#[tokio::test]
async fn a_policy_is_changed_with_the_passphrase_alone() {
    let desk = desk(CONFIG, stored, true).await;
    let empty = || SetPolicy {
        text: String::new(),
    };
    let unreadable = desk
        .client
        .call(SetPolicy {
            text: "rule = 1".into(),
        })
        .await;
    assert!(matches!(unreadable, Err(CallError::Failed(failure)) if failure.code == Code::Invalid));
    {
        let _wrong = Person::new(&desk.agent, |question| match question {
            Question::Passphrase { .. } => Some(Answer::Secret {
                value: SecretText::new("wrong".into()),
            }),
            _ => None,
        })
        .await;
        let refused = desk.client.call(empty()).await;
        assert!(
            matches!(refused, Err(CallError::Failed(failure)) if failure.code == Code::WrongPassphrase)
        );
        assert_eq!(desk.client.call(GetPolicy {}).await.unwrap().text, POLICY);
    }
    assert_eq!(desk.order().await.0, 200);
    let _person = Person::new(&desk.agent, yes).await;
    let deny = "[[rule]]\nname = \"nothing\"\naction = \"deny\"\n";
    desk.client
        .call(SetPolicy { text: deny.into() })
        .await
        .unwrap();
    assert_eq!(desk.order().await.0, 403, "it is in force at once");
}

#[tokio::test]
async fn a_key_that_is_due_is_said_once() {
    let desk = desk(CONFIG, stored, true).await;
    let old = touchkeep_core::UnixMillis(1_000_000_000_000);
    desk.client
        .call(AddItem {
            rotate_after_days: Some(30),
            created: Some(old),
            ..AddItem::new("exchange-key", "old")
                .field("venue", "binance")
                .field("key-set", "old")
                .field("class", "read")
                .field("api-key", "old-api-key-0123456789")
                .secret(
                    "secret",
                    stored(SecretText::new("canary-old-secret".into())),
                )
        })
        .await
        .unwrap();
    let ages = desk.client.call(ListReminders {}).await.unwrap();
    assert_eq!(ages[0].name, "old");
    assert!(ages[0].days_left.unwrap() < -1000);
    // The scheduler may have been faster; together they say it once.
    desk.client.call(CheckReminders {}).await.unwrap();
    assert!(
        desk.client
            .call(CheckReminders {})
            .await
            .unwrap()
            .is_empty()
    );
    let rows = desk.rows(&["reminder"]).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].what.as_deref().unwrap().contains("old"));
}

#[tokio::test]
async fn a_vault_that_nobody_uses_is_locked() {
    let desk = desk("idle_lock_seconds = 3\n", stored, true).await;
    assert_eq!(desk.order().await.0, 200);
    until(async || !desk.client.call(GetStatus {}).await.unwrap().unlocked).await;
    assert_eq!(desk.order().await.0, 503);
}

#[tokio::test]
async fn a_lock_while_it_is_being_opened_leaves_it_locked() {
    let desk = desk(CONFIG, stored, true).await;
    desk.client.call(LockVault {}).await.unwrap();
    let (front_end, _events) = desk.agent.front_end().await.split();
    let unlock = UnlockVault {
        path: None,
        device: None,
    };
    let lock_and_type = async {
        until(async || desk.client.call(ListPrompts {}).await.unwrap().len() == 1).await;
        let prompt = desk.client.call(ListPrompts {}).await.unwrap()[0].id;
        desk.client.call(LockVault {}).await.unwrap();
        // The lock has closed it.
        let value = SecretText::new(PASSPHRASE.into());
        let late = front_end.answer(prompt, Answer::Secret { value }).await;
        assert!(
            matches!(&late, Err(CallError::Failed(failure)) if failure.code == Code::NotFound),
            "{late:?}"
        );
    };
    let (unlocked, ()) = tokio::join!(desk.client.call(unlock), lock_and_type);
    assert!(
        matches!(&unlocked, Err(CallError::Failed(failure)) if failure.code == Code::Locked),
        "{unlocked:?}"
    );
    let status = desk.client.call(GetStatus {}).await.unwrap();
    assert!(!status.unlocked);
}

#[tokio::test]
async fn reads_are_signed_by_the_trade_key_where_there_is_no_other() {
    let desk = desk(CONFIG, stored, true).await;
    let account = "/api/v3/account?timestamp=1&signature=x";
    assert_eq!(
        bot(&desk.base, &desk.token, "GET", account, "").await.0,
        200
    );
    desk.client
        .call(RemoveItem {
            item: "read".into(),
        })
        .await
        .unwrap();
    assert_eq!(
        bot(&desk.base, &desk.token, "GET", account, "").await.0,
        200
    );
    let keys: Vec<_> = desk
        .venue
        .got()
        .into_iter()
        .map(|got| got.api_key)
        .collect();
    assert_eq!(
        keys,
        ["read-api-key-0123456789", "trade-api-key-0123456789"]
    );
}

#[tokio::test]
async fn sigterm_locks() {
    let mut desk = desk(CONFIG, stored, true).await;
    assert!(desk.client.call(GetStatus {}).await.unwrap().unlocked);
    let pid = rustix::process::Pid::from_child(&desk.agent.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(desk.agent.ended().await.success());
    desk.agent.restart().await;
    desk.client = desk.agent.client().await;
    let rows = desk.rows(&[]).await;
    assert_eq!(rows[0].kind, "locked");
    let status = desk.client.call(GetStatus {}).await.unwrap();
    assert!(!status.unlocked && status.vault.is_some());
    // A bot finds the proxy where it was.
    assert!(desk.base.starts_with(&status.proxy.unwrap()));
}

#[tokio::test]
async fn nothing_secret_is_in_the_log_at_its_loudest() {
    let desk = desk(CONFIG, sealed, true).await;
    let _person = Person::new(&desk.agent, yes).await;
    assert_eq!(desk.order().await.0, 200);
    assert_eq!(desk.withdraw().await.0, 200);
    let _ = bot(
        &desk.base,
        "tkc_canarytoken",
        "GET",
        "/api/v3/account?canaryquery=1",
        "",
    )
    .await;
    let _ = desk.client.call(AddClient::unbound("x", "nothing")).await;
    desk.client.call(LockVault {}).await.unwrap();
    let log = desk.agent.log();
    assert!(log.contains("the vault is open"), "the log is there: {log}");
    assert!(
        log.contains("TRACE") || log.contains("DEBUG"),
        "and it is loud"
    );
    for canary in [
        PASSPHRASE,
        TRADE_SECRET,
        &desk.token,
        "canaryaddress",
        "tkc_canarytoken",
        "canaryquery",
        "api-key-0123456789",
        "quantity=",
    ] {
        assert!(!log.contains(canary), "{canary} is in the log");
    }
    // Nor in what it keeps on disk, but for the vault's and the log's ciphertext.
    for file in std::fs::read_dir(&desk.agent.paths.data).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        for canary in [
            PASSPHRASE,
            TRADE_SECRET,
            &desk.token,
            "canaryaddress",
            "grid-bot",
        ] {
            let found = bytes
                .windows(canary.len())
                .any(|window| window == canary.as_bytes());
            assert!(!found, "{canary} is in {}", path.display());
        }
    }
}

// Whoever put an older copy there may want the policy that it holds.
#[tokio::test]
async fn a_copy_that_can_only_be_read_has_a_person_asked_for_whatever_its_policy_allows() {
    let desk = desk(CONFIG, stored, true).await;
    let file = desk.agent.home.path().join("v.touchkeep");
    let old = std::fs::read(&file).unwrap();
    let read = ("GET", "/api/v3/account?timestamp=1&signature=dummy", "");
    let order = ("POST", "/api/v3/order", ORDER);
    let open = (
        "GET",
        "/api/v3/openOrders?symbol=BTCUSDT&timestamp=1&signature=dummy",
        "",
    );
    for (method, target, body) in [read, order, open] {
        let (status, answer) = bot(&desk.base, &desk.token, method, target, body).await;
        assert_eq!(status, 200, "allowed as long as it is the newest: {answer}");
    }
    assert_eq!(desk.venue.got().len(), 3);
    let owner = Person::new(&desk.agent, yes).await;
    let text = POLICY.replace("\"1\"", "\"0.1\"");
    desk.client.call(SetPolicy { text }).await.unwrap();
    desk.client.call(LockVault {}).await.unwrap();
    std::fs::write(&file, &old).unwrap();
    let unlock = || UnlockVault {
        path: None,
        device: None,
    };
    let opened = desk.client.call(unlock()).await.unwrap();
    assert!(opened.read_only.is_some(), "{opened:?}");
    drop(owner);

    let person = Person::new(&desk.agent, no).await;
    for (asked, (method, target, body)) in (1..).zip([read, order, open]) {
        let (status, answer) = bot(&desk.base, &desk.token, method, target, body).await;
        assert_eq!(status, 403, "{answer}");
        assert_eq!(person.approvals().len(), asked, "{answer}");
    }
    assert_eq!(desk.venue.got().len(), 3, "nothing more arrived");
    drop(person);
    // Three refusals have brought a rest, which a person ends.
    let (front, _events) = desk.agent.front_end().await.split();
    let ended = front.call(EndRests {}).await.unwrap();
    assert!(ended.len() == 1 && ended[0].refused, "{ended:?}");
    drop((front, _events));
    // Each by its own yes, and nothing is taken for granted after it.
    let person = Person::new(&desk.agent, yes).await;
    for asked in 1..=2 {
        assert_eq!(desk.order().await.0, 200);
        assert_eq!(person.approvals().len(), asked);
    }
    let nobody_may_write = desk.client.call(SetPolicy {
        text: POLICY.into(),
    });
    assert!(matches!(
        nobody_may_write.await,
        Err(CallError::Failed(failure)) if failure.code == Code::NotPermitted
    ));
    assert_eq!(std::fs::read(&file).unwrap(), old);
}
