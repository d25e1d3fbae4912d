//! Parameters in `application/x-www-form-urlencoded`, read strictly and written in one form.
//!
//! # Why not just the client's bytes
//! Readers differ on `+`, `;`, raw spaces, broken escapes and repeated names. So what differs is refused, what merely is
//! unusual (a raw space or quote, as ccxt sends them) is read, and everything is written again with only the unreserved
//! characters of RFC 3986 bare. Bytes that already have that form come out as they went in.

use percent_encoding::percent_decode;

use crate::{Parameter, Unreadable};

/// Bytes that a query or a body may have.
pub const MAX_BYTES: usize = 64 * 1024;
/// Parameters that a query or a body may have.
pub const MAX_PARAMETERS: usize = 128;

/// Reads parameters, in their order.
///
/// # Errors
/// When they are broken or could be read in two ways.
pub fn read(bytes: &[u8]) -> Result<Vec<Parameter>, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable::TooLong);
    }
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let pieces = bytes.iter().filter(|b| **b == b'&').count() + 1;
    let mut read: Vec<Parameter> = Vec::with_capacity(pieces.min(MAX_PARAMETERS));
    for piece in bytes.split(|b| *b == b'&') {
        if read.len() == MAX_PARAMETERS {
            return Err(Unreadable::TooLong);
        }
        let at = piece
            .iter()
            .position(|b| *b == b'=')
            .ok_or(Unreadable::Syntax)?;
        let (name, value) = piece.split_at(at);
        let name = text(name)?;
        let value = text(value.get(1..).unwrap_or_default())?;
        if !is_name(&name) {
            return Err(Unreadable::Name);
        }
        read.push(Parameter { name, value });
    }
    Ok(read)
}

/// Refuses a name that is there twice, in whatever case and wherever it stands.
///
/// # Errors
/// [`Unreadable::Twice`] with the name.
pub fn each_once<'a>(parameters: impl Iterator<Item = &'a Parameter>) -> Result<(), Unreadable> {
    let mut seen: Vec<&str> = Vec::with_capacity(16);
    for Parameter { name, .. } in parameters {
        // Few enough that a look at each is quicker than a hash.
        if seen.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(Unreadable::Twice(name.clone()));
        }
        seen.push(name);
    }
    Ok(())
}

/// Appends `name=value`, with `&` before it where something stands already.
pub fn append(out: &mut Vec<u8>, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(b'&');
    }
    escape(out, name);
    out.push(b'=');
    escape(out, value);
}

/// The same with a number.
pub fn append_number(out: &mut Vec<u8>, name: &str, value: u64) {
    append(out, name, "");
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = value;
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
        (left, at) = (left / 10, place);
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

// A table, because this is done with every byte of every request, and of its signature.
#[expect(clippy::indexing_slicing, reason = "reckoned while it is compiled")]
const BARE: [bool; 256] = {
    let mut bare = [false; 256];
    let mut byte = 0;
    while byte < bare.len() {
        bare[byte] = is_bare(byte as u8);
        byte += 1;
    }
    bare
};

fn escape(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |half: u8| HEX.get(usize::from(half)).copied().unwrap_or_default();
    let bare = |byte: &u8| BARE.get(usize::from(*byte)).copied().unwrap_or_default();
    let mut left = text.as_bytes();
    out.reserve(left.len());
    while let Some(at) = left.iter().position(|byte| !bare(byte)) {
        let (plain, rest) = left.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, rest)) = rest.split_first() else {
            return;
        };
        out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 0xf)]);
        left = rest;
    }
    out.extend_from_slice(left);
}

const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}

