//! What must be proved of a set of rules, and the record that it was.
//!
//! An obligation has a name and scripts; a solver must answer "unsat" to each. Its hash covers the
//! rule's canonical text and every byte of the scripts, so that a changed rule, a changed encoding or
//! a changed fact each need a new proof. [`Proofs`] is the record, a text file with a line for each
//! obligation; reading it needs no solver.

use crate::encode::{LEMMAS, Question, cases};
use crate::lowering::TypedLowering;
use crate::machine;
use crate::typing::Typed;
use std::collections::BTreeMap;
use std::fmt;

/// What a solver has to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Obligation {
    /// The rule's name, or `lemma` and a name.
    pub name: String,
    /// A hash of everything that it depends on.
    pub hash: String,
    /// The typings or names of the scripts, and the scripts.
    pub scripts: Vec<(String, String)>,
}

/// All that must be proved of these rules.
pub fn obligations(rules: &[Typed]) -> Vec<Obligation> {
    let lemmas = LEMMAS.map(|(name, script)| {
        let scripts = vec![(name.to_owned(), script.to_owned())];
        obligation(format!("lemma:{name}"), "", scripts)
    });
    let rules = rules.iter().map(|rule| {
        let scripts = (0..rule.typings.len())
            .flat_map(|typing| cases(rule, typing))
            .map(|question: Question| (question.typing.clone(), question.script()))
            .collect();
        obligation(rule.rule.name.clone(), &rule.rule.to_string(), scripts)
    });
    lemmas.into_iter().chain(rules).collect()
}

/// All that must be proved of these lowering rules.
pub fn lowering_obligations(rules: &[TypedLowering]) -> Vec<Obligation> {
    let one = |rule: &TypedLowering| {
        let scripts = (0..rule.typed.typings.len())
            .flat_map(|typing| machine::questions(rule, typing).expect("a typed rule has a meaning"))
            .map(|question: Question| (question.typing.clone(), question.script()))
            .collect();
        let lowering = &rule.lowering;
        obligation(lowering.rule.name.clone(), &lowering.to_string(), scripts)
    };
    rules.iter().map(one).collect()
}

fn obligation(name: String, text: &str, scripts: Vec<(String, String)>) -> Obligation {
    let mut hasher = blake3::Hasher::new();
    for part in std::iter::once(text).chain(scripts.iter().map(|(_, script)| &script[..])) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize().to_hex()[..32].to_owned();
    Obligation { name, hash, scripts }
}

/// The obligations that a solver has met: hashes by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proofs {
    proved: BTreeMap<String, String>,
}

const HEAD: &str = "# Written by `cargo xtask prove`: what the solver has proved, with a hash of the rule and of\n\
    # everything that it was asked. Do not edit.\n";

impl Proofs {
    /// Reads a record; lines without the right shape prove nothing.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let proved = lines.filter_map(|line| {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some(name), Some(hash), Some("proved"), None) => Some((name.to_owned(), hash.to_owned())),
                _ => None,
            }
        });
        Self {
            proved: proved.collect(),
        }
    }

    /// Whether this very obligation is met.
    pub fn has(&self, obligation: &Obligation) -> bool {
        self.proved.get(&obligation.name) == Some(&obligation.hash)
    }

    /// Records that an obligation is met.
    pub fn add(&mut self, obligation: &Obligation) {
        self.proved
            .insert(obligation.name.clone(), obligation.hash.clone());
    }

    /// The obligations that are not met, and the names in the record that nothing asks for.
    pub fn missing(&self, obligations: &[Obligation]) -> Vec<String> {
        let unmet = obligations.iter().filter(|obligation| !self.has(obligation));
        let names: Vec<&String> = obligations.iter().map(|obligation| &obligation.name).collect();
        let stale = self.proved.keys().filter(|name| !names.contains(name));
        unmet
            .map(|obligation| format!("{} is not proved", obligation.name))
            .chain(stale.map(|name| format!("{name} is proved, but is no rule")))
            .collect()
    }
}

impl fmt::Display for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        self.proved
            .iter()
            .try_for_each(|(name, hash)| writeln!(f, "{name} {hash} proved"))
    }
}
