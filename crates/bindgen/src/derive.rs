//! Derived implementations of `ComponentType`, `Lift` and `Lower`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Data, DeriveInput, Error, Field, Fields, Generics, Ident, LitStr, Path, Result, Type, parse_quote,
};

/// What is derived for.
struct Input {
    ident: Ident,
    generics: Generics,
    krate: Path,
    kind: Kind,
}

enum Kind {
    Record(Vec<Part<Type>>),
    Variant(Vec<Part<Option<Type>>>),
    Enum(Vec<Part<()>>),
}

/// A field or case, with its name in WIT.
struct Part<T> {
    ident: Ident,
    name: String,
    ty: T,
}

/// `#[component(..)]` of a type.
#[derive(Default)]
struct TypeAttrs {
    style: Option<Ident>,
    krate: Option<Path>,
}

fn type_attrs(input: &DeriveInput) -> Result<TypeAttrs> {
    let mut attrs = TypeAttrs::default();
    for attr in input
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("component"))
    {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("cellwall_crate") {
                attrs.krate = Some(meta.value()?.parse()?);
                return Ok(());
            }
            match meta.path.get_ident() {
                Some(ident) if ["record", "variant", "enum"].iter().any(|style| ident == style) => {
                    attrs.style = Some(ident.clone());
                    Ok(())
                }
                _ => Err(meta.error("expected `record`, `variant`, `enum` or `cellwall_crate = path`")),
            }
        })?;
    }
    Ok(attrs)
}

/// The name that `#[component(name = "..")]` gives, or that of Rust as WIT writes it.
fn name_of(attrs: &[syn::Attribute], ident: &Ident) -> Result<String> {
    let mut name = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("component")) {
        attr.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse::<LitStr>()?.value());
                return Ok(());
            }
            Err(meta.error("expected `name = \"..\"`"))
        })?;
    }
    Ok(name.unwrap_or_else(|| kebab(&ident.to_string())))
}

/// `some_name` and `SomeName` as `some-name`.
pub(crate) fn kebab(name: &str) -> String {
    let mut out = String::new();
    for (at, char) in name.trim_start_matches("r#").char_indices() {
        match char {
            '_' => out.push('-'),
            _ if char.is_uppercase() => {
                if at > 0 && !out.ends_with('-') {
                    out.push('-');
                }
                out.extend(char.to_lowercase());
            }
            _ => out.push(char),
        }
    }
    out
}

fn input(input: DeriveInput) -> Result<Input> {
    let attrs = type_attrs(&input)?;
    let Some(style) = attrs.style else {
        return Err(Error::new(
            input.ident.span(),
            "say what it is in WIT: `#[component(record)]`, `#[component(variant)]` or `#[component(enum)]`",
        ));
    };
    let kind = match (style.to_string().as_str(), &input.data) {
        ("record", Data::Struct(data)) => Kind::Record(record(&input.ident, &data.fields)?),
        ("variant", Data::Enum(data)) => {
            let cases = data.variants.iter().map(|case| {
                let ty = payload(&case.fields)?;
                let name = name_of(&case.attrs, &case.ident)?;
                let ident = case.ident.clone();
                Ok(Part { ident, name, ty })
            });
            Kind::Variant(cases.collect::<Result<_>>()?)
        }
        ("enum", Data::Enum(data)) => {
            let cases = data.variants.iter().map(|case| {
                if !case.fields.is_empty() {
                    let message = "cases of an enum have no payloads; a `variant` may have some";
                    return Err(Error::new(case.ident.span(), message));
                }
                let name = name_of(&case.attrs, &case.ident)?;
                let ident = case.ident.clone();
                Ok(Part { ident, name, ty: () })
            });
            Kind::Enum(cases.collect::<Result<_>>()?)
        }
        ("record", _) => return Err(Error::new(style.span(), "a `record` is a Rust struct")),
        (style_name, _) => {
            return Err(Error::new(
                style.span(),
                format!("a `{style_name}` is a Rust enum"),
            ));
        }
    };
    let is_empty = match &kind {
        Kind::Record(fields) => fields.is_empty(),
        Kind::Variant(cases) => cases.is_empty(),
        Kind::Enum(cases) => cases.is_empty(),
    };
    if is_empty {
        return Err(Error::new(
            input.ident.span(),
            "WIT has no types without fields or cases",
        ));
    }
    Ok(Input {
        ident: input.ident,
        generics: input.generics,
        krate: attrs.krate.unwrap_or_else(|| parse_quote!(::cellwall)),
        kind,
    })
}

