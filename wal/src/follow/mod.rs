//! Following a log: the records of a running or a stopped directory, up to what is durable.

mod cursor;

pub use cursor::Cursor;
