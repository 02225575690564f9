//! Base64 of 16 bytes in the URL alphabet without padding: how Kafka prints ids. Nothing else is needed here.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Length of 16 encoded bytes.
pub(super) const ENCODED_LENGTH: usize = 22;

/// 22 characters for 16 bytes.
pub(super) fn encode(bytes: [u8; 16]) -> String {
    let mut value = u128::from_be_bytes(bytes);
    let mut out = [0u8; ENCODED_LENGTH];
    // 128 bits = 21 full digits of six bits and a last one that carries two.
    out[ENCODED_LENGTH - 1] = ALPHABET[((value & 0b11) << 4) as usize];
    value >>= 2;
    for digit in out[..ENCODED_LENGTH - 1].iter_mut().rev() {
        *digit = ALPHABET[(value & 0b11_1111) as usize];
        value >>= 6;
    }
    out.iter().map(|&digit| digit as char).collect()
}

/// The 16 bytes, or `None` for a wrong length, a wrong character or stray low bits (two texts for one id).
pub(super) fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != ENCODED_LENGTH {
        return None;
    }
    let mut value: u128 = 0;
    for (index, character) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|&known| known == character)? as u128;
        if index == ENCODED_LENGTH - 1 {
            if digit & 0b1111 != 0 {
                return None;
            }
            value = value << 2 | digit >> 4;
        } else {
            value = value << 6 | digit;
        }
    }
    Some(value.to_be_bytes())
}
