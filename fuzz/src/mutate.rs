//! Inputs made of other inputs, the same ones for the same seed.

/// Pieces that readers look for.
const WORDS: [&[u8]; 24] = [
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

#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    #[must_use]
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }
}

/// A few changes of one of the inputs.
#[must_use]
pub fn mutate(inputs: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut bytes = inputs[rng.below(inputs.len())].clone();
    for _ in 0..1 + rng.below(6) {
        let at = rng.below(bytes.len() + 1);
        let to = (at + 1 + rng.below(64)).min(bytes.len());
        match rng.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            1 if at < bytes.len() => bytes[at] = rng.below(256) as u8,
            2 if at < bytes.len() => bytes[at] = bytes[at].wrapping_add(1),
            3 => drop(bytes.drain(at..to.max(at))),
            4 => {
                let piece = bytes[at..to.max(at)].to_vec();
                let place = rng.below(bytes.len() + 1);
                bytes.splice(place..place, piece);
            }
            5 => {
                let word = WORDS[rng.below(WORDS.len())];
                bytes.splice(at..at, word.iter().copied());
            }
            6 => {
                let word = WORDS[rng.below(WORDS.len())];
                let end = (at + word.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&word[..end - at]);
            }
            7 => {
                let other = &inputs[rng.below(inputs.len())];
                let from = rng.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}
