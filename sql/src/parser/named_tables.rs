//! The names a query reads from: what stands in FROM, also in subqueries, and the first argument of TUMBLE and HOP.
//!
//! A name that a WITH clause gives is among them, too: to tell it from a stream of the same name would take a planner.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, TableFactor, Visit, Visitor,
};

use super::ParsedQuery;

impl ParsedQuery {
    /// All names the query reads from, as the catalogue spells them.
    pub fn named_tables(&self) -> BTreeSet<String> {
        let mut names = Names::default();
        match self.query.visit(&mut names) {
            ControlFlow::Continue(()) => names.0,
        }
    }
}

#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn add(&mut self, name: &Ident) {
        let folded = match name.quote_style {
            Some(_) => name.value.clone(),
            None => name.value.to_lowercase(),
        };
        self.0.insert(folded);
    }
}

impl Visitor for Names {
    type Break = Infallible;

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Infallible> {
        if let Some(ObjectNamePart::Identifier(name)) = relation.0.last() {
            self.add(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Infallible> {
        if let TableFactor::Table { args: Some(args), .. } = factor {
            for (position, argument) in args.args.iter().enumerate() {
                let value = match argument {
                    FunctionArg::Unnamed(value) if position == 0 => value,
                    FunctionArg::Named { name, arg, .. } if name.value.eq_ignore_ascii_case("data") => arg,
                    FunctionArg::ExprNamed { name, arg, .. }
                        if name.to_string().eq_ignore_ascii_case("data") =>
                    {
                        arg
                    }
                    _ => continue,
                };
                if let FunctionArgExpr::Expr(Expr::Identifier(name)) = value {
                    self.add(name);
                }
            }
        }
        ControlFlow::Continue(())
    }
}
