//! The BER-TLV subset of PIV: one-byte tags, lengths up to 65535.

use super::status::Status;

/// One element: its tag and its value.
pub(crate) type Element<'a> = (u8, &'a [u8]);

/// Reads the first element and what follows it.
pub(crate) fn first(input: &[u8]) -> Result<(Element<'_>, &[u8]), Status> {
    let (tag, length, rest) = match *input {
        [tag, 0x81, length, ref rest @ ..] => (tag, usize::from(length), rest),
        [tag, 0x82, high, low, ref rest @ ..] => {
            (tag, usize::from(u16::from_be_bytes([high, low])), rest)
        }
        [tag, length @ 0..=0x7F, ref rest @ ..] => (tag, usize::from(length), rest),
        _ => return Err(Status::BAD_DATA),
    };
    let (value, rest) = rest.split_at_checked(length).ok_or(Status::BAD_DATA)?;
    Ok(((tag, value), rest))
}

/// Reads elements to the end of the input.
pub(crate) fn all(mut input: &[u8]) -> Result<Vec<Element<'_>>, Status> {
    let mut elements = Vec::new();
    while !input.is_empty() {
        let (element, rest) = first(input)?;
        elements.push(element);
        input = rest;
    }
    Ok(elements)
}

/// Reads the only element and takes its value, if its tag is the expected one.
pub(crate) fn only(tag: u8, input: &[u8]) -> Result<&[u8], Status> {
    match first(input)? {
        ((found, value), []) if found == tag => Ok(value),
        _ => Err(Status::BAD_DATA),
    }
}

/// Finds the value of a tag.
pub(crate) fn find<'a>(elements: &[Element<'a>], tag: u8) -> Option<&'a [u8]> {
    elements
        .iter()
        .find(|(found, _)| *found == tag)
        .map(|(_, value)| *value)
}

/// Appends an element. Values of the card are far below 65536 bytes; a longer one would be cut.
pub(crate) fn push(out: &mut Vec<u8>, tag: &[u8], value: &[u8]) {
    out.extend_from_slice(tag);
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    match length {
        0..=0x7F => out.push(low),
        0x80..=0xFF => out.extend_from_slice(&[0x81, low]),
        _ => out.extend_from_slice(&[0x82, high, low]),
    }
    out.extend(value.iter().take(usize::from(length)));
}

/// One element as bytes.
pub(crate) fn element(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len().saturating_add(6));
    push(&mut out, tag, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(value in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let bytes = element(&[0x53], &value);
            prop_assert_eq!(only(0x53, &bytes), Ok(&value[..]));
        }

        #[test]
        fn no_input_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = all(&input);
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert_eq!(first(&[0x7C, 0x05, 1]), Err(Status::BAD_DATA));
        assert_eq!(first(&[0x7C, 0x80, 1]), Err(Status::BAD_DATA));
    }
}
