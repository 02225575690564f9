//! Cogrouped streams (KIP-150): several grouped streams of the same key, each with its own aggregator, folded into one table.

use std::any::Any;
use std::sync::Arc;

use super::aggregate_plan::AggregatePlan;
use super::builder::GraphRef;
use super::cogroup_windowed::{
    CogroupWindows, SessionWindowedCogroupedKStream, TimeWindowedCogroupedKStream,
};
use super::grouped::aggregating;
use super::operators::own_time::Inputs;
use super::row::Row;
use super::{KGroupedStream, KTable, Materialized};
use crate::processor::{BoxError, ProcessContext};
use crate::serde::{Data, DefaultSerde, Serde, SerdeError, SerdeRef};
use crate::topology::{NodeId, TopologyError};

/// The values of one batch of one input, with the aggregator they are for.
trait CogroupedBatch<K, A>: Send + Sync {
    fn add(&self, place: usize, key: &K, so_far: A) -> Option<A>;
    fn value(&self, place: usize) -> &dyn Any;
    /// Number of the input among those of the cogroup.
    fn input(&self) -> usize;
}

struct InputBatch<V, F> {
    input: usize,
    values: Vec<V>,
    add: Arc<F>,
}

impl<K, V: Data, A, F> CogroupedBatch<K, A> for InputBatch<V, F>
where
    F: Fn(&K, &V, A) -> Option<A> + Send + Sync,
{
    fn add(&self, place: usize, key: &K, so_far: A) -> Option<A> {
        (self.add)(key, &self.values[place], so_far)
    }

    fn value(&self, place: usize) -> &dyn Any {
        &self.values[place]
    }

    fn input(&self) -> usize {
        self.input
    }
}

/// A value of any of the cogrouped streams. Met only among late records.
pub struct CogroupedValue<K, A> {
    batch: Arc<dyn CogroupedBatch<K, A>>,
    place: u32,
}

impl<K, A> Clone for CogroupedValue<K, A> {
    fn clone(&self) -> Self {
        CogroupedValue {
            batch: self.batch.clone(),
            place: self.place,
        }
    }
}

impl<K, A> CogroupedValue<K, A> {
    /// The value, if it came from a stream of this type.
    pub fn get<V: 'static>(&self) -> Option<&V> {
        self.batch.value(self.place as usize).downcast_ref()
    }

    pub(super) fn add_to(&self, key: &K, so_far: A) -> Option<A> {
        self.batch.add(self.place as usize, key, so_far)
    }
}

/// These values never leave the task they were read in.
struct NoSerde;

impl<K: 'static, A: 'static> Serde<CogroupedValue<K, A>> for NoSerde {
    fn serialize(&self, _: &CogroupedValue<K, A>, _: &mut Vec<u8>) -> Result<(), SerdeError> {
        Err(never())
    }

    fn deserialize(&self, _: &[u8]) -> Result<CogroupedValue<K, A>, SerdeError> {
        Err(never())
    }
}

fn never() -> SerdeError {
    SerdeError::Format {
        format: "cogrouped value",
        cause: "it has no bytes; take the value out with get".to_owned(),
    }
}

/// Adds the node that prepares an input for the aggregation of this name. The flag: null values are skipped.
type AddInput = Arc<dyn Fn(&str, bool) -> NodeId + Send + Sync>;

struct Input {
    add: AddInput,
    graph: GraphRef,
    /// It needs a repartition topic and has no name for it.
    needs_name: bool,
}

