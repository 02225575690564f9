//! What stands between a stranger's bytes and the decoder: a walk over a message that takes no memory.
//!
//! The codec crate reserves memory for as many elements as a count claims. So before it sees a message, this walk holds every length and count against
//! what is left, and adds up what the decoded elements would take. Always true: a message that passes decodes in at most
//! `FREE_BYTES + PER_BYTE × length` of memory; one that does not is refused before any is taken (CVE-2026-111108 and -111115 are what happens
//! otherwise: a count within the bytes left is not enough when an element is larger in memory than on the wire).
//! Where to look next: `shapes.rs` for the messages, `../../server/dispatch.rs` for the caller, `/fuzz/properties` for who measures it.

#[doc(hidden)]
pub mod sample;
mod shape;
mod shapes;

use kafka_protocol::messages::ApiKey;

use self::shape::{Field, Kind};
use super::wire_reader::Malformed;

/// Memory that even the shortest message may take.
pub const FREE_BYTES: usize = 64 * 1024;
/// Memory a message may take for each of its bytes.
pub const PER_BYTE: usize = 8;

/// What decoding takes beside the elements: shared ownership of the bytes, the text of an error.
const OVERHEAD_BYTES: usize = 4 * 1024;
/// What the unknown tagged fields of one struct take when they are decoded: a map, whose first node has room for several.
const TAGS_MEMORY: usize = 512;
/// What each of them takes beside that, in nodes that are half full.
const TAG_MEMORY: usize = 96;
/// What a decoded string or piece of bytes takes, beside the bytes themselves, which are shared.
const TEXT_MEMORY: usize = 32;

/// Checks the body of a request. An API without a shape has no request that could be decoded.
pub fn check_request(api: ApiKey, version: i16, body: &[u8]) -> Result<(), Malformed> {
    let shape = shapes::REQUESTS.iter().find(|shape| shape.api == api);
    let Some(shape) = shape else {
        return Err(Malformed::Length {
            what: "a request of unknown shape",
            length: body.len() as i64,
        });
    };
    walk(shape.fields, version, version >= shape.flexible_from, body)
}

/// Checks what a consumer says of itself when it joins a classic group (`ConsumerProtocolSubscription`, behind its version).
pub fn check_consumer_subscription(version: i16, body: &[u8]) -> Result<(), Malformed> {
    walk(shapes::CONSUMER_SUBSCRIPTION, version, false, body)
}

/// Checks an assignment of a classic group (`ConsumerProtocolAssignment`, behind its version).
pub fn check_consumer_assignment(version: i16, body: &[u8]) -> Result<(), Malformed> {
    walk(shapes::CONSUMER_ASSIGNMENT, version, false, body)
}

fn walk(fields: &'static [Field], version: i16, flexible: bool, body: &[u8]) -> Result<(), Malformed> {
    let mut walk = Walk {
        rest: body,
        version,
        flexible,
        memory_left: (FREE_BYTES - OVERHEAD_BYTES).saturating_add(body.len().saturating_mul(PER_BYTE)),
    };
    walk.fields(fields)
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    flexible: bool,
    memory_left: usize,
}

