//! DataFusion's session state and the three things we ask of it: a logical plan, a streaming plan, a physical plan.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{QueryPlanner, SQLOptions};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use datafusion::sql::planner::{NullOrdering, ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement as AstStatement;

use super::names::Names;
use super::window_relation::WindowRelations;
use super::{PlaceFinder, Tables, optimiser, plan_error, refuse, stream_plan};
use crate::error::Result;
use crate::logical::StreamPlan;
use crate::parser::ParsedQuery;
use crate::serving::WindowExecPlanner;

/// Plans queries; one per engine.
#[derive(Clone)]
pub struct Planner {
    state: Arc<SessionState>,
}

impl Default for Planner {
    fn default() -> Planner {
        Planner::new()
    }
}

impl Planner {
    /// A planner with DataFusion's functions and ours.
    pub fn new() -> Planner {
        let mut config = SessionConfig::new().with_information_schema(false);
        let options = config.options_mut();
        // One string type everywhere: state keys and the exchange are written in it.
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.collect_spans = true;
        let state = SessionStateBuilder::new_with_default_features()
            .with_config(config)
            .with_relation_planners(vec![Arc::new(WindowRelations)])
            .with_query_planner(Arc::new(BoundedQueryPlanner))
            .build();
        Planner {
            state: Arc::new(state),
        }
    }

    /// DataFusion's state.
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// The logical plan of a query, not optimised.
    pub fn logical_plan(&self, query: &ParsedQuery, tables: &Tables) -> Result<LogicalPlan> {
        let finder = PlaceFinder {
            source: &query.source,
            tokens: &query.tokens,
        };
        let names = Names {
            state: &self.state,
            tables,
        };
        let options = ParserOptions::new()
            .with_map_string_types_to_utf8view(false)
            .with_collect_spans(true)
            .with_default_null_ordering(NullOrdering::NullsMax);
        let plan = SqlToRel::new_with_options(&names, options)
            .sql_statement_to_plan(AstStatement::Query(query.query.clone()))
            .map_err(|e| plan_error(e, &finder))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|e| plan_error(e, &finder).with_hint("a query only reads"))?;
        Ok(plan)
    }

    /// The plan of a job that runs for ever.
    pub fn stream_plan(&self, query: &ParsedQuery, tables: &Tables) -> Result<StreamPlan> {
        self.stream_plan_with_logical(query, tables).map(|(plan, _)| plan)
    }

    /// The plan of a job, and the optimised logical plan it was taken from.
    pub fn stream_plan_with_logical(
        &self,
        query: &ParsedQuery,
        tables: &Tables,
    ) -> Result<(StreamPlan, LogicalPlan)> {
        let finder = PlaceFinder {
            source: &query.source,
            tokens: &query.tokens,
        };
        let plan = self.logical_plan(query, tables)?;
        refuse::changing_functions(&plan, &finder)?;
        let plan = optimiser::optimise(&self.state, plan).map_err(|e| plan_error(e, &finder))?;
        let stream = stream_plan(&self.state, &plan, &finder)?;
        Ok((stream, plan))
    }

    /// A DataFusion plan over bounded input, ready to run.
    pub async fn physical_plan(
        &self,
        plan: &LogicalPlan,
        finder: &PlaceFinder<'_>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.state
            .create_physical_plan(plan)
            .await
            .map_err(|e| plan_error(e, finder))
    }
}

/// DataFusion's planner, which also knows our window node.
#[derive(Debug)]
struct BoundedQueryPlanner;

#[async_trait]
impl QueryPlanner for BoundedQueryPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(WindowExecPlanner)])
            .create_physical_plan(plan, session)
            .await
    }
}
