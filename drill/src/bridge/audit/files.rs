//! Exports read back: each line of the two formats as an order. Nothing of the program that wrote them is shared.

use serde_json::{Map, Value};

/// Fields that are numbers; a cell does not say so.
const NUMBERS: [&str; 4] = ["AmountCents", "Qty", "FromIndex", "ToIndex"];

/// The orders of an export as JSON lines.
pub fn jsonl(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is cut off");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// The orders of an export as CSV: a field that means nothing is an empty cell, seats are joined by commas.
pub fn csv(text: &str) -> Vec<Value> {
    let mut rows = rows(text).into_iter();
    let names = rows.next().expect("a row of names");
    rows.map(|cells| {
        assert_eq!(cells.len(), names.len(), "as many cells as names: {cells:?}");
        let fields = names.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        Value::Object(fields.map(|(name, cell)| (name.clone(), value(name, cell))).collect::<Map<_, _>>())
    })
    .collect()
}

fn value(name: &str, cell: String) -> Value {
    match name {
        "Seats" => cell.split(',').collect(),
        _ if NUMBERS.contains(&name) => {
            cell.parse::<i64>().unwrap_or_else(|error| panic!("{name} {cell:?}: {error}")).into()
        }
        _ => cell.into(),
    }
}

/// RFC 4180: cells are divided by commas and rows end with CRLF; a cell in quotes may have both, and doubled quotes.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, is_quoted) {
            ('"', true) if chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            ('"', _) => is_quoted = !is_quoted,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) => {
                assert_eq!(chars.next(), Some('\n'), "a row ends with CRLF");
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            ('\n', false) => panic!("a row ends without a carriage return"),
            _ => cell.push(c),
        }
    }
    assert!(!is_quoted && row.is_empty() && cell.is_empty(), "the last row is cut off");
    rows
}

#[test]
fn exports_are_read_as_they_are_meant() {
    let text = "OrderID,Qty,Seats,CancelReason\r\na,2,\"1-1,1-2\",\r\n\"b\"\"\r\n\",,,requested\r\n";
    let expected = serde_json::json!([
        {"OrderID": "a", "Qty": 2, "Seats": ["1-1", "1-2"]},
        {"OrderID": "b\"\r\n", "CancelReason": "requested"},
    ]);
    assert_eq!(Value::Array(csv(text)), expected);
    assert_eq!(jsonl("{\"a\":1}\n{}\n"), [serde_json::json!({"a": 1}), serde_json::json!({})]);
}
