//! The MySQL sink on a real server.

mod database;
mod rows;
mod taking_over;
mod writers;
