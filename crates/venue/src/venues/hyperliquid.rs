//! Hyperliquid: one URL for everything that acts; what it does stands in the body, as the type of its action.
//!
//! Signed is an EIP-712 digest, with secp256k1 (hyperliquid-python-sdk of 2026-04, `signing.py`). Actions of the exchange
//! hash their MessagePack, nonce, vault and end into a stand-in for an agent; actions that move money are typed texts of their
//! own, and the type stands in the endpoint's row. The members of an action keep their order, for MessagePack has one.

use sha3::{Digest, Keccak256};

use crate::{
    Algorithm, CannotSign, Counter, Credential, Decoded, Encoding, Json, Moment, Place, Private,
    Request, Scheme, SecretForm, ToSign, Unreadable, Venue, VenueInfo,
    drafting::{number, scheme_of},
    reading::{Manner, Query},
    table::{Table, table},
    venue::Facts,
};

/// The name in paths, items and rules.
pub const VENUE: &str = "hyperliquid";

const SCHEMES: &[Scheme] = &[Scheme::new(
    Algorithm::Secp256k1Digest,
    SecretForm::PrivateKey,
    Encoding::Rsv,
)];
const EXCHANGE: &str = "/exchange";
const CHAIN: u64 = 1337;
const DOMAIN: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";

/// The venue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hyperliquid;

fn table() -> &'static Table {
    table!("hyperliquid")
}

impl Venue for Hyperliquid {
    fn id(&self) -> &'static str {
        VENUE
    }

    fn info(&self) -> VenueInfo {
        Facts {
            counter: Counter::Nonce,
            ..Facts::new(VENUE, SCHEMES)
        }
        .info(table())
    }

    fn decode(&self, request: &Request) -> Result<Decoded, Unreadable> {
        Manner {
            methods: &["POST"],
            query: Query::Never,
            row: Some((EXCHANGE, "action.type")),
            open: without_authentication,
            ..Manner::new(VENUE, table())
        }
        .decode(request)
    }

    fn draft(
        &self,
        private: &Private,
        credential: &Credential<'_>,
        moment: &Moment,
    ) -> Result<ToSign, CannotSign> {
        let scheme = scheme_of(SCHEMES, credential)?;
        let nonce = moment.nonce.ok_or(CannotSign::NoNonce)?;
        let envelope = private.json().ok_or(CannotSign::Values)?;
        let action = envelope.member("action").ok_or(CannotSign::Values)?;
        let (action, digest) = if private.tag.is_empty() {
            (action.clone(), of_exchange(action, envelope, nonce)?)
        } else {
            of_person(private.tag, action, nonce)?
        };
        let mut all = vec![
            ("action".to_owned(), action),
            ("nonce".to_owned(), number(nonce)),
        ];
        for name in ["vaultAddress", "expiresAfter"] {
            let given = envelope.member(name).cloned();
            all.extend(given.map(|value| (name.to_owned(), value)));
        }
        let body = Json::Members(all).to_text().into_bytes();
        let part = scheme.part(digest, Place::Object("signature"));
        Ok(private.to_sign(Vec::new(), body, Vec::new(), vec![part]))
    }
}

// The nonce and the signature are ours; of actions that are typed texts the time is, too.
fn without_authentication(json: Json, path: &str) -> Result<Json, Unreadable> {
    let Json::Members(members) = json else {
        return Err(Unreadable::NoMembers);
    };
    if path != EXCHANGE {
        return Ok(Json::Members(members));
    }
    let mut kept = Vec::new();
    for (name, value) in members {
        match name.as_str() {
            "nonce" | "signature" => {}
            "action" => kept.push((name, without_time(value)?)),
            "vaultAddress" | "expiresAfter" if value == Json::Null => {}
            "vaultAddress" | "expiresAfter" => kept.push((name, value)),
            _ => return Err(Unreadable::Value(name)),
        }
    }
    Ok(Json::Members(kept))
}

