//! JSON of requests and answers, and the rows of exports.

pub(crate) mod csv;
pub(crate) mod cursor;
pub(crate) mod read;
pub(crate) mod time;
pub(crate) mod views;
pub(crate) mod write;
