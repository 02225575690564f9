//! The stores of a plan with their layouts, as the catalogue remembers them.
//!
//! Always true: in the order of the plan's nodes, the result's last; so two plans of one query have the same stores in the same order.

use crate::catalog::StoreDefinition;
use crate::error::Result;
use crate::logical::{Operator, ResultPlan, StreamPlan};
use crate::physical::{
    GroupLayout, RowLayout, group_changes_layout, group_changes_stores, join_layouts, over_layout,
    upsert_layout,
};

use super::GROUPS_STORE;

/// The stores of `plan`.
pub(crate) fn of(plan: &StreamPlan) -> Result<Vec<StoreDefinition>> {
    let mut stores = Vec::new();
    let mut add = |name: &str, layout: String| {
        stores.push(StoreDefinition {
            name: name.to_owned(),
            layout,
        });
    };
    for node in &plan.nodes {
        match &node.operator {
            Operator::Upserts(upserts) => add(&upserts.store, upsert_layout(&upserts.source.table)?),
            Operator::Join(join) => {
                for (name, layout) in join.stores.iter().zip(join_layouts(join)?) {
                    add(name, layout);
                }
            }
            Operator::Over(over) => add(&over.store, over_layout(over)?),
            Operator::Groups(groups) => {
                let layout = group_changes_layout(groups)?;
                for name in group_changes_stores(groups)? {
                    add(name, layout.clone());
                }
            }
            Operator::Source(_) | Operator::Steps(_) | Operator::Shuffle { .. } | Operator::Union => {}
        }
    }
    match &plan.result {
        ResultPlan::Appends { .. } => {}
        ResultPlan::Groups(groups) => add(
            GROUPS_STORE,
            GroupLayout::new(&groups.aggregate)?.state_layout()?.to_string(),
        ),
        ResultPlan::Rows(rows) => add(&rows.store, RowLayout::new(rows)?.words()?),
    }
    Ok(stores)
}
