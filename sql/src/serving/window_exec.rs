//! TUMBLE and HOP in bounded queries: the same assignment as in jobs, as a DataFusion operator.
//!
//! No row is late here: the input is complete.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use futures::StreamExt;

use crate::logical::{WindowNode, WindowSpec};
use crate::physical::{ColumnBatch, assign_windows};

/// Plans [`WindowNode`]s of bounded queries.
#[derive(Debug)]
pub struct WindowExecPlanner;

#[async_trait]
impl ExtensionPlanner for WindowExecPlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _planning_context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(window) = node.as_any().downcast_ref::<WindowNode>() else {
            return Ok(None);
        };
        let [input] = physical_inputs else {
            return internal_err!("a window node has one input");
        };
        let schema = Arc::new(UserDefinedLogicalNodeCore::schema(window).as_arrow().clone());
        Ok(Some(Arc::new(WindowExec::new(
            Arc::clone(input),
            window.spec,
            window.time_index()?,
            schema,
        ))))
    }
}

/// Adds `window_start` and `window_end` to each row, once per window.
#[derive(Debug)]
struct WindowExec {
    input: Arc<dyn ExecutionPlan>,
    spec: WindowSpec,
    time_index: usize,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl WindowExec {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        spec: WindowSpec,
        time_index: usize,
        schema: SchemaRef,
    ) -> WindowExec {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(
                input.output_partitioning().partition_count(),
            ),
            input.pipeline_behavior(),
            input.boundedness(),
        ));
        WindowExec {
            input,
            spec,
            time_index,
            schema,
            properties,
        }
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WindowExec: {}", self.spec)
    }
}

impl ExecutionPlan for WindowExec {
    fn name(&self) -> &'static str {
        "WindowExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(WindowExec::new(
                input,
                self.spec,
                self.time_index,
                self.schema.clone(),
            ))),
            _ => internal_err!("WindowExec has one child"),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::ChildrenPropertiesMode;
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (spec, time_index, schema) = (self.spec, self.time_index, self.schema.clone());
        let windows = input.map(move |batch| {
            let mut late = 0;
            assign_windows(spec, time_index, &schema, ColumnBatch::plain(batch?), &mut late)
                .map(|out| out.batch)
                .map_err(|e| DataFusionError::External(Box::new(e)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema.clone(),
            windows,
        )))
    }
}
