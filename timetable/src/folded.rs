//! Train numbers as people mistype them.

use unicode_normalization::UnicodeNormalization;

/// The train's number of a partition key, or a number alone, without what two spellings of one number may differ in: width and other
/// forms of compatibility (NFKC), case, and blanks. It ends at the first bar of whatever width.
pub(crate) fn folded_train(key: &str) -> String {
    let folded = key.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace());
    folded.take_while(|c| *c != '|').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_are_one() {
        for (number, folded) in [
            ("G123", "g123"),
            ("g123", "g123"),
            (" G\u{a0}1 2\u{3000}3\t", "g123"),
            ("Ｇ１２３", "g123"),
            ("G123|2026-02-11|2nd", "g123"),
            ("Ｇ１２３ ｜2026-02-11｜2nd", "g123"),
            ("C801／C804", "c801/c804"),
            ("Ⅳ", "iv"),
            ("ÖBB 1", "öbb1"),
            ("O\u{308}bb1", "öbb1"),
            ("G-123", "g-123"),
            ("|2026-02-11|2nd", ""),
        ] {
            assert_eq!(folded_train(number), folded, "{number:?}");
        }
    }
}
