//! The integration tests: the stages together, and the program as its users run it.

mod alerts;
mod captures;
mod clocks;
mod counters;
mod demo;
mod failovers;
mod floods;
mod flows;
mod latency;
mod objects;
mod package;
mod page;
mod pages;
mod readers;
mod reports;
mod resuming;
mod scores;
mod simulated;
mod soak;
mod softflowd;
mod tapped;
mod trying;
mod usage;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the reference captures and lists lie, beside the checkout; `None` where they are absent,
/// and then the caller passes over with a word.
fn shared(path: &str) -> Option<PathBuf> {
    let path = checkout("../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("passed over: {} is absent", path.display());
    None
}

/// A path in the checkout.
fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Whether an installed program that a test drives is there; says so where it is not.
fn has_program(name: &str) -> bool {
    let is_there = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().is_ok_and(|o| o.status.success());
    if !is_there {
        eprintln!("passed over: the program {name} is not installed");
    }
    is_there
}

/// The program under test, with arguments.
fn peerscope(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peerscope"));
    command.args(arguments);
    command
}

/// Runs a command that must succeed; gives what it printed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// What a command says that exits with this code.
fn refuse(command: &mut Command, code: i32) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(code), "{command:?}: {stderr}");
    stderr
}