/// Several grouped streams with an aggregator each, ready to be folded into one table.
///
/// ```
/// # use millpond_streams::dsl::StreamsBuilder;
/// # use millpond_streams::testing::TopologyTestDriver;
/// let builder = StreamsBuilder::new();
/// let bought = builder.stream::<String, i64>("bought").group_by_key();
/// let returned = builder.stream::<String, String>("returned").group_by_key();
/// bought
///     .cogroup(|_, cents, sum: i64| sum + cents)
///     .cogroup(&returned, |_, reason, sum: i64| if reason == "broken" { sum - 100 } else { sum })
///     .aggregate("spent", || 0_i64)
///     .updates()
///     .to("spent");
/// let mut driver = TopologyTestDriver::new(&builder.build()?)?;
/// let (bought, returned) = (driver.input::<String, i64>("bought"), driver.input::<String, String>("returned"));
/// driver.pipe(&bought, "ann".to_owned(), 250, 0)?;
/// driver.pipe(&returned, "ann".to_owned(), "broken".to_owned(), 1)?;
/// let spent = driver.output::<String, i64>("spent");
/// assert_eq!(driver.read_values(&spent)?, [250, 150]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CogroupedKStream<K, A> {
    graph: GraphRef,
    key: SerdeRef<K>,
    inputs: Vec<Arc<Input>>,
    types: std::marker::PhantomData<fn() -> A>,
}

impl<K, A> Clone for CogroupedKStream<K, A> {
    fn clone(&self) -> Self {
        CogroupedKStream {
            graph: self.graph.clone(),
            key: self.key.clone(),
            inputs: self.inputs.clone(),
            types: std::marker::PhantomData,
        }
    }
}

impl<K: Data, V: Data> KGroupedStream<K, V> {
    /// Begins a cogroup with this stream: others of the same key are added with [`CogroupedKStream::cogroup`], and all are folded into one aggregate.
    pub fn cogroup<A: Data, R: Into<Option<A>>>(
        &self,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
    ) -> CogroupedKStream<K, A> {
        let empty = CogroupedKStream {
            graph: self.graph().clone(),
            key: self.serdes().0,
            inputs: Vec::new(),
            types: std::marker::PhantomData,
        };
        empty.cogroup(self, add)
    }
}

