//! The macro `flags!`.

use crate::derive::kebab;
use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Ident, LitStr, Path, Result, Token, braced};

/// Flags that the canonical ABI lets a type have.
const FLAGS_MAX: usize = 32;

/// `Name { const A; const B; }`.
pub(crate) struct Flags {
    attrs: Vec<Attribute>,
    krate: Path,
    ident: Ident,
    flags: Vec<Flag>,
}

struct Flag {
    attrs: Vec<Attribute>,
    ident: Ident,
    name: String,
}

impl Parse for Flags {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut krate = syn::parse_quote!(::cellwall);
        let mut attrs = Vec::new();
        for attr in input.call(Attribute::parse_outer)? {
            if !attr.path().is_ident("component") {
                attrs.push(attr);
                continue;
            }
            attr.parse_nested_meta(|meta| match meta.path.is_ident("cellwall_crate") {
                true => {
                    krate = meta.value()?.parse()?;
                    Ok(())
                }
                false => Err(meta.error("expected `cellwall_crate = path`")),
            })?;
        }
        let ident: Ident = input.parse()?;
        let content;
        braced!(content in input);
        let mut flags = Vec::new();
        while !content.is_empty() {
            let mut attrs = content.call(Attribute::parse_outer)?;
            content.parse::<Token![const]>()?;
            let ident: Ident = content.parse()?;
            content.parse::<Token![;]>()?;
            let mut name = kebab(&ident.to_string().to_lowercase());
            for attr in attrs.iter().filter(|attr| attr.path().is_ident("component")) {
                attr.parse_nested_meta(|meta| match meta.path.is_ident("name") {
                    true => {
                        name = meta.value()?.parse::<LitStr>()?.value();
                        Ok(())
                    }
                    false => Err(meta.error("expected `name = \"..\"`")),
                })?;
            }
            attrs.retain(|attr| !attr.path().is_ident("component"));
            flags.push(Flag { attrs, ident, name });
        }
        if flags.is_empty() || flags.len() > FLAGS_MAX {
            let message = format!(
                "a flags type has 1 to {FLAGS_MAX} flags, this one has {}",
                flags.len()
            );
            return Err(Error::new(ident.span(), message));
        }
        Ok(Self {
            attrs,
            krate,
            ident,
            flags,
        })
    }
}

impl Flags {
    pub(crate) fn expand(&self) -> TokenStream {
        let (ident, attrs) = (&self.ident, &self.attrs);
        let all = u32::MAX >> (FLAGS_MAX - self.flags.len());
        let constants = self.flags.iter().enumerate().map(|(bit, flag)| {
            let (attrs, name) = (&flag.attrs, &flag.ident);
            let bits = 1u32 << bit;
            quote! { #(#attrs)* pub const #name: Self = Self { bits: #bits }; }
        });
        let names = self.flags.iter().map(|flag| flag.ident.to_string());
        let ops = [
            (
                "BitOr",
                "bitor",
                quote!(self.bits | other.bits),
                quote!(self.bits |= other.bits),
            ),
            (
                "BitAnd",
                "bitand",
                quote!(self.bits & other.bits),
                quote!(self.bits &= other.bits),
            ),
            (
                "BitXor",
                "bitxor",
                quote!(self.bits ^ other.bits),
                quote!(self.bits ^= other.bits),
            ),
            (
                "Sub",
                "sub",
                quote!(self.bits & !other.bits),
                quote!(self.bits &= !other.bits),
            ),
        ];
        let ops = ops.iter().map(|(name, method, bits, assigned)| {
            let (op, method) = (quote::format_ident!("{name}"), quote::format_ident!("{method}"));
            let (assign, assign_method) = (
                quote::format_ident!("{op}Assign"),
                quote::format_ident!("{method}_assign"),
            );
            quote! {
                impl ::core::ops::#op for #ident {
                    type Output = Self;
                    fn #method(self, other: Self) -> Self { Self { bits: #bits } }
                }
                impl ::core::ops::#assign for #ident {
                    fn #assign_method(&mut self, other: Self) { #assigned; }
                }
            }
        });
        let component = self.component();
        quote! {
            #(#attrs)*
            #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
            #[allow(unreachable_pub, reason = "who uses it is not known here")]
            pub struct #ident { bits: u32 }

            #[allow(dead_code, unreachable_pub, reason = "a set of flags has all of its functions")]
            impl #ident {
                #(#constants)*

                const ALL: u32 = #all;

                /// No flag.
                pub const fn empty() -> Self { Self { bits: 0 } }

                /// Every flag.
                pub const fn all() -> Self { Self { bits: Self::ALL } }

                /// Its bits: the first flag is the lowest.
                pub const fn bits(&self) -> u32 { self.bits }

                /// The flags of these bits; others are dropped.
                pub const fn from_bits_truncate(bits: u32) -> Self { Self { bits: bits & Self::ALL } }

                /// Whether no flag is set.
                pub const fn is_empty(&self) -> bool { self.bits == 0 }

                /// Whether all flags of the other are set.
                pub const fn contains(&self, other: Self) -> bool { self.bits & other.bits == other.bits }

                /// Whether a flag of the other is set.
                pub const fn intersects(&self, other: Self) -> bool { self.bits & other.bits != 0 }

                /// Sets flags.
                pub fn insert(&mut self, other: Self) { self.bits |= other.bits; }

                /// Unsets flags.
                pub fn remove(&mut self, other: Self) { self.bits &= !other.bits; }
            }

