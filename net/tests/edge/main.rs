//! The edge against real sockets: one file for each subject.

#[path = "../bad_requests/mod.rs"]
mod bad_requests;
mod batch;
mod bodies;
mod callers;
mod common;
mod crowds;
mod documents;
mod exports;
mod framing;
mod greedy;
mod histories;
mod holds;
mod lifecycle;
mod listings;
mod observe;
mod orders;
mod overdue;
mod payments;
mod reads;
mod refunds;
mod refusals;
mod trains;
