//! The operator in a topology in memory: records to batches, the operator, batches to records, and a look at the stores.
//!
//! Always true: one record is one batch, so a test decides how its input is cut.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use millpond_log::types::PartitionId;
use millpond_streams::processor::{
    Batch, Headers, InitContext, OutputIndex, ProcessContext, ProcessError, Processor, ProcessorSupplier,
    SinkRecord,
};
use millpond_streams::state::{KeyRange, MemoryHosts, StateLimits, StoreIndex};
use millpond_streams::testing::{DriverOptions, TopologyTestDriver};
use millpond_streams::topology::{SinkOptions, SourceOptions, StoreSpec, Topology, TopologyBuilder};
use parking_lot::Mutex;

use super::super::exchange::{decode_exchange, encode_exchange};
use super::{
    ColumnBatch, GroupChanges, GroupChangesPlan, Limits, group_changes_layout, group_changes_stores,
};

/// Keys and values by store.
pub(super) type Entries = Arc<Mutex<BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>>>;

pub(super) fn driver(
    plan: &GroupChangesPlan,
    limits: Limits,
    hosts: Arc<MemoryHosts>,
    entries: &Entries,
) -> TopologyTestDriver {
    let options = DriverOptions {
        auto_commit: false,
        hosts,
        state_dir: PathBuf::from("groups"),
        // Committed state goes to the host at once, so a restart finds it.
        limits: StateLimits {
            memory_bytes_max: 0,
            ..StateLimits::default()
        },
        ..DriverOptions::default()
    };
    TopologyTestDriver::with_options(&topology(plan, limits, entries), options).unwrap()
}

fn topology(plan: &GroupChangesPlan, limits: Limits, entries: &Entries) -> Topology {
    let mut builder = TopologyBuilder::new();
    let source = builder.add_source("in", &["in"], SourceOptions::default());
    let decode: ProcessorSupplier = Arc::new(|| Box::new(Decode));
    let rows = builder.add_processor("rows", decode, &[source], &[]);
    let layout = group_changes_layout(plan).unwrap();
    let stores = group_changes_stores(plan).unwrap();
    for store in &stores {
        builder.add_store(StoreSpec::key_value(*store).with_schema(&layout));
    }
    let made = plan.clone();
    let make: ProcessorSupplier =
        Arc::new(move || Box::new(GroupChanges::with_limits(made.clone(), limits).unwrap()));
    let groups = builder.add_processor("groups", make, &[rows], &stores);
    let names: Vec<String> = stores.iter().map(|store| (*store).to_owned()).collect();
    let entries = entries.clone();
    let probe: ProcessorSupplier = Arc::new(move || {
        Box::new(Probe {
            stores: names.iter().map(|name| (name.clone(), None)).collect(),
            entries: entries.clone(),
        })
    });
    builder.add_processor("probe", probe, &[groups], &stores);
    let encoder: ProcessorSupplier = Arc::new(|| Box::new(Encode(None)));
    let options = SinkOptions {
        encoder: Some(encoder),
    };
    builder.add_sink("out", "out", options, &[groups]);
    builder.build().unwrap()
}

pub(super) fn encode(batch: &RecordBatch, weights: Int64Array) -> Vec<u8> {
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("weight", DataType::Int64, false)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(weights));
    encode_exchange(&RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()).unwrap()
}

pub(super) fn decode(bytes: &[u8]) -> (RecordBatch, Int64Array) {
    let batch = decode_exchange(bytes).unwrap();
    let last = batch.num_columns() - 1;
    let weights = cast(batch.column(last), &DataType::Int64).unwrap();
    let rest: Vec<usize> = (0..last).collect();
    (
        batch.project(&rest).unwrap(),
        weights.as_primitive::<Int64Type>().clone(),
    )
}

/// Records to batches, one each.
struct Decode;

impl Processor for Decode {
    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let Batch::Raw(raw) = batch else {
            panic!("expected records")
        };
        for record in raw.records() {
            let (rows, weights) = decode(record?.record.value.unwrap());
            context.forward(Batch::Columns(Box::new(ColumnBatch::weighted(rows, weights))));
        }
        Ok(())
    }
}

/// Batches to records, one each.
struct Encode(Option<OutputIndex>);

impl Processor for Encode {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        self.0 = Some(context.output("out")?);
        Ok(())
    }

    fn process(&mut self, batch: Batch, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        let rows = batch.into_columns::<ColumnBatch>().expect("columns");
        let value = encode(&rows.batch, rows.weights.expect("weights"));
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

/// Looks at the stores when all is written.
struct Probe {
    stores: Vec<(String, Option<StoreIndex>)>,
    entries: Entries,
}

impl Processor for Probe {
    fn init(&mut self, context: &mut InitContext<'_>) -> Result<(), ProcessError> {
        for (name, index) in &mut self.stores {
            *index = Some(context.store_index(name)?);
        }
        Ok(())
    }

    fn process(&mut self, _batch: Batch, _context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        Ok(())
    }

    fn on_commit(&mut self, context: &mut ProcessContext<'_>) -> Result<(), ProcessError> {
        for (name, index) in &self.stores {
            let mut store = context.store(index.unwrap());
            let scan = store.scan(&KeyRange::all()).unwrap();
            let entries = scan.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap());
            self.entries.lock().insert(name.clone(), entries.collect());
        }
        Ok(())
    }
}
