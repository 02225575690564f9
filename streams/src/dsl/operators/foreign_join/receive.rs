//! The right side of a foreign-key join, where subscriptions arrive: notes them and answers with what the right table has now.

use super::messages::{Instruction, Response, Subscription};
use super::subscription_store::{SubscriptionKeys, append_value};
use crate::dsl::row::{Row, batch_of, rows_of};
use crate::dsl::table_lookup::{TableLookup, TableReader};
use crate::processor::{Batch, InitContext, ProcessContext, ProcessError, Processor};
use crate::serde::Data;
use crate::state::StoreIndex;

/// Subscriptions by right key in, responses by left key out.
pub(in crate::dsl) struct ReceiveSubscriptions<K, KO, VO> {
    store_name: String,
    keys: SubscriptionKeys<K, KO>,
    right: TableLookup<KO, VO>,
    reader: Option<TableReader<KO, VO>>,
    store: StoreIndex,
}

impl<K: Data, KO: Data, VO: Data> ReceiveSubscriptions<K, KO, VO> {
    pub(in crate::dsl) fn new(
        store_name: String,
        keys: SubscriptionKeys<K, KO>,
        right: TableLookup<KO, VO>,
    ) -> Self {
        ReceiveSubscriptions {
            store_name,
            keys,
            right,
            reader: None,
            store: StoreIndex::new(0),
        }
    }

    /// Notes or forgets the subscriptions, in order.
    fn note(
        &self,
        rows: &[Row<Option<KO>, Subscription<K>>],
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let node = context.node().to_owned();
        let mut store = context.store(self.store);
        for row in rows {
            let Some(right) = &row.key else { continue };
            let subscription = &row.value;
            key.clear();
            let written = self.keys.append(right, &subscription.key, &mut key);
            written.map_err(|cause| ProcessError::node(&node, cause))?;
            match subscription.instruction {
                Instruction::DeleteWithoutAnswer | Instruction::DeleteAndAnswer => store.delete(&key),
                Instruction::AnswerAlways | Instruction::AnswerIfFound => {
                    value.clear();
                    append_value(
                        row.timestamp,
                        subscription.partition,
                        subscription.hash.as_ref(),
                        &mut value,
                    );
                    store.put(&key, &value);
                }
                Instruction::AskAgain => {}
            }
        }
        Ok(())
    }
}

impl<K: Data, KO: Data, VO: Data> Processor for ReceiveSubscriptions<K, KO, VO> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.store = context.store_index(&self.store_name)?;
        self.reader = Some(self.right.open(context)?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let mut rows = rows_of::<Option<KO>, Subscription<K>>(batch, context)?;
        let usable = |row: &Row<Option<KO>, Subscription<K>>| {
            row.key.is_some() || row.value.instruction == Instruction::AnswerAlways
        };
        let all = rows.len();
        rows.retain(usable);
        context.skipped((all - rows.len()) as u64);
        self.note(&rows, context)?;
        let Some(reader) = self.reader.as_mut() else {
            return Ok(());
        };
        let wanted: Vec<KO> = rows.iter().filter_map(|row| row.key.clone()).collect();
        let mut found = reader.get_many(&wanted, context)?.into_iter();
        let mut out = Vec::with_capacity(rows.len());
        for row in rows {
            let (right, subscription, mut rest) = row.into_parts();
            let found = right.and_then(|_| found.next().flatten());
            if let Some((_, timestamp)) = &found {
                rest.timestamp = rest.timestamp.max(*timestamp);
            }
            let found = found.map(|(value, _)| value);
            let value = match subscription.instruction {
                Instruction::DeleteWithoutAnswer => continue,
                Instruction::AnswerIfFound if found.is_none() => continue,
                Instruction::DeleteAndAnswer => None,
                Instruction::AnswerAlways | Instruction::AnswerIfFound | Instruction::AskAgain => found,
            };
            let response = Response {
                partition: subscription.partition,
                hash: subscription.hash,
                value,
            };
            out.push(rest.with(subscription.key, response));
        }
        context.forward(batch_of(out));
        Ok(())
    }
}
