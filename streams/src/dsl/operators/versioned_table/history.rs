//! The past of a versioned table: for every key which value held from when to when.
//!
//! ```text
//! pane 8 | tag 1 | key            → count 4 | version     the first version of a key in a pane
//! pane 8 | tag 1 | key | number 4 →           version     each further one
//! lowest pane | "time"            → largest timestamp put 8
//! version = from 8 | to 8 | 0 (deleted) or 1 and the value
//! ```
//! A version holds for `from ≤ t < to` and lies in the pane of its `to`, for a version that ended long ago answers nobody: the whole pane expires at once. The
//! value that holds now is not here but in the table's own store; when it was deleted, an open version without a value (`to` = for ever) lies in the pane of its
//! `from`, so that an older record coming later knows its place. Always true: the closed versions of a key do not overlap; a version is never asked for
//! later than the retention after it ended.

use millpond_log::types::Timestamp;

use super::version::{COUNT_LEN, CutShort, OPEN, Version, split_head, time_key};
use crate::processor::{BoxError, ProcessContext, ProcessError};
use crate::state::{KeyBatch, StoreIndex, StoreRef, StoreSpec, Update, window_key};

/// Panes the retention is cut into: what a look into the past may have to ask.
const PANES: i64 = 4;
const HEAD: u8 = 0;
const MORE: u8 = 1;

/// Where a version is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    pane: Timestamp,
    number: u32,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is the newest value of its key: the table's own store must be set to it.
    Latest,
    /// It belongs between older versions.
    Past,
}

/// Length of a pane for a retention, in ms.
fn pane_ms(retention_ms: i64) -> i64 {
    (retention_ms / PANES).saturating_add(1)
}

/// The store of a history.
pub(in crate::dsl) fn history_spec(name: &str, retention_ms: i64) -> StoreSpec {
    StoreSpec::window(name, pane_ms(retention_ms), retention_ms).with_schema("versions of a table, format 1")
}

/// The versions of all keys, as one task sees them.
#[derive(Clone, Debug)]
pub(in crate::dsl) struct History {
    retention_ms: i64,
    pane_ms: i64,
    pub(in crate::dsl) store: StoreIndex,
}

impl History {
    pub(in crate::dsl) fn new(retention_ms: i64, store: StoreIndex) -> History {
        History {
            retention_ms,
            pane_ms: pane_ms(retention_ms),
            store,
        }
    }

    /// Largest timestamp put; -1 before the first.
    pub(super) fn time(&self, context: &mut ProcessContext<'_>) -> Result<Timestamp, ProcessError> {
        let stored = context.store(self.store).get(&time_key())?;
        let Some(bytes) = stored else { return Ok(-1) };
        let bytes = bytes[..].try_into();
        Ok(Timestamp::from_be_bytes(
            bytes.map_err(|_| ProcessError::node(context.node(), CutShort))?,
        ))
    }

    pub(super) fn set_time(&self, time: Timestamp, context: &mut ProcessContext<'_>) {
        context.store(self.store).put(&time_key(), time.to_be_bytes());
    }

    /// First timestamp that can still be asked for at `time`.
    pub(super) fn horizon(&self, time: Timestamp) -> Timestamp {
        time.saturating_sub(self.retention_ms)
    }

    /// The same now. `time`: the largest timestamp put, which counts unless the task's time comes from upstream tasks.
    pub(super) fn horizon_now(&self, time: Timestamp, context: &ProcessContext<'_>) -> Timestamp {
        self.horizon(if context.follows_upstreams() {
            context.stream_time()
        } else {
            time
        })
    }

    /// Drops the panes that end before `horizon`; returns the start of the oldest one left.
    pub(super) fn expire(&self, horizon: Timestamp, context: &mut ProcessContext<'_>) -> Timestamp {
        let first = window_key::pane_of(horizon.max(0), self.pane_ms);
        let (from, to) = window_key::panes(0, first);
        context.store(self.store).delete_range(&from, &to);
        first
    }

