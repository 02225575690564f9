//! The catalogue as the tables a query may name.

use std::sync::Arc;

use millpond_log::broker::Broker;

use super::state::State;
use super::view::View;
use crate::catalog::{Entry, TopicTable};
use crate::error::SqlError;
use crate::parser;
use crate::planner::{CatalogTable, Planner, RowSource, Tables};
use crate::runtime::{Failure, ViewPlan};
use crate::serving::{NoRows, TopicRows, ViewRows, WhenRunning};

/// Every stream and view, with its rows. Whatever cannot be used says why when it is named.
pub(super) fn tables(broker: &Broker, planner: &Planner, state: &State) -> Tables {
    let mut tables = Tables::default();
    for entry in state.catalog.in_order() {
        let name = entry.name();
        match &entry {
            Entry::Stream(stream) => tables.add(topic_table(broker, stream.topic_table())),
            Entry::View(view) => {
                let planned =
                    parser::parse_query(&view.query).and_then(|query| planner.logical_plan(&query, &tables));
                match planned {
                    Ok(plan) => tables.add_view(name, plan),
                    Err(error) => {
                        let message = format!("view \"{name}\" cannot be used: {}", error.message);
                        let hint = error
                            .hint
                            .unwrap_or_else(|| format!("DROP VIEW {name} and create it anew"));
                        tables.add_unusable(name, SqlError::new(error.kind, message).with_hint(hint));
                    }
                }
            }
            // Without an entry it is not made yet (while opening), so those before it cannot read it.
            Entry::MaterializedView(_) => match state.views.get(name).map(|view| (view, view.plan())) {
                Some((view, Some(plan))) => tables.add(view_table(broker, view, plan)),
                Some((view, None)) => {
                    if let Some(failure) = view.failure() {
                        tables.add_unusable(name, failure.error(name));
                    }
                }
                None => {}
            },
        }
    }
    tables
}

/// The same with the topics of changes instead of the groups: what `EMIT CHANGES` reads.
pub(super) fn change_tables(broker: &Broker, planner: &Planner, state: &State) -> Tables {
    let mut tables = tables(broker, planner, state);
    for plan in state.views.values().filter_map(|view| view.plan()) {
        tables.add(topic_table(broker, plan.changes_table()));
    }
    tables
}

/// The rows of a view, for those who wait until its job runs.
fn view_table(broker: &Broker, view: &View, plan: &ViewPlan) -> CatalogTable {
    let name = &plan.definition.name;
    let rows: Arc<dyn RowSource> = match (view.job(), view.failure(), plan.topic_table()) {
        (None, failure, _) => {
            let failure = failure.unwrap_or_else(|| Failure::new("it has no job"));
            Arc::new(NoRows::new(failure.error(name)))
        }
        (Some(job), _, Some(table)) => {
            let rows = TopicRows::new(broker.clone(), table);
            Arc::new(WhenRunning::new(Arc::clone(job), Arc::new(rows)))
        }
        (Some(job), _, None) => {
            let rows = ViewRows::new(Arc::clone(job));
            Arc::new(WhenRunning::new(Arc::clone(job), Arc::new(rows)))
        }
    };
    CatalogTable {
        name: name.clone(),
        topic: plan.table(),
        schema: plan.plan.schema.clone(),
        rows: Some(rows),
    }
}

fn topic_table(broker: &Broker, table: TopicTable) -> CatalogTable {
    CatalogTable {
        name: table.name.clone(),
        schema: table.schema.clone(),
        rows: Some(Arc::new(TopicRows::new(broker.clone(), table.clone()))),
        topic: table,
    }
}
