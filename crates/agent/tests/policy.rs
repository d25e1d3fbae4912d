//! The policy at the real agent: changed by a person alone, by hand where it cannot be read, explained and tried against
//! what really happened.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use common::{Agent, PASSPHRASE, Person, Venue, bot, key_of, no, practice_vault, yes};
use touchkeep_client::{CallError, Connection};
use touchkeep_core::{Clock as _, Code, Passphrase, SystemClock, UnixMillis};
use touchkeep_device::Auth;
use touchkeep_vault::{AuditHead, Locked};
use touchkeep_wire::*;

const SECRET: &str = "canary-trade-secret-0123456789";
const POLICY: &str = r#"
[[rule]]
name = "reads"
kinds = ["read"]
action = "allow"

[[rule]]
name = "small orders"
kinds = ["trade"]
symbols = ["BTCUSDT"]
max_amount = "1"
window_amount = "1.2"
window_hours = 24
action = "allow"

[[rule]]
name = "other orders"
kinds = ["trade"]
action = "approve"
"#;
const WITHDRAW: &str =
    "coin=BTC&address=bc1qcanaryaddress&amount=0.5&network=BTC&timestamp=1&signature=dummy";

struct Desk {
    agent: Agent,
    client: Connection,
    venue: Venue,
    base: String,
    token: String,
    file: PathBuf,
}

async fn desk() -> Desk {
    let agent = Agent::start_with("approval_seconds = 20\n", &[]).await;
    let client = agent.client().await;
    let owner = Person::new(&agent, yes).await;
    let venue = Venue::start(SECRET, true).await;
    let file = agent.home.path().join("v.touchkeep");
    practice_vault(&agent, &client).await;
    for class in ["trade", "read", "move-money"] {
        let api_key = format!("{class}-api-key-0123456789");
        let item = key_of("binance", class, &api_key, &venue.url, SECRET);
        client.call(item).await.unwrap();
    }
    let text = POLICY.to_owned();
    client.call(SetPolicy { text }).await.unwrap();
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
        file,
    }
}

impl Desk {
    async fn order(&self, amount: &str) -> u16 {
        let body = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity={amount}&price=100&timestamp=1&signature=dummy"
        );
        self.send("POST", "/api/v3/order", &body).await
    }

    async fn send(&self, method: &str, target: &str, body: &str) -> u16 {
        bot(&self.base, &self.token, method, target, body).await.0
    }

    async fn text(&self) -> String {
        self.client.call(GetPolicy {}).await.unwrap().text
    }

    // Names of the commits in the file, by a tar that is not ours.
    fn commits(&self) -> Vec<String> {
        let listed = Command::new("tar")
            .arg("tf")
            .arg(&self.file)
            .output()
            .unwrap();
        let names = String::from_utf8(listed.stdout).unwrap();
        let names = names.lines().filter(|name| name.starts_with("c/"));
        names.map(str::to_owned).collect()
    }

    fn member(&self, name: &str) -> String {
        let read = Command::new("tar")
            .arg("xOf")
            .arg(&self.file)
            .arg(name)
            .output()
            .unwrap();
        String::from_utf8(read.stdout).unwrap()
    }
}

// One field of a rule after the other, at the agent's own clock and with bots of two names.
#[tokio::test]
async fn clients_hours_and_destinations_are_held_at_the_proxy() {
    let desk = desk().await;
    let person = Person::new(&desk.agent, yes).await;
    let add = AddClient::unbound("report", "main");
    let report = desk.client.call(add).await.unwrap();
    let orders = async |rule: &str| {
        let text = format!(
            "[[rule]]\nname = \"orders\"\nkinds = [\"trade\"]\n{rule}\naction = \"allow\"\n"
        );
        desk.client.call(SetPolicy { text }).await.unwrap();
        let body = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=100&timestamp=1&signature=dummy";
        let (base, token) = (report.base_url(), report.token.expose());
        let other = bot(&base, token, "POST", "/api/v3/order", body).await.0;
        (desk.order("1").await, other)
    };
    assert_eq!(orders("clients = [\"grid-*\"]").await, (200, 403));
    assert_eq!(orders("clients = [\"report\"]").await, (403, 200));
    // Minutes from now, so that the hour does not turn between the rule and the order.
    let minute = SystemClock.now().0 / 60_000 % 1440;
    let at = |minutes: u64| {
        let then = (minute + minutes) % 1440;
        format!("{:02}:{:02}", then / 60, then % 60)
    };
    let open = format!("hours = \"{}-{}\"", at(1440 - 60), at(60));
    assert_eq!(orders(&open).await, (200, 200), "{open}");
    let shut = format!("hours = \"{}-{}\"", at(60), at(120));
    assert_eq!(orders(&shut).await, (403, 403), "{shut}");

    let rule = |address: &str| SetPolicy {
        text: format!(
            "[[rule]]\nname = \"home\"\nkinds = [\"withdraw\"]\ndestinations = [\"{address}\"]\naction = \"touch\"\n"
        ),
    };
    desk.client.call(rule("bc1qcanaryaddress")).await.unwrap();
    let sent = desk.venue.got().len();
    let path = "/sapi/v1/capital/withdraw/apply";
    assert_eq!(desk.send("POST", path, WITHDRAW).await, 200);
    assert_eq!(person.approvals().len(), 1);
    desk.client.call(rule("bc1qcanaryaddresS")).await.unwrap();
    assert_eq!(desk.send("POST", path, WITHDRAW).await, 403);
    assert_eq!(person.approvals().len(), 1, "nobody was asked");
    assert_eq!(desk.venue.got().len(), sent + 1);
}

