//! Entrances for fuzzers: every reader of bytes that this crate has. None may panic on any input.

use skein_event::hash::HashKey;

use crate::{codec, scan, state_file};

/// The payload of a Batch record. What decodes is encoded and decoded again, and must be the same.
pub fn batch(bytes: &[u8]) {
    let key = HashKey(1);
    if let Ok(batch) = codec::decode(bytes, key) {
        let mut again = Vec::new();
        codec::encode(&batch, &mut again);
        assert!(codec::decode(&again, key).is_ok_and(|second| second == batch), "a batch comes back");
    }
}

/// A whole file of the log.
pub fn file(bytes: &[u8]) {
    if let Ok(scan) = scan::scan(bytes) {
        for record in &scan.records {
            drop((record.environment(), record.key(), codec::decode(record.payload, HashKey(1))));
        }
    }
}

/// The keys of deleted files.
pub fn keys(bytes: &[u8]) {
    drop(state_file::parse(bytes));
}

#[cfg(test)]
mod tests {
    #[test]
    fn entrances_take_anything() {
        for bytes in [&[][..], &[0; 4_200], b"SKEINLOG", b"SKEINKEY\x01\0\0\0\xff\xff\xff\xff\0\0\0\0"] {
            super::batch(bytes);
            super::file(bytes);
            super::keys(bytes);
        }
    }
}
