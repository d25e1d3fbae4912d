//! What genesis and the membership chain say: one statement a line, in words. Display names are not among them; they are
//! settings inside an environment's ciphertext.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use touchkeep_core::{DeviceId, EnvironmentId, UserId};

use crate::words::{Algorithm, BadWord, DeviceKind, Purpose, Role, Touch, from_word, to_word};

/// Words that one line may have.
const MAX_WORDS: usize = 12;
/// Certificates that one attestation may have, from the key's own to the last that is on the device.
pub const MAX_CERTIFICATES: usize = 4;
/// Bytes that one certificate may have.
pub const MAX_CERTIFICATE_BYTES: usize = 4096;

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
    /// `attest <device> <purpose> <certificate>…`: what the device's maker says of a key, as DER. Who encrypts to the key
    /// judges it; the chain does not.
    Attestation(DeviceId, Purpose, Vec<Vec<u8>>),
    /// `retired <device>`: lost or put away. Its keys sign nothing any more, and nothing is encrypted to them.
    Retired(DeviceId),
    /// `author <user> ed25519 <key>`: signs this user's commits. Certified by a device of his, which signs the note.
    Author(UserId, [u8; 32]),
    /// `role <user> <role>`.
    Role(UserId, Role),
    /// `threshold <n>`: how many admins have to sign a link.
    Threshold(u32),
    /// `environment <environment>`.
    Environment(EnvironmentId),
    /// `grant <environment> <user>`: may read it.
    Grant(EnvironmentId, UserId),
    /// `revoke <environment> <user>`: may not read what is written in later epochs.
    Revoke(EnvironmentId, UserId),
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
            Self::Attestation(device, purpose, certificates) => {
                write!(f, "attest {device} {purpose}")?;
                certificates
                    .iter()
                    .try_for_each(|der| write!(f, " {}", BASE64_STANDARD.encode(der)))
            }
            Self::Retired(device) => write!(f, "retired {device}"),
            Self::Author(user, key) => {
                write!(f, "author {user} ed25519 {}", BASE64_STANDARD.encode(key))
            }
            Self::Role(user, role) => write!(f, "role {user} {role}"),
            Self::Threshold(admins) => write!(f, "threshold {admins}"),
            Self::Environment(environment) => write!(f, "environment {environment}"),
            Self::Grant(environment, user) => write!(f, "grant {environment} {user}"),
            Self::Revoke(environment, user) => write!(f, "revoke {environment} {user}"),
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
        ["attest", device, purpose, ref certificates @ ..] => Statement::Attestation(
            word(device)?,
            word(purpose)?,
            read_certificates(certificates)?,
        ),
        ["retired", device] => Statement::Retired(word(device)?),
        ["author", user, "ed25519", key] => Statement::Author(
            word(user)?,
            BASE64_STANDARD.decode(key).ok()?.try_into().ok()?,
        ),
        ["role", user, role] => Statement::Role(word(user)?, word(role)?),
        ["threshold", admins] => Statement::Threshold(word(admins)?),
        ["environment", environment] => Statement::Environment(word(environment)?),
        ["grant", environment, user] => Statement::Grant(word(environment)?, word(user)?),
        ["revoke", environment, user] => Statement::Revoke(word(environment)?, word(user)?),
        ["recipient", "user", user, to] => {
            Statement::UserRecipient(word(user)?, from_word(to).ok()??)
        }
        ["recipient", "environment", environment, epoch, to] => {
            Statement::EnvironmentRecipient(word(environment)?, word(epoch)?, from_word(to).ok()??)
        }
        _ => return None,
    })
}

fn read_certificates(words: &[&str]) -> Option<Vec<Vec<u8>>> {
    let read = |word: &&str| {
        let der = BASE64_STANDARD.decode(word).ok()?;
        (!der.is_empty() && der.len() <= MAX_CERTIFICATE_BYTES).then_some(der)
    };
    (1..=MAX_CERTIFICATES)
        .contains(&words.len())
        .then(|| words.iter().map(read).collect())?
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
            (
                id(),
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9), 1..=4)
            )
                .prop_map(|(id, der)| Statement::Attestation(
                    DeviceId(id),
                    Purpose::Seal,
                    der
                )),
            id().prop_map(|id| Statement::Retired(DeviceId(id))),
            any::<u32>().prop_map(Statement::Threshold),
            (id(), id()).prop_map(|(e, u)| Statement::Grant(EnvironmentId(e), UserId(u))),
            (id(), id()).prop_map(|(e, u)| Statement::Revoke(EnvironmentId(e), UserId(u))),
            id().prop_map(|id| Statement::Role(UserId(id), Role::Gone)),
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
        fn arbitrary_lines_never_panic(line in "(user|device|key|attest|retired|author|role|threshold|environment|grant|revoke|recipient)?( [ -~]{0,30}){0,9}") {
            if let Ok(statement) = line.parse::<Statement>() {
                prop_assert_eq!(statement.to_string(), line);
            }
        }
    }
}
