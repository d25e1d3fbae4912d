//! Names and values of `application/x-www-form-urlencoded`, in the order they were sent.

/// Why this is not a form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadForm {
    /// This name stands there twice.
    Twice(String),
    /// The value of this name (or the name itself) is broken percent-encoding or no UTF-8.
    Encoding(String),
}

/// Reads a form. A name may stand there once.
pub(crate) fn pairs(bytes: &[u8]) -> Result<Vec<(String, String)>, BadForm> {
    let found = all(bytes)?;
    for (index, (name, _)) in found.iter().enumerate() {
        if found.iter().skip(index + 1).any(|(other, _)| other == name) {
            return Err(BadForm::Twice(name.clone()));
        }
    }
    Ok(found)
}

/// Reads a form in which a name may come again.
pub(crate) fn all(bytes: &[u8]) -> Result<Vec<(String, String)>, BadForm> {
    let mut found: Vec<(String, String)> = Vec::new();
    for piece in bytes
        .split(|&b| b == b'&')
        .filter(|piece| !piece.is_empty())
    {
        let mut halves = piece.splitn(2, |&b| b == b'=');
        let broken = |name: &str| BadForm::Encoding(name.to_owned());
        let name = decode(halves.next().unwrap_or_default()).ok_or_else(|| broken("name"))?;
        let value = decode(halves.next().unwrap_or_default()).ok_or_else(|| broken(&name))?;
        found.push((name, value));
    }
    Ok(found)
}

/// Decodes `%XX` and `+` (a space).
pub(crate) fn decode(bytes: &[u8]) -> Option<String> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => plain.push(b' '),
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                let byte = data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?;
                plain.extend(byte);
                rest = after;
            }
            other => plain.push(other),
        }
    }
    String::from_utf8(plain).ok()
}

/// Is this a plain decimal: digits, at most one point, no sign, no exponent?
pub(crate) fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction]
        .iter()
        .all(|part| (1..=20).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()))
}
