//! What the tests of GROUP BY drive: SQL planned into the operator, a topology around it, and a sink that adds up what leaves.
//!
//! Always true: after each commit `relation` is the sum of all output; no batch holds a row twice, or with weight 0.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use millpond_streams::state::MemoryHosts;
use millpond_streams::testing::TopologyTestDriver;

use super::super::calc::evaluate;
use super::test_topology::{Entries, decode, driver, encode};
use super::{GroupChangesPlan, Limits};
use crate::logical::AggregateCall;

/// Rows of text with the sum of their weights.
pub(super) type Relation = BTreeMap<Vec<String>, i64>;

/// A row of the table, NULL by column: k and n from small numbers, and for each of the others the number its value is made of.
pub(super) type Row = [Option<i64>; 8];

/// k VARCHAR, n INTEGER, i BIGINT, s VARCHAR, f DOUBLE, d DECIMAL, ts TIMESTAMP, b BOOLEAN.
pub(super) fn table_schema() -> SchemaRef {
    let field = |name: &str, kind| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        field("k", DataType::Utf8),
        field("n", DataType::Int32),
        field("i", DataType::Int64),
        field("s", DataType::Utf8),
        field("f", DataType::Float64),
        field("d", DataType::Decimal128(12, 2)),
        field("ts", DataType::Timestamp(TimeUnit::Microsecond, None)),
        field("b", DataType::Boolean),
    ]))
}

