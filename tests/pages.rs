//! A report's page in a real browser: shown, without an error, and asking nobody for anything.

use std::path::Path;
use std::process::Command;

use crate::simulated::Replayed;
use crate::{checkout, has_program, peerscope, succeed};

/// What Chromium is started with besides what it is to do.
const QUIET: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--window-size=1400,1800",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
];

#[test]
fn the_overview_is_shown_without_an_error_in_light_dark_and_print() {
    if !has_program("chromium") {
        return;
    }
    let text = std::fs::read_to_string(checkout("samples/scenarios/failover.toml")).unwrap();
    let replayed = Replayed::scenario(&text.replace("100_000_000_000", "4_000_000"));
    let page = replayed.path("overview.html");
    let mut report = peerscope(&["report", "overview", "--format", "html", "--time-zone", "Europe/Berlin", "--data"]);
    succeed(report.arg(replayed.data()).arg("--output").arg(&page));
    // Screenshots stay for whoever wants to look at them.
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let light = format!("--screenshot={}", kept.join("overview-light.png").display());
    let dark = format!("--screenshot={}", kept.join("overview-dark.png").display());
    let print = format!("--print-to-pdf={}", kept.join("overview.pdf").display());
    let dark_mode = "--blink-settings=preferredColorScheme=0";
    for (arguments, file) in [
        (vec![light.as_str()], "overview-light.png"),
        (vec![dark_mode, dark.as_str()], "overview-dark.png"),
        (vec![print.as_str()], "overview.pdf"),
    ] {
        let _ = std::fs::remove_file(kept.join(file));
        let output = Command::new("chromium").args(QUIET).args(&arguments).arg(&page).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("CONSOLE"), "{said}");
        assert!(std::fs::metadata(kept.join(file)).is_ok_and(|data| data.len() > 10_000), "{file}: {said}");
    }
    assert_ne!(std::fs::read(kept.join("overview-light.png")).unwrap(), std::fs::read(kept.join("overview-dark.png")).unwrap());
    let shown = succeed(Command::new("chromium").args(QUIET).arg("--dump-dom").arg(&page));
    for expected in ["Verdict", "50 % line", "<polyline", "fra-1", "Transit", "Exporters", "2026-03-02 11:"] {
        assert!(shown.contains(expected), "{expected}");
    }
}
