//! JSON of requests and answers.

pub(crate) mod read;
pub(crate) mod time;
pub(crate) mod views;
pub(crate) mod write;
