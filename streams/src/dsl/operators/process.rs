//! Runs a typed processor on batches: each row on its own, punctuators and timers in between.
//!
//! Always true: what happens to a row, and what the processor is told of time before and after it, does not depend on how the input was cut into batches. Rows are
//! walked beside the track of stream time (`processor/time_track.rs`): punctuators and timers act after the record that took time on, and before the next one,
//! even when that record never got here.
//! `seen` is the stream time up to which everything due was done. The processor is dropped when a transaction is lost and made anew with the next call.

use std::sync::Arc;

use millpond_log::types::{Offset, Timestamp};

use crate::dsl::process::{
    At, Group, ProcessorContext, ProcessorInit, PunctuationType, Record, RecordProcessor, Schedules, Shell,
    Timer, TimerKind,
};
use crate::dsl::row::{NO_OFFSET, Row, batch_of, rows_of};
use crate::dsl::stores::timers::TimerQueue;
use crate::dsl::stores::{Expiry, StoreDefinition, Timers};
use crate::processor::{Batch, BoxError, InitContext, NO_TIME, ProcessContext, ProcessError, Processor};
use crate::serde::Data;
use crate::state::{StoreIndex, TaskId};

/// What the operator is made of; the same for all tasks.
pub(in crate::dsl) struct ProcessSettings<P> {
    pub(in crate::dsl) supplier: Box<dyn Fn() -> P + Send + Sync>,
    /// The stores it is connected to, by name.
    pub(in crate::dsl) stores: Vec<(String, Arc<dyn StoreDefinition>)>,
}

/// See the module's text.
pub(in crate::dsl) struct Process<P: RecordProcessor> {
    settings: Arc<ProcessSettings<P>>,
    /// `None` before the start and after a lost transaction.
    processor: Option<P>,
    shell: Shell<P>,
    seen: Option<Timestamp>,
    /// The record whose consequences may not be over yet.
    last_offset: Option<Offset>,
    expiries: Vec<Box<dyn Expiry>>,
    indices: Vec<(String, StoreIndex)>,
    task: Option<TaskId>,
}

impl<P: RecordProcessor> Process<P> {
    pub(in crate::dsl) fn new(settings: Arc<ProcessSettings<P>>) -> Self {
        Process {
            settings,
            processor: None,
            shell: Shell {
                out: Vec::new(),
                schedules: Schedules::default(),
                timers: None,
                refused: None,
                children: Vec::new(),
                application_id: String::new(),
            },
            seen: None,
            last_offset: None,
            expiries: Vec::new(),
            indices: Vec::new(),
            task: None,
        }
    }
}

impl<P: RecordProcessor> Processor for Process<P> {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.shell.children = context.children().iter().map(|name| (*name).to_owned()).collect();
        context
            .application_id()
            .clone_into(&mut self.shell.application_id);
        self.task = Some(context.task_id());
        for (name, store) in &self.settings.stores {
            let index = context.store_index(name)?;
            self.indices.push((name.clone(), index));
            for companion in store.companions() {
                let index = context.store_index(&companion)?;
                self.indices.push((companion, index));
            }
            self.expiries
                .extend(store.expiry(&|name| context.store_index(name))?);
        }
        self.start(context.node())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.resume(context)?;
        let rows = rows_of::<P::KeyIn, P::ValueIn>(batch, context)?;
        for row in rows {
            self.catch_up(&row, context)?;
            self.take_row(row, context)?;
        }
        self.hand_on(context);
        Ok(())
    }

    fn on_time(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.resume(context)?;
        self.settle_last(context)?;
        let now = context.stream_time();
        while let Some(time) = context.time_track().next_below(now, self.seen()) {
            self.advance(time, context)?;
        }
        if now > self.seen() {
            self.advance(now, context)?;
        }
        self.hand_on(context);
        Ok(())
    }

    fn is_time_due(&self) -> bool {
        let Some(seen) = self.seen.filter(|seen| *seen != NO_TIME) else {
            return false;
        };
        let is_due = |due: Timestamp| due <= seen;
        let timers = self.shell.timers.as_ref();
        let schedules = &self.shell.schedules;
        schedules.is_unsettled(PunctuationType::StreamTime)
            || schedules
                .next(PunctuationType::StreamTime)
                .is_some_and(|(_, due)| is_due(due))
            || timers.is_some_and(|timers| match timers.known_due(TimerKind::StreamTime) {
                Ok(due) => due.is_some_and(is_due),
                Err(_) => true,
            })
    }

    fn wall_clock_due(&self) -> Option<Timestamp> {
        let schedules = &self.shell.schedules;
        if self.processor.is_none() || schedules.is_unsettled(PunctuationType::WallClock) {
            return Some(Timestamp::MIN);
        }
        let timers = self.shell.timers.as_ref();
        let timer = timers.and_then(|timers| {
            timers
                .known_due(TimerKind::WallClock)
                .unwrap_or(Some(Timestamp::MIN))
        });
        let punctuator = schedules.next(PunctuationType::WallClock).map(|(_, due)| due);
        punctuator.into_iter().chain(timer).min()
    }

    fn on_wall_clock(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.resume(context)?;
        let now = context.now_ms();
        let at = At {
            stream_time: context.stream_time(),
            timestamp: now,
            offset: NO_OFFSET,
        };
        self.act(PunctuationType::WallClock, now, at, context)?;
        self.hand_on(context);
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.expiries
            .iter_mut()
            .try_for_each(|expiry| expiry.expire(context))
    }

    fn on_abort(&mut self) {
        self.processor = None;
        self.shell.out.clear();
        self.shell.refused = None;
        self.shell.schedules = Schedules::default();
        if let Some(timers) = &mut self.shell.timers {
            timers.forget();
        }
        self.seen = None;
        self.last_offset = None;
        self.expiries.iter_mut().for_each(|expiry| expiry.on_abort());
    }
}

