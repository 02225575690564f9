//! Gives the changes of a table new keys and values, before they go through a repartition topic.
//!
//! Always true: both halves of a change leave together when they have the same new key, judged by its bytes; otherwise the removal leaves before the
//! addition. A half whose new key or value is null does not leave at all.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::dsl::change::Change;
use crate::dsl::row::{batch_of, rows_of};
use crate::processor::{Batch, BoxError, ProcessContext, ProcessError, Processor};
use crate::serde::{Data, SerdeRef};

/// Changes in, changes under new keys out.
pub(in crate::dsl) struct RegroupTable<K, V, K2, V2, F> {
    select: Arc<F>,
    key: SerdeRef<K2>,
    value: SerdeRef<V2>,
    key_bytes: [Vec<u8>; 2],
    types: PhantomData<fn(K, V)>,
}

impl<K, V, K2: Data, V2: Data, F> RegroupTable<K, V, K2, V2, F>
where
    F: Fn(&K, V) -> (K2, V2),
{
    pub(in crate::dsl) fn new(select: Arc<F>, key: SerdeRef<K2>, value: SerdeRef<V2>) -> Self {
        RegroupTable {
            select,
            key,
            value,
            key_bytes: [Vec::new(), Vec::new()],
            types: PhantomData,
        }
    }

    fn half(&self, key: &K, value: Option<V>) -> Option<(K2, V2)> {
        let (key, value) = (self.select)(key, value?);
        (!self.key.is_null(&key) && !self.value.is_null(&value)).then_some((key, value))
    }

    fn same_key(&mut self, one: &K2, other: &K2) -> Result<bool, BoxError> {
        for (bytes, key) in self.key_bytes.iter_mut().zip([one, other]) {
            bytes.clear();
            self.key.serialize(key, bytes)?;
        }
        Ok(self.key_bytes[0] == self.key_bytes[1])
    }
}

impl<K, V, K2, V2, F> Processor for RegroupTable<K, V, K2, V2, F>
where
    K: Data,
    V: Data,
    K2: Data,
    V2: Data,
    F: Fn(&K, V) -> (K2, V2) + Send + Sync + 'static,
{
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Change<V>>(batch, context)?;
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let (key, change, rest) = row.into_parts();
            // The past of a versioned table is no part of what is aggregated.
            if !change.is_latest {
                continue;
            }
            let (new, old) = (self.half(&key, change.new), self.half(&key, change.old));
            let (new, old) = match (new, old) {
                (Some((new_key, new)), Some((old_key, old))) => {
                    match self.same_key(&new_key, &old_key) {
                        Ok(true) => {
                            let (new, old) = (Some(new), Some(old));
                            out.push(rest.with(new_key, Change::latest(new, old)));
                            continue;
                        }
                        Ok(false) => {}
                        Err(cause) => {
                            context.refuse(None, rest.offset, rest.timestamp, cause)?;
                            continue;
                        }
                    }
                    (Some((new_key, new)), Some((old_key, old)))
                }
                halves => halves,
            };
            if let Some((key, old)) = old {
                let old = Some(old);
                out.push(rest.clone().with(key, Change::latest(None, old)));
            }
            if let Some((key, new)) = new {
                let new = Some(new);
                out.push(rest.with(key, Change::latest(new, None)));
            }
        }
        context.forward(batch_of(out));
        Ok(())
    }
}
