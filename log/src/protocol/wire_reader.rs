//! Reading wire types off the front of a frame, for the few messages that are not left to the codec crate.
//!
//! Always true: a length or count is compared with what is left before anything is taken or reserved; pieces are split off, never copied.

use bytes::{Buf, BytesMut};
use thiserror::Error;
use uuid::Uuid;

/// Bytes that do not have the shape they should have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// The frame ends too early.
    #[error("{what} needs {needed} bytes, {left} are left")]
    Short {
        /// What was being read.
        what: &'static str,
        /// What it takes.
        needed: usize,
        /// What there is.
        left: usize,
    },
    /// A length or count that cannot be.
    #[error("{what} has the length {length}")]
    Length {
        /// What was being read.
        what: &'static str,
        /// As it stood there.
        length: i64,
    },
    /// Not text.
    #[error("{what} is not UTF-8")]
    Text {
        /// What was being read.
        what: &'static str,
    },
}

/// Reads one message; `flexible` messages have compact lengths and tagged fields (KIP-482).
#[derive(Debug)]
pub struct WireReader {
    rest: BytesMut,
    flexible: bool,
}

impl WireReader {
    /// Over `body`, which is taken apart.
    pub fn new(body: BytesMut, flexible: bool) -> Self {
        Self { rest: body, flexible }
    }

    fn need(&self, what: &'static str, needed: usize) -> Result<(), Malformed> {
        let left = self.rest.len();
        if left < needed {
            return Err(Malformed::Short { what, needed, left });
        }
        Ok(())
    }

    /// A byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.need(what, 1)?;
        Ok(self.rest.get_u8())
    }

    /// A 64-bit number.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, Malformed> {
        self.need(what, 8)?;
        Ok(self.rest.get_i64())
    }

    /// A 16-bit number.
    pub fn i16(&mut self, what: &'static str) -> Result<i16, Malformed> {
        self.need(what, 2)?;
        Ok(self.rest.get_i16())
    }

    /// A 32-bit number.
    pub fn i32(&mut self, what: &'static str) -> Result<i32, Malformed> {
        self.need(what, 4)?;
        Ok(self.rest.get_i32())
    }

    /// True or false.
    pub fn bool(&mut self, what: &'static str) -> Result<bool, Malformed> {
        self.need(what, 1)?;
        Ok(self.rest.get_u8() != 0)
    }

    /// A UUID.
    pub fn uuid(&mut self, what: &'static str) -> Result<Uuid, Malformed> {
        self.need(what, 16)?;
        Ok(Uuid::from_u128(self.rest.get_u128()))
    }

    fn uvarint(&mut self, what: &'static str) -> Result<u32, Malformed> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            self.need(what, 1)?;
            let byte = self.rest.get_u8();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let length = value as i64;
                return u32::try_from(value).map_err(|_| Malformed::Length { what, length });
            }
        }
        Err(Malformed::Length { what, length: -1 })
    }

    /// A length: none is null. `plain` reads it where the message is not flexible.
    fn length(
        &mut self,
        what: &'static str,
        plain: impl FnOnce(&mut Self) -> Result<i64, Malformed>,
    ) -> Result<Option<usize>, Malformed> {
        let length = if self.flexible {
            i64::from(self.uvarint(what)?) - 1
        } else {
            plain(self)?
        };
        match length {
            -1 => Ok(None),
            length => usize::try_from(length)
                .map(Some)
                .map_err(|_| Malformed::Length { what, length }),
        }
    }

    /// A string that may be null.
    pub fn nullable_string(&mut self, what: &'static str) -> Result<Option<String>, Malformed> {
        let Some(length) = self.length(what, |reader| reader.i16(what).map(i64::from))? else {
            return Ok(None);
        };
        self.need(what, length)?;
        let text = std::str::from_utf8(&self.rest[..length])
            .map_err(|_| Malformed::Text { what })?
            .to_owned();
        self.rest.advance(length);
        Ok(Some(text))
    }

    /// A string.
    pub fn string(&mut self, what: &'static str) -> Result<String, Malformed> {
        self.nullable_string(what)?
            .ok_or(Malformed::Length { what, length: -1 })
    }

    /// Bytes that may be null, split off without a copy.
    pub fn nullable_bytes(&mut self, what: &'static str) -> Result<Option<BytesMut>, Malformed> {
        let Some(length) = self.length(what, |reader| reader.i32(what).map(i64::from))? else {
            return Ok(None);
        };
        self.need(what, length)?;
        Ok(Some(self.rest.split_to(length)))
    }

    /// How many elements follow, each of at least `element_bytes`: a count that cannot fit is refused, and null is, as the codec crate and
    /// Kafka do.
    pub fn count(&mut self, what: &'static str, element_bytes: usize) -> Result<usize, Malformed> {
        self.nullable_count(what, element_bytes)?
            .ok_or(Malformed::Length { what, length: -1 })
    }

    /// The same where null means something else than none.
    pub fn nullable_count(
        &mut self,
        what: &'static str,
        element_bytes: usize,
    ) -> Result<Option<usize>, Malformed> {
        let count = self.length(what, |reader| reader.i32(what).map(i64::from))?;
        self.need(what, count.unwrap_or(0).saturating_mul(element_bytes))?;
        Ok(count)
    }

    /// Skips the tagged fields at the end of a flexible struct: unknown ones are never refused. No-op in other messages.
    pub fn skip_tagged_fields(&mut self) -> Result<(), Malformed> {
        const WHAT: &str = "tagged field";
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint(WHAT)? {
            self.uvarint(WHAT)?;
            let length = self.uvarint(WHAT)? as usize;
            self.need(WHAT, length)?;
            self.rest.advance(length);
        }
        Ok(())
    }
}
