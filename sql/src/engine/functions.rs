//! `SHOW FUNCTIONS`: what may be called, and whether views may call it.

use std::collections::BTreeMap;

use datafusion::logical_expr::Volatility;

use super::{Inner, show};
use crate::error::Result;
use crate::logical::AggregateFunctionKind;
use crate::result::StatementResult;

pub(super) fn run(inner: &Inner) -> Result<StatementResult> {
    let state = inner.planner.state();
    let scalars = state.scalar_functions().iter().map(|(name, function)| {
        // What changes from call to call would make a view depend on when it was computed.
        let in_views = function.signature().volatility == Volatility::Immutable;
        ((name.as_str(), "scalar"), in_views)
    });
    let aggregates = state.aggregate_functions().keys().map(|name| {
        let in_views = AggregateFunctionKind::by_name(name).is_some();
        ((name.as_str(), "aggregate"), in_views)
    });
    let windows = state
        .window_functions()
        .keys()
        .map(|name| ((name.as_str(), "window"), false));
    let ours = ["tumble", "hop"].map(|name| ((name, "table"), true));
    let functions: BTreeMap<_, _> = scalars.chain(aggregates).chain(windows).chain(ours).collect();
    let rows: Vec<Vec<Option<String>>> = functions
        .into_iter()
        .map(|((name, kind), in_views)| {
            let in_views = if in_views { "yes" } else { "no" };
            [name, kind, in_views].map(|text| Some(text.to_owned())).to_vec()
        })
        .collect();
    show::text_rows(&["name", "kind", "in_views"], &rows)
}
