//! What later rooms know of a module: the projection from `wasm::Module` to `abi::Shape`.

use cellwall_abi::shape::{
    ConstExpr, ConstOp, DataSegment, ElementItems, ElementMode, ElementSegment, Export, GlobalShape, Import,
    Item, MemoryShape, TableShape, TagShape,
};
use cellwall_abi::{Shape, Signature, ValType};
use cellwall_base::types::{self, Heap};
use cellwall_base::{IdMap, TableIdx, TypeIdx};
use cellwall_wasm as wasm;

/// Projects the shape of a module. Data segments refer to the artifact's data, in which they lie
/// one behind the other.
pub fn shape(module: &wasm::Module) -> Shape {
    let types: IdMap<TypeIdx, Signature> = module.types().values().map(signature).collect();
    let exact = module.exact_types();
    let all_plain = types::groups(exact).all(|group| types::is_plain(exact, &group));
    let exported = |table: TableIdx| {
        module
            .exports()
            .iter()
            .any(|e| e.item == wasm::Item::Table(table))
    };
    Shape {
        canonical_types: module.canonical_types().clone(),
        // Wherever one is named by a reference, all have to be there.
        exact_types: match all_plain && !names_types(module) {
            true => IdMap::new(),
            false => exact.clone(),
        },
        types,
        funcs: module.funcs().clone(),
        imported_funcs: module.imported_funcs(),
        memories: module
            .memories()
            .iter()
            .map(|(index, memory)| MemoryShape {
                imported: module.is_memory_imported(index),
                is_64: memory.is_64,
                shared: memory.shared,
                page_shift: memory.page_shift,
                min_pages: memory.min_pages,
                max_pages: memory.max_pages,
            })
            .collect(),
        tables: module
            .tables()
            .iter()
            .map(|(index, table)| {
                let imported = module.is_table_imported(index);
                let element = val_type(table.element);
                TableShape {
                    imported,
                    private: !imported && element == ValType::FuncRef && !exported(index),
                    element,
                    is_64: table.is_64,
                    exact: table.exact,
                    min: table.min,
                    max: table.max,
                    init: table.init.as_ref().map(const_expr),
                }
            })
            .collect(),
        globals: module
            .globals()
            .iter()
            .map(|(index, global)| GlobalShape {
                imported: module.is_global_imported(index),
                ty: val_type(global.ty),
                exact: global.exact,
                mutable: global.mutable,
                init: global.init.as_ref().map(const_expr),
            })
            .collect(),
        tags: module
            .tags()
            .iter()
            .map(|(index, tag)| TagShape {
                imported: module.is_tag_imported(index),
                ty: tag.ty,
            })
            .collect(),
        imports: module
            .imports()
            .iter()
            .map(|i| Import {
                module: i.module.clone(),
                name: i.name.clone(),
                item: item(i.item),
            })
            .collect(),
        exports: module
            .exports()
            .iter()
            .map(|e| Export {
                name: e.name.clone(),
                item: item(e.item),
            })
            .collect(),
        data: data(module),
        elements: module.elements().values().map(element).collect(),
        start: module.start(),
    }
}

/// Whether a table or global holds references to functions of one type.
fn names_types(module: &wasm::Module) -> bool {
    let tables = module.tables().values().map(|table| table.exact);
    let globals = module.globals().values().filter_map(|global| global.exact);
    tables.chain(globals).any(|ty| matches!(ty.heap, Heap::Type(_)))
}

fn data(module: &wasm::Module) -> IdMap<cellwall_base::DataIdx, DataSegment> {
    let mut end = 0;
    let place = |segment: &wasm::DataSegment| {
        let start = end;
        end += segment.bytes.len() as u32;
        DataSegment {
            active: segment
                .active
                .as_ref()
                .map(|(memory, offset)| (*memory, const_expr(offset))),
            bytes: start..end,
        }
    };
    module.data().values().map(place).collect()
}

fn element(segment: &wasm::ElementSegment) -> ElementSegment {
    ElementSegment {
        mode: match &segment.mode {
            wasm::ElementMode::Active(table, offset) => ElementMode::Active(*table, const_expr(offset)),
            wasm::ElementMode::Passive => ElementMode::Passive,
            wasm::ElementMode::Declared => ElementMode::Declared,
        },
        element: val_type(segment.element),
        items: match &segment.items {
            wasm::ElementItems::Funcs(funcs) => ElementItems::Funcs(funcs.clone()),
            wasm::ElementItems::Exprs(exprs) => ElementItems::Exprs(exprs.iter().map(const_expr).collect()),
        },
    }
}

