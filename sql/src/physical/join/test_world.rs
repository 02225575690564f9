//! What the tests of joins drive: a topology of a source of changes for both sides, the operator and a sink that adds up what leaves.
//!
//! Always true: after each commit `relation` is the sum of all output; no batch is longer than allowed, holds a row twice, or with weight 0.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::common::JoinType;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, lit};
use millpond_log::types::PartitionId;
use millpond_streams::processor::{OutputIndex, SinkRecord};
use millpond_streams::state::{KeyRange, MemoryHosts, StateLimits};
use millpond_streams::testing::{DriverOptions, TopologyTestDriver};
use millpond_streams::topology::{SinkOptions, SourceOptions, StoreSpec, Topology, TopologyBuilder};
use parking_lot::Mutex;

use super::super::exchange::{decode_exchange, encode_exchange};
use super::*;
use crate::logical::JoinFilter;

/// a, b and v.
pub(super) type Row = (Option<i64>, Option<u8>, Option<i64>);

/// Rows of text with the sum of their weights.
pub(super) type Relation = BTreeMap<Vec<String>, i64>;

/// a BIGINT, b VARCHAR, v BIGINT.
pub(super) fn side_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
        Field::new("v", DataType::Int64, true),
    ]))
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let letter = |b: Option<u8>| b.map(|b| char::from(b'a' + b).to_string());
    let a: Int64Array = rows.iter().map(|row| row.0).collect();
    let b: StringArray = rows.iter().map(|row| letter(row.1)).collect();
    let v: Int64Array = rows.iter().map(|row| row.2).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(a), Arc::new(b), Arc::new(v)];
    RecordBatch::try_new(side_schema(), columns).unwrap()
}

/// A condition over v of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    None,
    Less,
    SumOver,
    Never,
    Quotient,
}

impl Condition {
    pub(super) fn text(self) -> Option<&'static str> {
        match self {
            Condition::None => None,
            Condition::Less => Some("l.v < r.v"),
            Condition::SumOver => Some("l.v + r.v > 3"),
            Condition::Never => Some("false"),
            Condition::Quotient => Some("4 / (l.v - r.v) > 1"),
        }
    }

    fn filter(self) -> Option<JoinFilter> {
        let column = |index| Arc::new(Column::new("v", index)) as Arc<dyn PhysicalExpr>;
        let of = |a, op, b| Arc::new(BinaryExpr::new(a, op, b)) as Arc<dyn PhysicalExpr>;
        let (l, r) = (column(2), column(5));
        let predicate = match self {
            Condition::None => return None,
            Condition::Less => of(l, Operator::Lt, r),
            Condition::SumOver => of(of(l, Operator::Plus, r), Operator::Gt, lit(3i64)),
            Condition::Never => lit(false),
            Condition::Quotient => of(
                of(lit(4i64), Operator::Divide, of(l, Operator::Minus, r)),
                Operator::Gt,
                lit(1i64),
            ),
        };
        Some(JoinFilter {
            predicate,
            text: self.text()?.to_owned(),
        })
    }
}

pub(super) fn plan(kind: JoinType, keys: &[usize], null_equals_null: bool, condition: Condition) -> JoinPlan {
    let side = || side_schema().fields().to_vec();
    let fields: Vec<Arc<Field>> = match kind {
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::RightSemi | JoinType::RightAnti => side(),
        JoinType::LeftMark | JoinType::RightMark => {
            let mut fields = side();
            fields.push(Arc::new(Field::new("mark", DataType::Boolean, false)));
            fields
        }
        _ => [side(), side()].concat(),
    };
    JoinPlan {
        kind,
        keys: keys.iter().map(|key| (*key, *key)).collect(),
        null_equals_null,
        filter: condition.filter(),
        left: side_schema(),
        right: side_schema(),
        schema: Arc::new(Schema::new(fields)),
        stores: ["left".to_owned(), "right".to_owned()],
    }
}

/// Adds the rows of a batch to a relation.
pub(super) fn sum_up(relation: &mut Relation, batch: &RecordBatch, weight: impl Fn(usize) -> i64) {
    for row in 0..batch.num_rows() {
        let text = batch.columns().iter().map(|column| match column.is_null(row) {
            true => "NULL".to_owned(),
            false => array_value_to_string(column, row).unwrap(),
        });
        let text: Vec<String> = text.collect();
        let sum = relation.entry(text.clone()).or_default();
        *sum += weight(row);
        if *sum == 0 {
            relation.remove(&text);
        }
    }
}

