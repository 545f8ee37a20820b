//! The inventory against a model of it: small trains exhaustively, larger ones by random histories.

mod exhaustive;
mod model;
mod properties;
