//! Mutations: new inputs made of other ones, the same for the same seed.

use fastrand::Rng;

/// A dictionary: pieces that readers look for.
const DICTIONARY: [&[u8]; 24] = [
    b"ILKFRAME",
    b"ILKSNAPS",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\"",
    b"\"\"",
    b",",
    b"Content-Length: 5\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b" HTTP/1.1\r\n",
    b"%00",
    b"24:00:00",
    b"99991231",
    b"-1",
    b"\xef\xbb\xbf",
];

/// A few changes of one of the inputs.
#[must_use]
pub fn mutate(inputs: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    let mut bytes = inputs[rng.usize(..inputs.len())].clone();
    for _ in 0..rng.u8(1..=6) {
        let at = rng.usize(..=bytes.len());
        let to = (at + rng.usize(1..=64)).min(bytes.len());
        match rng.u8(..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            1 if at < bytes.len() => bytes[at] = rng.u8(..),
            2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
            3 => drop(bytes.drain(at..to.max(at))),
            4 => {
                let piece = bytes[at..to.max(at)].to_vec();
                let place = rng.usize(..=bytes.len());
                bytes.splice(place..place, piece);
            }
            5 => {
                let word = rng.choice(DICTIONARY).expect("there are words");
                bytes.splice(at..at, word.iter().copied());
            }
            6 => {
                let word = rng.choice(DICTIONARY).expect("there are words");
                let end = (at + word.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
            7 => {
                let other = &inputs[rng.usize(..inputs.len())];
                let from = rng.usize(..=other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}