fn record(ident: &Ident, fields: &Fields) -> Result<Vec<Part<Type>>> {
    let Fields::Named(fields) = fields else {
        return Err(Error::new(ident.span(), "fields of a record have names"));
    };
    let part = |field: &Field| {
        let ident = field.ident.clone().expect("fields in braces have names");
        Ok(Part {
            name: name_of(&field.attrs, &ident)?,
            ty: field.ty.clone(),
            ident,
        })
    };
    fields.named.iter().map(part).collect()
}

fn payload(fields: &Fields) -> Result<Option<Type>> {
    match fields {
        Fields::Unit => Ok(None),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Ok(Some(fields.unnamed[0].ty.clone())),
        other => {
            let message = "a case has one payload, or none: `Case(Type)` or `Case`";
            Err(Error::new_spanned(other, message))
        }
    }
}

/// What of `ComponentType`, `Lift` and `Lower` is derived.
#[derive(Clone, Copy)]
pub(crate) enum Trait {
    ComponentType,
    Lift,
    Lower,
}

/// The implementation of a trait.
pub(crate) fn derive(item: DeriveInput, of: Trait) -> Result<TokenStream> {
    let Input {
        ident,
        mut generics,
        krate,
        kind,
    } = input(item)?;
    let component = quote!(#krate::component);
    let code = Code {
        internal: quote!(#component::__internal),
        krate: quote!(#krate),
        component,
    };
    let component = &code.component;
    let (name, body) = match of {
        Trait::ComponentType => (quote!(ComponentType), code.component_type(&kind)),
        Trait::Lift => (quote!(Lift), code.lift(&kind)),
        Trait::Lower => (quote!(Lower), code.lower(&kind)),
    };
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#component::#name));
    }
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        #[allow(unused_variables, reason = "one text for every type")]
        impl #impl_generics #component::#name for #ident #ty_generics #where_clause {
            #body
        }
    })
}

/// The paths that derived code names.
struct Code {
    krate: TokenStream,
    component: TokenStream,
    internal: TokenStream,
}

