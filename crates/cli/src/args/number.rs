//! Numbers, as people write them. What they are told of another one is a sentence; the standard library's are for programmers.

/// A whole number.
pub(super) fn whole<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err("write a whole number, in digits alone".to_owned());
    }
    let number = text.parse::<u64>().ok().and_then(|it| T::try_from(it).ok());
    number.ok_or_else(|| "that is too large".to_owned())
}

/// A whole number that is not 0.
pub(super) fn positive(text: &str) -> Result<u32, String> {
    match whole(text)? {
        0 => Err("write 1 or more".to_owned()),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_said_in_words() {
        assert_eq!(whole::<u8>("18"), Ok(18));
        assert_eq!(whole::<u64>("18446744073709551615"), Ok(u64::MAX));
        for other in ["", "x", "-1", "+1", "1.5", "1 ", "0x10", "١"] {
            assert!(
                whole::<u32>(other).unwrap_err().contains("digits"),
                "{other}"
            );
        }
        for large in ["256", "18446744073709551616"] {
            assert!(
                whole::<u8>(large).unwrap_err().contains("too large"),
                "{large}"
            );
        }
        assert_eq!(positive("7"), Ok(7));
        assert!(positive("0").unwrap_err().contains("1 or more"));
    }
}