/// A join in a topology.
pub(super) struct World {
    plan: JoinPlan,
    limits: Limits,
    hosts: Arc<MemoryHosts>,
    driver: Option<TopologyTestDriver>,
    /// Sent since the last commit.
    open: Vec<(usize, Vec<(Row, i64)>)>,
    seen: usize,
    stored: Stored,
    pub(super) relation: Relation,
}

/// Keys and values as bytes.
pub(super) type Entries = Vec<(Vec<u8>, Vec<u8>)>;

type Stored = Arc<Mutex<[Entries; 2]>>;

impl World {
    pub(super) fn new(plan: JoinPlan, limits: Limits) -> World {
        let hosts = Arc::new(MemoryHosts::new());
        let stored = Stored::default();
        World {
            driver: Some(driver(&plan, limits, hosts.clone(), stored.clone())),
            stored,
            plan,
            limits,
            hosts,
            open: Vec::new(),
            seen: 0,
            relation: Relation::new(),
        }
    }

    pub(super) fn driver(&mut self) -> &mut TopologyTestDriver {
        self.driver.as_mut().unwrap()
    }

    /// Sends one batch to a side.
    pub(super) fn send(&mut self, port: usize, rows: &[(Row, i64)]) {
        self.open.push((port, rows.to_vec()));
        let plain: Vec<Row> = rows.iter().map(|(row, _)| *row).collect();
        let weights = Int64Array::from_iter_values(rows.iter().map(|(_, weight)| *weight));
        let bytes = encode(&batch(&plain), &weights);
        self.driver()
            .pipe_raw("in", Some(&[port as u8]), Some(&bytes), 0)
            .unwrap();
    }

    pub(super) fn commit(&mut self) {
        self.driver().commit().unwrap();
        self.open.clear();
        let records = self.driver().raw_records("out");
        for record in &records[self.seen..] {
            let (batch, weights) = decode(record.value.as_deref().unwrap());
            assert!(batch.num_rows() <= self.limits.chunk);
            assert!(weights.values().iter().all(|weight| *weight != 0));
            let mut once = Relation::new();
            sum_up(&mut once, &batch, |_| 1);
            assert_eq!(once.len(), batch.num_rows(), "a batch holds a row twice");
            sum_up(&mut self.relation, &batch, |row| weights.value(row));
        }
        self.seen = records.len();
    }

    /// What left, in order, as text.
    pub(super) fn left_so_far(&mut self) -> Vec<(Vec<String>, i64)> {
        let mut rows = Vec::new();
        for record in self.driver().raw_records("out") {
            let (batch, weights) = decode(record.value.as_deref().unwrap());
            for row in 0..batch.num_rows() {
                let mut one = Relation::new();
                sum_up(&mut one, &batch.slice(row, 1), |_| weights.value(row));
                rows.extend(one);
            }
        }
        rows
    }

    /// The open transaction is lost; what was sent in it comes again.
    pub(super) fn abort(&mut self) {
        self.driver().abort().unwrap();
    }

    /// The process ends without a commit, and another one begins.
    pub(super) fn restart(&mut self) {
        self.driver = None;
        self.driver = Some(driver(
            &self.plan,
            self.limits,
            self.hosts.clone(),
            self.stored.clone(),
        ));
        self.seen = 0;
        for (port, rows) in std::mem::take(&mut self.open) {
            self.send(port, &rows);
        }
    }

    /// The stored entries of a side as of the last commit.
    pub(super) fn stored(&self, port: usize) -> Entries {
        self.stored.lock()[port].clone()
    }
}

fn driver(plan: &JoinPlan, limits: Limits, hosts: Arc<MemoryHosts>, stored: Stored) -> TopologyTestDriver {
    let options = DriverOptions {
        auto_commit: false,
        hosts,
        state_dir: PathBuf::from("join"),
        // Committed state goes to the host at once, so a restart finds it.
        limits: StateLimits {
            memory_bytes_max: 0,
            ..StateLimits::default()
        },
        ..DriverOptions::default()
    };
    TopologyTestDriver::with_options(&topology(plan, limits, stored), options).unwrap()
}

