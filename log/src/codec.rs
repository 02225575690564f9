//! Kafka's primitive types, for the records the log writes for itself.
//!
//! Used by `coordinator/` (transaction and offset records) and `metadata/`. Reading never panics and never allocates more than the input
//! holds: every length is checked against what is left. Record batches have their own reader in `record/`.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use crate::protocol::wire_reader::Malformed;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The input ended inside a value.
    #[error("record ends early: {needed} bytes needed, {left} left")]
    EndsEarly {
        /// Bytes the next value takes.
        needed: usize,
        /// Bytes there were.
        left: usize,
    },
    /// A string is not UTF-8.
    #[error("string is not utf-8")]
    NotUtf8,
    /// A length, version or number that makes no sense.
    #[error("unexpected {what} {value}")]
    Unexpected {
        /// What it should have been.
        what: &'static str,
        /// What it was.
        value: i64,
    },
    /// A message of a client has another shape than its version promises, or would take too much memory.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Writes Kafka's primitives.
#[derive(Debug, Default)]
pub(crate) struct Writer(BytesMut);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn i8(&mut self, value: i8) -> &mut Self {
        self.0.put_i8(value);
        self
    }

    pub(crate) fn i16(&mut self, value: i16) -> &mut Self {
        self.0.put_i16(value);
        self
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.0.put_i32(value);
        self
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.0.put_i64(value);
        self
    }

    pub(crate) fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.0.put_slice(value.as_bytes());
        self
    }

    pub(crate) fn uvarint(&mut self, mut value: u32) -> &mut Self {
        while value >= 0x80 {
            self.0.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.put_u8(value as u8);
        self
    }

    /// A string with a 16-bit length. Longer ones than 32,767 bytes must have been refused before.
    pub(crate) fn string(&mut self, value: &str) -> &mut Self {
        let length = i16::try_from(value.len())
            .unwrap_or_else(|_| panic!("string of {} bytes in a record", value.len()));
        self.i16(length);
        self.0.put_slice(value.as_bytes());
        self
    }

    /// The same, or null as length -1.
    pub(crate) fn nullable_string(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.string(value),
            None => self.i16(-1),
        }
    }

    /// Bytes with a 32-bit length.
    pub(crate) fn bytes(&mut self, value: &[u8]) -> &mut Self {
        let length =
            i32::try_from(value.len()).unwrap_or_else(|_| panic!("{} bytes in a record", value.len()));
        self.i32(length);
        self.0.put_slice(value);
        self
    }

    pub(crate) fn compact_string(&mut self, value: &str) -> &mut Self {
        self.uvarint(value.len() as u32 + 1);
        self.0.put_slice(value.as_bytes());
        self
    }

    pub(crate) fn compact_nullable_string(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.compact_string(value),
            None => self.uvarint(0),
        }
    }

    pub(crate) fn compact_bytes(&mut self, value: &[u8]) -> &mut Self {
        self.uvarint(value.len() as u32 + 1);
        self.0.put_slice(value);
        self
    }

    pub(crate) fn compact_i32s(&mut self, values: &[i32]) -> &mut Self {
        self.uvarint(values.len() as u32 + 1);
        for value in values {
            self.i32(*value);
        }
        self
    }

    /// The tagged fields that close a flexible structure; tags must ascend.
    pub(crate) fn tagged(&mut self, fields: &[(u32, Bytes)]) -> &mut Self {
        debug_assert!(fields.is_sorted_by_key(|(tag, _)| *tag));
        self.uvarint(fields.len() as u32);
        for (tag, value) in fields {
            self.uvarint(*tag).uvarint(value.len() as u32);
            self.0.put_slice(value);
        }
        self
    }

    pub(crate) fn finish(&mut self) -> Bytes {
        self.0.split().freeze()
    }
}

/// Reads Kafka's primitives.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, needed: usize) -> Result<&'a [u8], CodecError> {
        if needed > self.0.len() {
            return Err(CodecError::EndsEarly {
                needed,
                left: self.0.len(),
            });
        }
        let (taken, rest) = self.0.split_at(needed);
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, CodecError> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, CodecError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, CodecError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, CodecError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, CodecError> {
        self.array().map(Uuid::from_bytes)
    }

    pub(crate) fn uvarint(&mut self) -> Result<u32, CodecError> {
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.array::<1>()?[0];
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Unexpected {
            what: "varint",
            value: i64::from(value),
        })
    }

    fn text(&mut self, length: usize) -> Result<&'a str, CodecError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| CodecError::NotUtf8)
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, CodecError> {
        let length = self.i16()?;
        let length = usize::try_from(length).map_err(|_| CodecError::Unexpected {
            what: "string length",
            value: length.into(),
        })?;
        self.text(length)
    }

    /// A string with a 16-bit length; -1 is null.
    pub(crate) fn nullable_string(&mut self) -> Result<Option<&'a str>, CodecError> {
        match self.i16()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| CodecError::Unexpected {
                    what: "string length",
                    value: length.into(),
                })?;
                self.text(length).map(Some)
            }
        }
    }

    /// Bytes with a 32-bit length; -1 (null) reads as none.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.i32()?;
        self.take(usize::try_from(length).unwrap_or(0))
    }

    /// The same for compact bytes.
    pub(crate) fn compact_bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let length = self.uvarint()? as usize;
        self.take(length.saturating_sub(1))
    }

    pub(crate) fn compact_nullable_string(&mut self) -> Result<Option<&'a str>, CodecError> {
        match self.uvarint()? {
            0 => Ok(None),
            length => self.text(length as usize - 1).map(Some),
        }
    }

    pub(crate) fn compact_string(&mut self) -> Result<&'a str, CodecError> {
        self.compact_nullable_string()?.ok_or(CodecError::Unexpected {
            what: "string length",
            value: -1,
        })
    }

    /// The length of an array with a 32-bit count whose elements take at least `element_bytes`; -1 (null) reads as none.
    pub(crate) fn array_len(&mut self, element_bytes: usize) -> Result<usize, CodecError> {
        let length = self.i32()?;
        self.checked_len(i64::from(length).max(0), element_bytes)
    }

    /// The same for a compact array; null reads as none.
    pub(crate) fn compact_array_len(&mut self, element_bytes: usize) -> Result<usize, CodecError> {
        let length = i64::from(self.uvarint()?) - 1;
        self.checked_len(length.max(0), element_bytes)
    }

    fn checked_len(&self, length: i64, element_bytes: usize) -> Result<usize, CodecError> {
        let fits = self.0.len() / element_bytes.max(1);
        match usize::try_from(length) {
            Ok(length) if length <= fits => Ok(length),
            _ => Err(CodecError::Unexpected {
                what: "array length",
                value: length,
            }),
        }
    }

    pub(crate) fn compact_i32s(&mut self) -> Result<Vec<i32>, CodecError> {
        let length = self.compact_array_len(4)?;
        (0..length).map(|_| self.i32()).collect()
    }

    /// Calls `visit` with each tagged field; unknown tags are the visitor's to skip.
    pub(crate) fn tagged(
        &mut self,
        mut visit: impl FnMut(u32, &mut Reader<'a>) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let count = self.uvarint()?;
        for _ in 0..count {
            let tag = self.uvarint()?;
            let length = self.uvarint()? as usize;
            visit(tag, &mut Reader(self.take(length)?))?;
        }
        Ok(())
    }
}
