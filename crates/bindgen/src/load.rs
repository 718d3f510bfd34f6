//! From the options of `bindgen!` to tokens: reads the WIT, generates, and says what was read, so that
//! the compiler knows when to do it again.

use crate::config::Config;
use crate::generate::Generator;
use proc_macro2::{Span, TokenStream};
use quote::quote;
use std::path::{Path, PathBuf};
use syn::{Error, Result};
use wit_parser::{Resolve, WorldId};

/// Set to anything: what is generated is written to a file, and included from there, so that errors in
/// it have a place that can be looked at.
const DEBUG_VARIABLE: &str = "CELLWALL_DEBUG_BINDGEN";

/// What was read.
pub(crate) struct Loaded {
    pub(crate) resolve: Resolve,
    pub(crate) world: WorldId,
    pub(crate) files: Vec<PathBuf>,
}

pub(crate) fn expand(config: &Config) -> Result<TokenStream> {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from("."));
    let loaded = load(config, &root)?;
    let text = Generator::new(config, &loaded.resolve, loaded.world).run()?;
    if config.stringify {
        return Ok(quote!(#text));
    }
    let code = match std::env::var_os(DEBUG_VARIABLE) {
        Some(_) => include(&text, &loaded)?,
        None => {
            let tokens = text.parse::<TokenStream>();
            tokens.map_err(|error| at(config, format!("the generated code is no Rust: {error}\n{text}")))?
        }
    };
    let files = loaded
        .files
        .iter()
        .map(|file| file.to_string_lossy().into_owned());
    Ok(quote! {
        #code
        #(const _: &[u8] = ::core::include_bytes!(#files);)*
    })
}

/// An error at the macro.
pub(crate) fn at(config: &Config, message: impl std::fmt::Display) -> Error {
    Error::new(config.span.unwrap_or_else(Span::call_site), message)
}

/// Writes the generated code to a file, and includes that.
fn include(text: &str, loaded: &Loaded) -> Result<TokenStream> {
    let world = &loaded.resolve.worlds[loaded.world].name;
    // Two uses of one world in a crate differ in their text.
    let number = text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let folder = std::env::var_os("OUT_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let file = folder.join(format!("{world}-{number:016x}.rs"));
    let failed = |error| {
        let message = format!("cannot write `{}`: {error}", file.display());
        Error::new(Span::call_site(), message)
    };
    std::fs::write(&file, text).map_err(failed)?;
    let file = file.to_string_lossy();
    Ok(quote!(::core::include!(#file);))
}

/// Reads the WIT, and finds the world.
pub(crate) fn load(config: &Config, root: &Path) -> Result<Loaded> {
    let mut resolve = Resolve {
        features: config.features.iter().cloned().collect(),
        ..Resolve::default()
    };
    let mut files = Vec::new();
    let mut packages = Vec::new();
    let default = root.join("wit");
    let mut paths: Vec<PathBuf> = config.paths.iter().map(|path| root.join(path)).collect();
    if paths.is_empty() && (config.inline.is_none() || default.exists()) {
        paths.push(default);
    }
    for path in paths {
        match resolve.push_path(&path) {
            Ok((package, sources)) => {
                packages.push(package);
                files.extend(sources.paths().map(PathBuf::from));
            }
            Err(error) => {
                let rendered = resolve.render_error(&error);
                return Err(at(
                    config,
                    format!("cannot read the WIT in `{}`: {rendered}", path.display()),
                ));
            }
        }
    }
    if let Some(text) = &config.inline {
        match resolve.push_str("macro-input", text) {
            Ok(package) => packages = vec![package],
            Err(error) => return Err(at(config, resolve.render_error(&error))),
        }
    }
    let world = resolve.select_world(&packages, config.world.as_deref());
    let world = world.map_err(|error| at(config, resolve.render_error(&error)))?;
    Ok(Loaded {
        resolve,
        world,
        files,
    })
}
