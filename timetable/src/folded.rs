//! Train numbers as people mistype them.

use unicode_normalization::UnicodeNormalization;

/// The train's number of a partition key, or a number alone, without what two spellings of one number may differ in: width and other
/// forms of compatibility (NFKC), case, blanks, and what is not seen at all. It ends at the first bar of whatever width.
pub(crate) fn folded_train(key: &str) -> String {
    let folded = key.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace() && !is_unseen(*c));
    folded.take_while(|c| *c != '|').collect()
}

/// Joiners, marks of direction, soft hyphens, selectors of variants: characters without a shape of their own.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
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
            ("G\u{200b}12\u{feff}3\u{ad}", "g123"),
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
