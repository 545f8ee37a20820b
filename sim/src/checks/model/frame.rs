//! A frame of the log as docs/wal-format.md describes it, read by other code than that which wrote it.

const RECORDS_AT: usize = 72;
const PAYLOAD_BYTES_AT: usize = 76;
const HEADER_BYTES: usize = 96;

/// The records of a frame, in order.
///
/// # Panics
/// When the frame is not shaped as the document says.
pub(crate) fn records(frame: &[u8]) -> Vec<&[u8]> {
    assert_eq!(&frame[..8], b"ILKFRAME");
    let number = |at: usize| u32::from_le_bytes(frame[at..at + 4].try_into().expect("four bytes")) as usize;
    let end = HEADER_BYTES + number(PAYLOAD_BYTES_AT);
    let mut at = HEADER_BYTES;
    let mut records = Vec::new();
    for _ in 0..number(RECORDS_AT) {
        let length = number(at);
        records.push(&frame[at + 4..at + 4 + length]);
        at += 4 + length;
    }
    assert_eq!(at, end, "the records fill the payload");
    records
}