impl Code {
    /// The layouts of fields.
    fn field_layouts(&self, fields: &[Part<Type>]) -> TokenStream {
        let component = &self.component;
        let types = fields.iter().map(|field| &field.ty);
        quote!(&[#(<#types as #component::ComponentType>::LAYOUT),*])
    }

    /// The layouts of payloads.
    fn case_layouts(&self, cases: &[Part<Option<Type>>]) -> TokenStream {
        let component = &self.component;
        let cases = cases.iter().map(|case| match &case.ty {
            Some(ty) => quote!(::core::option::Option::Some(<#ty as #component::ComponentType>::LAYOUT)),
            None => quote!(::core::option::Option::None),
        });
        quote!(&[#(#cases),*])
    }

    fn component_type(&self, kind: &Kind) -> TokenStream {
        let Self {
            krate,
            component,
            internal,
        } = self;
        let (layout, check) = match kind {
            Kind::Record(fields) => {
                let names = fields.iter().map(|field| &field.name);
                let checks = fields.iter().enumerate().map(|(n, field)| {
                    let ty = &field.ty;
                    quote!(<#ty as #component::ComponentType>::typecheck(&fields[#n].1)?;)
                });
                let layouts = self.field_layouts(fields);
                (
                    quote!(#internal::Layout::record(#layouts)),
                    quote! {
                        let fields = #internal::fields(ty, &[#(#names),*])?;
                        #(#checks)*
                    },
                )
            }
            Kind::Variant(cases) => {
                let names = cases.iter().map(|case| &case.name);
                let checks = cases.iter().enumerate().map(|(n, case)| {
                    let name = &case.name;
                    match &case.ty {
                        Some(ty) => quote!(#internal::payload::<#ty>(#name, &cases[#n].1)?;),
                        None => quote!(#internal::no_payload(#name, &cases[#n].1)?;),
                    }
                });
                let layouts = self.case_layouts(cases);
                (
                    quote!(#internal::Layout::variant(#layouts)),
                    quote! {
                        let cases = #internal::cases(ty, &[#(#names),*])?;
                        #(#checks)*
                    },
                )
            }
            Kind::Enum(cases) => {
                let names = cases.iter().map(|case| &case.name);
                let count = cases.len();
                (
                    quote! {
                        #internal::Layout::scalar(#internal::Layout::discriminant(#count))
                    },
                    quote!(#internal::enum_cases(ty, &[#(#names),*])?;),
                )
            }
        };
        quote! {
            const LAYOUT: #internal::Layout = #layout;

            fn typecheck(ty: &#component::Type) -> #krate::Result<()> {
                #check
                ::core::result::Result::Ok(())
            }
        }
    }

    fn lower(&self, kind: &Kind) -> TokenStream {
        let Self {
            krate,
            component,
            internal,
        } = self;
        let (flat, memory) = match kind {
            Kind::Record(fields) => self.lower_record(fields),
            Kind::Variant(cases) => self.lower_variant(cases),
            Kind::Enum(cases) => {
                let numbers = 0..cases.len() as u32;
                let idents = cases.iter().map(|case| &case.ident);
                let number = quote!(match self { #(Self::#idents => #numbers),* });
                (
                    quote!(to[0] = ::core::convert::From::<u32>::from(#number);),
                    quote! {
                        let size = <Self as #component::ComponentType>::LAYOUT.size;
                        #internal::write_number(cx, at, size, #number);
                    },
                )
            }
        };
        quote! {
            #[inline]
            fn lower_flat<__D: 'static>(
                &self,
                cx: &mut #internal::Lowering<'_, '_, __D>,
                ty: #internal::TypeRef<'_>,
                to: &mut [u64],
            ) -> #krate::Result<()> {
                #flat
                ::core::result::Result::Ok(())
            }

            #[inline]
            fn lower_memory<__D: 'static>(
                &self,
                cx: &mut #internal::Lowering<'_, '_, __D>,
                ty: #internal::TypeRef<'_>,
                at: u32,
            ) -> #krate::Result<()> {
                #memory
                ::core::result::Result::Ok(())
            }
        }
    }

    fn lower_record(&self, fields: &[Part<Type>]) -> (TokenStream, TokenStream) {
        let Self {
            component, internal, ..
        } = self;
        let layouts = self.field_layouts(fields);
        let (flat, memory): (Vec<_>, Vec<_>) = fields
            .iter()
            .enumerate()
            .map(|(n, field)| {
                let (ident, ty) = (&field.ident, &field.ty);
                (
                    quote! {
                        let (part, to) = to.split_at_mut(<#ty as #component::ComponentType>::LAYOUT.flat_count);
                        #component::Lower::lower_flat(&self.#ident, cx, ty.field::<#ty>(#n), part)?;
                    },
                    quote! {
                        let offset = const { #internal::Layout::offset(#layouts, #n) };
                        #component::Lower::lower_memory(&self.#ident, cx, ty.field::<#ty>(#n), at + offset)?;
                    },
                )
            })
            .unzip();
        (quote!(#(#flat)*), quote!(#(#memory)*))
    }

    fn lower_variant(&self, cases: &[Part<Option<Type>>]) -> (TokenStream, TokenStream) {
        let Self {
            component, internal, ..
        } = self;
        let layouts = self.case_layouts(cases);
        let count = cases.len();
        let (flat, memory): (Vec<_>, Vec<_>) = cases
            .iter()
            .enumerate()
            .map(|(n, case)| {
                let (ident, number) = (&case.ident, n as u32);
                let write = quote! {
                    #internal::write_number(cx, at, const { #internal::Layout::discriminant(#count) }, #number);
                };
                let Some(ty) = &case.ty else {
                    return (
                        quote!(Self::#ident => to[0] = #number as u64,),
                        quote!(Self::#ident => { #write }),
                    );
                };
                (
                    quote! {
                        Self::#ident(payload) => {
                            to[0] = #number as u64;
                            #component::Lower::lower_flat(payload, cx, ty.case::<#ty>(#n), &mut to[1..])?;
                        }
                    },
                    quote! {
                        Self::#ident(payload) => {
                            #write
                            let offset = const { #internal::Layout::payload(#layouts) };
                            #component::Lower::lower_memory(payload, cx, ty.case::<#ty>(#n), at + offset)?;
                        }
                    },
                )
            })
            .unzip();
        (
            quote!(match self { #(#flat)* }),
            quote!(match self { #(#memory)* }),
        )
    }

    fn lift(&self, kind: &Kind) -> TokenStream {
        let Self {
            krate,
            component,
            internal,
        } = self;
        let (flat, memory) = match kind {
            Kind::Record(fields) => self.lift_record(fields),
            Kind::Variant(cases) => self.lift_variant(cases),
            Kind::Enum(cases) => {
                let idents: Vec<&Ident> = cases.iter().map(|case| &case.ident).collect();
                let numbers: Vec<u32> = (0..cases.len() as u32).collect();
                let matching = |number: TokenStream| {
                    quote! {
                        match #number {
                            #(#numbers => Self::#idents,)*
                            _ => return ::core::result::Result::Err(#internal::no_case()),
                        }
                    }
                };
                let size = quote!(<Self as #component::ComponentType>::LAYOUT.size);
                (
                    matching(quote!(from[0] as u32)),
                    matching(quote!(#internal::read_number(cx, at, #size))),
                )
            }
        };
        quote! {
            #[inline]
            fn lift_flat<__D: 'static>(
                cx: &mut #internal::Lifting<'_, '_, __D>,
                ty: #internal::TypeRef<'_>,
                from: &[u64],
            ) -> #krate::Result<Self> {
                ::core::result::Result::Ok(#flat)
            }

            #[inline]
            fn lift_memory<__D: 'static>(
                cx: &mut #internal::Lifting<'_, '_, __D>,
                ty: #internal::TypeRef<'_>,
                at: u32,
            ) -> #krate::Result<Self> {
                ::core::result::Result::Ok(#memory)
            }
        }
    }

    fn lift_record(&self, fields: &[Part<Type>]) -> (TokenStream, TokenStream) {
        let Self {
            component, internal, ..
        } = self;
        let layouts = self.field_layouts(fields);
        let idents: Vec<&Ident> = fields.iter().map(|field| &field.ident).collect();
        let (flat, memory): (Vec<_>, Vec<_>) = fields
            .iter()
            .enumerate()
            .map(|(n, field)| {
                let (ident, ty) = (&field.ident, &field.ty);
                let lifted = quote!(<#ty as #component::Lift>);
                // The names of fields are no names of these.
                let ident = quote::format_ident!("__{}", ident);
                (
                    quote! {
                        let (__part, __from) =
                            __from.split_at(<#ty as #component::ComponentType>::LAYOUT.flat_count);
                        let #ident = #lifted::lift_flat(cx, ty.field::<#ty>(#n), __part)?;
                    },
                    quote! {
                        let __offset = const { #internal::Layout::offset(#layouts, #n) };
                        let #ident = #lifted::lift_memory(cx, ty.field::<#ty>(#n), at + __offset)?;
                    },
                )
            })
            .unzip();
        let locals = idents.iter().map(|ident| quote::format_ident!("__{}", ident));
        let made = quote!(Self { #(#idents: #locals),* });
        (
            quote!({ let __from = from; #(#flat)* #made }),
            quote!({ #(#memory)* #made }),
        )
    }

    fn lift_variant(&self, cases: &[Part<Option<Type>>]) -> (TokenStream, TokenStream) {
        let Self {
            component, internal, ..
        } = self;
        let layouts = self.case_layouts(cases);
        let count = cases.len();
        let arms = |payload: &dyn Fn(usize, &Type) -> TokenStream| {
            let arms = cases.iter().enumerate().map(|(n, case)| {
                let (ident, number) = (&case.ident, n as u32);
                match &case.ty {
                    Some(ty) => {
                        let payload = payload(n, ty);
                        quote!(#number => Self::#ident(#payload),)
                    }
                    None => quote!(#number => Self::#ident,),
                }
            });
            quote! {
                #(#arms)*
                _ => return ::core::result::Result::Err(#internal::no_case()),
            }
        };
        let flat =
            arms(&|n, ty| quote!(<#ty as #component::Lift>::lift_flat(cx, ty.case::<#ty>(#n), &from[1..])?));
        let memory = arms(
            &|n, ty| quote!(<#ty as #component::Lift>::lift_memory(cx, ty.case::<#ty>(#n), at + offset)?),
        );
        (
            quote!(match from[0] as u32 { #flat }),
            quote!({
                let offset = const { #internal::Layout::payload(#layouts) };
                match #internal::read_number(cx, at, const { #internal::Layout::discriminant(#count) }) { #memory }
            }),
        )
    }
}
