//! Numbers of requests: a venue gets those of a key in their order.

use std::sync::Arc;

use touchkeep_core::{ApiSecret, Clock, Id, ItemId, SystemClock, UnixMillis};
use touchkeep_pipeline::*;
use touchkeep_policy::Policy;
use touchkeep_venue::Outgoing;

use crate::{
    played::Played,
    scene::{NoHistory, RULES, balance_at_kraken, cancel_at_kraken, kraken_handle, scene},
};

// Kraken refuses a number that is not above the last one that came.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn numbers_of_a_key_reach_their_venue_in_their_order_whichever_item_it_is() {
    let scene = scene(|played| {
        // Two items, one key.
        played.key = |class| {
            let item = ItemId(Id::from_bytes([class as u8; 16]));
            Ok(KeyHandle {
                item,
                ..kraken_handle()
            })
        };
        played.secret = || Ok(ApiSecret::new("c2VjcmV0".into()));
    });
    let asked = (0..40).map(|number| {
        let incoming = match number % 2 {
            0 => balance_at_kraken(),
            _ => cancel_at_kraken(),
        };
        let pipeline = scene.pipeline.clone();
        tokio::spawn(async move { pipeline.handle(incoming).await.unwrap() })
    });
    for done in asked.collect::<Vec<_>>() {
        assert_eq!(done.await.unwrap().response, 200);
    }
    let sent = scene.played.sent.lock().unwrap();
    let nonce = |out: &Outgoing| {
        let body = String::from_utf8(out.body.clone()).unwrap();
        let mut fields = body.split('&');
        let nonce = fields.find_map(|field| field.strip_prefix("nonce="));
        nonce.unwrap().parse::<u64>().unwrap()
    };
    let nonces: Vec<u64> = sent.iter().map(nonce).collect();
    assert_eq!(nonces.len(), 40);
    assert!(nonces.is_sorted_by(|a, b| a < b), "{nonces:?}");
    let now = SystemClock.now().0;
    assert!(nonces.iter().all(|nonce| now.abs_diff(*nonce) < 60_000));
}

// A venue that takes its time.
struct Slow(Arc<Played>, Arc<tokio::sync::Notify>);

impl Upstream for Slow {
    type Response = u16;
    fn send(&self, outgoing: Outgoing, _: Option<String>) -> Answering<'_, Result<u16, SendError>> {
        Box::pin(async move {
            self.0.story.tell("send");
            self.0.sent.lock().unwrap().push(outgoing);
            self.1.notified().await;
            Ok(200)
        })
    }
    fn venue_time(&self, _: &str, _: Option<&str>, now: UnixMillis) -> UnixMillis {
        now
    }
    fn status(response: &u16) -> u16 {
        *response
    }
}

// As at a lock, after which armed keys go on in a pipeline of their own while a request is still on its way.
#[tokio::test]
async fn a_number_waits_for_the_one_that_another_pipeline_has_sent() {
    let scene = scene(|played| {
        played.key = |_| Ok(kraken_handle());
        played.secret = || Ok(ApiSecret::new("c2VjcmV0".into()));
    });
    let answers = Arc::new(tokio::sync::Notify::new());
    let before = Pipeline::new(
        Arc::clone(&scene.played) as Arc<dyn Keys>,
        Arc::clone(&scene.played) as Arc<dyn Approver>,
        Slow(Arc::clone(&scene.played), Arc::clone(&answers)),
        scene.log.clone(),
        Arc::new(SystemClock),
        Settings::default(),
        End::default(),
    );
    before
        .set_policy(Policy::parse(RULES).unwrap(), &NoHistory)
        .unwrap();
    let first = tokio::spawn({
        let before = before.clone();
        async move { before.handle(balance_at_kraken()).await }
    });
    while !scene.played.story.words().contains(&"send") {
        tokio::task::yield_now().await;
    }
    before.end();
    let mut second = tokio::spawn({
        let after = scene.pipeline.clone();
        async move { after.handle(balance_at_kraken()).await }
    });
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut second);
    assert!(early.await.is_err(), "it overtook the first");
    assert_eq!(scene.played.sent.lock().unwrap().len(), 1);
    answers.notify_one();
    assert_eq!(first.await.unwrap().unwrap().response, 200);
    assert_eq!(second.await.unwrap().unwrap().response, 200);
    assert_eq!(scene.played.sent.lock().unwrap().len(), 2);
}
