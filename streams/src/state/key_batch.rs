//! Keys of a whole batch in one buffer: what the batched calls of [`StoreRef`](super::StoreRef) take.

/// A list of keys that is filled, used and filled again without allocating.
#[derive(Clone, Debug, Default)]
pub struct KeyBatch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl KeyBatch {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the keys, keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a key.
    pub fn push(&mut self, key: &[u8]) {
        self.push_with(|buffer| buffer.extend_from_slice(key));
    }

    /// Adds the key that `write` appends; it must not touch what stands before.
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        debug_assert!(
            self.bytes.len() >= self.ends.last().copied().unwrap_or(0),
            "a key may only append"
        );
        self.ends.push(self.bytes.len());
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key at `place`.
    ///
    /// # Panics
    /// When there are not that many.
    pub fn get(&self, place: usize) -> &[u8] {
        let from = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[from..self.ends[place]]
    }

    /// The keys in the order they were added.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|place| self.get(place))
    }
}

impl<K: AsRef<[u8]>> FromIterator<K> for KeyBatch {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut batch = Self::new();
        for key in keys {
            batch.push(key.as_ref());
        }
        batch
    }
}