fn without_time(action: Json) -> Result<Json, Unreadable> {
    let typed = action
        .member("type")
        .and_then(Json::plain)
        .and_then(|name| table().find("POST", &format!("{EXCHANGE}#{name}")))
        .map(|(endpoint, _)| endpoint.tag.as_str())
        .filter(|tag| !tag.is_empty());
    let Json::Members(mut members) = action else {
        return Err(Unreadable::NoMembers);
    };
    if let Some(tag) = typed {
        let ours = if tag.ends_with(" time)") {
            "time"
        } else {
            "nonce"
        };
        members.retain(|(name, _)| name != ours);
        let chain = members.iter().find(|(name, _)| name == "hyperliquidChain");
        if chain.is_some_and(|(_, chain)| chain.plain() != Some("Mainnet")) {
            return Err(Unreadable::Value("hyperliquidChain".into()));
        }
    }
    Ok(Json::Members(members))
}

fn of_exchange(action: &Json, envelope: &Json, nonce: u64) -> Result<[u8; 32], CannotSign> {
    let mut packed = Vec::new();
    pack(action, &mut packed)?;
    packed.extend(nonce.to_be_bytes());
    match envelope.member("vaultAddress") {
        None => packed.push(0),
        Some(vault) => {
            packed.push(1);
            packed.extend(address(vault)?);
        }
    }
    if let Some(end) = envelope.member("expiresAfter") {
        packed.push(0);
        packed.extend(whole(end)?.to_be_bytes());
    }
    let connection = keccak(&packed);
    let agent = [
        keccak(b"Agent(string source,bytes32 connectionId)"),
        keccak(b"a"),
        connection,
    ];
    Ok(typed("Exchange", CHAIN, keccak(agent.as_flattened())))
}

// The action as it is sent, with our time in it, and what is signed of it.
fn of_person(kind: &str, action: &Json, nonce: u64) -> Result<(Json, [u8; 32]), CannotSign> {
    let Json::Members(members) = action else {
        return Err(CannotSign::Values);
    };
    let mut members = members.clone();
    let ours = if kind.ends_with(" time)") {
        "time"
    } else {
        "nonce"
    };
    members.push((ours.to_owned(), number(nonce)));
    let action = Json::Members(members);
    let chain = action.member("signatureChainId").and_then(Json::plain);
    let chain = chain
        .and_then(|hex| u64::from_str_radix(hex.strip_prefix("0x")?, 16).ok())
        .ok_or(CannotSign::Values)?;
    let mut words = vec![keccak(kind.as_bytes())];
    let fields = kind
        .split_once('(')
        .map(|(_, rest)| rest.trim_end_matches(')'));
    for field in fields.unwrap_or_default().split(',') {
        let (kind, name) = field.split_once(' ').ok_or(CannotSign::Values)?;
        let value = action.member(name).ok_or(CannotSign::Values)?;
        words.push(word(kind, value)?);
    }
    let digest = typed(
        "HyperliquidSignTransaction",
        chain,
        keccak(words.as_flattened()),
    );
    Ok((action, digest))
}

fn word(kind: &str, value: &Json) -> Result<[u8; 32], CannotSign> {
    let mut word = [0; 32];
    match (kind, value) {
        ("string", Json::Text(text)) => word = keccak(text.as_bytes()),
        ("bool", Json::Bool(yes)) => word[31] = u8::from(*yes),
        ("uint64", _) => word[24..].copy_from_slice(&whole(value)?.to_be_bytes()),
        ("address", _) => word[12..].copy_from_slice(&address(value)?),
        _ => return Err(CannotSign::Values),
    }
    Ok(word)
}

