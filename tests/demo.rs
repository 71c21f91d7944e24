//! The demo: what its collector tells of a simulated day, against what was simulated.

use std::collections::BTreeMap;

use measure::last_told;
use model::tables::{FailoverRow, LinkRow, Moved};

use crate::simulated::{Replayed, rows};
use crate::{checkout, peerscope, refuse, succeed};

/// The day's evening alone, with all that happens in the day.
fn evening() -> String {
    let mut text = std::fs::read_to_string(checkout("samples/scenarios/day.toml")).unwrap();
    for (of_day, of_evening) in [
        ("T00:00:00Z", "T17:30:00Z"),
        ("= 86_400", "= 12_600"),
        ("packets_per_train = 32_768", "packets_per_train = 65_536"),
        ("packets = 131_072.0", "packets = 262_144.0"),
        // The drain and its end, the surge, the member and its return, the cut and its end.
        ("= 7_200.0", "= 2_700.0"),
        ("= 9_000.0", "= 4_200.0"),
        ("= 36_000.0, duration_seconds = 1_800.0", "= 5_400.0, duration_seconds = 1_200.0"),
        ("= 46_800.0", "= 7_500.0"),
        ("= 50_400.0", "= 8_400.0"),
        ("= 72_000.0", "= 9_600.0"),
        ("= 73_800.0", "= 11_400.0"),
    ] {
        assert!(text.contains(of_day), "{of_day}");
        text = text.replace(of_day, of_evening);
    }
    text
}

#[test]
fn what_would_be_lost_after_the_run_is_refused_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || peerscope(&["demo"]);
    let missing = folder.path().join("missing/demo.html");
    assert!(refuse(demo().arg("--output").arg(missing), 2).contains("there is no such folder"));
    std::fs::create_dir_all(folder.path().join("links/date=2026-03-02/hour=10")).unwrap();
    assert!(refuse(demo().arg("--data").arg(folder.path()), 2).contains("holds rows already"));
}

/// The events as they were told last, by kind and direction.
fn told(data: &std::path::Path) -> BTreeMap<(String, String), FailoverRow> {
    let told = last_told(rows::<FailoverRow>(data));
    let way = |row: &FailoverRow| (row.kind.to_string(), row.direction.as_deref().unwrap_or("port").to_owned());
    let count = told.len();
    let by_way: BTreeMap<_, _> = told.into_iter().map(|row| (way(&row), row)).collect();
    assert_eq!(by_way.len(), count, "an event of each kind and direction: {by_way:#?}");
    by_way
}

/// What is told does not depend on this machine's speed: the evening through a capture and its replay.
#[test]
fn the_demos_evening_is_told_as_it_was_simulated_and_nothing_else() {
    let replayed = Replayed::scenario(&evening());
    let told = told(&replayed.data());
    let kinds: Vec<(&str, &str)> = told.keys().map(|(kind, direction)| (kind.as_str(), direction.as_str())).collect();
    let expected = [
        ("drained", "from_microsoft"),
        ("drained", "to_microsoft"),
        ("failed", "from_microsoft"),
        ("failed", "to_microsoft"),
        ("member_lost", "port"),
    ];
    assert_eq!(kinds, expected, "the surge is none; {told:#?}");
    for row in told.values() {
        let connection = if &*row.kind == "member_lost" { "fra-pni-3" } else { "fra-pni-1" };
        assert_eq!(row.connection.as_deref(), Some(connection), "{row:?}");
        assert!(row.ended_at.is_some(), "{row:?}");
    }
    // Six, two and two of ten parts.
    for row in told.values().filter(|row| row.direction.is_some()) {
        for (link, expected) in [("fra-pni-2", 0.6), ("fra-pni-3", 0.2), ("transit-1", 0.2)] {
            let moved = row.moved.iter().find(|moved| &*moved.connection == link && moved.group.is_none()).unwrap();
            let (share, error) = (moved.share.unwrap(), moved.share_error.unwrap());
            assert!((share - expected).abs() <= 4.0 * error + 0.03, "{link}: {share} ± {error}; {row:?}");
        }
    }
    let cut = &told[&("failed".to_owned(), "from_microsoft".to_owned())];
    assert!(cut.survivor_peak_utilisation.unwrap() > 0.95, "{cut:?}");
    assert!(cut.to_transit_share.unwrap() > 0.1, "{cut:?}");
    // The same by customer.
    let is_it = |moved: &&Moved| moved.group.as_deref() == Some("customer Alpha Cable") && &*moved.connection == "fra-pni-2";
    let moved = cut.moved.iter().find(is_it).unwrap_or_else(|| panic!("{cut:?}"));
    let (share, error) = (moved.share.unwrap(), moved.share_error.unwrap());
    assert!((share - 0.6).abs() <= 4.0 * error + 0.1, "{share} ± {error}");
}

/// How precisely times are kept live depends on the machine: here it counts that all of it is told, and nothing is lost.
#[test]
fn the_demo_sets_side_by_side_what_was_predicted_measured_and_true() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("evening.toml"), evening()).unwrap();
    let mut demo = peerscope(&["demo", "--speed", "3600", "--scenario"]);
    demo.arg(path("evening.toml")).arg("--data").arg(path("data")).arg("--output").arg(path("demo.html"));
    let printed = succeed(&mut demo);
    for expected in ["simulated  fra-pni-1 fails", "the fullest survivor was fra-pni-2", "Alpha Cable", "true_p50"] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    // The first path that Amsterdam exports is the one that is doubted.
    assert!(printed.contains("ams-pni-1 cannot be trusted"), "{printed}");
    for balance in ["datagrams ", "sets ", "records "] {
        assert!(printed.lines().any(|line| line.starts_with(balance) && line.contains(" = ")), "{printed}");
    }
    assert!(!rows::<LinkRow>(&path("data")).is_empty());
    let page = std::fs::read_to_string(path("demo.html")).unwrap();
    for expected in
        ["known before, measured, and true", "class=\"matrix\"", "Customers that moved", "The transit bill", "Order dates"]
    {
        assert!(page.contains(expected), "{expected}");
    }
}
