//! Answers: written straight into the bytes that leave.

use engine::catalogue::LocalTime;
use engine::ids::Time;

use super::time;

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

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        string(self.out, value);
    }

    pub(crate) fn number(&mut self, key: &str, value: impl itoa::Integer) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// UTC with milliseconds.
    pub(crate) fn time(&mut self, key: &str, value: Time) {
        self.key(key);
        self.out.push(b'"');
        time::write_utc(self.out, value);
        self.out.push(b'"');
    }

    /// With the place's own offset.
    pub(crate) fn local_time(&mut self, key: &str, value: LocalTime) {
        self.key(key);
        self.out.push(b'"');
        time::write_local(self.out, value.unix_secs, value.offset_secs);
        self.out.push(b'"');
    }

    pub(crate) fn null(&mut self, key: &str) {
        self.key(key);
        self.out.extend_from_slice(b"null");
    }

    pub(crate) fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.list(key, values, string);
    }

    /// Strings run together with commas.
    pub(crate) fn joined<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.key(key);
        self.out.push(b'"');
        for (i, value) in values.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            escape(self.out, value);
        }
        self.out.push(b'"');
    }

    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
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
        self.key(key);
        self.out.push(b'[');
        for (i, value) in values.enumerate() {
            if i > 0 {
                self.out.push(b',');
            }
            write(self.out, value);
        }
        self.out.push(b']');
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(value);
    }

    fn key(&mut self, key: &str) {
        self.comma();
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
    }
}

/// Whatever takes the fields of something one by one: an object, or a row of a table.
pub(crate) trait Fields {
    fn text(&mut self, key: &str, value: &str);
    fn number(&mut self, key: &str, value: impl itoa::Integer);
    fn time(&mut self, key: &str, value: Time);
    fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>);
}

impl Fields for Object<'_> {
    fn text(&mut self, key: &str, value: &str) {
        Object::text(self, key, value);
    }

    fn number(&mut self, key: &str, value: impl itoa::Integer) {
        Object::number(self, key, value);
    }

    fn time(&mut self, key: &str, value: Time) {
        Object::time(self, key, value);
    }

    fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        Object::texts(self, key, values);
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

/// Escapes what JSON must not hold in a string (RFC 8259, section 7) and nothing else.
fn escape(out: &mut Vec<u8>, value: &str) {
    let bytes = value.as_bytes();
    // Nearly every text is plain. Every byte is looked at, without a branch for each.
    if !bytes.iter().fold(false, |found, byte| found | matches!(byte, b'"' | b'\\' | 0..0x20)) {
        return out.extend_from_slice(bytes);
    }
    let mut plain = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => *byte,
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
            out.extend_from_slice(format!("{byte:04x}").as_bytes());
        }
    }
    out.extend_from_slice(&bytes[plain..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_were() {
        let every_byte = (0..0x80).map(char::from).collect::<String>();
        for text in ["", "plain", "\"\\/", &every_byte, "\n\r\t", "火车|二等", "\u{2028}😀"] {
            let mut out = Vec::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn escapes_are_the_ones_that_clients_have_always_seen() {
        let mut out = Vec::new();
        string(&mut out, "a\"b\\c\n\r\t\u{0}\u{8}\u{1f}\u{7f}/é");
        assert_eq!(String::from_utf8(out).unwrap(), "\"a\\\"b\\\\c\\n\\r\\t\\u0000\\u0008\\u001f\u{7f}/é\"");
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
