//! Random batches come back bit for bit, and damaged bytes never panic.

use super::*;
use crate::testing::{Random, batch_of, random_batch};

const KEY: HashKey = HashKey(11);

#[test]
fn every_batch_comes_back_bit_for_bit() {
    let seed = Random::seed_of_test();
    let mut random = Random::new(seed);
    for case in 0..300 {
        let batch = random_batch(&mut random, KEY);
        assert_eq!(batch.validate(), Ok(()), "seed {seed} case {case}");
        let mut bytes = Vec::new();
        encode(&batch, &mut bytes);
        assert_eq!(decode(&bytes, KEY).as_ref(), Ok(&batch), "seed {seed} case {case}");
        let times = || batch.times.iter().copied();
        let range = times().min().zip(times().max());
        let outlined =
            outline(&bytes).ok().map(|outline| (outline.rows, (outline.first_ns, outline.last_ns)));
        assert_eq!(outlined, range.map(|range| (batch.rows(), range)), "seed {seed} case {case}");
    }
    let mut bytes = Vec::new();
    encode(&EventBatch::default(), &mut bytes);
    assert_eq!(decode(&bytes, KEY), Ok(EventBatch::default()));
}

/// Damage may go unnoticed here (a checksum guards the record), but it must not panic, and what decodes must
/// be valid.
#[test]
fn damaged_bytes_are_an_error_or_a_valid_batch() {
    let seed = Random::seed_of_test();
    let mut random = Random::new(seed);
    for case in 0..60 {
        let mut bytes = Vec::new();
        encode(&random_batch(&mut random, KEY), &mut bytes);
        for _ in 0..200 {
            let mut damaged = bytes.clone();
            for _ in 0..=random.below(3) {
                let place = random.below(damaged.len());
                damaged[place] = random.byte();
            }
            if random.below(4) == 0 {
                damaged.truncate(random.below(damaged.len()));
            }
            let outlined = outline(&damaged);
            if let Ok(batch) = decode(&damaged, KEY) {
                assert!(outlined.is_err() || outlined.is_ok_and(|outlined| outlined.rows == batch.rows()));
                assert_eq!(batch.validate(), Ok(()), "seed {seed} case {case}");
            }
        }
    }
}

#[test]
fn bytes_cut_anywhere_or_followed_by_others_are_refused() {
    let mut bytes = Vec::new();
    encode(&batch_of(KEY, 7, 20), &mut bytes);
    for end in 0..bytes.len() {
        assert!(decode(&bytes[..end], KEY).is_err(), "cut at {end}");
    }
    bytes.push(0);
    assert_eq!(decode(&bytes, KEY), Err(DecodeError("bytes are left over")));
}