fn topology(plan: &JoinPlan, limits: Limits, stored: Stored) -> Topology {
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source("in", &["in"], SourceOptions::default());
    let decode: fn() -> Box<dyn Processor> = || Box::new(Decode);
    let rows = builder.add_processor("rows", Arc::new(decode), &[source], &[]);
    for (store, layout) in plan.stores.iter().zip(join_layouts(plan).unwrap()) {
        builder.add_store(StoreSpec::key_value(store).with_schema(layout));
    }
    let (stores, plan) = (plan.stores.clone(), plan.clone());
    let join = builder.add_processor(
        "join",
        Arc::new(move || {
            Box::new(Watched {
                join: Join::with_limits(&plan, limits).unwrap(),
                stored: stored.clone(),
            }) as Box<dyn Processor>
        }),
        &[rows],
        &[stores[0].as_str(), stores[1].as_str()],
    );
    let encoder: millpond_streams::processor::ProcessorSupplier = Arc::new(|| Box::new(Encode(None)));
    builder.add_sink(
        "out",
        "out",
        SinkOptions {
            encoder: Some(encoder),
        },
        &[join],
    );
    builder.build().unwrap()
}

fn encode(batch: &RecordBatch, weights: &Int64Array) -> Vec<u8> {
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("weight", DataType::Int64, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(weights.clone()));
    encode_exchange(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()).unwrap()
}

fn decode(bytes: &[u8]) -> (RecordBatch, Int64Array) {
    let batch = decode_exchange(bytes).unwrap();
    let last = batch.num_columns() - 1;
    let weights = batch.column(last).as_primitive::<Int64Type>().clone();
    let rest: Vec<usize> = (0..last).collect();
    (batch.project(&rest).unwrap(), weights)
}

/// A join whose stores are looked into at each commit.
struct Watched {
    join: Join,
    stored: Stored,
}

impl Processor for Watched {
    fn init(&mut self, context: &mut InitContext<'_>) -> std::result::Result<(), ProcessError> {
        self.join.init(context)
    }

    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        self.join.process(batch, context)
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> std::result::Result<(), ProcessError> {
        self.join.on_commit(context)?;
        for (side, stored) in self.join.sides.iter().zip(self.stored.lock().iter_mut()) {
            let mut store = context.store(side.store().unwrap());
            let entries = store.scan(&KeyRange::all())?;
            *stored = entries
                .map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect::<std::result::Result<_, _>>()?;
        }
        Ok(())
    }

    fn on_abort(&mut self) {
        self.join.on_abort();
    }
}

/// Records to batches, one each; the key says for which side.
struct Decode;

impl Processor for Decode {
    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let Batch::Raw(raw) = batch else {
            panic!("expected records")
        };
        for record in raw.records() {
            let record = record?.record;
            let (rows, weights) = decode(record.value.unwrap());
            context.forward(Batch::Columns(Box::new(ColumnBatch {
                port: record.key.unwrap()[0] as usize,
                ..ColumnBatch::weighted(rows, weights)
            })));
        }
        Ok(())
    }
}

/// Batches to records, one each.
struct Encode(Option<OutputIndex>);

impl Processor for Encode {
    fn init(&mut self, context: &mut InitContext<'_>) -> std::result::Result<(), ProcessError> {
        self.0 = Some(context.output("out")?);
        Ok(())
    }

    fn process(
        &mut self,
        batch: Batch,
        context: &mut ProcessContext<'_>,
    ) -> std::result::Result<(), ProcessError> {
        let rows = batch.into_columns::<ColumnBatch>().expect("columns");
        let weights: Int64Array = (0..rows.batch.num_rows())
            .map(|row| Some(rows.weight(row)))
            .collect();
        let value = encode(&rows.batch, &weights);
        context.send(&SinkRecord {
            topic: self.0.unwrap(),
            partition: Some(PartitionId::new(0)),
            key: None,
            value: Some(&value),
            timestamp: 0,
            headers: &Headers::NONE,
        });
        Ok(())
    }
}