const DENY: &str = "[[rule]]\nname = \"nothing\"\naction = \"deny\"\n";

fn deny() -> SetPolicy {
    SetPolicy { text: DENY.into() }
}

// Nobody there, a wrong passphrase, a person who refuses, a policy that cannot be read: the file is the same to the byte.
#[tokio::test]
async fn without_consent_nothing_is_changed() {
    let desk = desk().await;
    let before = std::fs::read(&desk.file).unwrap();
    let wrong = |question: &Question| match question {
        Question::Passphrase { .. } => Some(Answer::Secret {
            value: SecretText::new("wrong".into()),
        }),
        _ => None,
    };
    let refuse = |_: &Question| Some(Answer::Refuse {});
    for (who, answer) in [
        (
            "a wrong passphrase",
            wrong as fn(&Question) -> Option<Answer>,
        ),
        ("a person who refuses", refuse),
    ] {
        let person = Person::new(&desk.agent, answer).await;
        let refused = desk.client.call(deny()).await;
        assert!(
            matches!(refused, Err(CallError::Failed(_))),
            "{who}: {refused:?}"
        );
        assert!(person.passphrases() > 0, "{who} was asked");
    }
    // Whoever asked for it, somebody can see that it was asked for.
    let refused = ListAudit {
        before: None,
        limit: 10,
        filter: AuditFilter {
            kinds: vec!["policy-changed".into()],
            decisions: vec!["refused".into()],
            ..Default::default()
        },
    };
    let refused = desk.client.call(refused).await.unwrap().rows;
    assert_eq!(refused.len(), 2, "{refused:?}");
    let what = refused[0].what.as_deref().unwrap();
    assert!(
        what.starts_with("Replace the policy: ") && what.ends_with(". It was not agreed to."),
        "{what}"
    );
    let person = Person::new(&desk.agent, yes).await;
    // A hundred rules that let something through each are more than one question can say.
    let rule = |n: u8| {
        format!(
            "[[rule]]\nname = \"rule {n}\"\nkinds = [\"trade\"]\nclients = [\"c{n}\"]\naction = \"allow\"\n"
        )
    };
    let text = (0..100).map(rule).collect();
    let too_much = desk.client.call(SetPolicy { text }).await;
    assert!(
        matches!(&too_much, Err(CallError::Failed(failure)) if failure.code == Code::Refused),
        "{too_much:?}"
    );
    let text = "[[rule]]\nname = \"x\"\nkinds = [\"withdraw\"]\naction = \"allow\"\n".to_owned();
    let unreadable = desk.client.call(SetPolicy { text }).await;
    assert!(matches!(unreadable, Err(CallError::Failed(failure)) if failure.code == Code::Invalid));
    assert_eq!(
        person.passphrases(),
        0,
        "nobody is asked for what cannot be"
    );
    drop(person);
    assert_eq!(std::fs::read(&desk.file).unwrap(), before);
    assert_eq!(desk.text().await, POLICY);
    assert_eq!(desk.order("0.5").await, 200, "the old one holds");
}

