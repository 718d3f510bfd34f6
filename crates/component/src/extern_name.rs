//! Versions in the names of imports and exports.

/// The name under which compatible versions meet: `a:b/c@1.2.3` as `a:b/c@1`, `@0.2.3` as `@0.2`.
/// `None` if the name has no version, or one that only fits itself (`0.0.x`, pre-releases).
///
/// ```
/// use cellwall_component::compatible_name;
///
/// assert_eq!(compatible_name("wasi:cli/run@0.2.12").as_deref(), Some("wasi:cli/run@0.2"));
/// assert_eq!(compatible_name("a:b/c@3.1.0").as_deref(), Some("a:b/c@3"));
/// assert_eq!(compatible_name("a:b/c@3.1.0-rc.1"), None);
/// assert_eq!(compatible_name("a:b/c"), None);
/// ```
pub fn compatible_name(name: &str) -> Option<String> {
    let (base, version) = name.rsplit_once('@')?;
    let release = version.split('+').next().unwrap_or(version);
    if release.contains('-') {
        return None;
    }
    let mut numbers = release.split('.');
    let (major, minor) = (numbers.next()?, numbers.next()?);
    let patch = numbers.next()?;
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if numbers.next().is_some() || ![major, minor, patch].into_iter().all(all_digits) {
        return None;
    }
    match (major, minor) {
        ("0", "0") => None,
        ("0", minor) => Some(format!("{base}@0.{minor}")),
        (major, _) => Some(format!("{base}@{major}")),
    }
}
