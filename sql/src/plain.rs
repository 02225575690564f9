//! Plain DataFusion: a batch query over tables of a session of the caller, without any planning of this crate.
//!
//! Why it stands here: whoever compares a view with a batch query calls this instead of `SessionContext::sql`, whose planner
//! is generic and would be compiled again, for a minute and a half, into every binary that awaits it.

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use futures::FutureExt;
use futures::future::BoxFuture;

/// Runs one query to its end and returns all its rows. Errs as DataFusion does. Cancel-safe: it only reads.
pub fn query<'a>(session: &'a SessionContext, sql: &'a str) -> BoxFuture<'a, Result<Vec<RecordBatch>>> {
    async move { session.sql(sql).await?.collect().await }.boxed()
}