impl Walk<'_> {
    fn skip(&mut self, what: &'static str, needed: usize) -> Result<(), Malformed> {
        let left = self.rest.len();
        self.rest = self
            .rest
            .get(needed..)
            .ok_or(Malformed::Short { what, needed, left })?;
        Ok(())
    }

    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let left = self.rest.len();
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Malformed::Short {
            what,
            needed: N,
            left,
        })?;
        self.rest = rest;
        Ok(*taken)
    }

    fn uvarint(&mut self, what: &'static str) -> Result<usize, Malformed> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.take(what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value as usize);
            }
        }
        Err(Malformed::Length { what, length: -1 })
    }

    /// A length or count; null is 0.
    fn length(&mut self, what: &'static str, is_text: bool) -> Result<usize, Malformed> {
        let length = match (self.flexible, is_text) {
            (true, _) => self.uvarint(what)? as i64 - 1,
            (false, true) => i16::from_be_bytes(self.take(what)?).into(),
            (false, false) => i32::from_be_bytes(self.take(what)?).into(),
        };
        match length {
            -1 => Ok(0),
            length => usize::try_from(length).map_err(|_| Malformed::Length { what, length }),
        }
    }

    /// Counts the memory of `count` elements.
    fn charge(&mut self, what: &'static str, count: usize, each: usize) -> Result<(), Malformed> {
        let needed = count.saturating_mul(each);
        self.memory_left = self.memory_left.checked_sub(needed).ok_or(Malformed::Length {
            what,
            length: count as i64,
        })?;
        Ok(())
    }

    fn fields(&mut self, fields: &'static [Field]) -> Result<(), Malformed> {
        for field in fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.kind(&field.kind)?;
            }
        }
        if self.flexible {
            self.tagged_fields(fields)?;
        }
        Ok(())
    }

    fn tagged_fields(&mut self, fields: &'static [Field]) -> Result<(), Malformed> {
        const WHAT: &str = "tagged fields";
        let count = self.uvarint(WHAT)?;
        let mut unknown = false;
        for _ in 0..count {
            let tag = self.uvarint(WHAT)?;
            if tag > i32::MAX as usize {
                // The codec crate would hold it for a negative one, and could not write it again.
                let length = tag as i64;
                return Err(Malformed::Length { what: WHAT, length });
            }
            let size = self.uvarint(WHAT)?;
            let outside = self.rest.get(size..).ok_or(Malformed::Short {
                what: WHAT,
                needed: size,
                left: self.rest.len(),
            })?;
            let known = fields.iter().find(|field| {
                field.tag.is_some_and(|known| known as usize == tag) && field.is_in(self.version)
            });
            if let Some(field) = known {
                // The decoder reads on wherever the field ends by itself, so the walk does too: a lying size must not hide it.
                let before = self.rest.len();
                self.kind(&field.kind)?;
                let length = (before - self.rest.len()) as i64;
                if length != size as i64 {
                    return Err(Malformed::Length { what: WHAT, length });
                }
            } else {
                if !std::mem::replace(&mut unknown, true) {
                    self.charge(WHAT, 1, TAGS_MEMORY)?;
                }
                self.charge(WHAT, 1, TAG_MEMORY)?;
            }
            self.rest = outside;
        }
        Ok(())
    }

    fn kind(&mut self, kind: &'static Kind) -> Result<(), Malformed> {
        match kind {
            Kind::Fixed(bytes) => self.skip("a number", *bytes),
            Kind::Text => {
                let length = self.length("a string", true)?;
                // Some readers copy it.
                self.charge("a string", length, 1)?;
                self.skip("a string", length)
            }
            Kind::Bytes => {
                let length = self.length("bytes", false)?;
                self.charge("bytes", length, 1)?;
                self.skip("bytes", length)
            }
            Kind::FixedArray(bytes) => {
                let count = self.length("an array of numbers", false)?;
                self.charge("an array of numbers", count, (*bytes).max(1))?;
                self.skip("an array of numbers", count.saturating_mul(*bytes))
            }
            Kind::TextArray => self.array("an array of strings", TEXT_MEMORY, |walk| walk.kind(&Kind::Text)),
            Kind::Array(memory, fields) => self.array("an array", *memory, |walk| walk.fields(fields)),
            Kind::Struct(fields) => self.fields(fields),
            // Kafka takes any number for there or not there by its sign, the codec crate only 1 for there; every client writes 1 or -1.
            Kind::NullableStruct(fields) => match i8::from_be_bytes(self.take("a struct")?) {
                1 => self.fields(fields),
                -1 => Ok(()),
                other => Err(Malformed::Length {
                    what: "a struct",
                    length: other.into(),
                }),
            },
        }
    }

    fn array(
        &mut self,
        what: &'static str,
        memory: usize,
        mut element: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        let count = self.length(what, false)?;
        self.charge(what, count, memory)?;
        for _ in 0..count {
            element(self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "guard_test.rs"]
mod guard_test;
