//! The end of a foreign-key join, back at the left table: joins the answers that are still wanted.
//!
//! An answer is wanted when the left value that asked for it still stands, judged by its hash; others are dropped and counted. A right value without a left one
//! is never joined: a deleted left entry asks with no hash, and is answered with nothing. Of an inner join an answer of nothing that is dropped may have
//! been the only one to end an old result, so the left entry asks again (`mod.rs`).

use std::marker::PhantomData;
use std::sync::Arc;

use super::hash::{ValueHash, hash128};
use super::messages::{Instruction, Response, Subscription};
use crate::dsl::change::Change;
use crate::dsl::operators::entry_writer::EntryWriter;
use crate::dsl::row::{Row, batch_of, rows_of};
use crate::dsl::table_lookup::{TableLookup, TableReader};
use crate::dsl::table_origin::Wish;
use crate::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::{Data, SerdeRef};

/// How a left entry finds its right key once more; only inner joins need it.
pub(in crate::dsl) struct AskAgain<K, V, KO> {
    pub(in crate::dsl) foreign_key: Arc<ForeignKeyFn<K, V, KO>>,
    pub(in crate::dsl) key: SerdeRef<KO>,
}

/// The right key of a left entry.
type ForeignKeyFn<K, V, KO> = dyn Fn(&K, &V) -> Option<KO> + Send + Sync;

/// The child that takes new values of the join, and the one that asks again.
const RESULTS: usize = 0;
const QUESTIONS: usize = 1;

/// Responses by left key in, new values of the join out, and subscriptions by foreign key where a response came too late.
pub(in crate::dsl) struct JoinResponses<K, V, KO, VO, R, F> {
    left: TableLookup<K, V>,
    reader: Option<TableReader<K, V>>,
    value: SerdeRef<V>,
    join: Arc<F>,
    ask_again: Option<Arc<AskAgain<K, V, KO>>>,
    types: PhantomData<fn(VO) -> R>,
}

impl<K: Data, V: Data, KO: Data, VO: Data, R: Data, F> JoinResponses<K, V, KO, VO, R, F>
where
    F: Fn(&V, Option<&VO>) -> Option<R> + Send + Sync + 'static,
{
    /// `join` says what a left value gives with or without a right one. Results go to the first child, questions to the second.
    pub(in crate::dsl) fn new(
        left: TableLookup<K, V>,
        value: SerdeRef<V>,
        join: Arc<F>,
        ask_again: Option<Arc<AskAgain<K, V, KO>>>,
    ) -> Self {
        JoinResponses {
            left,
            reader: None,
            value,
            join,
            ask_again,
            types: PhantomData,
        }
    }

    /// The question to ask when an answer of nothing came too late.
    fn question(
        &self,
        row: Row<K, Response<VO>>,
        current: Option<&V>,
        hash: Option<ValueHash>,
        partition: i32,
    ) -> Option<Row<Option<KO>, Subscription<K>>> {
        let ask_again = self.ask_again.as_deref()?;
        if row.value.value.is_some() {
            // Something to join was found later, or is told of its end by an answer of its own.
            return None;
        }
        let foreign_key = (ask_again.foreign_key)(&row.key, current?)?;
        if ask_again.key.is_null(&foreign_key) {
            return None;
        }
        Some(row.with_pair(|key, _| {
            let subscription = Subscription {
                instruction: Instruction::AskAgain,
                partition,
                hash,
                key,
            };
            (Some(foreign_key), subscription)
        }))
    }
}

impl<K: Data, V: Data, KO: Data, VO: Data, R: Data, F> Processor for JoinResponses<K, V, KO, VO, R, F>
where
    F: Fn(&V, Option<&VO>) -> Option<R> + Send + Sync + 'static,
{
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.reader = Some(self.left.open(context)?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Response<VO>>(batch, context)?;
        let Some(reader) = self.reader.as_mut() else {
            return Ok(());
        };
        let keys: Vec<K> = rows.iter().map(|row| row.key.clone()).collect();
        let current = reader.get_many(&keys, context)?;
        let mut out = Vec::with_capacity(rows.len());
        let mut questions = Vec::new();
        let mut bytes = Vec::new();
        let mut stale = 0;
        let partition = context.task_id().partition.get();
        for (row, current) in rows.into_iter().zip(current) {
            let current = current.map(|(value, _)| value);
            let hash = match &current {
                Some(value) => {
                    bytes.clear();
                    let written = self.value.serialize(value, &mut bytes);
                    written.map_err(|cause| ProcessError::node(context.node(), cause))?;
                    Some(hash128(&bytes))
                }
                None => None,
            };
            if hash != row.value.hash {
                stale += 1;
                questions.extend(self.question(row, current.as_ref(), hash, partition));
                continue;
            }
            out.push(row.with_value(|response| (self.join)(current.as_ref()?, response.value.as_ref())));
        }
        context.skipped(stale);
        context.forward_to(RESULTS, batch_of(out));
        if self.ask_again.is_some() {
            context.forward_to(QUESTIONS, batch_of(questions));
        }
        Ok(())
    }
}

/// New values of the join in, changes out: through a store if it was asked for, or if somebody needs old values or looks entries up.
pub(in crate::dsl) struct ForeignResult<K, R> {
    pub(in crate::dsl) has_store: Wish,
    pub(in crate::dsl) stored: bool,
    pub(in crate::dsl) writer: EntryWriter<K, R>,
}

impl<K: Data, R: Data> Processor for ForeignResult<K, R> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.stored = self.has_store.is_made();
        if self.stored {
            self.writer.init(context)?;
        }
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = rows_of::<K, Option<R>>(batch, context)?;
        if self.stored {
            return self.writer.write(rows, context);
        }
        let changes = rows
            .into_iter()
            .map(|row| row.with_value(|new| Change::latest(new, None)));
        context.forward(batch_of(changes.collect()));
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.writer.commit(context)
    }

    fn on_abort(&mut self) {
        self.writer.abort();
    }
}