pub(super) fn table(rows: &[Row]) -> RecordBatch {
    let of = |column: usize| rows.iter().map(move |row| row[column]);
    let decimals: Decimal128Array = of(5).map(|v| v.map(i128::from)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(of(0).map(|v| v.map(|v| format!("k{v}"))).collect::<StringArray>()),
        Arc::new(of(1).map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
        Arc::new(of(2).collect::<Int64Array>()),
        Arc::new(of(3).map(|v| v.map(|v| format!("s{v}"))).collect::<StringArray>()),
        Arc::new(of(4).map(|v| v.map(|v| v as f64 / 4.0)).collect::<Float64Array>()),
        Arc::new(decimals.with_precision_and_scale(12, 2).unwrap()),
        Arc::new(of(6).collect::<TimestampMicrosecondArray>()),
        Arc::new(of(7).map(|v| v.map(|v| v % 2 == 0)).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(table_schema(), columns).unwrap()
}

/// A GROUP BY with what computes its input.
#[derive(Clone)]
pub(super) struct Query {
    pub(super) plan: GroupChangesPlan,
    inputs: Vec<Arc<dyn PhysicalExpr>>,
}

/// Plans the aggregation in `sql` over the table `t`, with the types DataFusion gives it.
pub(super) fn query(sql: &str, append_only: bool) -> Query {
    query_in(&context(table(&[])), sql, append_only)
}

pub(super) fn query_in(context: &SessionContext, sql: &str, append_only: bool) -> Query {
    let state = context.state();
    let logical = block_on(state.create_logical_plan(sql)).unwrap();
    let analyzed = state
        .analyzer()
        .execute_and_check(logical, state.config_options(), |_, _| {})
        .unwrap();
    let mut node = &analyzed;
    let aggregate = loop {
        match node {
            LogicalPlan::Aggregate(aggregate) => break aggregate,
            other => node = other.inputs()[0],
        }
    };
    let below = aggregate.input.schema();
    let mut exprs: Vec<Expr> = aggregate.group_expr.clone();
    let keys: Vec<usize> = (0..exprs.len()).collect();
    let mut column = |expr: &Expr| match exprs.iter().position(|known| known == expr) {
        Some(column) => column,
        None => {
            exprs.push(expr.clone());
            exprs.len() - 1
        }
    };
    let schema = Arc::new(aggregate.schema.as_arrow().clone());
    let calls = aggregate.aggr_expr.iter().enumerate().map(|(index, expr)| {
        let expr = expr.clone().unalias();
        let Expr::AggregateFunction(call) = &expr else {
            panic!("{expr}")
        };
        let params = &call.params;
        let counts_rows =
            call.func.name() == "count" && matches!(params.args.as_slice(), [Expr::Literal(..)]);
        let args: &[Expr] = if counts_rows { &[] } else { &params.args };
        AggregateCall {
            function: Arc::clone(&call.func),
            constants: args
                .iter()
                .map(|arg| match arg {
                    Expr::Literal(value, _) => Some(value.clone()),
                    _ => None,
                })
                .collect(),
            arguments: args.iter().map(&mut column).collect(),
            distinct: params.distinct,
            filter: params.filter.as_deref().map(&mut column),
            order: params
                .order_by
                .iter()
                .map(|sort| {
                    let options = SortOptions {
                        descending: !sort.asc,
                        nulls_first: sort.nulls_first,
                    };
                    (column(&sort.expr), options)
                })
                .collect(),
            ignore_nulls: params.null_treatment == Some(NullTreatment::IgnoreNulls),
            output_type: schema.field(keys.len() + index).data_type().clone(),
            text: expr.to_string(),
        }
    });
    let calls = calls.collect();
    let inputs: Vec<Arc<dyn PhysicalExpr>> = exprs
        .iter()
        .map(|expr| state.create_physical_expr(expr.clone(), below).unwrap())
        .collect();
    let fields: Vec<Field> = inputs
        .iter()
        .enumerate()
        .map(|(index, expr)| {
            Field::new(
                format!("c{index}"),
                expr.data_type(below.as_arrow()).unwrap(),
                true,
            )
        })
        .collect();
    Query {
        plan: GroupChangesPlan {
            keys,
            calls,
            append_only,
            input: Arc::new(Schema::new(fields)),
            schema,
            store: "groups".to_owned(),
            values_store: "values".to_owned(),
        },
        inputs,
    }
}

impl Query {
    fn input(&self, rows: &RecordBatch) -> RecordBatch {
        let columns = self
            .inputs
            .iter()
            .map(|expr| evaluate(expr.as_ref(), rows).unwrap());
        RecordBatch::try_new(self.plan.input.clone(), columns.collect()).unwrap()
    }
}

fn context(rows: RecordBatch) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
    context.register_table("t", Arc::new(table)).unwrap();
    context
}

/// What DataFusion makes of the query over rows with weights above 0.
pub(super) fn batch_result(sql: &str, rows: &BTreeMap<Row, i64>) -> Relation {
    let repeated: Vec<Row> = rows
        .iter()
        .flat_map(|(row, weight)| std::iter::repeat_n(*row, *weight as usize))
        .collect();
    let context = context(table(&repeated));
    let batches = block_on(async { context.sql(sql).await?.collect().await }).unwrap();
    let mut relation = Relation::new();
    batches.iter().for_each(|batch| add(&mut relation, batch, |_| 1));
    relation
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Adds the rows of a batch to a relation; floats to nine digits, because DataFusion adds them up in another order.
pub(super) fn add(relation: &mut Relation, batch: &RecordBatch, weight: impl Fn(usize) -> i64) {
    for row in 0..batch.num_rows() {
        let text = batch.columns().iter().map(|column| {
            if column.is_null(row) {
                "NULL".to_owned()
            } else if column.data_type() == &DataType::Float64 {
                let value = column.as_primitive::<Float64Type>().value(row);
                if value.abs() < 1e-9 {
                    "0".to_owned()
                } else {
                    format!("{value:.9e}")
                }
            } else {
                array_value_to_string(column, row).unwrap()
            }
        });
        let text: Vec<String> = text.collect();
        let sum = relation.entry(text.clone()).or_default();
        *sum += weight(row);
        if *sum == 0 {
            relation.remove(&text);
        }
    }
}

/// The operator in a topology.
pub(super) struct World {
    query: Query,
    entries: Entries,
    limits: Limits,
    hosts: Arc<MemoryHosts>,
    pub(super) driver: Option<TopologyTestDriver>,
    /// Sent since the last commit.
    open: Vec<(RecordBatch, Vec<i64>)>,
    seen: usize,
    pub(super) relation: Relation,
}

pub(super) const NO_LIMITS: Limits = Limits {
    groups: usize::MAX,
    values: usize::MAX,
    chunk: 8192,
};

impl World {
    pub(super) fn new(query: Query, limits: Limits) -> World {
        let (hosts, entries) = (Arc::new(MemoryHosts::new()), Entries::default());
        World {
            driver: Some(driver(&query.plan, limits, hosts.clone(), &entries)),
            entries,
            query,
            limits,
            hosts,
            open: Vec::new(),
            seen: 0,
            relation: Relation::new(),
        }
    }

    /// Sends rows of the table.
    pub(super) fn send(&mut self, rows: &[(Row, i64)]) {
        let plain: Vec<Row> = rows.iter().map(|(row, _)| *row).collect();
        self.send_batch(&table(&plain), rows.iter().map(|(_, weight)| *weight).collect());
    }

    pub(super) fn send_batch(&mut self, rows: &RecordBatch, weights: Vec<i64>) {
        self.try_send(rows, weights.clone()).unwrap();
        self.open.push((rows.clone(), weights));
    }

    pub(super) fn try_send(&mut self, rows: &RecordBatch, weights: Vec<i64>) -> Result<(), String> {
        let bytes = encode(&self.query.input(rows), weights.into());
        let driver = self.driver.as_mut().unwrap();
        driver
            .pipe_raw("in", None, Some(&bytes), 0)
            .map_err(|e| chain(&e))?;
        Ok(())
    }

    pub(super) fn commit(&mut self) {
        let driver = self.driver.as_mut().unwrap();
        driver.commit().unwrap();
        self.open.clear();
        let records = driver.raw_records("out");
        for record in &records[self.seen..] {
            let (batch, weights) = decode(record.value.as_deref().unwrap());
            assert!(weights.values().iter().all(|weight| *weight != 0));
            add(&mut self.relation, &batch, |row| weights.value(row));
        }
        self.seen = records.len();
    }

    /// Output rows so far, added and taken back.
    pub(super) fn rows_that_left(&self) -> usize {
        let records = self.driver.as_ref().unwrap().raw_records("out");
        let rows = records
            .iter()
            .map(|r| decode(r.value.as_deref().unwrap()).0.num_rows());
        rows.sum()
    }

    /// The open transaction is lost; what was sent in it is read again.
    pub(super) fn abort(&mut self) {
        self.driver.as_mut().unwrap().abort().unwrap();
    }

    /// The process ends without a commit, and another one begins.
    pub(super) fn restart(&mut self) {
        self.driver = None;
        self.driver = Some(driver(
            &self.query.plan,
            self.limits,
            self.hosts.clone(),
            &self.entries,
        ));
        self.seen = 0;
        for (rows, weights) in std::mem::take(&mut self.open) {
            self.send_batch(&rows, weights);
        }
    }

    /// The entries of a store at the last commit.
    pub(super) fn entries(&self, store: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.entries.lock()[store].clone()
    }

    /// (key, reason) of the dead letters.
    pub(super) fn dead_letters(&self) -> Vec<(String, String)> {
        let letters = self.driver.as_ref().unwrap().dead_letters();
        let letters = letters.iter().map(|letter| {
            let key = String::from_utf8(letter.key.as_deref().unwrap().to_vec()).unwrap();
            let mut headers = letter.headers.iter();
            let reason = headers.find(|header| header.key.ends_with(b"message")).unwrap();
            (
                key,
                String::from_utf8(reason.value.as_deref().unwrap().to_vec()).unwrap(),
            )
        });
        letters.collect()
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        None => error.to_string(),
        Some(source) => format!("{error}: {}", chain(source)),
    }
}
