//! The story, act by act. An act that does not go as told ends the demo with a failure.

use std::fs;

use touchkeep_core::{Clock, Code, SystemClock, UnixMillis, time::DAY_MS};
use touchkeep_wire::{
    AddClient, AddItem, AuditFilter, CheckReminders, CheckpointAudit, CreateVault, Failure,
    GetStatus, ListAudit, NewDevice, NewSecret, SecretText, SetDevicePin, SetPolicy, VerifyAudit,
};

use super::{broken, person::Mind, stage::Stage};
use crate::{
    commands::{render_row, render_verdict},
    output::{Output, Style},
    terminal::{Echo, Line, Terminal},
};

/// How often the bot asks again for what a person has not approved.
const AGAIN: usize = 3;

/// Where the money goes.
const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";
/// The same, but for one character.
const CHANGED: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdz";

const POLICY: &str = include_str!("policy.toml");

pub(super) async fn tell(stage: &mut Stage, output: Output) -> Result<(), Failure> {
    make_a_vault(stage, output).await?;
    let bot = store_keys(stage, output).await?;
    place_an_order(stage, &bot, output).await?;
    withdraw(stage, &bot, output).await?;
    change_the_address(stage, &bot, output).await?;
    remind(stage, output).await?;
    verify(stage, output).await?;
    output.say(&format!(
        "\n{} Now with your own key: touchkeep init --device piv",
        output.err(Style::Good, "That was the whole story.")
    ));
    Ok(())
}

/// What the bot was given.
struct Bot {
    token: String,
    base_url: String,
}

async fn make_a_vault(stage: &Stage, output: Output) -> Result<(), Failure> {
    act(
        stage,
        output,
        1,
        "A vault that opens with a key in your hand",
        "The practice card is as it left the factory, so its PIN and PUK are changed first. Then it makes three keys of its own: one to unlock, one to seal (touched each time), one to sign.",
    )?;
    let set_pin = || SetDevicePin {
        serial: stage.card_serial.clone(),
    };
    stage.ask(set_pin, output).await?;
    let create = || CreateVault {
        path: stage.file("trading.touchkeep").display().to_string(),
        user: "you".into(),
        environment: "practice".into(),
        practice: true,
        device: NewDevice::Piv {
            serial: stage.card_serial.clone(),
            adopt: None,
        },
    };
    let vault = stage.ask(create, output).await?;
    output.say(&format!(
        "  {} {}",
        output.err(Style::Good, "made:"),
        vault.path
    ));
    Ok(())
}

async fn store_keys(stage: &Stage, output: Output) -> Result<Bot, Failure> {
    act(
        stage,
        output,
        2,
        "Two keys of one exchange account, and a bot that gets neither",
        "The trade key may trade, and is usable while the vault is open. The money key may withdraw, and is sealed to the card: each use is one touch. The bot gets a token. A policy says what is signed by rule; to change it takes a touch, too.",
    )?;
    let trade = stage.venue.make_key("trade", &["read", "trade"]).await?;
    let money = stage.venue.make_key("money", &["read", "withdraw"]).await?;
    let now = SystemClock.now();
    let item = |name: &str, class: &str, api_key: String, secret, age_days: u64| AddItem {
        rotate_after_days: Some(90),
        created: Some(UnixMillis(now.0 - age_days * DAY_MS)),
        ..AddItem::new("exchange-key", name)
            .field("venue", "binance")
            .field("key-set", "main")
            .field("class", class)
            .field("api-key", api_key)
            .field("base-url", &stage.venue.url)
            .secret("secret", secret)
    };
    stage
        .call(item(
            "trade",
            "trade",
            trade.api_key,
            NewSecret::Stored {
                value: SecretText::new(trade.secret),
            },
            83,
        ))
        .await?;
    stage
        .call(item(
            "money",
            "move-money",
            money.api_key,
            NewSecret::Sealed {
                value: SecretText::new(money.secret),
            },
            1,
        ))
        .await?;
    let set_policy = || SetPolicy {
        text: POLICY.replace("ADDRESS", ADDRESS),
    };
    stage.ask(set_policy, output).await?;
    let client = stage.call(AddClient::unbound("grid-bot", "main")).await?;
    output.say(&format!(
        "  {} trade (stored), money (sealed), a policy, and a token for grid-bot",
        output.err(Style::Good, "kept:")
    ));
    // EXPOSE: to the bot, in its environment; it opens nothing but the demo's proxy.
    Ok(Bot {
        base_url: client.base_url(),
        token: client.token.into_inner(),
    })
}

