//! What a continuous query may not ask for, in words: what, where, and what to do instead.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::PlaceFinder;
use crate::error::{Result, SqlError};

/// Refuses functions whose value depends on when they run: a view replayed tomorrow must give the same rows.
pub(super) fn changing_functions(plan: &LogicalPlan, finder: &PlaceFinder<'_>) -> Result<()> {
    let mut found = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                if let Expr::ScalarFunction(call) = e
                    && call.func.signature().volatility != Volatility::Immutable
                {
                    found = Some(call.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    if let Err(e) = walked {
        return Err(super::plan_error(e, finder));
    }
    match found {
        None => Ok(()),
        Some(name) => {
            let error = SqlError::unsupported(format!(
                "{name}() is not allowed in a continuous query: its value depends on when the query runs"
            ))
            .with_hint("use the event-time column, or call it in the query that reads the view");
            Err(finder.at(error, &name))
        }
    }
}

/// The error for a node a streaming plan may not hold.
pub(super) fn node(plan: &LogicalPlan, finder: &PlaceFinder<'_>) -> SqlError {
    let (what, hint, word) = match plan {
        LogicalPlan::Sort(_) => (
            "ORDER BY has no meaning in a continuous query: its rows never end",
            "put ORDER BY into the query that reads the view",
            "ORDER",
        ),
        LogicalPlan::Limit(_) => (
            "LIMIT without ORDER BY in a continuous query would depend on the order of arrival",
            "write ORDER BY … LIMIT n, or put LIMIT into the query that reads the view, or behind EMIT CHANGES of a SELECT",
            "LIMIT",
        ),
        LogicalPlan::Distinct(_) => (
            "DISTINCT ON is not supported in continuous queries",
            "use GROUP BY with MIN or MAX",
            "DISTINCT",
        ),
        LogicalPlan::Unnest(_) => (
            "UNNEST is not supported in continuous queries yet",
            "unnest in the query that reads the view",
            "UNNEST",
        ),
        LogicalPlan::Subquery(_) => (
            "subqueries in expressions are not supported in continuous queries",
            "use them in the query that reads the view",
            "SELECT",
        ),
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => (
            "a continuous query reads a stream; this one reads nothing",
            "add FROM with the name of a stream",
            "SELECT",
        ),
        other => {
            return SqlError::unsupported(format!(
                "{} is not supported in continuous queries",
                other.display()
            ));
        }
    };
    finder.at(SqlError::unsupported(what).with_hint(hint), word)
}