impl<K: Data, A: Data> CogroupedKStream<K, A> {
    /// Adds a stream with its aggregator. Returning `None` deletes the entry.
    #[must_use]
    pub fn cogroup<V: Data, R: Into<Option<A>>>(
        mut self,
        grouped: &KGroupedStream<K, V>,
        add: impl Fn(&K, &V, A) -> R + Send + Sync + 'static,
    ) -> Self {
        let add = Arc::new(move |key: &K, value: &V, so_far: A| add(key, value, so_far).into());
        let stream = grouped.clone();
        let input = self.inputs.len();
        let add_input = move |name: &str, skips_null_values: bool| {
            let (add, serde) = (add.clone(), stream.serdes().1);
            let partitioned = stream.partitioned(name);
            let prepare = move |mut rows: Vec<Row<K, V>>, context: &mut ProcessContext<'_>| {
                if skips_null_values {
                    let all = rows.len();
                    rows.retain(|row| !serde.is_null(&row.value));
                    context.skipped((all - rows.len()) as u64);
                }
                let mut values = Vec::with_capacity(rows.len());
                let mut rest = Vec::with_capacity(rows.len());
                for row in rows {
                    let (key, value, row) = row.into_parts();
                    values.push(value);
                    rest.push(row.with(key, ()));
                }
                let batch: Arc<dyn CogroupedBatch<K, A>> = Arc::new(InputBatch {
                    input,
                    values,
                    add: add.clone(),
                });
                let rows = rest.into_iter().enumerate().map(|(place, row)| {
                    row.with_value(|()| CogroupedValue {
                        batch: batch.clone(),
                        place: place as u32,
                    })
                });
                Ok(rows.collect())
            };
            partitioned.add("COGROUPKSTREAM-INPUT", false, prepare).node
        };
        self.inputs.push(Arc::new(Input {
            add: Arc::new(add_input),
            graph: grouped.graph().clone(),
            needs_name: grouped.names_repartition(),
        }));
        self
    }

    /// Folds all streams into one aggregate per key. Null keys and values are left out.
    pub fn aggregate(&self, name: &str, initial: impl Fn() -> A + Send + Sync + 'static) -> KTable<K, A>
    where
        A: DefaultSerde,
    {
        self.aggregate_with(name, initial, Materialized::default())
    }

    /// As `aggregate`, stored as told.
    pub fn aggregate_with(
        &self,
        name: &str,
        initial: impl Fn() -> A + Send + Sync + 'static,
        materialized: Materialized<A>,
    ) -> KTable<K, A> {
        let plan = self.plan(name, true, &materialized);
        plan.add_unwindowed(false, folding(initial))
    }

    /// Groups by key and window: [`TimeWindows`](super::TimeWindows), [`SlidingWindows`](super::SlidingWindows),
    /// [`UnlimitedWindows`](super::UnlimitedWindows) or [`SessionWindows`](super::SessionWindows). What is late is judged by the records of each stream by themselves;
    /// by those of all together where results are told when windows close or in intervals.
    pub fn windowed_by<W: CogroupWindows<K, A>>(&self, windows: W) -> W::Windowed {
        windows.windowed(self)
    }

    /// What windows need to add an aggregation of this name.
    pub(super) fn plan<'a>(
        &'a self,
        name: &'a str,
        skips_null_values: bool,
        materialized: &'a Materialized<A>,
    ) -> AggregatePlan<'a, K, CogroupedValue<K, A>, A> {
        let parents = self.add_inputs(name, skips_null_values);
        let serdes = (self.key.clone(), Arc::new(NoSerde) as SerdeRef<_>);
        let plan = AggregatePlan::new(&self.graph, parents, name, serdes, materialized);
        let inputs = Inputs {
            count: self.inputs.len(),
            of: |value: &CogroupedValue<K, A>| value.batch.input(),
        };
        AggregatePlan { inputs, ..plan }
    }

    fn add_inputs(&self, name: &str, skips_null_values: bool) -> Vec<NodeId> {
        let same = |input: &&Arc<Input>| Arc::ptr_eq(&input.graph, &self.graph);
        let unnamed = self.inputs.iter().filter(|input| input.needs_name).count();
        let reason = if self.inputs.iter().filter(same).count() < self.inputs.len() {
            Some("the cogrouped streams belong to different builders")
        } else if unnamed > 1 {
            Some("several cogrouped streams need a repartition topic; name them with Grouped::named")
        } else {
            None
        };
        if let Some(reason) = reason {
            self.graph.lock().topology.report(TopologyError::InvalidOperator {
                node: name.to_owned(),
                reason: reason.to_owned(),
            });
        }
        let nodes: Vec<NodeId> = self
            .inputs
            .iter()
            .filter(same)
            .map(|input| (input.add)(name, skips_null_values))
            .collect();
        self.graph.lock().topology.copartition(&nodes);
        nodes
    }
}

/// Adds a value to the aggregate by the aggregator of its stream.
pub(super) fn folding<K: 'static, A: Data>(
    initial: impl Fn() -> A + Send + Sync + 'static,
) -> impl Fn(&K, &CogroupedValue<K, A>, &mut Option<A>) -> Result<(), BoxError> + Send + Sync + 'static {
    aggregating(initial, |key: &K, value: &CogroupedValue<K, A>, so_far: A| {
        value.add_to(key, so_far)
    })
}

impl<K: Data, A: Data> CogroupWindows<K, A> for super::SessionWindows {
    type Windowed = SessionWindowedCogroupedKStream<K, A>;

    fn windowed(self, cogrouped: &CogroupedKStream<K, A>) -> Self::Windowed {
        SessionWindowedCogroupedKStream::new(cogrouped.clone(), self)
    }
}

macro_rules! by_time {
    ($($windows:ty),*) => {$(
        impl<K: Data, A: Data> CogroupWindows<K, A> for $windows {
            type Windowed = TimeWindowedCogroupedKStream<K, A, $windows>;

            fn windowed(self, cogrouped: &CogroupedKStream<K, A>) -> Self::Windowed {
                TimeWindowedCogroupedKStream::new(cogrouped.clone(), self)
            }
        }
    )*};
}

by_time!(super::TimeWindows, super::SlidingWindows, super::UnlimitedWindows);
