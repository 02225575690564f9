//! Walks in key order over the in-memory layers and the host, merged.
//!
//! Both sides are walked side by side. A key that both have is answered by the layers; a key only the host has is
//! shown unless a range delete of a layer took it.

use bytes::Bytes;

use super::host::HostScan;
use super::lookup::{Lookup, View};
use super::store_table::{Place, StoreTable};
use super::{KeyRange, StateError, StoreRef};

/// A key and its value, borrowed.
pub type EntryRef<'a> = (&'a [u8], &'a [u8]);

/// A walk over a range of a store, in key order.
///
/// As an iterator it copies each entry; [`next_entry`](Self::next_entry) lends it instead.
pub struct Scan<'a> {
    store: &'a StoreTable,
    view: View,
    places: std::iter::Peekable<std::vec::IntoIter<Place>>,
    host: Option<Box<dyn HostScan + 'a>>,
    /// The host stands on an entry that was lent out already.
    is_host_used: bool,
}

impl StoreRef<'_> {
    /// Walks `range` as the task sees it: uncommitted writes included.
    ///
    /// Costs a sort of the pane's new keys since the last walk.
    pub fn scan(&mut self, range: &KeyRange) -> Result<Scan<'_>, StateError> {
        let places = self.store_mut().sorted_places(range);
        let store = self.tables.store(self.index);
        let host = match store.host_lacks_range(range) {
            true => None,
            false => Some(self.host.scan(self.index, range)?),
        };
        Ok(Scan::new(store, View::Task, places, host))
    }
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        store: &'a StoreTable,
        view: View,
        places: Vec<Place>,
        host: Option<Box<dyn HostScan + 'a>>,
    ) -> Self {
        Self {
            store,
            view,
            places: places.into_iter().peekable(),
            host,
            is_host_used: false,
        }
    }

    /// The next key and value; `None` behind the last.
    pub fn next_entry(&mut self) -> Result<Option<EntryRef<'_>>, StateError> {
        match self.find_next()? {
            None => Ok(None),
            Some(Source::Layers(key, value)) => Ok(Some((key, value))),
            Some(Source::Host) => {
                self.is_host_used = true;
                Ok(self.host.as_ref().and_then(|host| host.entry()))
            }
        }
    }

    fn find_next(&mut self) -> Result<Option<Source<'a>>, StateError> {
        loop {
            if std::mem::take(&mut self.is_host_used) {
                self.advance_host()?;
            }
            let host_key = self
                .host
                .as_ref()
                .and_then(|host| host.entry())
                .map(|(key, _)| key);
            let Some(place) = self.places.peek().copied() else {
                let Some(key) = host_key else { return Ok(None) };
                if self.is_hidden(key) {
                    self.is_host_used = true;
                    continue;
                }
                return Ok(Some(Source::Host));
            };
            let table = self.store.table(place);
            let key = table.key(place.id);
            match host_key.map(|host_key| host_key.cmp(key)) {
                Some(std::cmp::Ordering::Less) => {
                    if host_key.is_some_and(|key| self.is_hidden(key)) {
                        self.is_host_used = true;
                        continue;
                    }
                    return Ok(Some(Source::Host));
                }
                on_host => {
                    self.places.next();
                    let is_on_host = on_host == Some(std::cmp::Ordering::Equal);
                    match self.store.look_up(place, self.view) {
                        Lookup::Value(slot) => {
                            self.is_host_used = is_on_host;
                            let value = table.value(place.id, slot).unwrap_or_default();
                            return Ok(Some(Source::Layers(key, value)));
                        }
                        Lookup::AskHost if is_on_host => return Ok(Some(Source::Host)),
                        Lookup::AskHost | Lookup::Absent => self.is_host_used = is_on_host,
                    }
                }
            }
        }
    }

    /// Whether a range delete took a key that has no entry.
    fn is_hidden(&self, key: &[u8]) -> bool {
        let ranges = &self.store.ranges;
        ranges.committed.contains(key)
            || self.view == View::Task && (ranges.overlay.contains(key) || ranges.frozen.contains(key))
    }

    fn advance_host(&mut self) -> Result<(), StateError> {
        match &mut self.host {
            Some(host) => host.advance(),
            None => Ok(()),
        }
    }
}

enum Source<'a> {
    Layers(&'a [u8], &'a [u8]),
    Host,
}

impl Iterator for Scan<'_> {
    type Item = Result<(Bytes, Bytes), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let owned =
            |(key, value): (&[u8], &[u8])| (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.next_entry().map(|entry| entry.map(owned)).transpose()
    }
}

impl std::fmt::Debug for Scan<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Scan")
            .field("view", &self.view)
            .field("entries_left", &self.places.len())
            .finish()
    }
}
