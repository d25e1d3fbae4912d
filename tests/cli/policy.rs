//! A policy from a file to the vault: checked, explained, edited.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::desk::Desk;

#[test]
fn a_policy_is_checked_explained_and_edited() {
    let desk = Desk::set();
    let file = desk.home.path("policy.toml");
    let file = file.to_str().unwrap().to_owned();
    std::fs::write(
        &file,
        "[[rule]]\nname = \"x\"\nvenues = [\"Binance\"]\naction = \"deny\"\n",
    )
    .unwrap();
    let checked = desk.home.cli(&["policy", "check", &file]);
    assert_eq!(checked.status.code(), Some(1), "findings");
    let said: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(said["findings"][0]["what"], "unknown-venue");
    assert_eq!(said["changes"]["added"], json!(["x"]));
    let checked = desk
        .home
        .touchkeep()
        .args(["policy", "check", file.as_str()])
        .output();
    let shown = String::from_utf8(checked.unwrap().stdout).unwrap();
    assert!(
        shown.contains("Beside the policy in force, 1 rule added, ")
            && shown.contains("\n  \"x\" is new and says deny"),
        "{shown}"
    );
    std::fs::write(&file, "[[rule]]\nname = 1").unwrap();
    let checked = desk.home.cli(&["policy", "check", &file]);
    assert_eq!(checked.status.code(), Some(1), "it cannot be read");
    assert_eq!(
        desk.fails(&["policy", "check", "/no/such/file"]),
        (2, "invalid".into())
    );
    assert_eq!(desk.fails(&["policy", "set", &file]), (2, "invalid".into()));
    assert_eq!(
        desk.fails(&["policy", "edit"]),
        (2, "invalid".into()),
        "nobody is there"
    );
    assert_eq!(desk.home.cli(&["policy", "explain"]).status.code(), Some(2));

    // An editor that others have made, which changes one word.
    let edit = |with: &str| {
        let mut verb = desk.home.touchkeep();
        verb.args(["policy", "edit"])
            .env("EDITOR", with)
            .env_remove("VISUAL");
        verb.stdin(Stdio::null()).output().unwrap()
    };
    let policy = || {
        desk.home.json(&["policy", "show"])["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let before = policy();
    let same = edit("true");
    assert!(
        same.status.success()
            && String::from_utf8_lossy(&same.stderr).contains("Nothing was changed.")
    );
    let failed = edit("false");
    assert_eq!((failed.status.code(), policy()), (Some(2), before.clone()));
    let edited = edit("sed -i 's/^requests_per_minute = 1200$/requests_per_minute = 600/'");
    let said = String::from_utf8(edited.stderr).unwrap();
    assert!(edited.status.success(), "{said}");
    assert!(
        said.contains("- requests_per_minute = 1200\n+ requests_per_minute = 600\n"),
        "{said}"
    );
    assert!(
        said.contains(
            "In short: 1 rule changed; \"reads\": requests_per_minute was 1200 and becomes 600."
        ),
        "{said}"
    );
    assert_eq!(
        policy(),
        before.replacen("requests_per_minute = 1200", "requests_per_minute = 600", 1)
    );

    let explained = desk
        .home
        .touchkeep()
        .args([
            "policy", "explain", "--kind", "trade", "--symbol", "BTCUSDT", "--amount", "0.02",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(explained.stdout).unwrap();
    for line in [
        "Place order 0.02 BTCUSDT on Binance",
        "small BTC trades  floor over max_amount: nothing below is milder than allow",
        "max_amount 0.01: this has 0.02",
        "A person is asked: rule \"other trades\".",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let market = |venue: &str, name: &str| {
        let asked = ["policy", "explain", "--kind", "trade", "--venue", venue];
        let asked = [&asked[..], &["--symbol", name]].concat();
        let said = desk.home.touchkeep().args(asked).output().unwrap();
        let said = String::from_utf8(said.stdout).unwrap();
        said.contains(&format!("{name:?} is how ccxt writes a market"))
    };
    assert!(market("binance", "BTC/USDT"));
    assert!(!market("binance", "BTCUSDT") && !market("kraken", "XBT/USD"));
}
