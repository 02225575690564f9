//! The catalogue as the tables a query may name.

use std::sync::Arc;

use millpond_log::broker::Broker;

use super::state::State;
use crate::catalog::{Entry, TopicTable};
use crate::error::Result;
use crate::parser;
use crate::planner::{CatalogTable, Planner, RowSource, TableOrigin, Tables};
use crate::runtime::ViewJob;
use crate::serving::{TopicRows, ViewRows, WhenRunning};

/// Every stream and view, with its rows.
pub(super) fn tables(broker: &Broker, planner: &Planner, state: &State) -> Result<Tables> {
    let mut tables = Tables::default();
    for entry in state.catalog.in_order() {
        match entry {
            Entry::Stream(stream) => tables.add(topic_table(broker, stream.topic_table())),
            Entry::View(view) => {
                let query = parser::parse_query(&view.query)?;
                let plan = planner.logical_plan(&query, &tables)?;
                tables.add_view(&view.name, plan);
            }
            Entry::MaterializedView(definition) => {
                // A view that is not started yet (while opening) cannot be read by those before it.
                let Some(job) = state.jobs.get(&definition.name) else {
                    continue;
                };
                tables.add(view_table(broker, job));
            }
        }
    }
    Ok(tables)
}

/// The same with the topics of changes instead of the groups: what `EMIT CHANGES` reads.
pub(super) fn change_tables(broker: &Broker, planner: &Planner, state: &State) -> Result<Tables> {
    let mut tables = tables(broker, planner, state)?;
    for job in state.jobs.values() {
        tables.add(topic_table(broker, job.view.changes_table()));
    }
    Ok(tables)
}

/// The rows of a view, for those who wait until its job runs.
fn view_table(broker: &Broker, job: &Arc<ViewJob>) -> CatalogTable {
    let name = &job.view.definition.name;
    let (origin, rows): (_, Arc<dyn RowSource>) = match job.view.topic_table() {
        Some(table) => (
            TableOrigin::Topic(table.clone()),
            Arc::new(TopicRows::new(broker.clone(), table)),
        ),
        None => (
            TableOrigin::Groups { view: name.clone() },
            Arc::new(ViewRows::new(Arc::clone(job))),
        ),
    };
    CatalogTable {
        name: name.clone(),
        origin,
        schema: job.view.plan.schema.clone(),
        rows: Some(Arc::new(WhenRunning::new(Arc::clone(job), rows))),
    }
}

fn topic_table(broker: &Broker, table: TopicTable) -> CatalogTable {
    CatalogTable {
        name: table.name.clone(),
        schema: table.schema.clone(),
        rows: Some(Arc::new(TopicRows::new(broker.clone(), table.clone()))),
        origin: TableOrigin::Topic(table),
    }
}
