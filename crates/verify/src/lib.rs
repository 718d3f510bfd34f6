//! The machine-code verifier: artifact in, proven code or the first violation out.

mod access;
mod domain;
mod encoding;
mod function;
mod metadata;
mod module;
mod rows;
mod transfer;
mod violation;

use cellwall_abi::Artifact;
use module::Module;
use std::sync::OnceLock;
pub use violation::{Rule, Violation};

/// Code that was proven to stay inside its cell. Only the verifier makes one.
#[derive(Debug)]
pub struct Verified {
    artifact: Artifact,
}

impl Verified {
    /// The artifact, exactly as it was proven.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }
}

/// Proves every function of an artifact.
///
/// # Errors
/// The first violation in the order of the functions.
pub fn verify(artifact: Artifact) -> Result<Verified, Violation> {
    verify_with(artifact, |jobs, run| (0..jobs).for_each(run))
}

/// Like [`verify`], with the caller's executor: `spread(n, job)` runs `job(0)` to `job(n - 1)`, in
/// any order and on any threads. What it leaves out is run here, so the executor is not trusted.
///
/// # Errors
/// The first violation in the order of the functions.
pub fn verify_with(
    artifact: Artifact,
    spread: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
) -> Result<Verified, Violation> {
    metadata::check(&artifact)?;
    let module = Module::new(&artifact);
    let answers: Vec<OnceLock<Result<(), Violation>>> =
        artifact.funcs.iter().map(|_| OnceLock::new()).collect();
    let job = |index: usize| {
        if let Some(answer) = answers.get(index) {
            answer.get_or_init(|| function::prove(&module, index));
        }
    };
    spread(answers.len(), &job);
    (0..answers.len()).for_each(job);
    for answer in answers {
        answer
            .into_inner()
            .expect("the loop above answered every function")?;
    }
    Ok(Verified { artifact })
}
