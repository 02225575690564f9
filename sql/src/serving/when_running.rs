//! The rows of a view, once its job runs: until its state is restored there is nothing complete to read, and from a job that failed nothing
//! true any more.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;

use crate::planner::RowSource;
use crate::runtime::ViewJob;

/// Rows that wait for a job. Only the query that reads them waits.
#[derive(Debug)]
pub struct WhenRunning {
    job: Arc<ViewJob>,
    rows: Arc<dyn RowSource>,
}

impl WhenRunning {
    /// Gives `rows` when `job` runs.
    pub fn new(job: Arc<ViewJob>, rows: Arc<dyn RowSource>) -> WhenRunning {
        WhenRunning { job, rows }
    }
}

#[async_trait]
impl RowSource for WhenRunning {
    async fn scan(
        &self,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.job
            .wait_until_running()
            .await
            .map_err(|e| DataFusionError::External(Box::new(e)))?;
        self.rows.scan(projection, limit).await
    }
}
