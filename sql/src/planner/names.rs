//! Resolves the names in a query: tables from the catalogue, functions from DataFusion's session.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, TableReference, not_impl_err};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner};
use datafusion::logical_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};

use super::CatalogTable;
use crate::error::SqlError;
use crate::suggest;

/// The tables a query may name.
#[derive(Clone, Default)]
pub struct Tables {
    sources: BTreeMap<String, Arc<dyn TableSource>>,
    unusable: BTreeMap<String, Arc<SqlError>>,
}

impl Tables {
    /// Adds a stream or a materialised view.
    pub fn add(&mut self, table: CatalogTable) {
        let name = table.name.clone();
        let provider: Arc<dyn TableProvider> = Arc::new(table);
        self.sources.insert(name, provider_as_source(provider));
    }

    /// Adds a view: its plan stands in for it.
    pub fn add_view(&mut self, name: &str, plan: LogicalPlan) {
        let view = datafusion::datasource::view::ViewTable::new(plan, None);
        self.sources
            .insert(name.to_owned(), provider_as_source(Arc::new(view)));
    }

    /// Adds a name that stands for something which cannot be used, and why.
    pub fn add_unusable(&mut self, name: &str, reason: SqlError) {
        self.unusable.insert(name.to_owned(), Arc::new(reason));
    }

    /// All names, for hints.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.sources.keys().map(String::as_str)
    }

    /// The source called `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn TableSource>> {
        self.sources.get(name)
    }
}

/// DataFusion's view of our names.
pub(super) struct Names<'a> {
    pub(super) state: &'a SessionState,
    pub(super) tables: &'a Tables,
}

impl ContextProvider for Names<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        if name.schema().is_some() {
            return Err(external(
                SqlError::name(format!("unknown table \"{name}\""))
                    .with_hint("names have no schema: use the bare name"),
            ));
        }
        if let Some(reason) = self.tables.unusable.get(name.table()) {
            return Err(external(reason.retold()));
        }
        self.tables.get(name.table()).cloned().ok_or_else(|| {
            external(
                SqlError::name(format!("unknown stream or view \"{}\"", name.table())).with_hint(
                    suggest::hint(name.table(), self.tables.names(), "streams and views"),
                ),
            )
        })
    }

    fn get_table_function_source(&self, name: &str, _args: Vec<Expr>) -> Result<Arc<dyn TableSource>> {
        Err(external(
            SqlError::name(format!("unknown table function \"{name}\"")).with_hint(suggest::hint(
                name,
                ["tumble", "hop", "cumulate"],
                "table functions",
            )),
        ))
    }

    fn create_cte_work_table(
        &self,
        _name: &str,
        _schema: datafusion::arrow::datatypes::SchemaRef,
    ) -> Result<Arc<dyn TableSource>> {
        not_impl_err!("recursive queries are not supported")
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        self.state.relation_planners()
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.state.scalar_functions().get(name).cloned()
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _variable_names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        sorted(self.state.scalar_functions().keys())
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        sorted(self.state.higher_order_functions().keys())
    }

    fn udaf_names(&self) -> Vec<String> {
        sorted(self.state.aggregate_functions().keys())
    }

    fn udwf_names(&self) -> Vec<String> {
        sorted(self.state.window_functions().keys())
    }
}

/// In a fixed order, so that hints do not depend on hashing.
fn sorted<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut names: Vec<String> = names.cloned().collect();
    names.sort_unstable();
    names
}

/// Our error inside DataFusion's, from where `plan_error` takes it out again.
pub(super) fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