impl<P: RecordProcessor> Process<P> {
    /// Makes the processor and lets it begin.
    fn start(&mut self, node: &str) -> Result<(), ProcessError> {
        let mut processor = (self.settings.supplier)();
        let indices = &self.indices;
        let index_of = |name: &str| {
            let found = indices.iter().find(|(store, _)| store == name);
            found
                .map(|(_, index)| *index)
                .ok_or_else(|| ProcessError::Unknown {
                    node: node.to_owned(),
                    kind: "store",
                    name: name.to_owned(),
                })
        };
        if self.shell.timers.is_none() {
            self.shell.timers = timers_of::<P::KeyIn>(&self.settings.stores, &index_of)?;
        }
        let Some(task) = self.task else {
            return Ok(());
        };
        let mut init = ProcessorInit {
            node,
            task,
            application_id: &self.shell.application_id,
            stores: &self.settings.stores,
            index_of: &index_of,
            schedules: &mut self.shell.schedules,
        };
        processor
            .init(&mut init)
            .map_err(|cause| match cause.downcast::<ProcessError>() {
                Ok(error) => *error,
                Err(cause) => ProcessError::node(node, cause),
            })?;
        self.processor = Some(processor);
        Ok(())
    }

    /// Makes sure that there is a processor and that it is known where in time it stands.
    fn resume(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        if self.processor.is_none() {
            self.start(context.node())?;
        }
        if self.seen.is_none() {
            let before = context.time_track().before();
            self.seen = Some(before);
            self.shell
                .schedules
                .settle(PunctuationType::StreamTime, before, true);
            self.shell
                .schedules
                .settle(PunctuationType::WallClock, context.now_ms(), true);
        }
        Ok(())
    }

    fn seen(&self) -> Timestamp {
        self.seen.unwrap_or(NO_TIME)
    }

    /// Everything that is to happen before `row`.
    fn catch_up(
        &mut self,
        row: &Row<P::KeyIn, P::ValueIn>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        if row.offset == NO_OFFSET {
            // What time or a commit caused upstream: everything of an earlier time comes before.
            while let Some(time) = context.time_track().next_below(row.stream_time, self.seen()) {
                self.advance(time, context)?;
            }
            return Ok(());
        }
        if self.last_offset.is_some_and(|last| last < row.offset) {
            self.settle_last(context)?;
        }
        while let Some(time) = context.time_track().next_before(row.offset, self.seen()) {
            self.advance(time, context)?;
        }
        self.last_offset = Some(row.offset);
        Ok(())
    }

    /// The last record is through: what it made due is done, at the stream time after it.
    fn settle_last(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let Some(last) = self.last_offset.take() else {
            return Ok(());
        };
        while let Some(time) = context.time_track().next_before(last.next(), self.seen()) {
            self.advance(time, context)?;
        }
        self.advance(self.seen(), context)
    }

    /// Stream time is `time` now.
    fn advance(&mut self, time: Timestamp, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        self.seen = Some(time);
        if time == NO_TIME {
            return Ok(());
        }
        let at = At {
            stream_time: time,
            timestamp: time,
            offset: NO_OFFSET,
        };
        self.act(PunctuationType::StreamTime, time, at, context)
    }

