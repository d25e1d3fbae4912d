//! Bytes that may hold a secret: wiped when they are dropped, and at every place that they leave while they grow.

use std::io;

use serde::Serialize;
use zeroize::Zeroizing;

/// JSON for a frame.
///
/// # Errors
/// When the value has no form in JSON.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
    let mut writer = Writer(Zeroizing::new(Vec::with_capacity(256)));
    serde_json::to_writer(&mut writer, value)?;
    Ok(writer.0)
}

/// Makes room for `more` bytes. Where a `Vec` would leave a copy behind when it moves, this wipes the old place.
pub fn reserve(buffer: &mut Zeroizing<Vec<u8>>, more: usize) {
    let wanted = buffer.len().saturating_add(more);
    if wanted > buffer.capacity() {
        let room = wanted.max(buffer.capacity().saturating_mul(2));
        let mut moved = Zeroizing::new(Vec::with_capacity(room));
        moved.extend_from_slice(buffer);
        *buffer = moved;
    }
}

struct Writer(Zeroizing<Vec<u8>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        reserve(&mut self.0, bytes.len());
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_serde_json_writes() {
        let value: Vec<String> = (0..100).map(|n| format!("\"{n}\"\n")).collect();
        let json = to_json(&value).unwrap();
        assert_eq!(*json, serde_json::to_vec(&value).unwrap());
    }

    #[test]
    fn room_is_made_once_and_for_more_than_one_byte() {
        let mut buffer = Zeroizing::new(Vec::new());
        let mut moves = 0;
        for byte in 0..=255 {
            let before = buffer.as_ptr();
            reserve(&mut buffer, 1);
            buffer.push(byte);
            moves += usize::from(buffer.as_ptr() != before);
        }
        assert_eq!(*buffer, (0..=255).collect::<Vec<u8>>());
        assert!(moves <= 9, "{moves}");
    }
}
