//! The catalogue as the tables a query may name.

use std::sync::Arc;

use millpond_log::broker::Broker;

use super::State;
use crate::catalog::{Entry, TopicTable};
use crate::error::Result;
use crate::parser;
use crate::planner::{CatalogTable, Planner, TableOrigin, Tables};
use crate::serving::{TopicRows, ViewRows};

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
                match job.view.topic_table() {
                    Some(table) => tables.add(topic_table(broker, table)),
                    None => {
                        let rows = ViewRows::new(
                            definition.name.clone(),
                            Arc::clone(&job.view.plan),
                            definition.emit,
                            job.handle().stores(),
                        );
                        tables.add(CatalogTable {
                            name: definition.name.clone(),
                            origin: TableOrigin::Groups {
                                view: definition.name.clone(),
                            },
                            schema: job.view.plan.schema.clone(),
                            rows: Some(Arc::new(rows)),
                        });
                    }
                }
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

fn topic_table(broker: &Broker, table: TopicTable) -> CatalogTable {
    CatalogTable {
        name: table.name.clone(),
        schema: table.schema.clone(),
        rows: Some(Arc::new(TopicRows::new(broker.clone(), table.clone()))),
        origin: TableOrigin::Topic(table),
    }
}
