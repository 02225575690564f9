//! A run of batches in another codec: for topics that ask for one (`compression.type`).

use bytes::Bytes;

use super::batch::BatchIter;
use super::builder::{BatchBuilder, BatchOptions};
use super::compression::Compression;
use super::error::BatchError;

/// The same batches packed by `codec`; those that are already stay as they are. The caller has checked them.
pub fn recompressed(run: Bytes, codec: Compression) -> Result<Bytes, BatchError> {
    let mut stored = Vec::with_capacity(run.len());
    for batch in BatchIter::new(run) {
        let batch = batch?;
        if batch.compression() == codec {
            stored.extend_from_slice(batch.bytes());
            continue;
        }
        let options = BatchOptions {
            compression: codec,
            ..BatchOptions::rewrite_of(batch.header())
        };
        let mut builder = BatchBuilder::new(options);
        for record in batch.decode()?.iter() {
            builder.append_ref(&record?)?;
        }
        stored.extend_from_slice(&builder.build());
    }
    Ok(stored.into())
}
