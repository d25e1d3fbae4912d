//! What a person is asked: his yes is to one request, his no and his silence are refusals, and whoever has gone is not asked for.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{io::AsyncWriteExt, net::TcpStream};
use touchkeep_wire::*;

use crate::{
    common::{
        Person,
        asker::{Asker, asker},
        bot, no, place, undecided, until, yes,
    },
    desk::{CONFIG, WITHDRAW, WITHDRAW_PATH, desk, sealed, stored},
};

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
async fn a_yes_to_one_of_two_that_are_alike_is_for_that_one() {
    let desk = desk("approval_seconds = 3\n", sealed, true).await;
    let asked = AtomicUsize::new(0);
    let person = Person::new(&desk.agent, move |question| match question {
        Question::Approval(_) if asked.fetch_add(1, Ordering::SeqCst) > 0 => None,
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
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    until(async || desk.client.call(ListPrompts {}).await.unwrap().len() == 1).await;
    drop(stream);
    until(async || desk.client.call(ListPrompts {}).await.unwrap().is_empty()).await;
    until(async || !desk.rows(&["request-refused"]).await.is_empty()).await;
    let rows = desk.rows(&["request-refused", "intent"]).await;
    assert_eq!((rows.len(), rows[0].decision.as_str()), (1, "refused"));
    assert_eq!(rows[0].client.as_deref(), Some("grid-bot"));
    assert!(desk.venue.got().is_empty());
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