    /// Puts a value (or a deletion) of `key` that holds from `at` on. `latest`: since when the present value holds and what it is.
    pub(super) fn put(
        &self,
        key: &[u8],
        at: Timestamp,
        value: Option<&[u8]>,
        latest: Option<(Timestamp, &[u8])>,
        time: Timestamp,
        context: &mut ProcessContext<'_>,
    ) -> Result<Put, ProcessError> {
        let mut store = context.store(self.store);
        let done = match latest {
            Some((from, before)) if at > from => {
                let version = Version {
                    from,
                    to: at,
                    value: Some(before.to_vec()),
                };
                self.append(&mut store, key, &version)?;
                Ok(Put::Latest)
            }
            // A deletion at the very time of the value is not remembered, as in Kafka Streams: a record that is older still is latest then.
            Some((from, _)) if at == from => return Ok(Put::Latest),
            _ => self.put_among_versions(&mut store, key, at, value, latest.map(|(from, _)| from), time),
        };
        let done = match done {
            Ok(Put::Latest) if value.is_none() => {
                // Remembered for records that are older and come later.
                let deleted = Version {
                    from: at,
                    to: OPEN,
                    value: None,
                };
                self.append(&mut store, key, &deleted)?;
                Ok(Put::Latest)
            }
            done => done,
        };
        drop(store);
        done.map_err(|failed| match failed {
            Failed::State(cause) => cause,
            Failed::Damaged(cause) => ProcessError::node(context.node(), cause),
        })
    }

    /// As `put`, when the newest version of the key is not the present value, or is younger than `at`.
    fn put_among_versions(
        &self,
        store: &mut StoreRef<'_>,
        key: &[u8],
        at: Timestamp,
        value: Option<&[u8]>,
        latest: Option<Timestamp>,
        time: Timestamp,
    ) -> Result<Put, Failed> {
        let versions = self.read(store, key, at, time)?;
        let starts = || versions.iter().map(|(_, version)| version.from).chain(latest);
        let is_over = |version: &Version| version.from <= at && (version.to == OPEN || version.to <= at);
        if latest.is_none() && versions.iter().all(|(_, version)| is_over(version)) {
            // Deleted before, or never there.
            let deleted = versions
                .iter()
                .find(|(_, version)| version.to == OPEN && starts().all(|from| from <= version.from));
            if let Some((_, deleted)) = deleted.filter(|(_, deleted)| deleted.from < at) {
                let closed = Version {
                    to: at,
                    ..deleted.clone()
                };
                self.append(store, key, &closed)?;
            }
            return Ok(Put::Latest);
        }
        let value = value.map(<[u8]>::to_vec);
        let around = versions
            .iter()
            .find(|(_, version)| version.from <= at && at < version.to && version.to != OPEN);
        match around {
            Some((place, version)) => {
                let tail = Version {
                    from: at,
                    to: version.to,
                    value,
                };
                self.replace(store, key, *place, &tail)?;
                if version.from < at {
                    let head = Version {
                        to: at,
                        ..version.clone()
                    };
                    self.append(store, key, &head)?;
                }
            }
            // Older than everything known of the key.
            None => {
                if let Some(to) = starts().filter(|from| *from > at).min() {
                    self.append(store, key, &Version { from: at, to, value })?;
                }
            }
        }
        Ok(Put::Past)
    }

    /// The versions of `key` that end after `at`, in no order.
    fn read(
        &self,
        store: &mut StoreRef<'_>,
        key: &[u8],
        at: Timestamp,
        time: Timestamp,
    ) -> Result<Vec<(Place, Version)>, Failed> {
        let mut versions = Vec::new();
        let mut store_key = Vec::new();
        for pane in self.panes(at, time) {
            self.head_key(pane, key, &mut store_key);
            let Some(head) = store.get(&store_key).map_err(Failed::state)? else {
                continue;
            };
            let (count, first) = split_head(&head)?;
            versions.push((Place { pane, number: 0 }, Version::parse(first)?));
            for number in 1..count {
                self.more_key(pane, key, number, &mut store_key);
                if let Some(bytes) = store.get(&store_key).map_err(Failed::state)? {
                    versions.push((Place { pane, number }, Version::parse(&bytes)?));
                }
            }
        }
        Ok(versions)
    }

    /// The panes of versions that end after `at`.
    pub(super) fn panes(&self, at: Timestamp, time: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let (first, pane_ms) = (window_key::pane_of(at.max(0), self.pane_ms), self.pane_ms);
        (0..)
            .map(move |number| first + number * pane_ms)
            .take_while(move |pane| *pane <= time)
    }

