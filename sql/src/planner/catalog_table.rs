//! A stream or view as DataFusion sees it while planning and, when given a source of rows, while running a query.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::catalog::TopicTable;

/// Gives the rows of a table as of now; the topic scan and the state scan in `serving/` implement it.
#[async_trait]
pub trait RowSource: Debug + Send + Sync {
    /// A plan that yields the columns at `projection` (all, if none), at least `limit` rows if there are as many.
    async fn scan(
        &self,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>>;
}

/// A table in FROM.
#[derive(Debug)]
pub struct CatalogTable {
    /// Its name.
    pub name: String,
    /// The topic of its rows, or of their changes: what a continuous query reads.
    pub topic: TopicTable,
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows; absent where only plans are made.
    pub rows: Option<Arc<dyn RowSource>>,
}

#[async_trait]
impl TableProvider for CatalogTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match &self.rows {
            Some(rows) => rows.scan(projection, limit).await,
            None => internal_err!("table {} was registered for planning only", self.name),
        }
    }
}