fn item(item: wasm::Item) -> Item {
    match item {
        wasm::Item::Func(index) => Item::Func(index),
        wasm::Item::Table(index) => Item::Table(index),
        wasm::Item::Memory(index) => Item::Memory(index),
        wasm::Item::Global(index) => Item::Global(index),
        wasm::Item::Tag(index) => Item::Tag(index),
    }
}

fn signature(ty: &wasm::FuncType) -> Signature {
    let list = |types: &[wasm::ValType]| types.iter().map(|&t| val_type(t)).collect();
    Signature {
        params: list(&ty.params),
        results: list(&ty.results),
    }
}

fn val_type(ty: wasm::ValType) -> ValType {
    match ty {
        wasm::ValType::I32 => ValType::I32,
        wasm::ValType::I64 => ValType::I64,
        wasm::ValType::F32 => ValType::F32,
        wasm::ValType::F64 => ValType::F64,
        wasm::ValType::V128 => ValType::V128,
        wasm::ValType::FuncRef => ValType::FuncRef,
        wasm::ValType::ExternRef => ValType::ExternRef,
        wasm::ValType::ExnRef => ValType::ExnRef,
        wasm::ValType::AnyRef => ValType::AnyRef,
    }
}

fn const_expr(expr: &wasm::ConstExpr) -> ConstExpr {
    let op = |op: &wasm::ConstOp| match *op {
        wasm::ConstOp::I32(value) => ConstOp::I32(value),
        wasm::ConstOp::I64(value) => ConstOp::I64(value),
        wasm::ConstOp::F32(bits) => ConstOp::F32(bits),
        wasm::ConstOp::F64(bits) => ConstOp::F64(bits),
        wasm::ConstOp::V128(bits) => ConstOp::V128(bits),
        wasm::ConstOp::GlobalGet(global) => ConstOp::GlobalGet(global),
        wasm::ConstOp::RefNull => ConstOp::RefNull,
        wasm::ConstOp::RefFunc(func) => ConstOp::RefFunc(func),
        wasm::ConstOp::RefI31 => ConstOp::RefI31,
        wasm::ConstOp::I32Add => ConstOp::I32Add,
        wasm::ConstOp::I32Sub => ConstOp::I32Sub,
        wasm::ConstOp::I32Mul => ConstOp::I32Mul,
        wasm::ConstOp::I64Add => ConstOp::I64Add,
        wasm::ConstOp::I64Sub => ConstOp::I64Sub,
        wasm::ConstOp::I64Mul => ConstOp::I64Mul,
    };
    ConstExpr(expr.0.iter().map(op).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Shape {
        let bytes = wat::parse_str(text).expect("the text is a module");
        let shape = shape(&wasm::decode(bytes).expect("the module is valid"));
        shape.check().expect("a projected shape is in range");
        shape
    }

    #[test]
    fn only_an_unshared_table_of_functions_is_private() {
        let shape = of(
            r#"(module (import "m" "t" (table 1 funcref)) (table 1 funcref) (table 1 externref)
                 (table (export "e") 1 funcref))"#,
        );
        assert_eq!(
            shape.tables.values().map(|t| t.private).collect::<Vec<_>>(),
            [false, true, false, false]
        );
    }

    #[test]
    fn equal_types_share_a_number_and_others_do_not() {
        let shape =
            of("(module (type (func (param i32))) (type (func (param i64))) (type (func (param i32))))");
        let numbers: Vec<u32> = shape.canonical_types.values().map(|t| t.as_u32()).collect();
        assert_eq!(numbers, [0, 1, 0]);
    }

    #[test]
    fn data_lies_one_behind_the_other() {
        let shape = of(r#"(module (memory 1) (data (i32.const 3) "abc") (data "de"))"#);
        let ranges: Vec<_> = shape.data.values().map(|d| d.bytes.clone()).collect();
        assert_eq!(ranges, [0..3, 3..5]);
        assert_eq!(
            shape
                .data
                .values()
                .map(|d| d.active.is_some())
                .collect::<Vec<_>>(),
            [true, false]
        );
    }
}