    /// Calls the punctuators and fires the timers of that kind that are due, by due time; a punctuator before a timer.
    fn act(
        &mut self,
        kind: PunctuationType,
        now: Timestamp,
        at: At,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let timer_kind = match kind {
            PunctuationType::StreamTime => TimerKind::StreamTime,
            PunctuationType::WallClock => TimerKind::WallClock,
        };
        loop {
            self.shell.schedules.settle(kind, now, false);
            let punctuator = self.shell.schedules.next(kind).filter(|(_, due)| *due <= now);
            let timer = match &mut self.shell.timers {
                Some(timers) => timers.due(timer_kind, context)?.filter(|due| *due <= now),
                None => None,
            };
            match (punctuator, timer) {
                (Some((index, due)), timer) if timer.is_none_or(|timer| due <= timer) => {
                    self.punctuate(index, now, at, context)?;
                }
                (_, Some(_)) => self.fire(timer_kind, at, context)?,
                _ => break,
            }
        }
        self.shell.schedules.sweep();
        Ok(())
    }

    fn punctuate(
        &mut self,
        index: usize,
        now: Timestamp,
        at: At,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let Some(mut act) = self.shell.schedules.take(index, now) else {
            return Ok(());
        };
        let result = self.call(at, context, |processor, context| act(processor, now, context));
        self.shell.schedules.put_back(index, act);
        self.finish(result, at, context)
    }

    fn fire(
        &mut self,
        kind: TimerKind,
        at: At,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let Some(timers) = &mut self.shell.timers else {
            return Ok(());
        };
        let Some((time, key)) = timers.take(kind, context)? else {
            return Ok(());
        };
        let timer = Timer { key, time, kind };
        let result = self.call(at, context, |processor, context| {
            processor.on_timer(timer, context)
        });
        self.finish(result, at, context)
    }

    fn take_row(
        &mut self,
        row: Row<P::KeyIn, P::ValueIn>,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let at = At {
            stream_time: row.stream_time,
            timestamp: row.timestamp,
            offset: row.offset,
        };
        let record = Record {
            key: row.key,
            value: row.value,
            timestamp: row.timestamp,
            headers: row.headers,
        };
        let result = self.call(at, context, |processor, context| {
            processor.process(record, context)
        });
        self.finish(result, at, context)
    }

    /// Calls the user's code.
    fn call(
        &mut self,
        at: At,
        context: &mut ProcessContext<'_>,
        act: impl FnOnce(&mut P, &mut ProcessorContext<'_, P>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let Some(processor) = &mut self.processor else {
            return Ok(());
        };
        let result = act(
            processor,
            &mut ProcessorContext {
                inner: context.reborrow(),
                shell: &mut self.shell,
                at,
            },
        );
        self.shell
            .schedules
            .settle(PunctuationType::WallClock, context.now_ms(), false);
        result.and(self.shell.refused.take().map_or(Ok(()), Err))
    }

    /// An error of the user's code concerns the one record, and the policy decides; an error of the state concerns everything.
    fn finish(
        &mut self,
        result: Result<(), BoxError>,
        at: At,
        context: &mut ProcessContext<'_>,
    ) -> Result<(), ProcessError> {
        let Err(cause) = result else { return Ok(()) };
        let cause = match cause.downcast::<ProcessError>() {
            Ok(error) => match *error {
                ProcessError::Node { cause, .. } => cause,
                fatal => return Err(fatal),
            },
            Err(cause) => cause,
        };
        context.refuse(None, at.offset, at.timestamp, cause)
    }

    /// Forwards what was forwarded.
    fn hand_on(&mut self, context: &mut ProcessContext<'_>) {
        let one_by_one = context.is_record_at_a_time();
        for Group { child, rows } in self.shell.out.drain(..) {
            if one_by_one {
                rows.into_iter()
                    .for_each(|row| forward(child, vec![row], context));
            } else {
                forward(child, rows, context);
            }
        }
    }
}

fn forward<K: Data, V: Data>(child: Option<usize>, rows: Vec<Row<K, V>>, context: &mut ProcessContext<'_>) {
    match child {
        Some(child) => context.forward_to(child, batch_of(rows)),
        None => context.forward(batch_of(rows)),
    }
}

/// The timers among the stores, if their keys are the processor's.
fn timers_of<K: Data>(
    stores: &[(String, Arc<dyn StoreDefinition>)],
    index_of: &dyn Fn(&str) -> Result<StoreIndex, ProcessError>,
) -> Result<Option<TimerQueue<K>>, ProcessError> {
    for (name, store) in stores {
        if let Some(timers) = store.as_any().downcast_ref::<Timers<K>>() {
            return Ok(Some(timers.queue(index_of(name)?)));
        }
    }
    Ok(None)
}
