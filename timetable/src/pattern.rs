//! Patterns of train numbers: `*` is any text, `#` is one digit, all else is itself.

/// True if the pattern matches the whole text.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // The last star, and where the text goes on behind what the star stands for.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] || (*byte == b'#' && text[t].is_ascii_digit()) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, behind)) => {
                    star = Some((at, behind + 1));
                    (p, t) = (at + 1, behind + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, text: &str, expected: bool| {
            assert_eq!(fits(pattern, text), expected, "{pattern} on {text}");
        };
        check("G1", "G1", true);
        check("G1", "G12", false);
        check("G*", "G12/G13", true);
        check("*", "", true);
        check("G#", "G1", true);
        check("G#", "G", false);
        check("G##", "G1A", false);
        check("*/*", "G12/G13", true);
        check("*/*", "G12", false);
        check("D*1#0*", "D2110/D21150", true);
        check("D*1#0", "D2110/D2111", false);
        check("", "", true);
        check("车*", "车次1", true);
    }
}
