//! The binary as a process among others: its command line, its data directory, its ports, its end.

mod cli;
mod directory;
mod stop;
mod tools;