fn text(raw: &[u8]) -> Result<String, Unreadable> {
    let mut plain = true;
    for (at, byte) in raw.iter().enumerate() {
        plain &= byte.is_ascii_graphic() && *byte != b'%';
        match byte {
            b'+' | b';' | b'#' => return Err(Unreadable::TwoMeanings(char::from(*byte))),
            b'%' => {
                let escape = raw.get(at + 1..at + 3).ok_or(Unreadable::PercentEncoding)?;
                if !escape.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Unreadable::PercentEncoding);
                }
            }
            _ => {}
        }
    }
    if plain && let Ok(text) = std::str::from_utf8(raw) {
        return Ok(text.to_owned());
    }
    let text = percent_decode(raw)
        .decode_utf8()
        .map_err(|_| Unreadable::NotUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(Unreadable::Control);
    }
    Ok(text.into_owned())
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

    use super::*;

    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');

    fn again(bytes: &[u8]) -> Result<String, Unreadable> {
        let mut out = Vec::new();
        for parameter in read(bytes)? {
            append(&mut out, &parameter.name, &parameter.value);
        }
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn plain_bytes_stay_as_they_are() {
        let plain = "symbol=LTCBTC&side=BUY&s=%EF%BC%91~_-.&empty=";
        assert_eq!(again(plain.as_bytes()).as_deref(), Ok(plain));
    }

    // The standard library writes numbers, and the crate's escapes bytes, in ways of their own.
    #[test]
    fn numbers_and_bare_bytes_are_written_as_others_write_them() {
        for number in [0, 7, 10, 999, 1_700_000_000_000, u64::MAX - 1, u64::MAX] {
            let mut out = b"a=1".to_vec();
            append_number(&mut out, "n", number);
            assert_eq!(String::from_utf8(out).unwrap(), format!("a=1&n={number}"));
        }
        let each = (0..=0x1000).filter_map(char::from_u32);
        for c in each.chain(['\u{ff21}', '\u{10ffff}']) {
            let text = format!("a{c}{c}b");
            let escaped = utf8_percent_encode(&text, ESCAPED);
            let mut out = Vec::new();
            append(&mut out, "n", &text);
            assert_eq!(String::from_utf8(out).unwrap(), format!("n={escaped}"));
        }
    }

    #[test]
    fn unusual_bytes_get_one_form() {
        assert_eq!(
            again("a=0xabc def&b=[\"x\"]&c=%c3%a9é&d==".as_bytes()).as_deref(),
            Ok("a=0xabc%20def&b=%5B%22x%22%5D&c=%C3%A9%C3%A9&d=%3D")
        );
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        for (bytes, why) in [
            (&b"a=1+1"[..], Unreadable::TwoMeanings('+')),
            (b"a=1;b=2", Unreadable::TwoMeanings(';')),
            (b"a=1#b", Unreadable::TwoMeanings('#')),
            (b"a=%", Unreadable::PercentEncoding),
            (b"a=%4", Unreadable::PercentEncoding),
            (b"a=%zz", Unreadable::PercentEncoding),
            (b"a=%u0041", Unreadable::PercentEncoding),
            (b"a=%ff", Unreadable::NotUtf8),
            (b"a=%c0%ae", Unreadable::NotUtf8),
            (b"a=\xff", Unreadable::NotUtf8),
            (b"a=%00", Unreadable::Control),
            (b"a=%0d%0a", Unreadable::Control),
            (b"a=\n", Unreadable::Control),
            (b"a=%C2%85", Unreadable::Control),
            (b"a", Unreadable::Syntax),
            (b"a=1&", Unreadable::Syntax),
            (b"a=1&&b=2", Unreadable::Syntax),
            (b"&a=1", Unreadable::Syntax),
            (b"=1", Unreadable::Name),
            (b"\xef\xbb\xbfa=1", Unreadable::Name),
            (b"a%20=1", Unreadable::Name),
            (b"a%26b=1", Unreadable::Name),
        ] {
            assert_eq!(
                read(bytes),
                Err(why),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn a_name_is_there_once_whatever_its_case() {
        let read = read(b"symbol=A&Symbol=B").unwrap();
        assert_eq!(
            each_once(read.iter()),
            Err(Unreadable::Twice("Symbol".into()))
        );
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(read(&vec![b'a'; MAX_BYTES + 1]), Err(Unreadable::TooLong));
        let many = vec!["a=1"; MAX_PARAMETERS + 1].join("&");
        assert_eq!(read(many.as_bytes()), Err(Unreadable::TooLong));
    }
}
