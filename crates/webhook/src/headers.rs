//! The one header of a name, in visible characters.

use crate::Refusal;

/// A header as it came: its name in any case, its value without the blanks around it.
pub type Header<'a> = (&'a str, &'a [u8]);

/// The longest value that is read.
const MAX_VALUE_BYTES: usize = 8192;

/// The value of the one header of this name.
pub(crate) fn one<'a>(headers: &[Header<'a>], name: &'static str) -> Result<&'a str, Refusal> {
    let mut values = headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value);
    let value = values.next().ok_or(Refusal::Missing(name))?;
    if values.next().is_some() {
        return Err(Refusal::Doubled(name));
    }
    let is_plain = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let text = std::str::from_utf8(value).ok();
    text.filter(|text| is_plain && !text.is_empty() && text.len() <= MAX_VALUE_BYTES)
        .ok_or(Refusal::Unreadable(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_any_case_and_one_value() {
        let headers: [Header<'_>; 3] = [("X-a", b"1"), ("x-B", b"2"), ("X-b", b"2")];
        assert_eq!(one(&headers, "X-A"), Ok("1"));
        assert_eq!(one(&headers, "X-B"), Err(Refusal::Doubled("X-B")));
        assert_eq!(one(&headers, "X-C"), Err(Refusal::Missing("X-C")));
        for bad in [&b""[..], b"a\tb", b"\xc3\xa4", b"\xff", &[b'a'; 8193]] {
            assert_eq!(one(&[("X", bad)], "X"), Err(Refusal::Unreadable("X")));
        }
    }
}
