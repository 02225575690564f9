//! What does it cost to look at every record of what a client sends? The walk, beside the checksum that is computed in any case.
//!
//! Batches of 64 KiB before packing, records of 100 bytes and of 1 KiB, in each codec; the throughput counts bytes before packing. Records that are not packed
//! are stepped over where they lie; packed ones have to be unpacked for it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millpond::log::record::{BatchBuilder, BatchOptions, Compression, DecodeLimits, batches_of};

const BATCH_BYTES: usize = 64 << 10;

/// Half of each record repeats, half is noise: what packs is about as much as in logs of JSON.
fn batch(codec: Compression, record_bytes: usize) -> (bytes::Bytes, u64) {
    let mut random = fastrand::Rng::with_seed(1);
    let mut value = vec![b'x'; record_bytes];
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: codec,
        ..BatchOptions::default()
    });
    while builder.estimated_size_bytes() < BATCH_BYTES {
        random.fill(&mut value[..record_bytes / 2]);
        builder
            .append(1_700_000_000_000, Some(b"a key"), Some(&value), &[])
            .expect("a small record");
    }
    let unpacked = builder.estimated_size_bytes() as u64;
    (builder.build(), unpacked)
}

fn walk(c: &mut Criterion) {
    for record_bytes in [100, 1024] {
        let mut group = c.benchmark_group(format!("64 KiB of records of {record_bytes} bytes"));
        for codec in Compression::ALL {
            let (batch, unpacked) = batch(codec, record_bytes);
            let slice = batches_of(&batch)
                .next()
                .expect("a batch")
                .expect("a sound batch");
            group.throughput(Throughput::Bytes(unpacked));
            group.bench_function(format!("walk, {codec}"), |b| {
                b.iter(|| {
                    let mut records = 0;
                    slice
                        .walk_records(DecodeLimits::default(), |_, record| {
                            records += usize::from(black_box(record).has_key);
                        })
                        .expect("sound records");
                    records
                });
            });
            if codec == Compression::None {
                group.bench_function("checksum", |b| b.iter(|| black_box(&slice).check_crc()));
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = walk
}
criterion_main!(benches);
