//! The seat allocator's port, as its users' own clients meet it.

mod clients;
mod hostile;
