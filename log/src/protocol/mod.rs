//! The Kafka wire protocol as far as it is not in the codec crate: which APIs are served, frames, headers, replies.
//!
//! Always true: nothing here knows a socket, a clock or a broker; a length or count from the wire is checked before memory is taken for it.
//! Where to look next: `api.rs` (versions), `frame.rs` (cutting the stream), `reply.rs` (what goes back), then `../server/`.

pub mod api;
pub mod fetch_response;
pub mod frame;
pub mod guard;
pub mod header;
pub mod legacy;
pub mod offset_requests;
pub mod produce_request;
pub mod reply;
pub mod wire_reader;
