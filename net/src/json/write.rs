//! Answers: written straight into the bytes that leave.

use engine::catalogue::LocalTime;
use engine::ids::Time;

use super::time;

/// Room for a key of the contract and what stands around it. Longer ones, such as fields of log lines may have, go piece by piece.
const FRAMED_KEY_BYTES: usize = 32;

/// An object under construction. Keys are ours and need no escapes.
#[derive(Debug)]
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, empty: true }
    }

    pub(crate) fn end(self) {
        self.out.push(b'}');
    }

    #[inline(always)]
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key, "\"");
        escape(self.out, value);
        self.out.push(b'"');
    }

    #[inline(always)]
    pub(crate) fn number(&mut self, key: &str, value: impl itoa::Integer) {
        self.key(key, "");
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// UTC with milliseconds.
    #[inline(always)]
    pub(crate) fn time(&mut self, key: &str, value: Time) {
        self.key(key, "\"");
        time::write_utc(self.out, value);
        self.out.push(b'"');
    }

    /// With the place's own offset.
    pub(crate) fn local_time(&mut self, key: &str, value: LocalTime) {
        self.key(key, "\"");
        time::write_local(self.out, value.unix_secs, value.offset_secs);
        self.out.push(b'"');
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(key, "null");
    }

    #[inline(always)]
    pub(crate) fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.list(key, values, string);
    }

    /// Strings run together with commas.
    pub(crate) fn joined<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.key(key, "\"");
        for (i, value) in values.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            escape(self.out, value);
        }
        self.out.push(b'"');
    }

    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key, "");
        object(self.out, fill);
    }

    pub(crate) fn objects<T>(
        &mut self,
        key: &str,
        values: impl Iterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        self.list(key, values, |out, value| object(out, |inner| fill(inner, value)));
    }

    /// A key that is not ours.
    pub(crate) fn foreign_key_object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.comma();
        string(self.out, key);
        self.out.push(b':');
        object(self.out, fill);
    }

    fn list<T>(
        &mut self,
        key: &str,
        values: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) {
        self.key(key, "[");
        for (i, value) in values.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write(self.out, value);
        }
        self.out.push(b']');
    }

    /// The key and the beginning of its value. Inlined, so that all of it is one constant where it is written.
    #[inline(always)]
    fn key(&mut self, key: &str, beginning: &str) {
        let comma = &",\""[usize::from(std::mem::replace(&mut self.empty, false))..];
        let parts = [comma, key, "\":", beginning];
        let length = parts.iter().map(|part| part.len()).sum();
        let mut framed = [0; FRAMED_KEY_BYTES];
        let Some(framed) = framed.get_mut(..length) else {
            return parts.iter().for_each(|part| self.out.extend_from_slice(part.as_bytes()));
        };
        let mut rest = &mut framed[..];
        for part in parts {
            let place = rest.split_off_mut(..part.len()).expect("there is room for all parts");
            place.copy_from_slice(part.as_bytes());
        }
        self.out.extend_from_slice(framed);
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
    }
}

/// A whole object.
pub(crate) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>)) {
    let mut object = Object::begin(out);
    fill(&mut object);
    object.end();
}

fn string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    escape(out, value);
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, value: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = value.as_bytes();
    // Nearly every text is plain.
    if is_plain(bytes) {
        return out.extend_from_slice(bytes);
    }
    let mut plain = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => b'u',
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        out.extend_from_slice(&[b'\\', short]);
        if short == b'u' {
            out.extend_from_slice(&[b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

/// Whether no byte needs an escape. Eight at a time, the last eight of a longer text over again.
fn is_plain(bytes: &[u8]) -> bool {
    const WORD: usize = size_of::<u64>();
    let Some((_, last)) = bytes.split_last_chunk::<WORD>() else {
        return bytes.iter().all(|byte| *byte >= b' ' && !matches!(byte, b'"' | b'\\'));
    };
    let (words, _) = bytes.as_chunks::<WORD>();
    words.iter().chain([last]).fold(0, |found, word| found | specials(u64::from_le_bytes(*word))) == 0
}

/// The high bit of each byte that is below 0x20, a quote or a backslash. Bytes above such a one may be marked as well.
const fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let (quote, backslash) = (word ^ (ONES * b'"' as u64), word ^ (ONES * b'\\' as u64));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_were() {
        for text in ["", "plain", "\"\\/", "\u{0}\u{1f}\u{7f}", "\n\r\t", "火车|二等", "\u{2028}😀"] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn every_byte_is_seen_wherever_it_is() {
        for length in 1..=33 {
            for place in 0..length {
                for byte in 0..0x80 {
                    let mut text = vec![b'~'; length];
                    text[place] = byte;
                    let expected = byte >= 0x20 && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&text), expected, "{byte:#x} at {place} of {length}");
                }
            }
        }
        assert!(is_plain("火车票二等座 über".as_bytes()));
    }

    #[test]
    fn keys_may_be_of_any_length() {
        for length in 0..2 * FRAMED_KEY_BYTES {
            let key = "k".repeat(length);
            let mut out = Vec::new();
            object(&mut out, |o| {
                o.null(&key);
                o.text(&key, "v");
            });
            assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"{key}\":null,\"{key}\":\"v\"}}"));
        }
    }

    #[test]
    fn an_object_is_whole() {
        let mut out = Vec::new();
        object(&mut out, |o| {
            o.text("a", "x");
            o.number("b", -1i64);
            o.texts("c", ["1", "2"].into_iter());
            o.joined("d", ["1", "2"].into_iter());
            o.object("e", |_| {});
            o.objects("f", [1u8, 2].into_iter(), |o, n| o.number("n", n));
            o.null("g");
            o.foreign_key_object("\"h\"", |o| o.time("t", Time(0)));
        });
        let expected = r#"{"a":"x","b":-1,"c":["1","2"],"d":"1,2","e":{},"f":[{"n":1},{"n":2}],"g":null,"\"h\"":{"t":"1970-01-01T00:00:00.000Z"}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