    /// What held at the time of each query: `found` gets the query's number, since when, and the value. Queries are key and time; such that are older than the
    /// retention find nothing.
    pub(in crate::dsl) fn find(
        &self,
        queries: &[(&[u8], Timestamp)],
        context: &mut ProcessContext<'_>,
        mut found: impl FnMut(usize, Timestamp, &[u8]),
    ) -> Result<(), ProcessError> {
        if queries.is_empty() {
            return Ok(());
        }
        let time = self.time(context)?;
        let horizon = self.horizon_now(time, context);
        let mut keys = KeyBatch::new();
        let mut asked: Vec<(usize, Timestamp)> = Vec::new();
        let mut store_key = Vec::new();
        for (number, (key, at)) in queries.iter().enumerate() {
            if *at < horizon {
                continue;
            }
            for pane in self.panes(*at, time) {
                self.head_key(pane, key, &mut store_key);
                keys.push(&store_key);
                asked.push((number, pane));
            }
        }
        // The version that ends first after the time asked for, per query.
        let mut best: Vec<Option<Version>> = vec![None; queries.len()];
        let mut damaged: Option<BoxError> = None;
        let mut more: Vec<(usize, Timestamp, u32)> = Vec::new();
        let look = |number: usize, bytes: &[u8], best: &mut Vec<Option<Version>>| -> Result<(), BoxError> {
            let version = Version::parse(bytes)?;
            let best = &mut best[number];
            if version.to > queries[number].1 && best.as_ref().is_none_or(|best| version.to < best.to) {
                *best = Some(version);
            }
            Ok(())
        };
        context.store(self.store).find_many(&keys, |place, head| {
            let (number, pane) = asked[place];
            let read = split_head(head).and_then(|(count, first)| {
                more.extend((1..count).map(|place| (number, pane, place)));
                look(number, first, &mut best)
            });
            if let Err(cause) = read {
                damaged = Some(cause);
            }
        })?;
        keys.clear();
        for (number, pane, place) in &more {
            self.more_key(*pane, queries[*number].0, *place, &mut store_key);
            keys.push(&store_key);
        }
        context.store(self.store).find_many(&keys, |place, bytes| {
            if let Err(cause) = look(more[place].0, bytes, &mut best) {
                damaged = Some(cause);
            }
        })?;
        if let Some(cause) = damaged {
            return Err(ProcessError::node(context.node(), cause));
        }
        for (number, version) in best.iter().enumerate() {
            if let Some(Version {
                from,
                value: Some(value),
                ..
            }) = version
                && *from <= queries[number].1
            {
                found(number, *from, value);
            }
        }
        Ok(())
    }

    fn append(
        &self,
        store: &mut StoreRef<'_>,
        key: &[u8],
        version: &Version,
    ) -> Result<(), crate::state::StateError> {
        let end = if version.to == OPEN {
            version.from
        } else {
            version.to
        };
        let pane = window_key::pane_of(end, self.pane_ms);
        let bytes = version.to_bytes();
        let mut store_key = Vec::new();
        self.head_key(pane, key, &mut store_key);
        let mut number = 0;
        store.update(&store_key, |stored, out| {
            match stored.and_then(<[u8]>::split_first_chunk::<COUNT_LEN>) {
                None => {
                    out.extend_from_slice(&1_u32.to_be_bytes());
                    out.extend_from_slice(&bytes);
                }
                Some((count, first)) => {
                    number = u32::from_be_bytes(*count);
                    out.extend_from_slice(&(number + 1).to_be_bytes());
                    out.extend_from_slice(first);
                }
            }
            Update::Put
        })?;
        if number > 0 {
            self.more_key(pane, key, number, &mut store_key);
            store.put(&store_key, &bytes);
        }
        Ok(())
    }

    /// Another version that ends at the same time takes the place of one.
    fn replace(
        &self,
        store: &mut StoreRef<'_>,
        key: &[u8],
        place: Place,
        version: &Version,
    ) -> Result<(), crate::state::StateError> {
        let bytes = version.to_bytes();
        let mut store_key = Vec::new();
        if place.number > 0 {
            self.more_key(place.pane, key, place.number, &mut store_key);
            store.put(&store_key, &bytes);
            return Ok(());
        }
        self.head_key(place.pane, key, &mut store_key);
        store.update(&store_key, |stored, out| {
            let count = stored.and_then(<[u8]>::first_chunk::<COUNT_LEN>);
            out.extend_from_slice(count.unwrap_or(&1_u32.to_be_bytes()));
            out.extend_from_slice(&bytes);
            Update::Put
        })
    }

    pub(super) fn head_key(&self, pane: Timestamp, key: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&window_key::pane_prefix(pane));
        out.push(HEAD);
        out.extend_from_slice(key);
    }

    pub(super) fn more_key(&self, pane: Timestamp, key: &[u8], number: u32, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&window_key::pane_prefix(pane));
        out.push(MORE);
        out.extend_from_slice(key);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

/// What stopped a put.
enum Failed {
    State(ProcessError),
    Damaged(BoxError),
}

impl Failed {
    fn state(cause: crate::state::StateError) -> Failed {
        Failed::State(cause.into())
    }
}

impl From<BoxError> for Failed {
    fn from(cause: BoxError) -> Failed {
        Failed::Damaged(cause)
    }
}

impl From<crate::state::StateError> for Failed {
    fn from(cause: crate::state::StateError) -> Failed {
        Failed::state(cause)
    }
}