async fn place_an_order(stage: &Stage, bot: &Bot, output: Output) -> Result<(), Failure> {
    act(
        stage,
        output,
        3,
        "Small things by rule",
        "An ordinary ccxt script, with a token for a key and a dummy for a secret, places an order through the proxy.",
    )?;
    expect(
        stage
            .bot(
                &bot.token,
                &bot.base_url,
                &["order", "BTC/USDT", "buy", "0.01", "20000"],
                output,
            )
            .await?,
        "the order was not placed",
    )
}

async fn withdraw(stage: &mut Stage, bot: &Bot, output: Output) -> Result<(), Failure> {
    act(
        stage,
        output,
        4,
        "Dangerous things only after you have read them, and touched the key",
        &format!("The bot asks to withdraw 0.5 BTC to {ADDRESS}."),
    )?;
    stage.person.was_shown();
    stage.person.will(Mind::Approve);
    let before = stage.venue.withdraw_requests().await?;
    output.say(&format!(
        "  the exchange has seen {before} requests to withdraw so far"
    ));
    let words = ["withdraw", "BTC", "0.5", ADDRESS];
    let mut sent = stage.bot(&bot.token, &bot.base_url, &words, output).await?;
    for _ in 0..AGAIN {
        if sent || stage.is_auto() {
            break;
        }
        output.say("  Not approved and touched in time, so nothing was sent. For the story the bot asks once more.");
        sent = stage.bot(&bot.token, &bot.base_url, &words, output).await?;
    }
    expect(sent, "the withdrawal was not made")?;
    expect(
        stage
            .person
            .was_shown()
            .iter()
            .any(|shown| shown.sentence.contains(ADDRESS) && shown.touch),
        "nobody was asked",
    )?;
    let accepted = stage.venue.withdrawals().await?;
    expect(
        accepted.len() == 1,
        "the exchange does not know of the withdrawal",
    )?;
    output.say(&format!(
        "  {} the exchange has one withdrawal, signed with the money key",
        output.err(Style::Good, "sent:")
    ));
    Ok(())
}

async fn change_the_address(stage: &Stage, bot: &Bot, output: Output) -> Result<(), Failure> {
    act(
        stage,
        output,
        5,
        "One character further, and it is refused",
        &format!(
            "Malware in the bot asks for {CHANGED}: its last character differs. The policy knows one address."
        ),
    )?;
    stage.person.will(Mind::Refuse);
    let before = stage.venue.withdraw_requests().await?;
    let sent = stage
        .bot(
            &bot.token,
            &bot.base_url,
            &["withdraw", "BTC", "0.5", CHANGED],
            output,
        )
        .await?;
    expect(!sent, "a changed address was signed")?;
    expect(
        stage.venue.withdraw_requests().await? == before,
        "the exchange has received the refused request",
    )?;
    output.say(&format!(
        "  {} the exchange has received nothing",
        output.err(Style::Good, "refused:")
    ));
    Ok(())
}

async fn remind(stage: &Stage, output: Output) -> Result<(), Failure> {
    act(
        stage,
        output,
        6,
        "In time, not too late",
        "The trade key is 83 of its 90 days old.",
    )?;
    let raised = stage.call(CheckReminders {}).await?;
    let due = touchkeep_wire::ListReminders {};
    let keys = stage.call(due).await?;
    let trade = keys
        .iter()
        .find(|key| key.name == "trade")
        .ok_or_else(|| broken("the trade key has no age"))?;
    let popped = if raised.is_empty() {
        "said already when the vault opened"
    } else {
        "said on the desktop, where there is one"
    };
    output.say(&format!(
        "  {} rotate trade in {} days ({popped})",
        output.err(Style::Warn, "reminder:"),
        trade.days_left.unwrap_or_default()
    ));
    Ok(())
}

