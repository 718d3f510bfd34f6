//! Types as a component defines them, to types with layouts and concrete resources.

use super::Evaluator;
use super::frame::{CoreTypeDef, Frame, TypeDef, outward};
use crate::plan::{CoreKind, CoreType, ModuleType, ResourceOrigin, Step};
use crate::types::{Case, Fields, Flags, FuncKind, FuncType, List, ValType, Variant};
use cellwall_base::Invalid;
use std::rc::Rc;
use std::sync::Arc;
use wasmparser as wp;
use wasmparser::{
    ComponentDefinedType, ComponentFuncType, ComponentType, ComponentValType, ModuleTypeDeclaration,
    PrimitiveValType,
};

impl Evaluator {
    pub(super) fn type_def<'d>(
        &mut self,
        frame: &Rc<Frame<'d>>,
        ty: &'d ComponentType<'d>,
    ) -> Result<TypeDef<'d>, Invalid> {
        Ok(match ty {
            ComponentType::Defined(ty) => self.defined_type(frame, ty)?,
            ComponentType::Func(ty) => match self.func_type(frame, ty)? {
                Some(ty) => TypeDef::Func(Arc::new(ty)),
                None => TypeDef::Async,
            },
            ComponentType::Component(_) => TypeDef::Component,
            ComponentType::Instance(declarations) => TypeDef::Instance(declarations, frame.clone()),
            ComponentType::Resource { dtor, .. } => {
                let dtor = dtor.map(|index| frame.core(CoreKind::Func, index));
                let instance = frame.instance;
                let id = self.add_resource(ResourceOrigin::Own { instance, dtor });
                self.plan.steps.push(Step::Resource(id));
                TypeDef::Resource(id)
            }
        })
    }

    fn func_type(
        &mut self,
        frame: &Frame<'_>,
        ty: &ComponentFuncType<'_>,
    ) -> Result<Option<FuncType>, Invalid> {
        let mut params = Vec::with_capacity(ty.params.len());
        for (name, ty) in &ty.params {
            let Some(ty) = val_type(frame, *ty) else {
                return Ok(None);
            };
            params.push((Arc::from(*name), ty));
        }
        let result = match ty.result {
            Some(ty) => match val_type(frame, ty) {
                None => return Ok(None),
                some => some,
            },
            None => None,
        };
        let params = Fields::new(params).map_err(|limit| self.limit(limit))?;
        Ok(Some(FuncType {
            params: Arc::new(params),
            result,
            kind: if ty.async_ {
                FuncKind::Async
            } else {
                FuncKind::Sync
            },
        }))
    }

    fn defined_type<'d>(
        &mut self,
        frame: &Frame<'d>,
        ty: &ComponentDefinedType<'_>,
    ) -> Result<TypeDef<'d>, Invalid> {
        // A part that only asynchronous functions use makes the whole one.
        macro_rules! part {
            ($ty:expr) => {
                match val_type(frame, $ty) {
                    Some(ty) => ty,
                    None => return Ok(TypeDef::Async),
                }
            };
        }
        macro_rules! optional {
            ($ty:expr) => {
                match $ty {
                    Some(ty) => Some(part!(ty)),
                    None => None,
                }
            };
        }
        let name = |name: &str| Arc::<str>::from(name);
        let made = match ty {
            ComponentDefinedType::Primitive(ty) => Ok(primitive(*ty)),
            ComponentDefinedType::Record(list) => {
                let mut fields = Vec::with_capacity(list.len());
                for (field, ty) in list {
                    fields.push((name(field), part!(*ty)));
                }
                Fields::new(fields).map(|it| ValType::Record(Arc::new(it)))
            }
            ComponentDefinedType::Tuple(list) => {
                let mut fields = Vec::with_capacity(list.len());
                for ty in list {
                    fields.push((name(""), part!(*ty)));
                }
                Fields::new(fields).map(|it| ValType::Tuple(Arc::new(it)))
            }
            ComponentDefinedType::Variant(list) => {
                let mut cases = Vec::with_capacity(list.len());
                for case in list {
                    cases.push(Case {
                        name: name(case.name),
                        ty: optional!(case.ty),
                    });
                }
                Variant::new(cases).map(|it| ValType::Variant(Arc::new(it)))
            }
            ComponentDefinedType::Enum(list) => {
                let case = |it: &&str| Case {
                    name: name(it),
                    ty: None,
                };
                Variant::new(list.iter().map(case).collect()).map(|it| ValType::Enum(Arc::new(it)))
            }
            ComponentDefinedType::Option(ty) => {
                Variant::option(part!(*ty)).map(|it| ValType::Option(Arc::new(it)))
            }
            ComponentDefinedType::Result { ok, err } => {
                let (ok, err) = (optional!(*ok), optional!(*err));
                Variant::result(ok, err).map(|it| ValType::Result(Arc::new(it)))
            }
            ComponentDefinedType::List(ty) => {
                List::new(part!(*ty), None).map(|it| ValType::List(Arc::new(it)))
            }
            ComponentDefinedType::FixedLengthList(ty, length) => {
                List::new(part!(*ty), Some(*length)).map(|it| ValType::List(Arc::new(it)))
            }
            ComponentDefinedType::Map(key, value) => {
                let entry = [(name(""), part!(*key)), (name(""), part!(*value))];
                Fields::new(entry)
                    .and_then(|it| List::new(ValType::Tuple(Arc::new(it)), None))
                    .map(|it| ValType::Map(Arc::new(it)))
            }
            ComponentDefinedType::Flags(names) => {
                let names = names.iter().map(|it| name(it)).collect();
                Ok(ValType::Flags(Arc::new(Flags::new(names))))
            }
            ComponentDefinedType::Own(index) => Ok(ValType::Own(frame.resource(*index))),
            ComponentDefinedType::Borrow(index) => Ok(ValType::Borrow(frame.resource(*index))),
            ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_) => return Ok(TypeDef::Async),
        };
        made.map(TypeDef::Val).map_err(|limit| self.limit(limit))
    }
}

