//! Texts come back as they were written, whatever they were packed with, and damage to them is an error.

use super::super::text_write::write_text;
use super::*;
use proptest::prelude::*;

fn write(values: &[Vec<u8>], codec: Codec, block_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_text(values.iter().map(Vec::as_slice), codec, block_bytes, None, &mut out).expect("writes");
    out
}

const CODECS: [Codec; 3] = [Codec::Plain, Codec::Zstd, Codec::Lz4];

proptest! {
    #[test]
    fn values_come_back(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 0..60),
        one_length in any::<bool>(),
        block_bytes in 1..5_000_usize,
    ) {
        let values: Vec<Vec<u8>> =
            values.into_iter().map(|mut value| { if one_length { value.resize(17, 3) }; value }).collect();
        for codec in CODECS {
            let text = write(&values, codec, block_bytes);
            let mut reader = TextReader::open(&text, count(values.len()), Version::V2).expect("opens");
            for code in (0..values.len()).chain((0..values.len()).rev()) {
                prop_assert_eq!(reader.get(count(code)).expect("reads"), values[code].as_slice());
            }
            prop_assert!(reader.get(count(values.len())).is_err());
            prop_assert!(TextReader::open(&text, count(values.len()) + 1, Version::V2).is_err());
        }
    }

    #[test]
    fn damaged_text_is_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let values: Vec<Vec<u8>> = (0..600_u32).map(|n| format!("value {n}").into_bytes()).collect();
        for codec in CODECS {
            let mut text = write(&values, codec, DICTIONARY_BLOCK_BYTES);
            let place = at.index(text.len());
            text[place] = byte;
            for version in [Version::V1, Version::V2] {
                if let Ok(mut reader) = TextReader::open(&text, 600, version) {
                    for code in 0..600 {
                        reader.get(code).ok(); // an error or other bytes, never a panic
                    }
                }
            }
        }
    }
}
