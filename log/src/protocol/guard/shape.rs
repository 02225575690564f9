//! How the shape of a message is written down.

use kafka_protocol::messages::ApiKey;

/// A version that never came or never ends.
pub(super) const MAX: i16 = i16::MAX;
/// For messages that have no flexible version.
pub(super) const NEVER: i16 = i16::MAX;

/// One request.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) api: ApiKey,
    /// First version with compact lengths and tagged fields (KIP-482).
    pub(super) flexible_from: i16,
    pub(super) fields: &'static [Field],
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    /// First and last version that have it.
    pub(super) versions: (i16, i16),
    /// Its tag, if it stands among the tagged fields.
    pub(super) tag: Option<u32>,
    pub(super) kind: Kind,
}

/// What stands there.
#[derive(Debug)]
pub(super) enum Kind {
    /// So many bytes.
    Fixed(usize),
    /// A string, null or not.
    Text,
    /// Bytes or records, null or not.
    Bytes,
    /// An array of elements of so many bytes.
    FixedArray(usize),
    /// An array of strings.
    TextArray,
    /// An array of structs, each of which takes so much memory when it is decoded.
    Array(usize, &'static [Field]),
    /// A struct.
    Struct(&'static [Field]),
    /// A struct behind a byte that says whether it is there.
    NullableStruct(&'static [Field]),
}

pub(super) const fn shape(api: ApiKey, flexible_from: i16, fields: &'static [Field]) -> Shape {
    Shape {
        api,
        flexible_from,
        fields,
    }
}

pub(super) const fn field(first: i16, last: i16, kind: Kind) -> Field {
    Field {
        versions: (first, last),
        tag: None,
        kind,
    }
}

pub(super) const fn tagged(tag: u32, first: i16, last: i16, kind: Kind) -> Field {
    Field {
        versions: (first, last),
        tag: Some(tag),
        kind,
    }
}

impl Field {
    pub(super) fn is_in(&self, version: i16) -> bool {
        (self.versions.0..=self.versions.1).contains(&version)
    }
}
