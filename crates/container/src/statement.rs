//! What genesis and the membership chain say: one statement a line, in words. Display names are not among them; they are
//! settings inside an environment's ciphertext.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_core::{DeviceId, EnvironmentId, UserId};

use crate::words::{Algorithm, BadWord, DeviceKind, Purpose, Role, Touch, from_word, to_word};

/// Words that one line may have.
const MAX_WORDS: usize = 12;

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statement {
    /// `user <user>`: there is such a member.
    User(UserId),
    /// `device <device> <user> <kind> <serial>`: a device of his.
    Device {
        /// Its id.
        id: DeviceId,
        /// Whose.
        user: UserId,
        /// Its kind; `software` is the mark of a software device.
        kind: DeviceKind,
        /// The number printed on it.
        serial: Option<String>,
    },
    /// `key <device> <purpose> <algorithm> <touch> <ref> <spki> <recipient> <identity>`: a key of a device.
    Key(DeviceId, DeviceKey),
    /// `author <user> ed25519 <key>`: signs this user's commits. Certified by a device of his, which signs the note.
    Author(UserId, [u8; 32]),
    /// `role <user> <role>`.
    Role(UserId, Role),
    /// `environment <environment>`.
    Environment(EnvironmentId),
    /// `recipient user <user> <recipient>`: what an environment's identity is encrypted to for him.
    UserRecipient(UserId, String),
    /// `recipient environment <environment> <epoch> <recipient>`: what segments are encrypted to.
    EnvironmentRecipient(EnvironmentId, u32, String),
}

/// A key of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceKey {
    /// What for.
    pub purpose: Purpose,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Whether it waits for a touch.
    pub touch: Touch,
    /// Where it is on the device. Only a hint: a key is known by its public half.
    pub key_ref: String,
    /// DER of its SubjectPublicKeyInfo.
    pub spki: Vec<u8>,
    /// Its age recipient, where it has one.
    pub recipient: Option<String>,
    /// Its identity line for stock age, where there is one. Public.
    pub identity: Option<String>,
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user {user}"),
            Self::Device {
                id,
                user,
                kind,
                serial,
            } => write!(
                f,
                "device {id} {user} {kind} {}",
                to_word(serial.as_deref())
            ),
            Self::Key(device, key) => write!(
                f,
                "key {device} {} {} {} {} {} {} {}",
                key.purpose,
                key.algorithm,
                key.touch,
                to_word(Some(&key.key_ref)),
                BASE64_STANDARD.encode(&key.spki),
                to_word(key.recipient.as_deref()),
                to_word(key.identity.as_deref()),
            ),
            Self::Author(user, key) => {
                write!(f, "author {user} ed25519 {}", BASE64_STANDARD.encode(key))
            }
            Self::Role(user, role) => write!(f, "role {user} {role}"),
            Self::Environment(environment) => write!(f, "environment {environment}"),
            Self::UserRecipient(user, to) => {
                write!(f, "recipient user {user} {}", to_word(Some(to)))
            }
            Self::EnvironmentRecipient(environment, epoch, to) => write!(
                f,
                "recipient environment {environment} {epoch} {}",
                to_word(Some(to))
            ),
        }
    }
}

impl FromStr for Statement {
    type Err = BadWord;
    fn from_str(line: &str) -> Result<Self, BadWord> {
        let words: Vec<&str> = line.split(' ').take(MAX_WORDS).collect();
        let statement = read(&words).ok_or(BadWord)?;
        // One text for each statement.
        (statement.to_string() == line)
            .then_some(statement)
            .ok_or(BadWord)
    }
}

fn read(words: &[&str]) -> Option<Statement> {
    Some(match *words {
        ["user", user] => Statement::User(word(user)?),
        ["device", id, user, kind, serial] => Statement::Device {
            id: word(id)?,
            user: word(user)?,
            kind: word(kind)?,
            serial: from_word(serial).ok()?,
        },
        [
            "key",
            device,
            purpose,
            algorithm,
            touch,
            key_ref,
            spki,
            recipient,
            identity,
        ] => Statement::Key(
            word(device)?,
            DeviceKey {
                purpose: word(purpose)?,
                algorithm: word(algorithm)?,
                touch: word(touch)?,
                key_ref: from_word(key_ref).ok()??,
                spki: BASE64_STANDARD.decode(spki).ok()?,
                recipient: from_word(recipient).ok()?,
                identity: from_word(identity).ok()?,
            },
        ),
        ["author", user, "ed25519", key] => Statement::Author(
            word(user)?,
            BASE64_STANDARD.decode(key).ok()?.try_into().ok()?,
        ),
        ["role", user, role] => Statement::Role(word(user)?, word(role)?),
        ["environment", environment] => Statement::Environment(word(environment)?),
        ["recipient", "user", user, to] => {
            Statement::UserRecipient(word(user)?, from_word(to).ok()??)
        }
        ["recipient", "environment", environment, epoch, to] => {
            Statement::EnvironmentRecipient(word(environment)?, word(epoch)?, from_word(to).ok()??)
        }
        _ => return None,
    })
}

fn word<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use touchkeep_core::Id;

    use super::*;

    pub(crate) fn any_statement() -> impl Strategy<Value = Statement> {
        let id = || any::<[u8; 16]>().prop_map(Id::from_bytes);
        let text = ".{0,20}";
        prop_oneof![
            id().prop_map(|id| Statement::User(UserId(id))),
            (id(), id(), text.prop_map(Some)).prop_map(|(a, b, serial)| Statement::Device {
                id: DeviceId(a),
                user: UserId(b),
                kind: DeviceKind::Piv,
                serial,
            }),
            (
                id(),
                text,
                proptest::collection::vec(any::<u8>(), 0..90),
                proptest::option::of(text)
            )
                .prop_map(|(id, key_ref, spki, recipient)| Statement::Key(
                    DeviceId(id),
                    DeviceKey {
                        purpose: Purpose::Seal,
                        algorithm: Algorithm::P256,
                        touch: Touch::Always,
                        key_ref,
                        spki,
                        recipient,
                        identity: None,
                    }
                )),
            (id(), any::<[u8; 32]>()).prop_map(|(id, key)| Statement::Author(UserId(id), key)),
            id().prop_map(|id| Statement::Role(UserId(id), Role::Writer)),
            id().prop_map(|id| Statement::Environment(EnvironmentId(id))),
            (id(), text).prop_map(|(id, to)| Statement::UserRecipient(UserId(id), to)),
            (id(), any::<u32>(), text).prop_map(|(id, epoch, to)| {
                Statement::EnvironmentRecipient(EnvironmentId(id), epoch, to)
            }),
        ]
    }

    proptest! {
        #[test]
        fn parse_of_print_is_the_same(statement in any_statement()) {
            prop_assert_eq!(statement.to_string().parse(), Ok(statement));
        }

        #[test]
        fn arbitrary_lines_never_panic(line in "(user|device|key|author|role|environment|recipient)?( [ -~]{0,30}){0,9}") {
            if let Ok(statement) = line.parse::<Statement>() {
                prop_assert_eq!(statement.to_string(), line);
            }
        }
    }
}