#[tokio::test]
async fn a_change_is_a_signed_commit_and_asks_each_time() {
    let desk = desk().await;
    let before = desk.commits();
    let person = Person::new(&desk.agent, yes).await;
    desk.client.call(deny()).await.unwrap();
    let why = person
        .seen
        .lock()
        .unwrap()
        .iter()
        .find_map(|prompt| match &prompt.question {
            Question::Passphrase { why, .. } => Some(why.clone()),
            _ => None,
        });
    let why = why.unwrap();
    assert!(
        why.contains("1 rule added, 3 rules removed")
            && why.contains("trade: the mildest was allow and becomes deny"),
        "what it means is said before: {why}"
    );
    let new: Vec<String> = desk
        .commits()
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    assert_eq!(new.len(), 1, "one commit");
    let note = desk.member(&new[0]);
    let (said, signatures) = note.split_once("\n\n").unwrap();
    assert!(signatures.starts_with("\u{2014} "), "a signed note: {note}");
    assert_eq!(desk.order("0.1").await, 403, "it is in force at once");

    let text = POLICY.to_owned();
    desk.client.call(SetPolicy { text }).await.unwrap();
    assert_eq!(person.passphrases(), 2, "a yes is for one change");

    // What is signed cannot be another: the same file with one letter of the commit changed is refused.
    let bytes = std::fs::read(&desk.file).unwrap();
    let line = said.lines().last().unwrap().as_bytes().to_vec();
    let at = bytes
        .windows(line.len())
        .position(|window| window == line)
        .unwrap();
    let mut forged = bytes;
    let last = at + line.len() - 1;
    forged[last] = if forged[last] == b'1' { b'2' } else { b'1' };
    let copy = desk.agent.home.path().join("forged.touchkeep");
    std::fs::write(&copy, forged).unwrap();
    assert!(Locked::open(&copy).is_err());
}

// As a program writes it whose policies this one does not know.
fn write_newer(file: &Path) {
    let locked = Locked::open(file).unwrap();
    let mut own = locked.software_device(locked.devices()[0].id).unwrap();
    let passphrase = Passphrase::new(PASSPHRASE.into());
    let mut vault = locked
        .unlock(&mut own, Auth::Passphrase(&passphrase))
        .unwrap();
    vault
        .set_setting("policy", &format!("{POLICY}\nsomething = \"newer\"\n"))
        .unwrap();
    vault.save(SystemClock.now(), AuditHead::empty()).unwrap();
}

// By a merge, and by a save that finds the file changed.
#[tokio::test]
async fn with_a_policy_that_comes_from_a_copy_and_cannot_be_read_everything_is_by_hand() {
    for merges in [true, false] {
        let desk = desk().await;
        assert_eq!(desk.order("0.1").await, 200);
        if merges {
            let copy = desk.file.with_file_name("copy.touchkeep");
            std::fs::copy(&desk.file, &copy).unwrap();
            write_newer(&copy);
            let path = copy.display().to_string();
            let merged = desk.client.call(MergeCopy { path }).await.unwrap();
            assert!(merged.changed);
        } else {
            write_newer(&desk.file);
            let other = AddClient::unbound("other", "main");
            desk.client.call(other).await.unwrap();
        }
        let policy = desk.client.call(GetPolicy {}).await.unwrap();
        assert!(!policy.readable);
        let person = Person::new(&desk.agent, no).await;
        assert_eq!(
            (desk.order("0.1").await, person.approvals().len()),
            (403, 1)
        );
    }
}

// Nobody can set such a policy, but an older or a newer version of the program may have.
#[tokio::test]
async fn with_a_policy_that_cannot_be_read_everything_is_by_hand() {
    let desk = desk().await;
    assert_eq!(desk.order("0.1").await, 200);
    desk.client.call(LockVault {}).await.unwrap();
    write_newer(&desk.file);
    let owner = Person::new(&desk.agent, yes).await;
    let unlock = UnlockVault {
        path: None,
        device: None,
    };
    desk.client.call(unlock).await.unwrap();
    drop(owner);
    assert!(!desk.client.call(GetPolicy {}).await.unwrap().readable);
    let checked = desk.client.call(CheckPolicy { text: None }).await.unwrap();
    assert!(checked.problem.is_some());

    let person = Person::new(&desk.agent, no).await;
    let arrived = desk.venue.got().len();
    for (asked, (method, target, body)) in (1..).zip([
        ("GET", "/api/v3/account?timestamp=1&signature=dummy", ""),
        ("POST", "/sapi/v1/capital/withdraw/apply", WITHDRAW),
    ]) {
        assert_eq!(desk.send(method, target, body).await, 403);
        assert_eq!(person.approvals().len(), asked, "also what was allowed");
    }
    assert_eq!(desk.venue.got().len(), arrived);
    let explained = desk.client.call(ExplainPolicy {
        text: None,
        request: Some(described("read")),
        row: None,
    });
    let explained = explained.await.unwrap();
    assert!(explained.by_hand && explained.action == "touch");
    let elsewhere = desk.client.call(ExplainPolicy {
        text: None,
        request: Some(DescribedRequest {
            venue: "nosuch".into(),
            ..described("read")
        }),
        row: None,
    });
    let refused = elsewhere.await;
    assert!(
        matches!(&refused, Err(CallError::Failed(failure)) if failure.code == Code::NotFound),
        "{refused:?}"
    );
    drop(person);

    let owner = Person::new(&desk.agent, yes).await;
    desk.client
        .call(SetPolicy {
            text: POLICY.into(),
        })
        .await
        .unwrap();
    drop(owner);
    assert_eq!(desk.order("0.1").await, 200, "and back");
}

