//! A checked view: its plan with the settings of its job.
//!
//! Always true: the groups this plan reads and writes lie as the catalogue says they do. Another version may plan the same query otherwise;
//! then the view is refused and nothing it has is touched.

use std::sync::Arc;

use crate::catalog::{Emit, Format, MaterializedViewDefinition, StateLayout, TopicTable};
use crate::error::{Result, SqlError};
use crate::logical::StreamPlan;
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
            return Err(layout_changed(&definition, planned.as_ref()));
        }
        Ok(ViewPlan {
            definition,
            plan,
            mode,
        })
    }

    /// How the groups of a plan lie in their store; none without GROUP BY.
    pub fn layout(plan: &StreamPlan) -> Result<Option<StateLayout>> {
        match &plan.aggregate {
            Some(aggregate) => GroupLayout::new(aggregate)?.state_layout().map(Some),
            None => Ok(None),
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

    /// The view's topic as a table that others may read continuously; none for views with GROUP BY.
    pub fn topic_table(&self) -> Option<TopicTable> {
        self.plan.is_append_only().then(|| TopicTable {
            watermark: self.plan.result_watermark.clone(),
            ..self.changes_table()
        })
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
        }
    }
}

fn emit_mode(emit: Emit, plan: &StreamPlan) -> Result<EmitMode> {
    if emit == Emit::Changes {
        return Ok(EmitMode::Changes);
    }
    let Some(window) = plan.aggregate.as_ref().and_then(|a| a.window) else {
        return Err(
            SqlError::invalid("EMIT FINAL needs GROUP BY over a window: only windows end")
                .with_hint("group by window_start or window_end of TUMBLE or HOP, or use EMIT CHANGES"),
        );
    };
    let delay = plan.event_time.as_ref().and_then(|e| e.delay_micros);
    let Some(delay_micros) = delay else {
        return Err(SqlError::invalid(format!(
            "EMIT FINAL needs a watermark on \"{}\": without one no window ever ends",
            plan.source.name
        ))
        .with_hint("add WATERMARK FOR column AS column - INTERVAL '1' HOUR to its CREATE STREAM"));
    };
    Ok(EmitMode::Final {
        size_micros: window.spec.size_micros,
        delay_micros,
    })
}

fn layout_changed(definition: &MaterializedViewDefinition, planned: Option<&StateLayout>) -> SqlError {
    let name = &definition.name;
    let text = |layout: Option<&StateLayout>| layout.map_or("no groups".to_owned(), ToString::to_string);
    SqlError::invalid(format!(
        "view \"{name}\" was created with the layout ({}), but this version plans its query with the layout ({})",
        text(definition.layout.as_ref()),
        text(planned)
    ))
    .with_hint(format!(
        "its groups are kept as they are: start the version that created it, or DROP MATERIALIZED VIEW {name} and create it again, \
         which reads its stream from the beginning"
    ))
}

#[cfg(test)]
#[path = "view_plan_test.rs"]
mod view_plan_test;
