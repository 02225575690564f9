//! A checked view: its plan with the names and settings of its job.

use std::sync::Arc;

use crate::catalog::{Emit, Format, MaterializedViewDefinition, TopicTable};
use crate::error::{Result, SqlError};
use crate::logical::StreamPlan;
use crate::parser::ParsedQuery;
use crate::physical::EmitMode;

/// What a job is started from.
#[derive(Debug, Clone)]
pub struct ViewPlan {
    /// The definition.
    pub definition: Arc<MaterializedViewDefinition>,
    /// The plan of its query.
    pub plan: Arc<StreamPlan>,
    /// When results leave.
    pub mode: EmitMode,
    /// The store of its groups: named by what decides their layout, so a view never reads groups of another shape.
    pub store: String,
}

impl ViewPlan {
    /// Joins a definition with its plan; errs when `EMIT FINAL` cannot work.
    pub fn new(definition: Arc<MaterializedViewDefinition>, plan: Arc<StreamPlan>) -> Result<ViewPlan> {
        let mode = emit_mode(definition.emit, &plan)?;
        let store = format!("groups-{:08x}", fingerprint(&plan.identity()));
        Ok(ViewPlan {
            definition,
            plan,
            mode,
            store,
        })
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

/// FNV-1a: part of names on disk, so it must never change.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}
