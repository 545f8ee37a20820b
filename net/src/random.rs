//! Quick random numbers for ids that need to differ and nothing more. Never for secrets, never for the engine.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// Every byte as two hexadecimal digits.
const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    table
};

/// Where the digits of each byte of a UUID stand, dashes between them.
const UUID_PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// The generator of one core: xoshiro256++ (Blackman and Vigna), seeded from the system.
#[derive(Debug)]
pub(crate) struct Random {
    state: Cell<[u64; 4]>,
}

impl Random {
    pub(crate) fn from_system() -> Random {
        // Each `RandomState` has keys from the system's own entropy, so its hash of anything is unpredictable.
        let seed = std::array::from_fn(|i| RandomState::new().hash_one(i));
        assert_ne!(seed, [0; 4], "xoshiro does not leave zero");
        Random { state: Cell::new(seed) }
    }

    #[inline]
    pub(crate) fn next(&self) -> u64 {
        let mut s = self.state.get();
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let shifted = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= shifted;
        s[3] = s[3].rotate_left(45);
        self.state.set(s);
        result
    }

    /// A UUID of version 4 as text.
    pub(crate) fn uuid(&self) -> [u8; 36] {
        let high = (self.next() & !0xf000) | 0x4000;
        let low = (self.next() & (u64::MAX >> 2)) | (1 << 63);
        let bytes = ((u128::from(high) << 64) | u128::from(low)).to_be_bytes();
        let mut text = [b'-'; 36];
        for (byte, at) in bytes.into_iter().zip(UUID_PLACES) {
            [text[at], text[at + 1]] = HEX[usize::from(byte)];
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_version_four_and_differ() {
        let random = Random::from_system();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1_000 {
            let uuid = random.uuid();
            let text = std::str::from_utf8(&uuid).unwrap();
            assert_eq!(text.as_bytes()[14], b'4', "{text}");
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
            let dashes: Vec<usize> = text.match_indices('-').map(|(i, _)| i).collect();
            assert_eq!(dashes, [8, 13, 18, 23], "{text}");
            assert!(seen.insert(uuid), "{text} came twice");
        }
    }
}
