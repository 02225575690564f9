//! The five codecs of a batch, readable by every Kafka client.
//!
//! Snappy is written in the framing of the Java library and read with or without it (`snappy.rs`). LZ4 is the frame format with independent 64 KiB
//! blocks, the only ones Kafka's own reader takes. Gzip may be several members in a row.
//!
//! Always true: unpacking stops at the cap of [`DecodeLimits`], and sizes claimed by the sender reserve no memory beyond a
//! small multiple of the bytes that were really sent.

use std::io::{Read, Write};

use bytes::Bytes;
use thiserror::Error;

use super::error::BatchError;
use super::snappy::{self, BlockReader, Blocks, SnappyError};

/// How the records of a batch are packed. Displayed as in `compression.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Deflate with gzip's frame.
    Gzip,
    /// Snappy in xerial framing.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// A codec name or number that Kafka does not know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown compression {0:?}; known are none, gzip, snappy, lz4 and zstd")]
pub struct UnknownCompression(pub String);

/// Caps on what a payload may unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most bytes the records of one batch may take once unpacked.
    pub unpacked_bytes_max: usize,
    /// Most bytes they may take for each packed byte, beyond [`RATIO_FREE_BYTES`].
    pub ratio_max: usize,
}

/// What a batch may unpack to whatever its packed size: rows that are all alike pack a thousandfold and more.
pub const RATIO_FREE_BYTES: usize = 16 << 20;

impl DecodeLimits {
    /// Most bytes that a payload of so many bytes may unpack to.
    pub fn most_for(&self, packed_bytes: usize) -> usize {
        let by_ratio = RATIO_FREE_BYTES.saturating_add(packed_bytes.saturating_mul(self.ratio_max));
        by_ratio.min(self.unpacked_bytes_max)
    }
}

impl Default for DecodeLimits {
    /// 128 MiB: above Kafka's largest sensible `message.max.bytes`, far below what a bomb would like. 1,032 bytes for one is the most that deflate,
    /// LZ4 and snappy can do, so that ratio refuses nobody but bombs of zstd.
    fn default() -> Self {
        DecodeLimits {
            unpacked_bytes_max: 128 << 20,
            ratio_max: 1_032,
        }
    }
}

/// 128 MiB, zstd's own default: what its highest levels ask for.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

impl Compression {
    /// Every codec.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// The number in the attributes of a batch.
    pub const fn id(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        }
    }

    /// The codec with that number.
    pub fn from_id(id: u8) -> Result<Compression, UnknownCompression> {
        let known = Compression::ALL.into_iter().find(|codec| codec.id() == id);
        known.ok_or_else(|| UnknownCompression(id.to_string()))
    }

    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Appends `records`, packed, to `out`. On error `out` may hold part of them.
    pub(super) fn compress(self, records: &[u8], out: &mut Vec<u8>) -> Result<(), BatchError> {
        let failed = |reason: String| BatchError::Compress {
            codec: self.name(),
            reason,
        };
        match self {
            Compression::None => out.extend_from_slice(records),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(out, flate2::Compression::default());
                encoder
                    .write_all(records)
                    .and_then(|()| encoder.finish())
                    .map_err(|e| failed(e.to_string()))?;
            }
            Compression::Snappy => {
                snappy::compress(records, out).map_err(|e| failed(e.to_string()))?;
            }
            Compression::Lz4 => {
                let frame = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, out);
                encoder.write_all(records).map_err(|e| failed(e.to_string()))?;
                encoder.finish().map_err(|e| failed(e.to_string()))?;
            }
            Compression::Zstd => {
                let at = out.len();
                out.resize(at + zstd::zstd_safe::compress_bound(records.len()), 0);
                let size =
                    zstd::bulk::compress_to_buffer(records, &mut out[at..], zstd::DEFAULT_COMPRESSION_LEVEL)
                        .map_err(|e| failed(e.to_string()))?;
                out.truncate(at + size);
            }
        }
        Ok(())
    }

    /// Unpacks a payload; shares it if it is not packed.
    pub(super) fn decompress(self, payload: Bytes, limits: DecodeLimits) -> Result<Bytes, BatchError> {
        match self {
            Compression::None => Ok(payload),
            Compression::Snappy => self.decompress_snappy(&payload, limits).map(Bytes::from),
            _ => self.read_capped(&payload, limits).map(Bytes::from),
        }
    }

    /// Unpacks a payload piece by piece, as it is read; whoever reads sees to the cap on the whole.
    pub(super) fn reader(
        self,
        payload: &[u8],
        limits: DecodeLimits,
    ) -> Result<Box<dyn Read + '_>, BatchError> {
        Ok(match self {
            Compression::None => Box::new(payload),
            Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(payload)),
            Compression::Snappy => {
                let most = limits.most_for(payload.len());
                Box::new(BlockReader::new(payload, most).map_err(|e| self.corrupt(e))?)
            }
            Compression::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(payload)),
            Compression::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(payload).map_err(|e| self.corrupt(e))?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG_MAX)
                    .map_err(|e| self.corrupt(e))?;
                Box::new(decoder)
            }
        })
    }

    pub(super) fn corrupt(self, reason: impl ToString) -> BatchError {
        BatchError::Decompress {
            codec: self.name(),
            reason: reason.to_string(),
        }
    }

    /// The payload unpacks to more than `limit`.
    pub(super) fn too_large(self, limit: usize) -> BatchError {
        BatchError::TooLargeUnpacked {
            codec: self.name(),
            limit,
        }
    }

    /// Reads to the end, or to one byte past the cap, which is then an error.
    fn read_capped(self, payload: &[u8], limits: DecodeLimits) -> Result<Vec<u8>, BatchError> {
        let limit = limits.most_for(payload.len());
        // Text packs about fourfold; the vector grows by itself where that guess is low.
        let mut unpacked = Vec::with_capacity(payload.len().saturating_mul(4).min(limit));
        self.reader(payload, limits)?
            .take(limit as u64 + 1)
            .read_to_end(&mut unpacked)
            .map_err(|e| self.corrupt(e))?;
        if unpacked.len() > limit {
            return Err(self.too_large(limit));
        }
        Ok(unpacked)
    }

    /// Unpacks block by block into one buffer.
    fn decompress_snappy(self, payload: &[u8], limits: DecodeLimits) -> Result<Vec<u8>, BatchError> {
        let limit = limits.most_for(payload.len());
        let refused = |error: SnappyError| match error {
            SnappyError::TooLarge => self.too_large(limit),
            corrupt => self.corrupt(corrupt),
        };
        let mut unpacked = Vec::new();
        let mut blocks = Blocks::of(payload).map_err(refused)?;
        loop {
            let room = limit - unpacked.len();
            if !blocks.unpack_next(&mut unpacked, room).map_err(refused)? {
                return Ok(unpacked);
            }
        }
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Compression {
    type Err = UnknownCompression;

    /// Reads Kafka's name (`none`, `gzip`, `snappy`, `lz4`, `zstd`; `uncompressed` as topics spell the first).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "uncompressed" {
            return Ok(Compression::None);
        }
        let known = Compression::ALL.into_iter().find(|codec| codec.name() == name);
        known.ok_or_else(|| UnknownCompression(name.to_owned()))
    }
}
