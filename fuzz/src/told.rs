//! What engines have to agree on, out of what was seen of them, as text.

use crate::observe::{Exports, Seen};

/// For each export, by its name in Rust's notation, what was seen; `None` where the stack ended, since
/// where that is, and what comes after it, is each engine's own affair.
pub type Told = Vec<(String, Option<String>)>;

/// Tells what was seen. An atomic access that is misaligned and out of bounds is either, as each engine
/// looks, and so both traps have one name.
pub fn told(exports: &Exports) -> Told {
    let one = |seen: &Seen| match seen {
        Seen::Trap(name) if name == "HeapMisaligned" => Seen::Trap("MemoryOutOfBounds".into()),
        seen => seen.clone(),
    };
    let all = |seen: &[Seen]| {
        (!seen.contains(&Seen::StackOverflow))
            .then(|| format!("{:?}", seen.iter().map(one).collect::<Vec<_>>()))
    };
    let export = |(name, seen): &(String, Vec<Seen>)| (format!("{name:?}"), all(seen));
    exports.iter().map(export).collect()
}

/// The first difference of two that both say something, as a sentence.
pub fn difference(ours: &Told, name: &str, theirs: &Told) -> Option<String> {
    if !ours
        .iter()
        .map(|(name, _)| name)
        .eq(theirs.iter().map(|(name, _)| name))
    {
        return Some(format!("{name} sees other exports"));
    }
    ours.iter().zip(theirs).find_map(|((export, ours), (_, theirs))| {
        let (ours, theirs) = (ours.as_ref()?, theirs.as_ref()?);
        (ours != theirs).then(|| {
            format!("export {export}: Cellwall and {name} differ\n  Cellwall: {ours}\n  {name}: {theirs}")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(seen: Seen) -> Told {
        told(&vec![("f".to_string(), vec![seen, Seen::Memory(65536, 1)])])
    }

    #[test]
    fn the_same_agrees_and_an_exhausted_stack_says_nothing() {
        let one = export(Seen::Values(vec![1]));
        assert_eq!(difference(&one, "peer", &one), None);
        assert_eq!(difference(&one, "peer", &export(Seen::StackOverflow)), None);
        assert!(difference(&one, "peer", &export(Seen::Values(vec![2]))).is_some());
        assert!(difference(&one, "peer", &Told::new()).is_some());
    }

    #[test]
    fn what_is_misaligned_and_out_of_bounds_is_either() {
        let trap = |name: &str| export(Seen::Trap(name.into()));
        let bounds = trap("MemoryOutOfBounds");
        assert_eq!(difference(&bounds, "peer", &trap("HeapMisaligned")), None);
        assert!(difference(&bounds, "peer", &trap("IntegerOverflow")).is_some());
    }
}
