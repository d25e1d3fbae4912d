//! The desktop's TypeScript types, generated from the wire's and compared with the checked-in file. After a change of the
//! wire: `TOUCHKEEP_BLESS=1 cargo test -p touchkeep-wire`, and read the difference.

use std::{fmt::Write as _, path::Path};

use serde::{Deserialize as _, de::value::StrDeserializer};
use touchkeep_core::Code;
use ts_rs::{Config, TS};

const GENERATED: &str = "../../ui/src/ipc/types.ts";

const HEADER: &str = "\
// Generated from crates/wire by `TOUCHKEEP_BLESS=1 cargo test -p touchkeep-wire`; a test compares it. Do not edit.
// What the web view may know: no type here has room for a PIN, a passphrase or an API secret.

/* eslint-disable */
";

#[test]
fn the_checked_in_types_are_those_of_the_wire() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GENERATED);
    let now = types();
    if std::env::var_os("TOUCHKEEP_BLESS").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let was = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        was == now,
        "{} differs from the wire: run TOUCHKEEP_BLESS=1 cargo test -p touchkeep-wire",
        path.display()
    );
}

#[test]
fn no_type_of_the_web_view_carries_a_secret() {
    let types = types();
    assert!(!types.contains("SecretText") && !types.contains("type Answer"));
}

fn types() -> String {
    let mut out = String::from(HEADER);
    let codes: Vec<String> = codes().iter().map(|code| format!("{code:?}")).collect();
    writeln!(out, "\n/** Why something did not happen. */").unwrap();
    writeln!(
        out,
        "export const CODES = [\n  {},\n] as const;",
        codes.join(",\n  ")
    )
    .unwrap();
    writeln!(out, "export type Code = (typeof CODES)[number];").unwrap();
    declare::<crate::Failure>(&mut out);
    declare::<crate::Status>(&mut out);
    declare::<crate::LateKeys>(&mut out);
    declare::<crate::Attention>(&mut out);
    declare::<crate::Resting>(&mut out);
    declare::<crate::VaultSummary>(&mut out);
    declare::<crate::EnrolledDevice>(&mut out);
    declare::<crate::ItemSummary>(&mut out);
    declare::<crate::AuditPage>(&mut out);
    declare::<crate::AuditRow>(&mut out);
    declare::<crate::AuditVerdict>(&mut out);
    declare::<crate::KeyAge>(&mut out);
    declare::<crate::Prompt>(&mut out);
    declare::<crate::Question>(&mut out);
    declare::<crate::Approval>(&mut out);
    declare::<crate::More>(&mut out);
    declare::<crate::UseRequest>(&mut out);
    declare::<crate::Scope>(&mut out);
    declare::<crate::PromptAsker>(&mut out);
    declare::<crate::PromptClosed>(&mut out);
    declare::<crate::PromptWent>(&mut out);
    declare::<crate::Changed>(&mut out);
    tidy(&out)
}

// One line per short comment, and no blanks at the ends of lines.
fn tidy(types: &str) -> String {
    let joined = types.replace("/**\n * ", "/** ").replace("\n */", " */");
    joined.lines().fold(String::new(), |mut out, line| {
        writeln!(out, "{}", line.trim_end()).unwrap();
        out
    })
}

fn declare<T: TS>(out: &mut String) {
    let config = Config::default();
    if let Some(docs) = T::docs() {
        write!(out, "\n{docs}").unwrap();
    } else {
        writeln!(out).unwrap();
    }
    writeln!(out, "export {}", T::decl(&config)).unwrap();
}

/// The names of every [`Code`]: `Code` has no list of its own, but its deserialiser knows what it would have taken.
fn codes() -> &'static [&'static str] {
    let unknown = StrDeserializer::<Expected>::new("");
    Code::deserialize(unknown).unwrap_err().0
}

#[derive(Debug)]
struct Expected(&'static [&'static str]);

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected one of {:?}", self.0)
    }
}

impl std::error::Error for Expected {}

impl serde::de::Error for Expected {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}
