//! The binary as a process among others: its command line, its data directory, its ports, its end.

mod cli;
mod clock;
mod directory;
mod log_lines;
mod stop;
mod tools;
