//! The left side of a foreign-key join: tells the tasks of the right keys which left entries want them.
//!
//! What is sent follows Kafka Streams 4.3: of two foreign keys the old one is only unsubscribed, without an answer, so that no two answers race
//! (KAFKA-18713). A left join always asks for an answer, with a null key where there is no foreign key; an inner join skips such entries and counts them.

use std::marker::PhantomData;
use std::sync::Arc;

use super::hash::hash128;
use super::messages::{Instruction, Subscription};
use crate::dsl::change::Change;
use crate::dsl::row::{Row, batch_of, rows_of};
use crate::processor::{Batch, BoxError, ProcessContext, ProcessError, Processor};
use crate::serde::{Data, SerdeRef};

/// Changes of the left table in, subscriptions by foreign key out.
pub(in crate::dsl) struct SendSubscriptions<K, V, KO, F: ?Sized> {
    pub(in crate::dsl) foreign_key: Arc<F>,
    pub(in crate::dsl) key: SerdeRef<KO>,
    pub(in crate::dsl) value: SerdeRef<V>,
    pub(in crate::dsl) is_left_join: bool,
    pub(in crate::dsl) types: PhantomData<fn(K)>,
}

/// An instruction, and the foreign key it goes to.
type Sent<KO> = (Option<KO>, Instruction);

type SubscriptionRow<K, KO> = Row<Option<KO>, Subscription<K>>;

impl<K: Data, V: Data, KO: Data, F> SendSubscriptions<K, V, KO, F>
where
    F: Fn(&K, &V) -> Option<KO> + Send + Sync + ?Sized + 'static,
{
    fn foreign_key(&self, key: &K, value: Option<&V>) -> Option<KO> {
        (self.foreign_key)(key, value?).filter(|key| !self.key.is_null(key))
    }

    fn same_key(&self, one: &KO, other: &KO) -> Result<bool, BoxError> {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        self.key.serialize(one, &mut left)?;
        self.key.serialize(other, &mut right)?;
        Ok(left == right)
    }

    /// The instructions for one change, in the order they are sent; whether the entry is left out for want of a foreign key.
    fn instructions(&self, key: &K, change: &Change<V>) -> Result<(Vec<Sent<KO>>, bool), BoxError> {
        let old_key = self.foreign_key(key, change.old.as_ref());
        let new_key = self.foreign_key(key, change.new.as_ref());
        let same = match (&old_key, &new_key) {
            (Some(old), Some(new)) => self.same_key(old, new)?,
            _ => false,
        };
        let mut sent = Vec::new();
        if self.is_left_join {
            if change.is_nothing() {
                return Ok((sent, false));
            }
            if old_key.is_some() && !same {
                sent.push((old_key, Instruction::DeleteWithoutAnswer));
            }
            sent.push((new_key, Instruction::AnswerAlways));
            return Ok((sent, false));
        }
        let skipped = change.new.is_some() && new_key.is_none();
        match (old_key, new_key) {
            (None, None) => {}
            (None, new) => sent.push((new, Instruction::AnswerIfFound)),
            (old, None) => sent.push((old, Instruction::DeleteAndAnswer)),
            // Under the same key nothing joined before either, so a missing right entry is no news.
            (_, new) if same => sent.push((new, Instruction::AnswerIfFound)),
            (old, new) => {
                sent.push((old, Instruction::DeleteWithoutAnswer));
                sent.push((new, Instruction::AnswerAlways));
            }
        }
        Ok((sent, skipped))
    }

    fn send(
        &self,
        row: Row<K, Change<V>>,
        partition: i32,
        out: &mut Vec<SubscriptionRow<K, KO>>,
    ) -> Result<bool, BoxError> {
        let (sent, skipped) = self.instructions(&row.key, &row.value)?;
        if sent.is_empty() {
            return Ok(skipped);
        }
        let mut bytes = Vec::new();
        let hash = match &row.value.new {
            Some(value) => {
                self.value.serialize(value, &mut bytes)?;
                Some(hash128(&bytes))
            }
            None => None,
        };
        let (key, _, rest) = row.into_parts();
        out.extend(rest.with_each(sent.into_iter().map(|(foreign_key, instruction)| {
            let subscription = Subscription {
                instruction,
                partition,
                hash,
                key: key.clone(),
            };
            (foreign_key, subscription)
        })));
        Ok(skipped)
    }
}

impl<K: Data, V: Data, KO: Data, F> Processor for SendSubscriptions<K, V, KO, F>
where
    F: Fn(&K, &V) -> Option<KO> + Send + Sync + ?Sized + 'static,
{
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Change<V>>(batch, context)?;
        let partition = context.task_id().partition.get();
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            if !row.value.is_latest {
                context.skipped(1);
                continue;
            }
            let (offset, timestamp) = (row.offset, row.timestamp);
            match self.send(row, partition, &mut out) {
                Ok(skipped) => context.skipped(u64::from(skipped)),
                Err(cause) => context.refuse(None, offset, timestamp, cause)?,
            }
        }
        context.forward(batch_of(out));
        Ok(())
    }
}
