//! Requests that wait at the same time: in their order, and none held up by another.

use touchkeep_client::FrontEnd;
use touchkeep_tests::wait_for;

use crate::{desk::Desk, terminal::Terminal};

#[test]
fn requests_wait_in_order_and_one_that_nobody_answers_holds_up_none() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 20");
    drop(desk.person.take());
    let mut terminal = Terminal::open(&desk.home, 100);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| desk.order("quantity=0.01"));
        terminal.until("buy 0.01");
        let two = scope.spawn(|| desk.order("quantity=0.02"));
        terminal.until("1 more wait");
        terminal.types("next\r");
        terminal.until("buy 0.02");
        terminal.answers("approve\r");
        assert_eq!(two.join().unwrap(), 200, "{}", desk.home.log());
        assert!(!one.is_finished(), "the first still waits");
        terminal.until("Request 2 approved");
        wait_for("the first again", || {
            (terminal.times("buy 0.01") >= 2).then_some(())
        });
        // A passphrase cannot wait behind a request: it takes the terminal, and the request comes back.
        let money = scope.spawn(|| desk.withdraw(""));
        terminal.until("1 more wait");
        terminal.answers("next\r");
        terminal.approves_the_withdrawal();
        let (status, answer) = money.join().unwrap();
        assert_eq!(status, 200, "{answer} {}", desk.home.log());
        wait_for("the first once more", || {
            (terminal.times("buy 0.01") >= 3).then_some(())
        });
        terminal.answers("approve\r");
        assert_eq!(one.join().unwrap(), 200);
    });
}

#[tokio::test]
async fn a_front_end_that_comes_late_sees_what_waits_in_its_order() {
    let mut desk = Desk::with_a_passphrase("approval_seconds = 20");
    drop(desk.person.take());
    let desk = std::sync::Arc::new(desk);
    let mut bots = Vec::new();
    for quantity in ["0.01", "0.02", "0.03"] {
        let bot = std::sync::Arc::clone(&desk);
        bots.push(std::thread::spawn(move || {
            bot.order(&format!("quantity={quantity}"))
        }));
        let waiting = bots.len() as u64;
        wait_for("the question", || {
            (desk.home.json(&["status"])["waiting"] == waiting).then_some(())
        });
    }
    let front = FrontEnd::connect(&desk.home.paths().ui_socket(), "late")
        .await
        .unwrap();
    let (answers, mut events) = front.split();
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let Some(touchkeep_client::Event::Open(prompt)) = events.next().await else {
            panic!("no question");
        };
        waiting.push((prompt.number, prompt.id));
    }
    for (_, id) in &waiting {
        let refuse = touchkeep_wire::Answer::Refuse {};
        answers.answer(*id, refuse).await.unwrap();
    }
    let numbers: Vec<u32> = waiting.into_iter().map(|(number, _)| number).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    for bot in bots {
        assert_eq!(bot.join().unwrap(), 403);
    }
}