// EIP-712: two bytes, the domain, the message.
fn typed(name: &str, chain: u64, message: [u8; 32]) -> [u8; 32] {
    let mut id = [0; 32];
    id[24..].copy_from_slice(&chain.to_be_bytes());
    let domain = [
        keccak(DOMAIN.as_bytes()),
        keccak(name.as_bytes()),
        keccak(b"1"),
        id,
        [0; 32],
    ];
    let domain = keccak(domain.as_flattened());
    keccak(&[[0x19, 0x01].as_slice(), &domain, &message].concat())
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

fn whole(value: &Json) -> Result<u64, CannotSign> {
    match value {
        Json::Number(digits) => digits.parse().map_err(|_| CannotSign::Values),
        _ => Err(CannotSign::Values),
    }
}

fn address(value: &Json) -> Result<[u8; 20], CannotSign> {
    let hex = value.plain().and_then(|text| text.strip_prefix("0x"));
    let bytes = hex.and_then(|hex| {
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(hex.as_bytes())
            .ok()
    });
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(CannotSign::Values)
}

/// The address of a point on secp256k1, given as its 64 bytes after the mark, as Ethereum writes it: the last 20 bytes of its
/// Keccak-256, with capitals as a check (EIP-55).
#[must_use]
pub fn address_of(point: &[u8; 64]) -> String {
    let hash = keccak(point);
    let hex = data_encoding::HEXLOWER.encode(hash.last_chunk::<20>().map_or(&[], |end| end));
    let check = keccak(hex.as_bytes());
    let nibbles = check.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let letters = hex.chars().zip(nibbles).map(|(letter, nibble)| {
        if nibble >= 8 {
            letter.to_ascii_uppercase()
        } else {
            letter
        }
    });
    std::iter::once("0x".to_owned())
        .chain(letters.map(String::from))
        .collect()
}

// MessagePack, each value in its shortest form. Fractions are no numbers there that two writers write alike, and the venue has
// them as text.
fn pack(value: &Json, out: &mut Vec<u8>) -> Result<(), CannotSign> {
    match value {
        Json::Null => out.push(0xc0),
        Json::Bool(yes) => out.push(0xc2 + u8::from(*yes)),
        Json::Number(digits) => pack_number(digits, out)?,
        Json::Text(text) => {
            pack_length(
                text.len(),
                [(32, 0xa0), (1 << 8, 0xd9), (1 << 16, 0xda)],
                0xdb,
                out,
            )?;
            out.extend(text.as_bytes());
        }
        Json::List(values) => {
            pack_length(
                values.len(),
                [(16, 0x90), (0, 0), (1 << 16, 0xdc)],
                0xdd,
                out,
            )?;
            values.iter().try_for_each(|value| pack(value, out))?;
        }
        Json::Members(members) => {
            pack_length(
                members.len(),
                [(16, 0x80), (0, 0), (1 << 16, 0xde)],
                0xdf,
                out,
            )?;
            for (name, value) in members {
                pack(&Json::Text(name.clone()), out)?;
                pack(value, out)?;
            }
        }
    }
    Ok(())
}

// Up to a first bound the length stands in the mark itself, then in one byte, two, or four.
fn pack_length(
    length: usize,
    [within, one, two]: [(usize, u8); 3],
    four: u8,
    out: &mut Vec<u8>,
) -> Result<(), CannotSign> {
    let length_u32 = u32::try_from(length).map_err(|_| CannotSign::Values)?;
    let bytes = length_u32.to_be_bytes();
    if length < within.0 {
        out.push(within.1 | bytes[3]);
    } else if length < one.0 {
        out.extend([one.1, bytes[3]]);
    } else if length < two.0 {
        out.extend([two.1, bytes[2], bytes[3]]);
    } else {
        out.push(four);
        out.extend(bytes);
    }
    Ok(())
}

fn pack_number(digits: &str, out: &mut Vec<u8>) -> Result<(), CannotSign> {
    if let Ok(number) = digits.parse::<u64>() {
        let bytes = number.to_be_bytes();
        match number {
            0..0x80 => out.push(bytes[7]),
            0x80..0x100 => out.extend([0xcc, bytes[7]]),
            0x100..0x1_0000 => out.extend([0xcd, bytes[6], bytes[7]]),
            0x1_0000..0x1_0000_0000 => {
                out.push(0xce);
                out.extend(&bytes[4..]);
            }
            _ => {
                out.push(0xcf);
                out.extend(bytes);
            }
        }
        return Ok(());
    }
    // No action of the exchange has a number below zero.
    Err(CannotSign::Values)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of the private keys 1 and 2, which stand in many places.
    #[test]
    fn an_address_is_that_of_ethereum() {
        for (key, address) in [
            (1, "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"),
            (2, "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"),
        ] {
            let mut scalar = [0; 32];
            scalar[31] = key;
            let key = k256::ecdsa::SigningKey::from_slice(&scalar).unwrap();
            let point = key.verifying_key().to_sec1_point(false);
            let point = point.as_bytes()[1..].try_into().unwrap();
            assert_eq!(address_of(point), address);
        }
    }
}
