//! Names of WIT as names of Rust.

/// `input-stream` as `InputStream`.
pub(crate) fn camel(name: &str) -> String {
    let mut out = String::new();
    for word in name.split(['-', '_', '.']) {
        let mut chars = word.chars();
        if let Some(first) = chars.next() {
            out.extend(first.to_uppercase());
            out.push_str(&chars.as_str().to_lowercase());
        }
    }
    if out == "Self" {
        out.push('_');
    }
    out
}

/// `input-stream` as `input_stream`, and `type` as `type_`.
pub(crate) fn snake(name: &str) -> String {
    let mut out = name.replace(['-', '.'], "_").to_lowercase();
    // What is no name in Rust 2024.
    if out == "gen" || syn::parse_str::<syn::Ident>(&out).is_err() {
        out.push('_');
    }
    out
}

/// `input-stream` as `INPUT_STREAM`.
pub(crate) fn constant(name: &str) -> String {
    name.replace(['-', '.'], "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_habits_of_rust() {
        assert_eq!(
            [camel("input-stream"), camel("HTTP-error"), camel("self")],
            ["InputStream", "HttpError", "Self_"]
        );
        assert_eq!(
            [snake("set-Name"), snake("type"), snake("wasi")],
            ["set_name", "type_", "wasi"]
        );
        assert_eq!(constant("mutate-directory"), "MUTATE_DIRECTORY");
    }
}
