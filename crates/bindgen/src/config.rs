//! What is said between the brackets of `bindgen!`.

use proc_macro2::Span;
use std::cell::Cell;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitBool, LitStr, Path, Result, Token, braced, bracketed, token};

/// The options of `bindgen!`.
#[derive(Default)]
pub(crate) struct Config {
    /// Files or folders of WIT, relative to the package.
    pub(crate) paths: Vec<String>,
    /// WIT in place.
    pub(crate) inline: Option<String>,
    pub(crate) world: Option<String>,
    pub(crate) imports: FuncConfig,
    pub(crate) exports: FuncConfig,
    /// Interfaces, packages or types that are there already, and their paths.
    pub(crate) with: Vec<Mapping>,
    pub(crate) trappable_errors: Vec<Mapping>,
    pub(crate) additional_derives: Vec<Path>,
    pub(crate) features: Vec<String>,
    pub(crate) require_send: bool,
    pub(crate) only_interfaces: bool,
    pub(crate) stringify: bool,
    /// What `cellwall` is called where the macro is used.
    pub(crate) krate: Option<Path>,
    /// Where errors without a better place are shown.
    pub(crate) span: Option<Span>,
}

/// A name of WIT, and the Rust path that stands for it.
pub(crate) struct Mapping {
    pub(crate) name: String,
    pub(crate) path: Path,
    pub(crate) span: Span,
    pub(crate) used: Cell<bool>,
}

/// How functions are bound.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct FuncFlags {
    pub(crate) is_async: bool,
    pub(crate) trappable: bool,
}

/// The same by function.
#[derive(Default)]
pub(crate) struct FuncConfig {
    default: FuncFlags,
    filters: Vec<Filter>,
}

struct Filter {
    name: String,
    flags: FuncFlags,
    span: Span,
    used: Cell<bool>,
}

impl FuncConfig {
    /// Of the function with one of these names; the first that is known decides.
    pub(crate) fn of(&self, names: &[String]) -> FuncFlags {
        let mut found = None;
        for name in names {
            for filter in self.filters.iter().filter(|filter| filter.name == *name) {
                filter.used.set(true);
                found = found.or(Some(filter.flags));
            }
        }
        found.unwrap_or(self.default)
    }

    /// A name that no function had.
    pub(crate) fn unused(&self) -> Option<(&str, Span)> {
        let unused = self.filters.iter().find(|filter| !filter.used.get());
        unused.map(|filter| (filter.name.as_str(), filter.span))
    }
}

impl Parse for Config {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut config = Self {
            span: Some(Span::call_site()),
            ..Self::default()
        };
        if input.peek(token::Brace) {
            let content;
            braced!(content in input);
            while !content.is_empty() {
                config.option(&content)?;
                if content.is_empty() {
                    break;
                }
                content.parse::<Token![,]>()?;
            }
        } else {
            if input.peek(LitStr) {
                config.world = Some(input.parse::<LitStr>()?.value());
            }
            if input.peek(Token![in]) {
                input.parse::<Token![in]>()?;
                config.paths = vec![input.parse::<LitStr>()?.value()];
            }
        }
        if !input.is_empty() {
            return Err(input.error("expected options in braces, or `\"world\" in \"path\"`"));
        }
        Ok(config)
    }
}

impl Config {
    fn option(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name: Ident = input.parse()?;
        input.parse::<Token![:]>()?;
        match name.to_string().as_str() {
            "path" => self.paths = strings(input)?,
            "inline" => self.inline = Some(input.parse::<LitStr>()?.value()),
            "world" => self.world = Some(input.parse::<LitStr>()?.value()),
            "imports" => self.imports = funcs(input)?,
            "exports" => self.exports = funcs(input)?,
            "with" => self.with = mappings(input, false)?,
            "trappable_error_type" => self.trappable_errors = mappings(input, true)?,
            "additional_derives" => {
                let content;
                bracketed!(content in input);
                let paths = Punctuated::<Path, Token![,]>::parse_terminated(&content)?;
                self.additional_derives = paths.into_iter().collect();
            }
            "features" => self.features = strings(input)?,
            "require_store_data_send" => self.require_send = bool(input)?,
            "only_interfaces" => self.only_interfaces = bool(input)?,
            "stringify" => self.stringify = bool(input)?,
            "cellwall_crate" => self.krate = Some(input.parse()?),
            other => {
                return Err(Error::new(
                    name.span(),
                    format!(
                        "unknown option `{other}`; there are `path`, `inline`, `world`, `imports`, `exports`, \
                         `with`, `trappable_error_type`, `additional_derives`, `features`, \
                         `require_store_data_send`, `only_interfaces`, `stringify` and `cellwall_crate`"
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn bool(input: ParseStream<'_>) -> Result<bool> {
    Ok(input.parse::<LitBool>()?.value)
}

/// A string, or several in brackets.
fn strings(input: ParseStream<'_>) -> Result<Vec<String>> {
    if input.peek(LitStr) {
        return Ok(vec![input.parse::<LitStr>()?.value()]);
    }
    let content;
    bracketed!(content in input);
    let list = Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?;
    Ok(list.iter().map(LitStr::value).collect())
}

/// `{ "name": path, .. }`, or with `=>`.
fn mappings(input: ParseStream<'_>, arrow: bool) -> Result<Vec<Mapping>> {
    let content;
    braced!(content in input);
    let mut list = Vec::new();
    while !content.is_empty() {
        let name: LitStr = content.parse()?;
        match arrow {
            true => drop(content.parse::<Token![=>]>()?),
            false => drop(content.parse::<Token![:]>()?),
        }
        list.push(Mapping {
            name: name.value(),
            path: content.parse()?,
            span: name.span(),
            used: Cell::new(false),
        });
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    Ok(list)
}

/// `{ default: async | trappable, "name": async }`.
fn funcs(input: ParseStream<'_>) -> Result<FuncConfig> {
    let content;
    braced!(content in input);
    let mut config = FuncConfig::default();
    while !content.is_empty() {
        if content.peek(LitStr) {
            let name: LitStr = content.parse()?;
            content.parse::<Token![:]>()?;
            config.filters.push(Filter {
                name: name.value(),
                span: name.span(),
                flags: flags(&content)?,
                used: Cell::new(false),
            });
        } else {
            let name: Ident = content.parse()?;
            if name != "default" {
                return Err(Error::new(
                    name.span(),
                    "expected `default`, or the name of a function in quotes",
                ));
            }
            content.parse::<Token![:]>()?;
            config.default = flags(&content)?;
        }
        if content.is_empty() {
            break;
        }
        content.parse::<Token![,]>()?;
    }
    Ok(config)
}

fn flags(input: ParseStream<'_>) -> Result<FuncFlags> {
    let mut flags = FuncFlags::default();
    loop {
        if input.peek(Token![async]) {
            input.parse::<Token![async]>()?;
            flags.is_async = true;
        } else {
            let name: Ident = input.parse()?;
            match name.to_string().as_str() {
                "trappable" => flags.trappable = true,
                other => {
                    let message = format!("unknown flag `{other}`; there are `async` and `trappable`");
                    return Err(Error::new(name.span(), message));
                }
            }
        }
        if !input.peek(Token![|]) {
            return Ok(flags);
        }
        input.parse::<Token![|]>()?;
    }
}
