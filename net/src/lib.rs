//! The edge: HTTP/1.1 and JSON in front of the engine, on every core by itself.
//!
//! A core has one [`Edge`] over its own [`Backend`]. It accepts connections for the five services, reads requests within
//! [`Limits`], translates them to the engine's commands and its replies to the contract's answers. Nothing here decides
//! about seats, orders or money, and nothing here blocks or is shared between cores but counters.
//!
//! Reading order: `backend`, `app`, `edge`, `connection`, `request`, `callers`, `router`, `routes/`, `export`, `stream`, `errors`,
//! `json/`. Files import
//! downwards only: `edge` keeps connections and knows `request`, which knows `routes`, which know `app`. Whatever names
//! the asynchronous runtime is in [`runtime`].

pub mod coalesced_wake;
pub mod errors;
pub mod limits;
pub mod logs;
pub mod metrics;
pub mod openapi;
pub mod router;
pub mod runtime;
pub mod signature;

mod app;
mod backend;
mod batch;
mod body;
mod budget;
mod callers;
mod config;
mod connection;
mod edge;
mod export;
mod fields;
mod guard;
mod join;
mod json;
mod listen;
mod query;
mod random;
mod reply;
mod request;
mod reserve;
mod routes;
mod service;
mod stream;
mod trace;

pub use backend::{Backend, Dependency, SinkStatus, WorkerStatus};
pub use budget::{Beyond, ConnectionBudget, ConnectionLimits, Place};
pub use callers::{AllowedOrigin, Callers, HostName};
pub use config::{Config, Defaults};
pub use edge::Edge;
pub use limits::Limits;
pub use listen::{
    Addresses, GRPC_PORT, GRPC_SERVICE, PORT_OFFSET_MAX, PortError, ServiceListener, claim_ports,
    core_listeners, grpc_listener,
};
pub use service::Service;
