//! What is said between the agent and the child that hosts a module: frames of three parts, with the length of each, a big-endian
//! u32, before all of them. The first part is JSON; the second is a PIN, the third a message or a shared secret, so that neither
//! is ever copied through a JSON buffer. Both are wiped. A frame is written in one go: whoever waits for it wakes once.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::module::ModuleHash;

const MAX_HEAD_BYTES: usize = 256 * 1024;
const MAX_SECRET_BYTES: usize = 1024;
/// The longest message that is signed.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A token, by what its owner called it and its maker numbered it: slot numbers change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenChoice {
    /// Its serial number.
    pub serial: String,
    /// Its label.
    pub label: String,
}

/// A token that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// What it is chosen by.
    pub choice: TokenChoice,
    /// Who made it, and which model it is.
    pub model: String,
    /// Its firmware: `2.6`.
    pub firmware: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Loads the module: the first question to every child.
    Load(Load),
    Tokens,
    Keys(Wanted),
    /// What is known of the PIN and the session.
    Standing(TokenChoice),
    /// Whether the token is there.
    Presence(TokenChoice),
    /// Logs in for what is asked next.
    Login(TokenChoice, Login, Option<Beside>),
    /// Ends the session that is kept.
    Logout,
    /// ECDH with the point in the body; the answer's body is the x-coordinate.
    Agree(Use),
    /// RSA decryption of the body with the label of `ssh-rsa` stanzas.
    Decrypt(Use),
    /// Signs the body; the answer's body is the signature as the token gave it.
    Sign(Use),
    Generate(Generate),
    /// Destroys a key pair that was made a moment ago and is no good.
    Discard(Generate),
    /// Whether the token made that key itself, and keeps it.
    Keeps(Use),
    /// Stores the body: an HMAC secret, or the private half of this public key.
    Import(Generate, Vec<u8>),
    /// Which kinds of keys the token says that it makes or stores, and signs with.
    Kinds(TokenChoice),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Load {
    /// What the module's SHA-256 has to be.
    pub(crate) sha256: Option<ModuleHash>,
    /// What the module is initialised with (the reserved argument of C_Initialize).
    pub(crate) init: Option<String>,
}

/// Which public keys are asked for: ours by their labels, or these by their CKA_ID.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(crate) token: TokenChoice,
    pub(crate) ids: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Use {
    pub(crate) token: TokenChoice,
    pub(crate) login: Login,
    /// CKA_ID.
    #[serde(with = "hex")]
    pub(crate) id: Vec<u8>,
    pub(crate) kind: Kind,
    /// What the key's public half has to be; for an HMAC secret, the MAC of `MAC_CHECK`.
    #[serde(with = "hex")]
    pub(crate) public: Vec<u8>,
    /// Whether the key has to ask for the PIN at each use.
    pub(crate) asks: bool,
    /// What tells the token from another one of its name, where the key has no public half.
    pub(crate) beside: Option<Beside>,
}

/// A public half that the token has shown without a login.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Beside {
    /// CKA_ID.
    #[serde(with = "hex")]
    pub(crate) id: Vec<u8>,
    #[serde(with = "hex")]
    pub(crate) public: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Generate {
    pub(crate) token: TokenChoice,
    pub(crate) login: Login,
    pub(crate) id: Vec<u8>,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    /// Whether it is taken although the token does not say that it keeps it.
    pub(crate) may_leave: bool,
    /// Whether it opens files, and signs nothing.
    pub(crate) opens: bool,
    /// Whether it asks for the PIN at each use.
    pub(crate) asks: bool,
}

