//! The rows of a view that is failed: the reason.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;

use crate::error::SqlError;
use crate::planner::RowSource;

/// Answers every scan with an error.
#[derive(Debug)]
pub struct NoRows {
    reason: SqlError,
}

impl NoRows {
    /// No rows, for this reason.
    pub fn new(reason: SqlError) -> NoRows {
        NoRows { reason }
    }
}

#[async_trait]
impl RowSource for NoRows {
    async fn scan(
        &self,
        _projection: Option<&Vec<usize>>,
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::External(Box::new(self.reason.retold())))
    }
}