pub(super) fn func_type(frame: &Frame<'_>, index: u32) -> Arc<FuncType> {
    match &frame.spaces.borrow().types[index as usize] {
        TypeDef::Func(ty) => ty.clone(),
        // Only named: a call would need `canon lower`, which refuses it.
        _ => Arc::new(FuncType {
            params: Arc::new(Fields::new([]).expect("nothing is small")),
            result: None,
            kind: FuncKind::Opaque,
        }),
    }
}

/// `None` if only asynchronous functions use it.
pub(super) fn val_type(frame: &Frame<'_>, ty: ComponentValType) -> Option<ValType> {
    match ty {
        ComponentValType::Primitive(ty) => Some(primitive(ty)),
        ComponentValType::Type(index) => match &frame.spaces.borrow().types[index as usize] {
            TypeDef::Val(ty) => Some(ty.clone()),
            _ => None,
        },
    }
}

fn primitive(ty: PrimitiveValType) -> ValType {
    match ty {
        PrimitiveValType::Bool => ValType::Bool,
        PrimitiveValType::S8 => ValType::S8,
        PrimitiveValType::U8 => ValType::U8,
        PrimitiveValType::S16 => ValType::S16,
        PrimitiveValType::U16 => ValType::U16,
        PrimitiveValType::S32 => ValType::S32,
        PrimitiveValType::U32 => ValType::U32,
        PrimitiveValType::S64 => ValType::S64,
        PrimitiveValType::U64 => ValType::U64,
        PrimitiveValType::F32 => ValType::F32,
        PrimitiveValType::F64 => ValType::F64,
        PrimitiveValType::Char => ValType::Char,
        PrimitiveValType::String => ValType::String,
        PrimitiveValType::ErrorContext => ValType::ErrorContext,
    }
}

pub(super) fn push_core_type<'d>(frame: &Rc<Frame<'d>>, ty: &'d wp::CoreType<'d>) {
    let mut spaces = frame.spaces.borrow_mut();
    match ty {
        wp::CoreType::Rec(group) => {
            let types = group.types().map(|ty| CoreTypeDef::Sub(Box::new(ty.clone())));
            spaces.core_types.extend(types);
        }
        wp::CoreType::Module(declarations) => {
            spaces
                .core_types
                .push(CoreTypeDef::Module(declarations, frame.clone()));
        }
    }
}

/// What an imported module must be.
pub(super) fn module_type(declarations: &[ModuleTypeDeclaration<'_>], outer: &Rc<Frame<'_>>) -> ModuleType {
    let mut types: Vec<wp::SubType> = Vec::new();
    let mut module = ModuleType::default();
    for declaration in declarations {
        match declaration {
            ModuleTypeDeclaration::Type(group) => types.extend(group.types().cloned()),
            ModuleTypeDeclaration::OuterAlias { count, index, .. } => {
                // The innermost scope is the module type itself.
                let frame = match count.checked_sub(1) {
                    Some(count) => outward(outer, count),
                    None => {
                        types.push(types[*index as usize].clone());
                        continue;
                    }
                };
                if let CoreTypeDef::Sub(ty) = &frame.spaces.borrow().core_types[*index as usize] {
                    types.push((**ty).clone());
                }
            }
            ModuleTypeDeclaration::Export { name, ty } => {
                if let Some(ty) = core_type(&types, ty) {
                    module.exports.push((Arc::from(*name), ty));
                }
            }
            ModuleTypeDeclaration::Import(import) => {
                if let Some(ty) = core_type(&types, &import.ty) {
                    module
                        .imports
                        .push((import.module.into(), import.name.into(), ty));
                }
            }
        }
    }
    module
}

/// `None` if it is a type that no function can have.
fn core_type(types: &[wp::SubType], ty: &wp::TypeRef) -> Option<CoreType> {
    let func = |index: u32| match &types.get(index as usize)?.composite_type.inner {
        wp::CompositeInnerType::Func(ty) => Some(ty),
        _ => None,
    };
    let text = |types: &[wp::ValType]| types.iter().map(wp::ValType::to_string).collect::<Vec<_>>();
    Some(match *ty {
        wp::TypeRef::Func(index) | wp::TypeRef::FuncExact(index) => {
            let ty = func(index)?;
            CoreType::Func {
                params: text(ty.params()),
                results: text(ty.results()),
            }
        }
        wp::TypeRef::Table(ty) => CoreType::Table {
            element: wp::ValType::Ref(ty.element_type).to_string(),
            min: ty.initial,
            max: ty.maximum,
            is_64: ty.table64,
        },
        wp::TypeRef::Memory(ty) => CoreType::Memory {
            min: ty.initial,
            max: ty.maximum,
            is_64: ty.memory64,
            shared: ty.shared,
        },
        wp::TypeRef::Global(ty) => CoreType::Global {
            content: ty.content_type.to_string(),
            mutable: ty.mutable,
        },
        wp::TypeRef::Tag(ty) => CoreType::Tag {
            params: text(func(ty.func_type_idx)?.params()),
        },
    })
}
