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

/// The implementation of `ComponentType`.
pub(crate) fn component_type(item: DeriveInput) -> Result<TokenStream> {
    let Input {
        ident,
        mut generics,
        krate,
        kind,
    } = input(item)?;
    for param in generics.type_params_mut() {
        param.bounds.push(parse_quote!(#krate::component::ComponentType));
    }
    let internal = quote!(#krate::component::__internal);
    let (typecheck, into_val, from_val) = match &kind {
        Kind::Record(fields) => record_code(fields, &krate, &internal),
        Kind::Variant(cases) => variant_code(cases, &krate, &internal),
        Kind::Enum(cases) => enum_code(cases, &krate, &internal),
    };
    let (impl_generics, ty_generics, where_clause) = generics.split_for_impl();
    Ok(quote! {
        #[allow(unused_variables, reason = "one text for every type")]
        impl #impl_generics #krate::component::ComponentType for #ident #ty_generics #where_clause {
            fn typecheck(ty: &#krate::component::Type) -> #krate::Result<()> {
                #typecheck
                ::core::result::Result::Ok(())
            }

            fn into_val<__D>(self, store: &mut #krate::StoreContextMut<'_, __D>) -> #krate::Result<#krate::component::Val> {
                ::core::result::Result::Ok(#into_val)
            }

            fn from_val<__D>(store: &mut #krate::StoreContextMut<'_, __D>, val: #krate::component::Val) -> #krate::Result<Self> {
                #from_val
            }
        }
    })
}

fn record_code(
    fields: &[Part<Type>],
    krate: &Path,
    internal: &TokenStream,
) -> (TokenStream, TokenStream, TokenStream) {
    let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    let idents: Vec<&Ident> = fields.iter().map(|field| &field.ident).collect();
    let checks = fields.iter().enumerate().map(|(n, field)| {
        let ty = &field.ty;
        quote! { <#ty as #krate::component::ComponentType>::typecheck(&fields[#n].1)?; }
    });
    (
        quote! {
            let fields = #internal::fields(ty, &[#(#names),*])?;
            #(#checks)*
        },
        quote! {
            #krate::component::Val::Record(::std::vec![
                #((::std::string::String::from(#names), #krate::component::ComponentType::into_val(self.#idents, store)?)),*
            ])
        },
        quote! {
            let mut vals = #internal::record_val(val)?;
            ::core::result::Result::Ok(Self { #(#idents: #internal::next(store, &mut vals)?),* })
        },
    )
}

fn variant_code(
    cases: &[Part<Option<Type>>],
    krate: &Path,
    internal: &TokenStream,
) -> (TokenStream, TokenStream, TokenStream) {
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let checks = cases.iter().enumerate().map(|(n, case)| {
        let name = &case.name;
        match &case.ty {
            Some(ty) => quote! { #internal::payload::<#ty>(#name, &cases[#n].1)?; },
            None => quote! { #internal::no_payload(#name, &cases[#n].1)?; },
        }
    });
    let into = cases.iter().map(|case| {
        let (name, ident) = (&case.name, &case.ident);
        let name = quote!(::std::string::String::from(#name));
        match case.ty {
            Some(_) => quote! {
                Self::#ident(payload) => #krate::component::Val::Variant(
                    #name,
                    ::core::option::Option::Some(::std::boxed::Box::new(
                        #krate::component::ComponentType::into_val(payload, store)?,
                    )),
                )
            },
            None => quote! {
                Self::#ident => #krate::component::Val::Variant(#name, ::core::option::Option::None)
            },
        }
    });
    let from = cases.iter().map(|case| {
        let (name, ident) = (&case.name, &case.ident);
        match case.ty {
            Some(_) => quote!(#name => Self::#ident(#internal::payload_of(store, payload)?)),
            None => quote!(#name => Self::#ident),
        }
    });
    (
        quote! {
            let cases = #internal::cases(ty, &[#(#names),*])?;
            #(#checks)*
        },
        quote! { match self { #(#into),* } },
        quote! {
            let (name, payload) = #internal::variant_val(val)?;
            ::core::result::Result::Ok(match name.as_str() {
                #(#from,)*
                other => return #internal::unknown("case", other),
            })
        },
    )
}

fn enum_code(
    cases: &[Part<()>],
    krate: &Path,
    internal: &TokenStream,
) -> (TokenStream, TokenStream, TokenStream) {
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    let idents: Vec<&Ident> = cases.iter().map(|case| &case.ident).collect();
    (
        quote! { #internal::enum_cases(ty, &[#(#names),*])?; },
        quote! {
            #krate::component::Val::Enum(::std::string::String::from(match self { #(Self::#idents => #names),* }))
        },
        quote! {
            let name = #internal::enum_val(val)?;
            ::core::result::Result::Ok(match name.as_str() {
                #(#names => Self::#idents,)*
                other => return #internal::unknown("case", other),
            })
        },
    )
}
