//! The Kafka listener: sockets in, `Broker` calls out.
//!
//! Listener → connection → dispatch → one handler file per API. Always true: a handler only translates between wire structs and the typed
//! methods of [`Broker`](crate::broker::Broker), so embedded and remote clients meet the same behaviour; responses leave in the order of their
//! requests; a slow client stops only itself; every collection here has a cap (`options.rs`).
//! Where to look next: `connection.rs` for one client's life, `dispatch.rs` for the list of APIs.

mod connection;
mod connections;
mod context;
mod dispatch;
mod fetch_session;
mod handlers;
mod listener;
mod options;
mod outbox;
mod request_memory;
mod server_handle;

pub use options::{ConnectionLimits, ServerOptions};
pub use server_handle::{Server, ServerError};