            impl ::core::fmt::Debug for #ident {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.write_str(::core::concat!(::core::stringify!(#ident), "("))?;
                    let mut separator = "";
                    for (bit, name) in [#(#names),*].iter().enumerate() {
                        if self.bits >> bit & 1 != 0 {
                            f.write_str(separator)?;
                            f.write_str(name)?;
                            separator = " | ";
                        }
                    }
                    f.write_str(")")
                }
            }

            impl ::core::ops::Not for #ident {
                type Output = Self;
                fn not(self) -> Self { Self { bits: !self.bits & Self::ALL } }
            }

            #(#ops)*

            #component
        }
    }

    fn component(&self) -> TokenStream {
        let (ident, krate, count) = (&self.ident, &self.krate, self.flags.len());
        let internal = quote!(#krate::component::__internal);
        let names: Vec<&str> = self.flags.iter().map(|flag| flag.name.as_str()).collect();
        quote! {
            impl #krate::component::ComponentType for #ident {
                const LAYOUT: #internal::Layout = #internal::Layout::flags(#count);

                fn typecheck(ty: &#krate::component::Type) -> #krate::Result<()> {
                    #internal::flag_names(ty, &[#(#names),*])
                }
            }

            impl #krate::component::Lower for #ident {
                #[inline]
                fn lower_flat<__D: 'static>(
                    &self,
                    _: &mut #internal::Lowering<'_, '_, __D>,
                    _: #internal::TypeRef<'_>,
                    to: &mut [u64],
                ) -> #krate::Result<()> {
                    to[0] = self.bits as u64;
                    ::core::result::Result::Ok(())
                }

                #[inline]
                fn lower_memory<__D: 'static>(
                    &self,
                    cx: &mut #internal::Lowering<'_, '_, __D>,
                    _: #internal::TypeRef<'_>,
                    at: u32,
                ) -> #krate::Result<()> {
                    let size = <Self as #krate::component::ComponentType>::LAYOUT.size;
                    #internal::write_number(cx, at, size, self.bits);
                    ::core::result::Result::Ok(())
                }
            }

            impl #krate::component::Lift for #ident {
                #[inline]
                fn lift_flat<__D: 'static>(
                    _: &mut #internal::Lifting<'_, '_, __D>,
                    _: #internal::TypeRef<'_>,
                    from: &[u64],
                ) -> #krate::Result<Self> {
                    ::core::result::Result::Ok(Self::from_bits_truncate(from[0] as u32))
                }

                #[inline]
                fn lift_memory<__D: 'static>(
                    cx: &mut #internal::Lifting<'_, '_, __D>,
                    _: #internal::TypeRef<'_>,
                    at: u32,
                ) -> #krate::Result<Self> {
                    let size = <Self as #krate::component::ComponentType>::LAYOUT.size;
                    ::core::result::Result::Ok(Self::from_bits_truncate(#internal::read_number(cx, at, size)))
                }
            }
        }
    }
}
