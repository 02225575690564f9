//! What flows on the edges of a table: the value that stands now, and the one it replaced.
//!
//! Always true: `new` is `None` when the entry was deleted. `old` is what the receivers saw last under this key, and only filled when somebody below
//! asked for it ([`KTable::enable_old_values`](super::KTable::enable_old_values)), for it costs a copy or a read. Only versioned tables send changes of
//! the past, and only to those that ask for every update or keep a store; joins and groupings leave them out.
//! Next: `operators/table_writer.rs`, where most changes are made.

/// An update of one entry of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change<V> {
    /// The value from now on; `None` = deleted.
    pub(crate) new: Option<V>,
    /// The value before, if there was one and somebody asked for it.
    pub(crate) old: Option<V>,
    /// False for an update of a versioned table that came too late to matter now: `new` is what held for some time in the past, `old` what holds still.
    pub(crate) is_latest: bool,
}

impl<V> Change<V> {
    /// A change of what holds now.
    pub(crate) fn latest(new: Option<V>, old: Option<V>) -> Self {
        let is_latest = true;
        Change { new, old, is_latest }
    }

    /// True when there is nothing before and nothing after: a deletion of what never was.
    pub(crate) fn is_nothing(&self) -> bool {
        self.new.is_none() && self.old.is_none()
    }

    /// Both halves through the same function.
    pub(crate) fn map<V2>(self, mut map: impl FnMut(V) -> Option<V2>) -> Change<V2> {
        Change {
            new: self.new.and_then(&mut map),
            old: self.old.and_then(&mut map),
            is_latest: self.is_latest,
        }
    }
}
