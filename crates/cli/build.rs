//! Puts the commit into `cellwall --version`: from git in a checkout, from
//! cargo's own record in a published package, and nothing where neither is.
//! Never fails.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let text = match from_git().or_else(from_package) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_string(),
    };
    println!("cargo::rustc-env=CELLWALL_VERSION={text}");
}

/// The commit of the checkout that this crate is a part of.
fn from_git() -> Option<String> {
    // Inside somebody else's repository (vendored) its commit is not ours.
    if git(&["rev-parse", "--show-prefix"])? != "crates/cli/" {
        return None;
    }
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// The commit that `cargo package` wrote down.
fn from_package() -> Option<String> {
    let record = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = record.split_once("\"sha1\"")?;
    let commit: String = rest.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    (commit.len() == 12).then_some(commit)
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(args)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
}
