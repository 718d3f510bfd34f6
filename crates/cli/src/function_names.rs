//! What to say to someone who asked for a function that there is not.

use crate::escape;

/// Names listed at most.
const NAMES_MAX: usize = 10;

/// Similar names listed at most.
const SIMILAR_MAX: usize = 3;

/// The names that are like `wanted`, else the first ones; `names` are by index.
pub(crate) fn advice(names: &[(u32, String)], wanted: &str) -> String {
    if names.is_empty() {
        return "none has a name, in a name section or as an export, so ask by number".to_string();
    }
    let wanted = wanted.strip_prefix('$').unwrap_or(wanted);
    // A number is like no name.
    let is_number = wanted.parse::<u32>().is_ok();
    let distance = |name: &str| strsim::osa_distance(name, wanted);
    let mut similar: Vec<(usize, &(u32, String))> = names
        .iter()
        .map(|named| (distance(&named.1), named))
        .filter(|(distance, _)| !is_number && 3 * distance <= wanted.chars().count().max(3))
        .collect();
    similar.sort_unstable();
    if !similar.is_empty() {
        let verb = if similar.len() == 1 {
            "a similar name is"
        } else {
            "similar names are"
        };
        let similar = similar.into_iter().take(SIMILAR_MAX).map(|(_, named)| named);
        return format!("{verb} {}", list(similar));
    }
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("names are {}{more}", list(names.iter().take(NAMES_MAX)))
}

fn list<'a>(names: impl Iterator<Item = &'a (u32, String)>) -> String {
    let names = names.map(|(index, name)| format!("`{}` ({index})", escape::name(name)));
    names.collect::<Vec<_>>().join(", ")
}
