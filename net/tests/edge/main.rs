//! The edge against real sockets: one file for each subject.

#[path = "../bad_requests/mod.rs"]
mod bad_requests;
mod bodies;
mod callers;
mod common;
mod crowds;
mod documents;
mod framing;
mod greedy;
mod holds;
mod lifecycle;
mod observe;
mod orders;
mod overdue;
mod payments;
mod refunds;
mod refusals;
mod trains;
