//! The disk in memory.