fn described(kind: &str) -> DescribedRequest {
    DescribedRequest {
        kind: kind.into(),
        venue: "binance".into(),
        client: "grid-bot".into(),
        key_set: "main".into(),
        ..DescribedRequest::default()
    }
}

#[tokio::test]
async fn what_happened_is_explained_and_tried_under_another_policy() {
    let desk = desk().await;
    assert_eq!(desk.order("0.7").await, 200);
    // 0.7 and 0.6 are over 1.2.
    {
        let person = Person::new(&desk.agent, no).await;
        assert_eq!(desk.order("0.6").await, 403);
        assert_eq!(person.approvals().len(), 1);
    }
    assert_eq!(
        desk.send("POST", "/sapi/v1/capital/withdraw/apply", WITHDRAW)
            .await,
        403
    );
    assert_eq!(desk.order("0.5").await, 200, "exactly the limit");

    let mut order = described("trade");
    (order.symbol, order.amount) = (Some("BTCUSDT".into()), Some("0.1".into()));
    let explain = |text: Option<&str>, request, row| ExplainPolicy {
        text: text.map(str::to_owned),
        request,
        row,
    };
    let now = desk
        .client
        .call(explain(None, Some(order.clone()), None))
        .await
        .unwrap();
    assert_eq!(
        (now.action.as_str(), now.rule.as_deref()),
        ("approve", Some("other orders"))
    );
    assert!(now.with_history);
    let limit = now.steps[1]
        .limits
        .iter()
        .find(|limit| limit.field == "window_amount")
        .unwrap();
    assert_eq!(
        (limit.so_far.as_deref(), limit.adds.as_str()),
        (Some("1.2"), "0.1")
    );
    assert_eq!(now.steps[1].why.as_deref(), Some("over window_amount"));

    // An hour ago there was nothing of that yet.
    let mut earlier = order.clone();
    earlier.at = Some(UnixMillis(SystemClock.now().0 - 3_600_000));
    let earlier = desk
        .client
        .call(explain(None, Some(earlier), None))
        .await
        .unwrap();
    assert_eq!(
        (earlier.action.as_str(), earlier.rule.as_deref()),
        ("allow", Some("small orders"))
    );
    // The refused one, as it stood then: 0.5 came after it.
    let filter = AuditFilter {
        kinds: vec!["request-refused".into()],
        ..AuditFilter::default()
    };
    let page = ListAudit {
        before: None,
        limit: 10,
        filter,
    };
    let refused = desk.client.call(page).await.unwrap().rows[0].seq;
    let then = desk
        .client
        .call(explain(None, None, Some(refused)))
        .await
        .unwrap();
    assert_eq!(
        (then.action.as_str(), then.then.as_deref()),
        ("approve", Some("refused"))
    );
    let limit = then.steps[1]
        .limits
        .iter()
        .find(|limit| limit.field == "window_amount")
        .unwrap();
    assert_eq!(limit.so_far.as_deref(), Some("0.7"));
    assert_eq!(then.notes, Vec::<String>::new());
    // Without a key nobody is asked, and no rule either.
    let path = "/sapi/v1/sub-account/virtualSubAccount";
    assert_ne!(desk.send("POST", path, "subAccountString=x").await, 200);
    let filter = AuditFilter {
        kinds: vec!["request-refused".into()],
        ..AuditFilter::default()
    };
    let page = ListAudit {
        before: None,
        limit: 1,
        filter,
    };
    let row = desk.client.call(page).await.unwrap().rows[0].seq;
    let unjudged = desk.client.call(explain(None, None, Some(row))).await;
    let Err(CallError::Failed(failure)) = unjudged else {
        panic!("{unjudged:?}")
    };
    assert!(
        failure.what.contains("has no key of the class key-admin"),
        "{failure:?}"
    );
    let no_request = desk.client.call(explain(None, None, Some(1))).await;
    assert!(
        matches!(no_request, Err(CallError::Failed(failure)) if failure.code == Code::NotFound)
    );

    let replay = |text: Option<String>| ReplayPolicy {
        text,
        since: None,
        limit: 10,
    };
    let same = desk.client.call(replay(None)).await.unwrap();
    assert_eq!(
        (same.requests, same.milder, same.stricter),
        (4, 0, 0),
        "{same:?}"
    );
    let wider = POLICY.replace("\"1.2\"", "\"1.5\"");
    let wider = desk.client.call(replay(Some(wider))).await.unwrap();
    // The refused one is let through, and then the last one is over the limit.
    assert_eq!((wider.milder, wider.stricter), (1, 1), "{wider:?}");
    assert_eq!(wider.changes[0].row, refused);
    assert_eq!(
        (
            wider.changes[0].then.as_str(),
            wider.changes[0].now.as_str()
        ),
        ("refused", "allow")
    );
    let nothing = desk.client.call(replay(Some(DENY.into()))).await.unwrap();
    assert_eq!((nothing.milder, nothing.stricter), (0, 3), "{nothing:?}");
    {
        let person = Person::new(&desk.agent, no).await;
        assert_eq!(desk.order("0.01").await, 403);
        assert_eq!(
            person.approvals().len(),
            1,
            "the sums are what they were: none of that counted"
        );
    }

    // The verdict of then was another policy's.
    {
        let _owner = Person::new(&desk.agent, yes).await;
        let new = "\n[[rule]]\nname = \"new\"\nkinds = [\"transfer\"]\naction = \"deny\"\n";
        let text = format!("{POLICY}{new}");
        desk.client.call(SetPolicy { text }).await.unwrap();
    }
    let since = explain(None, None, Some(refused));
    let since = desk.client.call(since).await.unwrap();
    assert!(
        since.notes[0].starts_with("The policy was replaced since (row "),
        "{since:?}"
    );

    // Without an open vault: a text by itself, and nothing of the vault's.
    desk.client.call(LockVault {}).await.unwrap();
    let alone = desk
        .client
        .call(explain(Some(POLICY), Some(order), None))
        .await
        .unwrap();
    assert!(!alone.with_history && alone.action == "allow");
    let checked = desk
        .client
        .call(CheckPolicy {
            text: Some(POLICY.into()),
        })
        .await
        .unwrap();
    assert!(checked.problem.is_none() && checked.changes.is_none());
    for locked in [
        desk.client
            .call(replay(Some(POLICY.into())))
            .await
            .map(drop),
        desk.client.call(CheckPolicy { text: None }).await.map(drop),
        desk.client
            .call(explain(Some(POLICY), None, Some(refused)))
            .await
            .map(drop),
    ] {
        assert!(matches!(locked, Err(CallError::Failed(failure)) if failure.code == Code::Locked));
    }
}

#[tokio::test]
async fn names_that_the_vault_does_not_have_are_found() {
    let desk = desk().await;
    let text = "[[rule]]\nname = \"x\"\nclients = [\"grid-*\", \"gird-bot\"]\nkey_sets = [\"main\", \"mian\"]\nkinds = [\"read\"]\naction = \"allow\"\n";
    let checked = desk
        .client
        .call(CheckPolicy {
            text: Some(text.into()),
        })
        .await
        .unwrap();
    let found: Vec<_> = checked
        .findings
        .iter()
        .map(|found| (found.what.as_str(), found.text.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("unknown-client", "no client is called \"gird-bot\""),
            ("unknown-key-set", "no key is in a set \"mian\""),
        ]
    );
    let practice = desk
        .client
        .call(StartingPolicy {
            name: "developer".into(),
        })
        .await
        .unwrap();
    desk.client.call(LockVault {}).await.unwrap();
    let real = desk
        .client
        .call(StartingPolicy {
            name: "developer".into(),
        })
        .await
        .unwrap();
    assert!(practice.text != real.text && real.text.contains("action = \"touch\""));
}
