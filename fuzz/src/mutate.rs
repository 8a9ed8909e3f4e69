//! Mutants of inputs from a seed: the same seed gives the same mutant, so that a failure can be repeated.

use super::generate::Random;

/// Larger mutants are cut: they would only be slower.
const BYTES_MAX: usize = 1 << 16;

/// A mutant of one of the inputs.
pub fn mutant(inputs: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = pick(&mut random, inputs);
    for _ in 0..1 + random.below(6) {
        change(&mut random, &mut bytes, inputs);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn pick(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    if inputs.is_empty() { Vec::new() } else { random.pick(inputs).clone() }
}

fn place(random: &mut Random, bytes: &[u8]) -> usize {
    usize::try_from(random.below(bytes.len() as u64)).unwrap_or_default()
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
    if bytes.is_empty() {
        bytes.extend(random.next().to_le_bytes());
        return;
    }
    let at = place(random, bytes);
    let end = (at + 1 + usize::try_from(random.below(16)).unwrap_or_default()).min(bytes.len());
    match random.below(9) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff, b'"', b'{', b']', b'\\', b'9']),
        2 => bytes[at] = random.next().to_le_bytes()[0],
        3 => drop(bytes.drain(at..end)),
        4 => {
            let run = bytes[at..end].to_vec();
            let to = place(random, bytes);
            bytes.splice(to..to, run);
        }
        5 => bytes.truncate(at),
        6 => overwrite_number(random, bytes, at),
        7 => {
            // The head of one input with the tail of another.
            let other = pick(random, inputs);
            let from = place(random, &other);
            bytes.truncate(at);
            bytes.extend(other.get(from..).unwrap_or_default());
        }
        _ => {
            let run = bytes[at..end].to_vec();
            for _ in 0..random.below(64) {
                bytes.splice(at..at, run.iter().copied());
            }
        }
    }
}

/// Writes a number that tends to be a length, an index or a bound.
fn overwrite_number(random: &mut Random, bytes: &mut [u8], at: usize) {
    let number = *random.pick(&[
        0_u64,
        1,
        127,
        128,
        255,
        256,
        65_535,
        u64::from(u32::MAX),
        1 << 31,
        1 << 63,
        u64::MAX,
    ]);
    let width = *random.pick(&[2_usize, 4, 8]);
    let end = (at + width).min(bytes.len());
    let number = number.to_le_bytes();
    bytes[at..end].copy_from_slice(&number[..end - at]);
}
