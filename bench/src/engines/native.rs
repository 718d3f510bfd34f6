//! The kernels compiled by the machine's C compiler, as children.
//!
//! The kernels measure their region with the monotonic clock; an included line
//! turns it into the CPU clock, as the guests have it. Does not do: anything
//! but the kernels, which alone have a source.

use super::{Engine, Run, Status, split_elapsed};
use crate::clock::children_cpu_ns;
use crate::set::Job;
use anyhow::{Context, Result, ensure};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const CPU_CLOCK: &str = "#include <time.h>\n#undef CLOCK_MONOTONIC\n\
    #define CLOCK_MONOTONIC CLOCK_THREAD_CPUTIME_ID\n";

/// Native code by `cc -O2`.
pub(super) struct Native {
    version: String,
    folder: PathBuf,
    built: RefCell<BTreeMap<PathBuf, PathBuf>>,
}

/// The C compiler, if there is one.
pub(super) fn find() -> Option<Native> {
    let output = Command::new("cc").arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| Native {
        version: version.lines().next().unwrap_or("cc").to_string(),
        folder: std::env::temp_dir().join(format!("cellwall-bench-{}", std::process::id())),
        built: RefCell::default(),
    })
}

impl Native {
    /// The program made from this source; compiled once.
    fn program(&self, source: &Path) -> Result<PathBuf> {
        if let Some(program) = self.built.borrow().get(source) {
            return Ok(program.clone());
        }
        std::fs::create_dir_all(&self.folder).context("the folder for native programs")?;
        let header = self.folder.join("cpu_clock.h");
        std::fs::write(&header, CPU_CLOCK).context("the header for the clock")?;
        let program = self
            .folder
            .join(source.file_stem().context("a source has a name")?);
        let status = Command::new("cc")
            .args(["-O2", "-include"])
            .arg(&header)
            .arg(source)
            .arg("-o")
            .arg(&program)
            .arg("-lm")
            .status()
            .context("cc")?;
        ensure!(status.success(), "cc refuses {}", source.display());
        self.built
            .borrow_mut()
            .insert(source.to_path_buf(), program.clone());
        Ok(program)
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // Nothing to do about a temporary folder that cannot be removed.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        "native"
    }

    fn version(&self) -> String {
        format!("{}, -O2", self.version)
    }

    fn run(&self, job: &Job) -> Result<Option<Run>> {
        let Some(source) = &job.source else {
            return Ok(None);
        };
        let program = self.program(source)?;
        let before = children_cpu_ns();
        let output = Command::new(&program).output().context("native program")?;
        let process_ns = children_cpu_ns() - before;
        let (stdout, region_ns) = split_elapsed(&output.stdout);
        let status = match output.status.code() {
            Some(code) => Status::Exit(code),
            None => Status::Trap(output.status.to_string()),
        };
        Ok(Some(Run {
            compile_ns: None,
            instantiate_ns: None,
            execute_ns: Some(process_ns),
            region_ns,
            status,
            stdout,
            stderr: output.stderr,
        }))
    }
}
