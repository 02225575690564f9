//! Messages made up by shape, for fuzzers: whatever the shapes say a request looks like, the decoder must take.
//!
//! Always true: a sample is sound, with every array and tagged field drawn; strings are not null. Where to look next: `/fuzz/properties`.

use bytes::BufMut;
use kafka_protocol::messages::ApiKey;

use super::shape::{Field, Kind};
use super::shapes;

/// Says a number below the one it is given.
pub type Draw<'a> = &'a mut dyn FnMut(usize) -> usize;

/// The body of a request; none for an API without a shape.
pub fn request(api: ApiKey, version: i16, draw: Draw<'_>) -> Option<Vec<u8>> {
    let shape = shapes::REQUESTS.iter().find(|shape| shape.api == api)?;
    Some(message(
        shape.fields,
        version,
        version >= shape.flexible_from,
        draw,
    ))
}

/// What a consumer tells its group, behind its version.
pub fn consumer_subscription(version: i16, draw: Draw<'_>) -> Vec<u8> {
    message(shapes::CONSUMER_SUBSCRIPTION, version, false, draw)
}

/// What a consumer is given, behind its version.
pub fn consumer_assignment(version: i16, draw: Draw<'_>) -> Vec<u8> {
    message(shapes::CONSUMER_ASSIGNMENT, version, false, draw)
}

fn message(fields: &'static [Field], version: i16, flexible: bool, draw: Draw<'_>) -> Vec<u8> {
    let out = Vec::new();
    let mut sample = Sample {
        out,
        version,
        flexible,
        draw,
    };
    sample.fields(fields);
    sample.out
}

struct Sample<'a> {
    out: Vec<u8>,
    version: i16,
    flexible: bool,
    draw: Draw<'a>,
}

impl Sample<'_> {
    fn uvarint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn length(&mut self, length: usize, is_text: bool) {
        match (self.flexible, is_text) {
            (true, _) => self.uvarint(length + 1),
            (false, true) => self.out.put_i16(length as i16),
            (false, false) => self.out.put_i32(length as i32),
        }
    }

    fn raw(&mut self, bytes: usize) {
        for _ in 0..bytes {
            // Small numbers more often than large ones: they mean something.
            let most = [2, 8, 256][(self.draw)(3)];
            let byte = (self.draw)(most) as u8;
            self.out.push(byte);
        }
    }

    fn text(&mut self) {
        let length = (self.draw)(7);
        self.length(length, true);
        for _ in 0..length {
            let letter = b'a' + (self.draw)(26) as u8;
            self.out.push(letter);
        }
    }

    fn fields(&mut self, fields: &'static [Field]) {
        let here = |field: &&Field| field.is_in(self.version);
        let (tagged, plain): (Vec<_>, Vec<_>) =
            fields.iter().filter(here).partition(|field| field.tag.is_some());
        for field in plain {
            self.kind(&field.kind);
        }
        if self.flexible {
            self.tagged_fields(tagged);
        }
    }

    fn tagged_fields(&mut self, mut known: Vec<&'static Field>) {
        known.retain(|_| (self.draw)(2) == 0);
        known.sort_by_key(|field| field.tag);
        let unknown = [0, 0, 0, 1, 3][(self.draw)(5)];
        self.uvarint(known.len() + unknown);
        for field in known {
            self.uvarint(field.tag.unwrap_or_default() as usize);
            let before = std::mem::take(&mut self.out);
            self.kind(&field.kind);
            let value = std::mem::replace(&mut self.out, before);
            self.uvarint(value.len());
            self.out.extend(value);
        }
        for number in 0..unknown {
            self.uvarint(1_000 + number);
            let size = (self.draw)(4);
            self.uvarint(size);
            self.raw(size);
        }
    }

    fn kind(&mut self, kind: &'static Kind) {
        match kind {
            Kind::Fixed(bytes) => self.raw(*bytes),
            Kind::Text => self.text(),
            Kind::Bytes => {
                let length = (self.draw)(12);
                self.length(length, false);
                self.raw(length);
            }
            Kind::FixedArray(bytes) => {
                let count = (self.draw)(4);
                self.length(count, false);
                self.raw(count * bytes);
            }
            Kind::TextArray => self.array(|sample| sample.text()),
            Kind::Array(_, fields) => self.array(|sample| sample.fields(fields)),
            Kind::Struct(fields) => self.fields(fields),
            Kind::NullableStruct(fields) => match (self.draw)(2) {
                0 => self.out.push(0xff),
                _ => {
                    self.out.push(1);
                    self.fields(fields);
                }
            },
        }
    }

    fn array(&mut self, mut element: impl FnMut(&mut Self)) {
        let count = [0, 1, 2, 5][(self.draw)(4)];
        self.length(count, false);
        for _ in 0..count {
            element(self);
        }
    }
}
