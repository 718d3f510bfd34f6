//! Applies a lowering rule to its examples.
//!
//! Requires a rule with types. Guarantees that an accepted example is what the rule makes of the left
//! expression, in the types that fit first. What guards ask of users, loads and processors is taken as given.

use crate::example::{Bound, Context, trim};
use crate::lowering::{Guard, Node, TypedLowering};
use crate::syntax::{Expr, Invalid, Kind, Reason};
use crate::typing::solve;
use cellwall_ir::Type;
use std::collections::BTreeMap;

/// Checks that the rule does what its examples show.
pub(crate) fn check(typed: &TypedLowering) -> Result<(), Invalid> {
    let lowering = &typed.lowering;
    for (left, right) in &lowering.examples {
        let solution = solve(&[left], &[], true, left.place)?;
        let shown = solution.typings.iter().any(|typing| {
            let context = Context {
                rule: &lowering.rule,
                left,
                width: &|expr| typing[solution.class(expr)],
            };
            let ways = context.matches(&lowering.rule.left, left, &BTreeMap::new());
            ways.iter().any(|bound| {
                let root = typing[solution.class(left)];
                let Some(types) = context.types(bound, root) else {
                    return false;
                };
                let applied = Applied {
                    context: &context,
                    bound,
                    types: &types,
                };
                context.holds(bound, &types)
                    && lowering.guards.iter().all(|guard| applied.allows(guard))
                    && applied.gives(&lowering.right, right)
            })
        });
        if !shown {
            let found = "something else for this example".to_owned();
            return Err(Invalid::new(left.place, Reason::Example(found)));
        }
    }
    Ok(())
}

/// A rule that fits an example in some types.
struct Applied<'a> {
    context: &'a Context<'a>,
    bound: &'a Bound,
    types: &'a BTreeMap<usize, Type>,
}

impl Applied<'_> {
    fn number(&self, expr: &Expr) -> u128 {
        self.context.number(expr, self.bound, self.types)
    }

    fn allows(&self, guard: &Guard) -> bool {
        match guard {
            Guard::Imm(expr) => {
                let number = self.number(expr) as u64;
                self.types[&expr.id] == Type::I32 || i32::try_from(number as i64).is_ok()
            }
            _ => true,
        }
    }

    /// Whether the right side comes to this.
    fn gives(&self, node: &Node, shown: &Node) -> bool {
        match (node, shown) {
            (Node::Value(access, name), Node::Value(other, shown)) => {
                access == other && self.is_value(name, shown)
            }
            (Node::Holds(name), Node::Holds(shown)) | (Node::AgainstZero(name), Node::AgainstZero(shown)) => {
                self.is_value(name, shown)
            }
            (Node::Again(name), Node::Again(shown)) => name == shown,
            (Node::Constant(expr), Node::Constant(shown)) => match (&expr.kind, &shown.kind) {
                (Kind::Literal(a), Kind::Literal(b)) => a == b,
                (_, Kind::Literal(b)) => self.number(expr) == trim(*b, self.types[&expr.id]),
                _ => false,
            },
            (Node::Is(a, form), Node::Is(b, shown)) => a == b && self.gives(form, shown),
            (
                Node::Form {
                    row,
                    width,
                    operands,
                    name,
                },
                Node::Form {
                    row: row_shown,
                    width: width_shown,
                    operands: operands_shown,
                    name: name_shown,
                },
            ) => {
                (row, width, name) == (row_shown, width_shown, name_shown)
                    && operands.len() == operands_shown.len()
                    && operands.iter().zip(operands_shown).all(|(a, b)| self.gives(a, b))
            }
            _ => false,
        }
    }

    fn is_value(&self, name: &str, shown: &str) -> bool {
        matches!(&self.bound[name].kind, Kind::Value(found) if found == shown)
    }
}
