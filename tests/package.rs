//! What an operator installs: man pages, completions, the service and the Debian package.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{checkout, has_program, peerscope, succeed};

/// Patience with programs that are started.
const PATIENCE: Duration = Duration::from_secs(60);

fn made(folder: &Path) {
    for what in ["man", "completions"] {
        succeed(peerscope(&["reference", what, "--output"]).arg(folder.join(what)));
    }
}

#[test]
fn every_command_has_a_man_page_and_completions() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let page = |name: &str| std::fs::read_to_string(folder.path().join("man").join(name)).unwrap();
    assert!(page("peerscope.1").contains("peerscope\\-collect(1)"));
    assert!(page("peerscope-peerings-import.1").contains("Azure"));
    for file in ["peerscope.bash", "_peerscope", "peerscope.fish"] {
        let text = std::fs::read_to_string(folder.path().join("completions").join(file)).unwrap();
        assert!(["collect", "replay", "inspect"].iter().all(|command| text.contains(command)), "{file}");
    }
}

#[test]
fn a_service_manager_hears_that_it_is_ready_at_work_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let hears = |word: &str| {
        let (mut bytes, started) = ([0; 4_096], Instant::now());
        while started.elapsed() < PATIENCE {
            let length = socket.recv(&mut bytes).unwrap();
            if String::from_utf8_lossy(&bytes[..length]).lines().any(|line| line == word) {
                return true;
            }
        }
        false
    };
    let mut collector = peerscope(&["collect", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(hears("READY=1"));
    assert!(hears("WATCHDOG=1"));
    succeed(Command::new("kill").arg(collector.id().to_string()));
    assert!(hears("STOPPING=1"));
    assert!(collector.wait().unwrap().success());
}

#[test]
fn the_unit_is_one_that_systemd_takes() {
    if !has_program("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(checkout("samples/peerscope.service")).unwrap();
    let here = unit.replace("/usr/bin/peerscope", env!("CARGO_BIN_EXE_peerscope"));
    // The page is there only where the package is installed.
    let here: String = here.lines().filter(|line| !line.starts_with("Documentation")).map(|line| format!("{line}\n")).collect();
    let file = folder.path().join("peerscope.service");
    std::fs::write(&file, here).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !said.contains("peerscope.service"), "{said}");
}

#[test]
fn the_debian_package_is_installed_and_removed() {
    if !has_program("cargo-deb") || !has_program("dpkg") {
        return;
    }
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("passed over: installing a package takes root");
        return;
    }
    made(&checkout("target/package"));
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("peerscope.deb");
    let mut deb = Command::new("cargo-deb");
    deb.args(["deb", "-p", "cli", "--no-build", "--no-strip", "--profile", "dev", "--output"]).arg(&package);
    succeed(deb.current_dir(checkout(".")));
    let dpkg = |arguments: &[&str]| succeed(Command::new("dpkg").args(arguments));
    dpkg(&["--install", package.to_str().unwrap()]);
    let version = succeed(Command::new("/usr/bin/peerscope").arg("--version"));
    let listed = dpkg(&["--listfiles", "peerscope"]);
    succeed(Command::new("/usr/bin/peerscope").args(["check", "/etc/peerscope/peerscope.toml"]));
    dpkg(&["--purge", "peerscope"]);
    assert!(version.starts_with("peerscope "), "{version}");
    for file in ["/usr/bin/peerscope", "peerscope.service", "peerscope-collect.1.gz", "completions/peerscope", "ROUTERS.md"] {
        assert!(listed.contains(file), "{file} is not in\n{listed}");
    }
    assert!(!Path::new("/usr/bin/peerscope").exists());
}
