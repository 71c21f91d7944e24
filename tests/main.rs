//! The integration tests: the stages together, and the program as its users run it.

/// Where the reference captures and lists lie, beside the checkout; `None` where they are absent,
/// and then the caller passes over with a word.
fn shared(path: &str) -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("passed over: {} is absent", path.display());
    None
}

/// Whether an installed program that a test drives is there; says so where it is not.
fn has_program(name: &str) -> bool {
    let is_there = std::process::Command::new("sh").args(["-c", &format!("command -v {name}")]).output().is_ok_and(|o| o.status.success());
    if !is_there {
        eprintln!("passed over: the program {name} is not installed");
    }
    is_there
}

/// The program under test, with arguments.
fn peerscope(arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_peerscope"));
    command.args(arguments);
    command
}
