//! Headers of a typed row: immutable and shared, eight bytes wide and free when there are none.

use std::sync::Arc;

use bytes::Bytes;
use millpond_log::record::{Header, RecordRef};

/// The headers of a record; most have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<Vec<Header>>>);

impl Headers {
    /// No headers.
    pub const NONE: Headers = Headers(None);

    /// A copy of a record's headers, without the one that carries stream time.
    #[inline]
    pub fn of_record(record: &RecordRef<'_>) -> Headers {
        if record.headers.is_empty() {
            return Headers::NONE;
        }
        Headers::copied(record)
    }

    fn copied(record: &RecordRef<'_>) -> Headers {
        record
            .headers
            .iter()
            .filter(|header| header.key != super::TIME_HEADER.as_bytes())
            .map(|header| Header {
                key: Bytes::copy_from_slice(header.key),
                value: header.value.map(Bytes::copy_from_slice),
            })
            .collect()
    }

    /// Makes these the headers of `other`; costs nothing when neither has any.
    #[inline]
    pub(crate) fn become_those_of(&mut self, other: &Headers) {
        if self.0.is_some() || other.0.is_some() {
            self.0.clone_from(&other.0);
        }
    }

    /// All headers, in order, without a copy.
    #[inline]
    pub fn as_slice(&self) -> &[Header] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.0.iter().flat_map(|headers| headers.iter())
    }

    /// The value of the last header of that name (Kafka's `lastHeader`).
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let headers = self.0.as_deref()?;
        headers
            .iter()
            .rev()
            .find(|header| header.key == name.as_bytes())?
            .value
            .as_deref()
    }

    /// True without any header.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|headers| headers.is_empty())
    }

    /// Adds a header behind the others.
    pub fn add(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        let headers = self.0.get_or_insert_default();
        Arc::make_mut(headers).push(Header::new(name, value));
    }

    /// Removes every header of that name.
    pub fn remove(&mut self, name: &str) {
        if let Some(headers) = &mut self.0
            && headers.iter().any(|header| header.key == name.as_bytes())
        {
            Arc::make_mut(headers).retain(|header| header.key != name.as_bytes());
        }
        if self.is_empty() {
            self.0 = None;
        }
    }

    /// These headers and one more.
    #[must_use]
    pub fn with(&self, name: impl Into<Bytes>, value: impl Into<Bytes>) -> Headers {
        let more = Header::new(name, value);
        self.iter().cloned().chain([more]).collect()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Headers {
        let headers: Vec<Header> = headers.into_iter().collect();
        Headers((!headers.is_empty()).then(|| Arc::new(headers)))
    }
}
