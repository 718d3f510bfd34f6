//! Values that were replaced by others.

use cellwall_base::{EntityId, IdMap};
use cellwall_ir::{Func, Value};

/// A union-find forest of values; a value that stays is its own root.
#[derive(Default)]
pub(crate) struct Aliases {
    /// Those beyond the end stay.
    parent: IdMap<Value, Value>,
}

impl Aliases {
    /// Replaces a value by another one, whose type is the same and whose definition dominates.
    pub(crate) fn replace(&mut self, value: Value, by: Value) {
        for index in self.parent.len()..=value.index() {
            self.parent.push(Value::new(index));
        }
        debug_assert_eq!(self.parent[value], value, "a value is replaced once");
        self.parent[value] = by;
    }

    /// Whether a value was replaced.
    pub(crate) fn is_replaced(&self, value: Value) -> bool {
        self.parent.get(value).is_some_and(|&parent| parent != value)
    }

    /// What stands for a value.
    pub(crate) fn resolve(&mut self, value: Value) -> Value {
        let mut root = value;
        while let Some(&parent) = self.parent.get(root) {
            if parent == root {
                break;
            }
            root = parent;
        }
        // Shorten the way for all that were passed.
        let mut at = value;
        while at != root {
            at = std::mem::replace(&mut self.parent[at], root);
        }
        root
    }

    /// Resolves every use in a function.
    pub(crate) fn rewrite(&mut self, func: &mut Func) {
        for b in 0..func.order.len() {
            let block = func.order[b];
            for i in 0..func.blocks[block].insts.len() {
                let inst = func.blocks[block].insts[i];
                func.map_uses(inst, |value| self.resolve(value));
            }
        }
    }
}
