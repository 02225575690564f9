//! Mutations of an input, drawn from a seeded generator: what a fuzzer does, without what it learns.

use fastrand::Rng;

/// Most bytes an input grows to.
const BYTES_MAX: usize = 256 * 1024;

/// Numbers at which readers break.
const BORDERS: [i64; 16] = [
    -1,
    0,
    1,
    2,
    7,
    16,
    64,
    127,
    128,
    255,
    256,
    1_000,
    32_767,
    65_535,
    1 << 20,
    i32::MAX as i64,
];

/// Changes an input in one to four places; `other` is what may be spliced in.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(..=input.len());
        match rng.usize(..9) {
            0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
            1 if at < input.len() => input[at] = rng.u8(..),
            2 => overwrite(input, at, &border(rng).to_be_bytes()[6..]),
            3 => overwrite(input, at, &border(rng).to_be_bytes()[4..]),
            4 => overwrite(input, at, &varint(border(rng) as u32)),
            5 => input.truncate(at),
            6 => {
                let end = at + rng.usize(..=(input.len() - at).min(16));
                input.drain(at..end);
            }
            7 => {
                let from = rng.usize(..=other.len());
                let piece = &other[from..from + rng.usize(..=(other.len() - from).min(64))];
                input.splice(at..at, piece.iter().copied());
            }
            _ => swell(input, rng),
        }
    }
    input.truncate(BYTES_MAX);
}

/// Repeats a short piece many times, and puts the number of times, in one of its spellings, in front.
pub fn swell(input: &mut Vec<u8>, rng: &mut Rng) {
    if input.is_empty() {
        return;
    }
    let at = rng.usize(..input.len());
    let piece = input[at..(at + rng.usize(1..=24)).min(input.len())].to_vec();
    let most = [4, 60, 4_000][rng.usize(..3)];
    let times = rng.usize(1..=most).min(BYTES_MAX / piece.len());
    let count = match rng.usize(..4) {
        0 => vec![],
        1 => varint(times as u32 + 1),
        2 => (times as i32).to_be_bytes().to_vec(),
        _ => (times as i16).to_be_bytes().to_vec(),
    };
    // The count takes the place of the one before the piece.
    let from = at.saturating_sub(count.len());
    let swollen = count
        .into_iter()
        .chain(std::iter::repeat_n(piece, times).flatten());
    let swollen: Vec<u8> = swollen.collect();
    input.splice(from..at, swollen);
    input.truncate(BYTES_MAX);
}

fn border(rng: &mut Rng) -> i64 {
    BORDERS[rng.usize(..BORDERS.len())]
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in input[at..].iter_mut().zip(bytes) {
        *place = *byte;
    }
}

fn varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
