//! The typed processor API: records one at a time, with time, headers, stores, punctuators and timers.
//!
//! `traits.rs` is what a user implements; `record.rs` what flows; `context.rs` and `fixed_key.rs` what a processor may touch; `schedules.rs` when punctuators are
//! due; `value_transformer.rs` what works on the entries of a table. `operators/process.rs` runs it on batches; `stream_process.rs` puts it into a stream; `stores/` holds the stores.

mod context;
mod fixed_key;
mod record;
mod schedules;
#[cfg(test)]
mod schedules_test;
mod traits;
mod value_transformer;

pub(in crate::dsl) use context::{At, Group, Shell};
pub use context::{ProcessorContext, ProcessorInit, Timer, UnknownChild};
pub(in crate::dsl) use fixed_key::FixedKey;
pub use fixed_key::{FixedKeyContext, FixedKeyInit};
pub use record::{FixedKeyRecord, Record, RecordMetadata};
pub(in crate::dsl) use schedules::Schedules;
pub use traits::{Cancellable, FixedKeyProcessor, PunctuationType, RecordProcessor, TimerKind};
pub use value_transformer::{ValueTransformerContext, ValueTransformerInit, ValueTransformerWithKey};