async fn verify(stage: &Stage, output: Output) -> Result<(), Failure> {
    act(
        stage,
        output,
        7,
        "A story that nobody can quietly change",
        "Every step stands in the audit log: first what was about to be signed, then what became of it. It is signed as it stands.",
    )?;
    stage.call(CheckpointAudit { device: false }).await?;
    let page = stage
        .call(ListAudit {
            before: None,
            limit: 200,
            filter: AuditFilter::default(),
        })
        .await?;
    for row in page.rows.iter().rev() {
        output.say(&render_row(row, output));
    }
    let verdict = stage.call(VerifyAudit { file: None }).await?;
    output.say(&format!(
        "  {}",
        render_verdict(&verdict, output).replace('\n', "\n  ")
    ));
    expect(verdict.sound, "the log is not sound")?;

    output.say("\n  Now somebody flips one bit in a copy of it:");
    let copy = stage.file("copied-audit.sqlite");
    copy_log(stage, &copy).await?;
    let target = page
        .rows
        .iter()
        .find(|row| row.decision == "denied")
        .ok_or_else(|| broken("nothing was denied"))?;
    flip_a_bit(&copy, target)?;
    let verdict = stage
        .call(VerifyAudit {
            file: Some(copy.display().to_string()),
        })
        .await?;
    output.say(&format!("  {}", render_verdict(&verdict, output)));
    expect(
        !verdict.sound && verdict.first_bad == Some(target.seq),
        "the flipped bit was not found",
    )
}

/// A copy as a thief of the disk would have it, in one file.
async fn copy_log(stage: &Stage, to: &std::path::Path) -> Result<(), Failure> {
    let vault = stage
        .call(GetStatus {})
        .await?
        .vault
        .ok_or_else(|| broken("no vault"))?;
    let log = stage.paths.data.join(format!("audit-{}.sqlite", vault.id));
    let copied =
        rusqlite::Connection::open_with_flags(&log, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|log| log.execute("VACUUM INTO ?1", [to.display().to_string()]));
    copied
        .map(|_| ())
        .map_err(|error| broken(format!("{}: {error}", log.display())))
}

/// Turns `denied` into `lenied` in the one row that says so last: one bit of the file.
fn flip_a_bit(copy: &std::path::Path, target: &touchkeep_wire::AuditRow) -> Result<(), Failure> {
    let mut bytes = fs::read(copy).map_err(|error| broken(error.to_string()))?;
    let word = target.decision.as_bytes();
    let place = bytes
        .windows(word.len())
        .rposition(|window| window == word)
        .and_then(|at| bytes.get_mut(at))
        .ok_or_else(|| broken("the row's word is not in the file"))?;
    *place ^= 0x08;
    fs::write(copy, bytes).map_err(|error| broken(error.to_string()))
}

fn act(stage: &Stage, output: Output, number: u8, title: &str, words: &str) -> Result<(), Failure> {
    output.say(&format!(
        "\n{}",
        output.err(Style::Strong, &format!("{number}. {title}"))
    ));
    for line in words.lines() {
        output.say(&format!("  {}", output.err(Style::Quiet, line)));
    }
    if !stage.is_auto()
        && let Ok(terminal) = Terminal::open()
    {
        let question = "  Enter goes on, Esc ends the demo. ";
        let never = std::sync::atomic::AtomicBool::new(false);
        if let Ok(Line::Cancelled) =
            terminal.read_line(question, Echo::Dots, &never, None, |_, _| {})
        {
            return Err(Failure::new(
                Code::Refused,
                "the demo was ended before its end",
                "Tell it again: touchkeep demo",
            ));
        }
    }
    Ok(())
}

fn expect(went_as_told: bool, otherwise: &str) -> Result<(), Failure> {
    if went_as_told {
        Ok(())
    } else {
        Err(broken(otherwise))
    }
}
