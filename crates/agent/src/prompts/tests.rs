//! Questions: how they end, and who may ask.

use touchkeep_wire::PROMPT_CLOSE;

use super::*;

const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_secs(60);

fn prompts() -> Prompts {
    Prompts::new(Desktop::none())
}

fn passphrase() -> Question {
    Question::Passphrase { why: String::new() }
}

async fn first(prompts: &Prompts) -> PromptId {
    loop {
        if let Some(prompt) = prompts.list().first() {
            return prompt.id;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn silence_is_a_refusal() {
    let prompts = prompts();
    assert!(matches!(
        prompts.ask(passphrase(), SOON).await,
        Reply::TimedOut
    ));
    assert!(prompts.list().is_empty());
}

#[tokio::test]
async fn the_first_answer_wins_and_the_second_is_told() {
    let prompts = prompts();
    let asking = tokio::spawn({
        let prompts = prompts.clone();
        async move { prompts.ask(passphrase(), LATE).await }
    });
    let id = first(&prompts).await;
    prompts.answer(id, Answer::Refuse {}).unwrap();
    let again = prompts.answer(id, Answer::Refuse {}).unwrap_err();
    assert_eq!(again.code, Code::NotFound);
    assert!(matches!(asking.await.unwrap(), Reply::Refused(_)));
}

#[tokio::test]
async fn an_answer_of_another_kind_leaves_the_question_open() {
    let prompts = prompts();
    let shown = prompts
        .show(
            Question::Touch {
                device: "d".into(),
                why: "w".into(),
                pad: false,
            },
            LATE,
        )
        .unwrap();
    let id = first(&prompts).await;
    let approve = Answer::Approve {
        digest: String::new(),
    };
    assert_eq!(prompts.answer(id, approve).unwrap_err().code, Code::Invalid);
    assert_eq!(prompts.list().len(), 1);
    drop(shown);
    assert!(prompts.list().is_empty());
}

#[tokio::test]
async fn a_touch_that_nobody_wants_to_give_is_not_said_to_be_done() {
    let prompts = prompts();
    let mut news = prompts.seat().news.resubscribe();
    let touch = Question::Touch {
        device: "d".into(),
        why: "w".into(),
        pad: false,
    };
    let mut shown = prompts.show(touch, LATE).unwrap();
    let id = first(&prompts).await;
    prompts.answer(id, Answer::Refuse {}).unwrap();
    shown.refused().await;
    drop(shown);
    let said = std::iter::from_fn(|| news.try_recv().ok());
    let said: Vec<String> = said
        .map(|it| String::from_utf8_lossy(&it).into_owned())
        .filter(|it| it.contains(PROMPT_CLOSE))
        .collect();
    assert!(
        said.len() == 1 && said[0].contains("\"refused\""),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_yes_is_to_one_question_and_not_to_its_twin() {
    let prompts = prompts();
    let approval = || {
        Question::Approval(touchkeep_wire::Approval {
            operation: "withdraw".into(),
            client: "bot".into(),
            touch: true,
            digest: "00".repeat(32),
            practice: true,
            ..touchkeep_wire::Approval::default()
        })
    };
    let asked = |within| {
        let (prompts, question) = (prompts.clone(), approval());
        tokio::spawn(async move { prompts.ask(question, within).await })
    };
    let first_asked = asked(LATE);
    let id = first(&prompts).await;
    let twin = asked(LATE);
    while prompts.list().len() < 2 {
        tokio::task::yield_now().await;
    }
    let digest = "00".repeat(32);
    prompts.answer(id, Answer::Approve { digest }).unwrap();
    assert!(matches!(first_asked.await.unwrap(), Reply::Approved(_)));
    let left = prompts.list();
    assert!(left.len() == 1 && left[0].id != id && !twin.is_finished());
    prompts.answer(left[0].id, Answer::Refuse {}).unwrap();
    assert!(matches!(twin.await.unwrap(), Reply::Refused(_)));
}

fn offering(minutes: Vec<u32>) -> Question {
    Question::Approval(touchkeep_wire::Approval {
        client: "bot".into(),
        more: Some(touchkeep_wire::More {
            what: "buy".into(),
            minutes,
            uses: 20,
        }),
        ..touchkeep_wire::Approval::default()
    })
}

#[tokio::test]
async fn only_what_was_offered_can_be_answered() {
    let prompts = prompts();
    let asking = tokio::spawn({
        let prompts = prompts.clone();
        async move { prompts.ask(offering(vec![5, 15]), LATE).await }
    });
    let id = first(&prompts).await;
    let longer = |minutes| Answer::ApproveFor {
        digest: String::new(),
        minutes,
    };
    assert_eq!(
        prompts.answer(id, longer(60)).unwrap_err().code,
        Code::Invalid
    );
    prompts.answer(id, longer(15)).unwrap();
    assert!(matches!(asking.await.unwrap(), Reply::ApprovedFor(_, 15)));
    let touched = Question::Approval(touchkeep_wire::Approval::default());
    assert!(!fits(&touched, &longer(15)));
}

#[tokio::test]
async fn a_rest_is_seen_and_ended_by_a_person() {
    let prompts = prompts();
    for _ in 0..2 {
        assert!(matches!(
            prompts.ask(offering(vec![5]), SOON).await,
            Reply::TimedOut
        ));
    }
    assert!(matches!(
        prompts.ask(offering(vec![5]), SOON).await,
        Reply::Unasked(Unasked::Unanswered { .. })
    ));
    assert_eq!(prompts.resting()[0].asker, "client bot");
    assert_eq!(prompts.end_rests().len(), 1);
    assert!(prompts.resting().is_empty());
    assert!(matches!(
        prompts.ask(offering(vec![5]), SOON).await,
        Reply::TimedOut
    ));
}

#[tokio::test]
async fn who_is_refused_three_times_is_not_put_to_anybody_until_a_person_lifts_it() {
    let prompts = prompts();
    let mut news = prompts.seat().news.resubscribe();
    let ask = || {
        let prompts = prompts.clone();
        tokio::spawn(async move { prompts.ask(offering(vec![5]), LATE).await })
    };
    for time in 1..=3 {
        let asking = ask();
        let id = first(&prompts).await;
        prompts.answer(id, Answer::Refuse {}).unwrap();
        let Reply::Refused(rests) = asking.await.unwrap() else {
            panic!("it was refused");
        };
        assert_eq!(rests.is_some(), time == 3);
    }
    // The front ends are told of it with the third.
    let said = std::iter::from_fn(|| news.try_recv().ok());
    let said: Vec<String> = said
        .map(|it| String::from_utf8_lossy(&it).into_owned())
        .filter(|it| it.contains(PROMPT_CLOSE))
        .collect();
    assert!(said.len() == 3 && !said[1].contains("rests"), "{said:?}");
    let rests = r#""rests":{"asker":"client bot","seconds_left""#;
    assert!(said[2].contains(rests), "{said:?}");
    for _ in 0..2 {
        let Reply::Unasked(Unasked::Refused { seconds }) = ask().await.unwrap() else {
            panic!("it was asked");
        };
        assert!((295..=300).contains(&seconds), "{seconds}");
    }
    assert!(prompts.list().is_empty());
    assert!(prompts.resting()[0].refused);
    assert_eq!(prompts.end_rests().len(), 1);
    let asking = ask();
    let id = first(&prompts).await;
    prompts.answer(id, Answer::Refuse {}).unwrap();
    assert!(matches!(asking.await.unwrap(), Reply::Refused(None)));
}

#[tokio::test]
async fn a_touch_that_was_refused_three_times_is_not_waited_for() {
    let prompts = prompts();
    let touch = || Question::Touch {
        device: "d".into(),
        why: "w".into(),
        pad: false,
    };
    let bot = || Asker::Client("bot".into());
    for _ in 0..3 {
        let shown = on_behalf_of(bot(), async {
            prompts.may_wait(&touch()).unwrap();
            prompts.show(touch(), LATE).unwrap()
        });
        let mut shown = shown.await;
        let id = first(&prompts).await;
        prompts.answer(id, Answer::Refuse {}).unwrap();
        shown.refused().await;
    }
    let waits = on_behalf_of(bot(), async { prompts.may_wait(&touch()) }).await;
    assert!(matches!(waits, Err(Unasked::Refused { .. })));
    let other = on_behalf_of(Asker::Client("other".into()), async {
        prompts.may_wait(&touch())
    });
    assert_eq!(other.await, Ok(()));
    assert_eq!(prompts.may_wait(&touch()), Ok(()), "nobody's");
}

#[tokio::test]
async fn who_hangs_up_twice_before_anybody_answers_is_not_put_to_anybody_again() {
    let prompts = prompts();
    for _ in 0..2 {
        let asking = tokio::spawn({
            let prompts = prompts.clone();
            async move { prompts.ask(offering(vec![5]), LATE).await }
        });
        first(&prompts).await;
        asking.abort();
        assert!(asking.await.is_err());
    }
    assert!(matches!(
        prompts.ask(offering(vec![5]), SOON).await,
        Reply::Unasked(Unasked::Unanswered { .. })
    ));
}

#[tokio::test]
async fn a_lock_ends_what_waits_and_brings_no_rest() {
    let prompts = prompts();
    for _ in 0..3 {
        let asking = tokio::spawn({
            let prompts = prompts.clone();
            async move { prompts.ask(offering(vec![5]), LATE).await }
        });
        first(&prompts).await;
        prompts.locked();
        assert!(matches!(asking.await.unwrap(), Reply::Locked));
    }
    assert!(prompts.resting().is_empty() && prompts.list().is_empty());
}

#[tokio::test]
async fn questions_are_numbered_and_one_without_an_answer_holds_up_no_other() {
    let prompts = prompts();
    let of = |client: &str| {
        Question::Approval(touchkeep_wire::Approval {
            client: client.into(),
            ..touchkeep_wire::Approval::default()
        })
    };
    let ask = |client: &str| {
        let (prompts, question) = (prompts.clone(), of(client));
        tokio::spawn(async move { prompts.ask(question, LATE).await })
    };
    let silent = ask("silent");
    first(&prompts).await;
    let other = ask("other");
    while prompts.list().len() < 2 {
        tokio::task::yield_now().await;
    }
    let waiting = prompts.list();
    assert_eq!((waiting[0].number, waiting[1].number), (1, 2));
    prompts.answer(waiting[1].id, Answer::Refuse {}).unwrap();
    assert!(matches!(other.await.unwrap(), Reply::Refused(_)));
    assert!(!silent.is_finished());
    silent.abort();
}

#[tokio::test]
async fn whoever_stops_asking_closes_the_question() {
    let prompts = prompts();
    let asking = tokio::spawn({
        let prompts = prompts.clone();
        async move { prompts.ask(passphrase(), LATE).await }
    });
    first(&prompts).await;
    asking.abort();
    assert!(asking.await.is_err());
    assert!(prompts.list().is_empty());
}

#[tokio::test]
async fn a_person_is_not_flooded() {
    let prompts = prompts();
    let shown: Vec<_> = (0..MAX_OPEN)
        .map(|_| prompts.show(passphrase(), LATE).unwrap())
        .collect();
    assert!(matches!(
        prompts.ask(passphrase(), LATE).await,
        Reply::Unasked(Unasked::TooMany)
    ));
    drop(shown);
}

// Before anything is looked up for a question.
#[tokio::test]
async fn whether_a_client_would_be_asked_for_is_known_before_it_is() {
    let prompts = prompts();
    assert_eq!(prompts.would_ask("bot"), Ok(()));
    let ask = || {
        let prompts = prompts.clone();
        tokio::spawn(async move { prompts.ask(offering(vec![5]), LATE).await })
    };
    let open: Vec<_> = (0..MAX_OPEN_PER_CLIENT).map(|_| ask()).collect();
    while prompts.list().len() < open.len() {
        tokio::task::yield_now().await;
    }
    assert_eq!(prompts.would_ask("bot"), Err(Unasked::TooMany));
    assert_eq!(prompts.would_ask("other"), Ok(()));
    for asking in open {
        asking.abort();
        assert!(asking.await.is_err());
    }
    let rests = prompts.would_ask("bot");
    assert!(matches!(rests, Err(Unasked::Unanswered { .. })));
    assert_eq!(prompts.would_ask("other"), Ok(()));
}
