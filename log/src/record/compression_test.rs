//! Payloads packed by other tools, framings, and bombs.

use bytes::Bytes;

use super::compression::{Compression, DecodeLimits, RATIO_FREE_BYTES};
use super::error::BatchError;

const TEXT: &[u8; 54] = b"millpond millpond millpond millpond millpond millpond\n";

fn unhex(hex: &str) -> Bytes {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn pack(codec: Compression, records: &[u8]) -> Bytes {
    let mut out = Vec::new();
    codec.compress(records, &mut out).unwrap();
    Bytes::from(out)
}

fn unpack(codec: Compression, payload: impl Into<Bytes>) -> Result<Bytes, BatchError> {
    codec.decompress(payload.into(), DecodeLimits::default())
}

#[test]
fn payloads_packed_by_the_usual_tools_are_read() {
    // gzip -n, lz4, zstd of their projects.
    for (codec, hex) in [
        (
            Compression::Gzip,
            "1f8b0800000000000003cbcdccc929c8cf4b51c82581c105002b63eb7036000000",
        ),
        (
            Compression::Lz4,
            "04224d186440a7130000009f6d696c6c706f6e642009001550706f6e640a00000000f3ddd925",
        ),
        (
            Compression::Zstd,
            "28b52ffd2436850000506d696c6c706f6e64200a0100d12c4739f81831",
        ),
        (
            Compression::Zstd,
            "28b52ffd0458850000506d696c6c706f6e64200a0100d12c4739f81831",
        ),
    ] {
        assert_eq!(unpack(codec, unhex(hex)).unwrap(), &TEXT[..], "{codec}");
    }
}

#[test]
fn gzip_may_come_in_several_members() {
    let twice = [pack(Compression::Gzip, b"one "), pack(Compression::Gzip, b"two")].concat();
    assert_eq!(&unpack(Compression::Gzip, twice).unwrap()[..], b"one two");
}

#[test]
fn snappy_is_written_in_xerial_blocks_and_read_with_or_without_them() {
    // "mill" as one literal: length 4, tag (4 - 1) << 2.
    let block = [&[4, 3 << 2][..], b"mill"].concat();
    assert_eq!(&unpack(Compression::Snappy, block.clone()).unwrap()[..], b"mill");
    let header = [
        0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
    ];
    let framed = [&header[..], &[0, 0, 0, 6], &block, &[0, 0, 0, 6], &block].concat();
    assert_eq!(
        &unpack(Compression::Snappy, framed.clone()).unwrap()[..],
        b"millmill"
    );
    let twice = [framed.clone(), framed.clone()].concat();
    assert_eq!(
        &unpack(Compression::Snappy, twice).unwrap()[..],
        b"millmillmillmill"
    );
    for cut in [8, 15, 17, 19, 21, framed.len() - 1] {
        assert!(
            unpack(Compression::Snappy, framed[..cut].to_vec()).is_err(),
            "{cut} bytes"
        );
    }
    let large = vec![7; 100_000];
    let packed = pack(Compression::Snappy, &large);
    assert_eq!(packed[..16], header);
    let first_block = u32::from_be_bytes(packed[16..20].try_into().unwrap()) as usize;
    assert_eq!(
        snap::raw::decompress_len(&packed[20..20 + first_block]),
        Ok(32 << 10)
    );
    assert_eq!(unpack(Compression::Snappy, packed).unwrap(), large);
}

#[test]
fn lz4_blocks_are_independent_and_small_as_kafkas_reader_demands() {
    let packed = pack(Compression::Lz4, &vec![7; 200_000]);
    assert_eq!(packed[..4], 0x184d_2204_u32.to_le_bytes());
    let (flags, block) = (packed[4], packed[5]);
    assert_eq!(flags >> 6, 1, "version 1");
    assert_eq!(flags & 0b10_0000, 0b10_0000, "independent blocks");
    assert_eq!(flags & 0b1000, 0, "no content size");
    assert_eq!(block, 4 << 4, "64 KiB");
}

#[test]
fn empty_payloads_round_trip() {
    for codec in Compression::ALL {
        assert_eq!(&unpack(codec, pack(codec, b"")).unwrap()[..], b"", "{codec}");
    }
}

#[test]
fn bombs_stop_at_the_cap_and_exactly_the_cap_is_fine() {
    let zeros = vec![0; 1 << 20];
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let bomb = pack(codec, &zeros);
        let limit = zeros.len() - 1;
        let error = codec
            .decompress(
                bomb.clone(),
                DecodeLimits {
                    unpacked_bytes_max: limit,
                    ..DecodeLimits::default()
                },
            )
            .unwrap_err();
        assert_eq!(
            error,
            BatchError::TooLargeUnpacked {
                codec: codec.name(),
                limit
            }
        );
        let fits = codec.decompress(
            bomb,
            DecodeLimits {
                unpacked_bytes_max: zeros.len(),
                ..DecodeLimits::default()
            },
        );
        assert_eq!(fits.unwrap().len(), zeros.len(), "{codec}");
    }
}

#[test]
fn what_unpacks_to_more_than_its_packed_size_allows_is_refused_and_alike_rows_are_not() {
    // zstd packs a block of 128 KiB of zeros into a few bytes: only it goes beyond the ratio.
    let zeros = |size| pack(Compression::Zstd, &vec![0; size]);
    let fits = zeros(RATIO_FREE_BYTES);
    assert!(fits.len() < 4096, "{}", fits.len());
    assert_eq!(unpack(Compression::Zstd, fits).unwrap().len(), RATIO_FREE_BYTES);
    let bomb = zeros(48 << 20);
    let limit = DecodeLimits::default().most_for(bomb.len());
    assert!(limit < 32 << 20, "{limit}");
    let codec = "zstd";
    assert_eq!(
        unpack(Compression::Zstd, bomb).unwrap_err(),
        BatchError::TooLargeUnpacked { codec, limit }
    );
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Snappy] {
        let size = 48 << 20;
        assert_eq!(
            unpack(codec, pack(codec, &vec![0; size])).unwrap().len(),
            size,
            "{codec}"
        );
    }
}

#[test]
fn a_snappy_block_cannot_claim_more_than_it_can_hold() {
    // Claims 64 MiB in front of nothing.
    let liar = vec![0x80, 0x80, 0x80, 0x20, 0, b'x'];
    assert_eq!(snap::raw::decompress_len(&liar), Ok(64 << 20));
    assert!(matches!(
        unpack(Compression::Snappy, liar),
        Err(BatchError::Decompress { codec: "snappy", .. })
    ));
}

#[test]
fn codecs_have_kafkas_names_and_numbers() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec: Compression = name.parse().unwrap();
        assert_eq!((codec.id(), codec.to_string()), (id as u8, name.to_owned()));
        assert_eq!(Compression::from_id(id as u8), Ok(codec));
    }
    assert_eq!("uncompressed".parse(), Ok(Compression::None));
    assert!("brotli".parse::<Compression>().is_err());
    assert!(Compression::from_id(5).is_err());
}
