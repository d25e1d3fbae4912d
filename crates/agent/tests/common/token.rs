//! A SoftHSM 2 in a folder of the test's own stands for the token.

use std::{path::Path, process::Command};

use touchkeep_wire::{Answer, NewKey, NewSecret, Question, SecretText};

pub const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
pub const PIN: &str = "canary-pin-246810";

/// A SoftHSM of the test's own, with one token, `agent-test`; what `SOFTHSM2_CONF` is for it.
pub fn make_token(home: &Path) -> String {
    let (tokens, config) = (home.join("tokens"), home.join("softhsm2.conf"));
    std::fs::create_dir(&tokens).unwrap();
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    std::fs::write(&config, text).unwrap();
    let made = Command::new("softhsm2-util")
        .args([
            "--init-token",
            "--free",
            "--label",
            "agent-test",
            "--so-pin",
            "12345678",
            "--pin",
            PIN,
        ])
        .env("SOFTHSM2_CONF", &config)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    config.display().to_string()
}

/// Types this PIN, and approves what is asked.
pub fn with_pin(pin: &'static str) -> impl Fn(&Question) -> Option<Answer> + Send + 'static {
    move |question| match question {
        Question::Pin { .. } => Some(Answer::Secret {
            value: SecretText::new(pin.into()),
        }),
        Question::Approval(approval) => Some(Answer::Approve {
            digest: approval.digest.clone(),
        }),
        _ => None,
    }
}

/// A key of this kind, made on the token.
pub fn on_token(algorithm: &str) -> NewSecret {
    NewSecret::OnDevice {
        key: NewKey {
            algorithm: Some(algorithm.into()),
            ..NewKey::default()
        },
    }
}
