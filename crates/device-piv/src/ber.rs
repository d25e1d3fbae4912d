//! Tag, length, value: the little of BER and DER (X.690) that PIV objects and certificates use. Single-byte tags, definite
//! lengths below 64 KiB.

/// One element: its tag, its value, and what follows.
pub(crate) fn read(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (length, rest) = match rest.split_first()? {
        (short @ 0..=0x7f, rest) => (usize::from(*short), rest),
        (0x81, rest) => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        (0x82, rest) => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

/// The element that has this tag, and what follows it.
pub(crate) fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, value, rest) = read(bytes)?;
    (found == tag).then_some((value, rest))
}

/// The elements of a sequence, to the end or to the first that cannot be read.
pub(crate) fn each(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, value, rest) = read(bytes)?;
        bytes = rest;
        Some((tag, value))
    })
}

/// The first element with this tag in a sequence.
pub(crate) fn find(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    each(bytes).find_map(|(found, value)| (found == tag).then_some(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use touchkeep_device::public::tlv;

    use super::*;

    #[test]
    fn lengths_of_every_form_are_read() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff] {
            let value = vec![7; length];
            let bytes = tlv(0x53, &value);
            assert_eq!(read(&bytes), Some((0x53, &value[..], &[][..])));
            assert_eq!(read(&bytes[..bytes.len() - 1]), None);
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes: Vec<u8>) {
            let total: usize = each(&bytes).map(|(_, value)| value.len()).sum();
            prop_assert!(total <= bytes.len());
        }
    }
}
