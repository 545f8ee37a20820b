//! Quick random numbers for ids that need to differ and nothing more. Never for secrets, never for the engine.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};

/// The generator of one core, seeded from the system.
#[derive(Debug)]
pub(crate) struct Random {
    generator: RefCell<fastrand::Rng>,
}

impl Random {
    pub(crate) fn from_system() -> Random {
        // A `RandomState` has keys from the system's own entropy; the generator's own seed would be of the time alone.
        let seed = RandomState::new().hash_one(0);
        Random { generator: RefCell::new(fastrand::Rng::with_seed(seed)) }
    }

    /// A UUID of version 4 (RFC 9562, section 5.4) as text.
    pub(crate) fn uuid(&self) -> [u8; 36] {
        let bits = self.generator.borrow_mut().u128(..);
        let mut text = [0; 36];
        uuid::Builder::from_random_bytes(bits.to_ne_bytes()).into_uuid().hyphenated().encode_lower(&mut text);
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
