//! The signature of a payment callback: hex HMAC-SHA256 of `order_id|provider_txn_id|STATUS`.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the signature, written as twice as many hexadecimal digits.
const SIGNATURE_BYTES: usize = 32;

/// A key, ready for use. Never shown.
#[derive(Clone)]
pub struct SignKey {
    mac: Hmac<Sha256>,
}

impl fmt::Debug for SignKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignKey(..)")
    }
}

impl SignKey {
    #[must_use]
    pub fn new(key: &[u8]) -> SignKey {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        SignKey { mac }
    }

    /// True if `signature` is that of the callback. Blanks around it and its case do not matter, nor does the case of
    /// `status`. Takes the same time wherever a well-formed signature is wrong.
    #[must_use]
    pub fn verifies(&self, order: &str, txn: &str, status: &str, signature: &str) -> bool {
        let Some(signature) = from_hex(signature.trim()) else { return false };
        self.over(order, txn, status).verify_slice(&signature).is_ok()
    }

    /// The signature of a callback, in lower-case hexadecimal.
    #[must_use]
    pub fn sign(&self, order: &str, txn: &str, status: &str) -> String {
        let mac = self.over(order, txn, status).finalize().into_bytes();
        mac.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn over(&self, order: &str, txn: &str, status: &str) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        for part in [order, "|", txn, "|", &status.to_uppercase()] {
            mac.update(part.as_bytes());
        }
        mac
    }
}

fn from_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * SIGNATURE_BYTES {
        return None;
    }
    let mut bytes = [0; SIGNATURE_BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, order: &str, txn: &str, status: &str, signature: &str, good: bool) {
        let verdict = SignKey::new(key.as_bytes()).verifies(order, txn, status, signature);
        assert_eq!(verdict, good, "{order}|{txn}|{status} under {key:?}: {signature:?}");
    }

    /// Computed with `printf '%s' 'o-1|t-1|SUCCESS' | openssl dgst -sha256 -hmac secret`.
    const GOOD: &str = "023da4ad966bc2101740a42ae741e4d2fd538a24f1d89da7210c77d0848fc041";

    #[test]
    fn blanks_and_case_do_not_matter() {
        check("secret", "o-1", "t-1", "SUCCESS", GOOD, true);
        check("secret", "o-1", "t-1", "success", GOOD, true);
        check("secret", "o-1", "t-1", "SUCCESS", &GOOD.to_uppercase(), true);
        check("secret", "o-1", "t-1", "SUCCESS", &format!(" \t{GOOD}\n"), true);
    }

    #[test]
    fn everything_else_does() {
        check("other", "o-1", "t-1", "SUCCESS", GOOD, false);
        check("secret", "o-2", "t-1", "SUCCESS", GOOD, false);
        check("secret", "o-1", "t-2", "SUCCESS", GOOD, false);
        check("secret", "o-1", "t-1", "FAILED", GOOD, false);
        check("secret", "o-1|t-1", "", "SUCCESS", GOOD, false);
        check("secret", "o-1", "t-1", "SUCCESS", "", false);
        check("secret", "o-1", "t-1", "SUCCESS", &GOOD[..62], false);
        check("secret", "o-1", "t-1", "SUCCESS", &format!("{GOOD}00"), false);
        check("secret", "o-1", "t-1", "SUCCESS", &format!("g{}", &GOOD[1..]), false);
        check("secret", "o-1", "t-1", "SUCCESS", &format!("é{}", &GOOD[2..]), false);
    }

    #[test]
    fn a_signature_made_here_verifies_here() {
        let key = SignKey::new(b"k");
        assert!(key.verifies("o", "t", "Success", &key.sign("o", "t", "success")));
    }
}
