//! The little of an answer's JSON that the generator needs, without parsing the rest.

/// The text of a field; the first of that name, wherever it stands. Good enough for answers of our own, whose ids and codes have
/// nothing escaped.
#[must_use]
pub fn text_field<'a>(body: &'a [u8], name: &str) -> Option<&'a str> {
    let body = std::str::from_utf8(body).ok()?;
    let pattern = format!("\"{name}\":\"");
    let start = body.find(&pattern)? + pattern.len();
    body[start..].split('"').next()
}

#[cfg(test)]
mod tests {
    use super::text_field;

    #[test]
    fn a_field_is_found() {
        let body = br#"{"OrderID":"abc","Status":"PAID","n":1}"#;
        assert_eq!(text_field(body, "OrderID"), Some("abc"));
        assert_eq!(text_field(body, "Status"), Some("PAID"));
        assert_eq!(text_field(body, "n"), None);
    }
}
