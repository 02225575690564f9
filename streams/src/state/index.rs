//! Hash → entry number: open addressing with linear probing, eight bytes a place.
//!
//! Home-made for one reason: a batch looks up all its keys in two short loops, first the places of the index
//! ([`Index::candidate`]), then the entries. Each loop is so small that the processor has ten of its cache misses under
//! way at once; a library's `find` does both in one go and waits for each. Nothing is ever removed (a table is rebuilt
//! instead), so there are no tombstones.

/// No entry.
pub(super) const NOTHING: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Place {
    /// High half of the hash. It chose the place too, so that a growing index needs to look at no entry.
    tag: u32,
    id: u32,
}

const EMPTY: Place = Place { tag: 0, id: NOTHING };

#[derive(Debug, Default)]
pub(super) struct Index {
    /// A power of two long, or empty.
    places: Vec<Place>,
    used: usize,
}

impl Index {
    /// The first entry that may be the one; [`NOTHING`] when there is surely none. Almost always the answer, and
    /// almost always in the first place looked at.
    pub(super) fn candidate(&self, hash: u64) -> u32 {
        self.candidates(hash).next().unwrap_or(NOTHING)
    }

    /// Every entry that may be the one.
    pub(super) fn candidates(&self, hash: u64) -> impl Iterator<Item = u32> {
        let tag = tag(hash);
        let mask = self.places.len().wrapping_sub(1);
        let mut at = tag as usize & mask;
        std::iter::from_fn(move || {
            loop {
                // Never full, so the walk ends; an empty index has no place at all.
                let place = *self.places.get(at)?;
                if place.id == NOTHING {
                    return None;
                }
                at = (at + 1) & mask;
                if place.tag == tag {
                    return Some(place.id);
                }
            }
        })
    }

    /// Adds an entry.
    pub(super) fn insert(&mut self, hash: u64, id: u32) {
        if (self.used + 1) * 3 > self.places.len() * 2 {
            let doubled = (self.places.len() * 2).max(16);
            let old = std::mem::replace(&mut self.places, vec![EMPTY; doubled]);
            for place in old.into_iter().filter(|place| place.id != NOTHING) {
                self.place(place);
            }
        }
        self.used += 1;
        self.place(Place { tag: tag(hash), id });
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.places.len() * size_of::<Place>()
    }

    fn place(&mut self, place: Place) {
        let mask = self.places.len() - 1;
        let mut at = place.tag as usize & mask;
        while self.places[at].id != NOTHING {
            at = (at + 1) & mask;
        }
        self.places[at] = place;
    }
}

const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[cfg(test)]
#[path = "index_test.rs"]
mod index_test;
