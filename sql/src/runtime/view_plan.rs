//! A checked view: its plan with the settings of its job.
//!
//! Always true: the groups this plan reads and writes lie as the catalogue says they do. Another version may plan the same query otherwise;
//! then the view is refused and nothing it has is touched.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stores;
use crate::catalog::{
    Emit, Format, MaterializedViewDefinition, StateLayout, StoreDefinition, TopicTable, Upserts,
};
use crate::error::{Result, SqlError};
use crate::logical::{ResultPlan, StreamPlan};
use crate::parser::ParsedQuery;
use crate::physical::{EmitMode, GroupLayout};

/// The store of every view's groups. The application id holds the view and its generation, so this need not tell views apart.
pub const GROUPS_STORE: &str = "groups";

/// What a job is started from.
#[derive(Debug, Clone)]
pub struct ViewPlan {
    /// The definition.
    pub definition: Arc<MaterializedViewDefinition>,
    /// The plan of its query.
    pub plan: Arc<StreamPlan>,
    /// When results leave.
    pub mode: EmitMode,
}

impl ViewPlan {
    /// Joins a definition with its plan. Errs when `EMIT FINAL` cannot work, or when the plan's groups would lie otherwise than those the
    /// view has.
    pub fn new(definition: Arc<MaterializedViewDefinition>, plan: Arc<StreamPlan>) -> Result<ViewPlan> {
        let mode = emit_mode(definition.emit, &plan)?;
        let planned = ViewPlan::layout(&plan)?;
        if definition.layout != planned {
            let text =
                |layout: Option<&StateLayout>| layout.map_or("no groups".to_owned(), ToString::to_string);
            let (created, planned) = (text(definition.layout.as_ref()), text(planned.as_ref()));
            return Err(layout_changed(&definition, &created, &planned));
        }
        let plan = with_names(&definition, plan)?;
        Ok(ViewPlan {
            definition,
            plan,
            mode,
        })
    }

    /// How the groups of a plan lie in their store; none without GROUP BY.
    pub fn layout(plan: &StreamPlan) -> Result<Option<StateLayout>> {
        match &plan.result {
            ResultPlan::Groups(groups) => GroupLayout::new(&groups.aggregate)?.state_layout().map(Some),
            _ => Ok(None),
        }
    }

    /// The stores of a plan beside that of [`ViewPlan::layout`].
    pub fn stores(plan: &StreamPlan) -> Result<Vec<StoreDefinition>> {
        match plan.result {
            ResultPlan::Groups(_) => Ok(Vec::new()),
            _ => stores::of(plan),
        }
    }

    /// Checks `EMIT …` of a query against its plan, with the place in the query.
    pub fn check_emit(emit: Emit, plan: &StreamPlan, query: &ParsedQuery) -> Result<()> {
        emit_mode(emit, plan).map(drop).map_err(|e| {
            e.with_place(crate::parser::place_of_word(
                &query.source,
                &query.tokens,
                "FINAL",
            ))
        })
    }

    /// The view's topic as a table of the view's rows, for views that read it continuously.
    pub fn table(&self) -> TopicTable {
        let key = match &self.plan.result {
            ResultPlan::Appends { watermark } => {
                return TopicTable {
                    watermark: watermark.clone(),
                    ..self.changes_table()
                };
            }
            // Its records are keyed by the groups, whose columns need not be in the result.
            ResultPlan::Groups(_) => None,
            ResultPlan::Rows(rows) => rows.key.clone(),
        };
        TopicTable {
            upserts: Some(Upserts { key }),
            ..self.changes_table()
        }
    }

    /// The view's topic as a table that holds nothing but the view's rows; none for views whose rows change.
    pub fn topic_table(&self) -> Option<TopicTable> {
        match &self.plan.result {
            ResultPlan::Appends { .. } => Some(self.table()),
            _ => None,
        }
    }

    /// The view's topic as a table of changes.
    pub fn changes_table(&self) -> TopicTable {
        TopicTable {
            name: self.definition.name.clone(),
            topic: self.definition.topic.clone(),
            schema: self.plan.schema.clone(),
            format: Format::Json,
            csv_delimiter: ',',
            watermark: None,
            partitions: self.definition.partitions,
            upserts: None,
        }
    }
}

fn emit_mode(emit: Emit, plan: &StreamPlan) -> Result<EmitMode> {
    if emit == Emit::Changes {
        return Ok(EmitMode::Changes);
    }
    let groups = match &plan.result {
        ResultPlan::Groups(groups) => Some(groups),
        _ => None,
    };
    let Some((groups, window)) = groups.and_then(|groups| Some((groups, groups.aggregate.window?))) else {
        return Err(
            SqlError::invalid("EMIT FINAL needs GROUP BY over a window: only windows end")
                .with_hint("group by window_start or window_end of TUMBLE or HOP, or use EMIT CHANGES"),
        );
    };
    let Some(delay_micros) = groups.delay_micros else {
        let stream = plan
            .sources()
            .next()
            .map_or("", |source| source.table.name.as_str());
        return Err(SqlError::invalid(format!(
            "EMIT FINAL needs a watermark on \"{stream}\": without one no window ever ends"
        ))
        .with_hint("add WATERMARK FOR column AS column - INTERVAL '1' HOUR to its CREATE STREAM"));
    };
    Ok(EmitMode::Final {
        size_micros: window.spec.size_micros,
        delay_micros,
    })
}

/// The plan with the names its stores and repartitions were given when the view was created. Errs when it would keep something else in them.
fn with_names(definition: &MaterializedViewDefinition, plan: Arc<StreamPlan>) -> Result<Arc<StreamPlan>> {
    let stores = ViewPlan::stores(&plan)?;
    let layouts =
        |stores: &[StoreDefinition]| -> Vec<String> { stores.iter().map(|s| s.layout.clone()).collect() };
    let (created, planned) = (layouts(&definition.stores), layouts(&stores));
    if created != planned || plan.shuffles().count() != definition.shuffles.len() {
        let text =
            |layouts: &[String], shuffles: usize| format!("{}; {shuffles} repartitions", layouts.join("; "));
        let created = text(&created, definition.shuffles.len());
        let planned = text(&planned, plan.shuffles().count());
        return Err(layout_changed(definition, &created, &planned));
    }
    let given: BTreeMap<&str, &str> = stores
        .iter()
        .zip(&definition.stores)
        .map(|(planned, created)| (planned.name.as_str(), created.name.as_str()))
        .collect();
    let mut plan = Arc::unwrap_or_clone(plan);
    for name in plan.store_names_mut() {
        if let Some(given) = given.get(name.as_str()) {
            (*given).clone_into(name);
        }
    }
    for (name, given) in plan.shuffle_names_mut().into_iter().zip(&definition.shuffles) {
        name.clone_from(given);
    }
    Ok(Arc::new(plan))
}

fn layout_changed(definition: &MaterializedViewDefinition, created: &str, planned: &str) -> SqlError {
    let name = &definition.name;
    SqlError::invalid(format!(
        "view \"{name}\" was created with the layout ({created}), but this version plans its query with the layout ({planned})"
    ))
    .with_hint(format!(
        "its groups are kept as they are: start the version that created it, or DROP MATERIALIZED VIEW {name} and create it again, \
         which reads its stream from the beginning"
    ))
}

#[cfg(test)]
#[path = "view_plan_test.rs"]
mod view_plan_test;