/// How the PIN in the frame's second part may be spent, and what becomes of the session.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    pub(crate) how: How,
    pub(crate) allow_last_try: bool,
    /// Keep the session for what is asked next.
    pub(crate) keep: bool,
    /// Whether keys are made or stored.
    pub(crate) write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum How {
    /// With the PIN, which is proved anew although a session may be open.
    Pin,
    /// At the token's own keys, unless a session is open.
    Pad,
    /// Not at all: a session must be open.
    Kept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    P256,
    Secp256k1,
    Ed25519,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

impl Kind {
    /// Whether it is one secret, without a public half.
    pub(crate) const fn is_secret(self) -> bool {
        matches!(self, Self::HmacSha256 | Self::HmacSha384 | Self::HmacSha512)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenKey {
    pub(crate) id: Vec<u8>,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    pub(crate) spki: Vec<u8>,
    /// The token says that it was made elsewhere.
    pub(crate) imported: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Reply {
    Loaded(ModuleHash),
    Tokens(Vec<Token>),
    Keys(Vec<TokenKey>),
    Standing(Standing),
    Presence(Presence),
    /// What was asked for is the body.
    Body,
    /// The body was decrypted; its padding is still on.
    Block,
    Made(TokenKey),
    Keeps(bool),
    Kinds(Vec<Kind>),
    Done,
    Failed(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Standing {
    pub(crate) tries: Tries,
    /// The PIN is typed at the token.
    pub(crate) pad: bool,
    /// It can be taken out: a card in a reader.
    pub(crate) removable: bool,
    /// A session is kept and logged in.
    pub(crate) logged_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Presence {
    pub(crate) there: bool,
    /// The module talks to somebody over a socket: pcscd, a connector.
    pub(crate) by_socket: bool,
}

/// PKCS#11 does not count tries; it says when they run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tries {
    Some,
    Last,
    Locked,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Failure {
    #[error("no such token")]
    NoToken,
    #[error("no such key")]
    NoKey,
    #[error("another key in its place")]
    OtherKey,
    #[error("not logged in")]
    NotLoggedIn,
    /// What was to be decrypted is not for the key; says no more, because more would help to decrypt it.
    #[error("not decrypted")]
    NotOpened,
    #[error("wrong PIN")]
    WrongPin(Tries),
    #[error("PIN locked")]
    PinLocked,
    #[error("last try")]
    LastTry,
    #[error("not supported: {0}")]
    Unsupported(String),
    #[error("{0}")]
    Module(String),
    #[error("unexpected: {0}")]
    Unexpected(String),
}

/// One message either way.
pub(crate) struct Frame {
    pub(crate) head: Vec<u8>,
    pub(crate) secret: Zeroizing<Vec<u8>>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Bytes of the three lengths.
const LENGTHS: usize = 12;

impl Frame {
    /// Reads one; `None` at a clean end.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let Some([head, secret, body]) = read_lengths(from)? else {
            return Ok(None);
        };
        let head = read_part(from, head, MAX_HEAD_BYTES)?;
        Ok(Some(Self {
            head: head.to_vec(),
            secret: read_part(from, secret, MAX_SECRET_BYTES)?,
            body: read_part(from, body, MAX_BODY_BYTES)?,
        }))
    }
}

/// Writes one.
pub(crate) fn write(
    to: &mut impl Write,
    head: &impl Serialize,
    secret: &[u8],
    body: &[u8],
) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let parts = [&head, secret, body];
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    // Allocated once, so that no copy of a secret stays behind where a growing buffer was.
    let mut frame = Zeroizing::new(Vec::with_capacity(LENGTHS + bytes));
    for part in parts {
        let length = u32::try_from(part.len()).map_err(io::Error::other)?;
        frame.extend_from_slice(&length.to_be_bytes());
    }
    for part in parts {
        frame.extend_from_slice(part);
    }
    to.write_all(&frame)?;
    to.flush()
}

fn read_lengths(from: &mut impl Read) -> io::Result<Option<[usize; 3]>> {
    let mut bytes = [0; LENGTHS];
    let there = from.read(&mut bytes)?;
    if there == 0 {
        return Ok(None);
    }
    from.read_exact(bytes.get_mut(there..).unwrap_or_default())?;
    let mut lengths = [0; 3];
    for (length, bytes) in lengths.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *length = usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX);
    }
    Ok(Some(lengths))
}

fn read_part(from: &mut impl Read, length: usize, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    if length > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a part is too long",
        ));
    }
    // Allocated once, as above.
    let mut part = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut part)?;
    Ok(part)
}

/// Bytes in JSON, as hex: a list of numbers takes longer to read than a curve to sign.
mod hex {
    use data_encoding::HEXLOWER;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&HEXLOWER.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = <&str>::deserialize(from)?;
        HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Request::Tokens, b"1234", b"message").unwrap();
        let mut from = &bytes[..];
        let frame = Frame::read(&mut from).unwrap().unwrap();
        assert!(matches!(
            serde_json::from_slice(&frame.head),
            Ok(Request::Tokens)
        ));
        assert_eq!(&frame.secret[..], b"1234");
        assert_eq!(&frame.body[..], b"message");
        assert!(Frame::read(&mut from).unwrap().is_none());
        for cut in 1..bytes.len() {
            assert!(Frame::read(&mut &bytes[..cut]).is_err());
        }
    }

    #[test]
    fn a_part_that_is_too_long_is_not_allocated() {
        for at in 0..3 {
            let mut lengths = [0; LENGTHS];
            lengths[4 * at] = 0x7f;
            let error = Frame::read(&mut &lengths[..]).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes: Vec<u8>) {
            let _ = Frame::read(&mut &bytes[..]);
        }
    }
}
