//! Record batch v2: bytes to values and back. No I/O, no clock.
//!
//! The batch is the unit of append, checksum, compression and idempotence; the same bytes stand on the wire, on disk and
//! in memory. Always true: reading never copies an uncompressed payload and never allocates per record; hostile bytes
//! give a [`BatchError`], never a panic, and never make us allocate more than the caps in [`DecodeLimits`].
//!
//! To read: [`BatchIter`] cuts a run of bytes into [`RecordBatch`]es, [`RecordBatch::decode`] gives a [`DecodedBatch`],
//! its `iter()` the [`RecordRef`]s; [`BatchSlice::walk_records`] only checks that they are there to be read. To write: [`BatchBuilder`]. To change what lies outside the checksum: [`patch`].

mod batch;
mod batch_run;
mod builder;
mod built_batch;
mod compression;
mod control_record;
mod decode;
mod error;
mod header;
pub mod patch;
mod recompress;
#[allow(
    clippy::module_inception,
    reason = "the file is named after the one thing in it: a record"
)]
mod record;
mod record_walk;
mod snappy;
pub mod varint;

pub use batch::{BatchIter, RecordBatch};
pub use batch_run::{BatchBytes, BatchSlice, batches_of, checksum_holds};
pub use builder::{BatchBuilder, BatchOptions};
pub use built_batch::{BuiltBatch, RecordsSeen};
pub use compression::{Compression, DecodeLimits, RATIO_FREE_BYTES, UnknownCompression};
pub use control_record::ControlRecord;
pub use decode::{DecodedBatch, HeaderRef, HeadersIter, HeadersRef, RecordIter, RecordRef};
pub use error::BatchError;
pub use header::{BATCH_HEADER_SIZE, BATCH_LENGTH_PREFIX_SIZE, BatchHeader, TimestampType};
pub use recompress::recompressed;
pub use record::{Header, Record};
pub use record_walk::WalkedRecord;

#[cfg(test)]
mod batch_test;
#[cfg(test)]
mod compression_test;
#[cfg(test)]
mod hostile_test;
