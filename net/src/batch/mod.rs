//! A batch on its way through the edge: its envelope, in which order its operations may go, and its answer. `routes/batch.rs` puts them together.

pub(crate) mod answer;
pub(crate) mod envelope;
pub(crate) mod order;
