//! The demo: what its collector tells of a simulated day, against what was simulated.

use std::collections::BTreeMap;

use model::tables::{FailoverRow, LinkRow};

use crate::simulated::rows;
use crate::{checkout, peerscope, succeed};

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

/// The events as they were told last, by kind and direction.
fn told(data: &std::path::Path) -> BTreeMap<(String, String), FailoverRow> {
    let mut told: BTreeMap<String, FailoverRow> = BTreeMap::new();
    for row in rows::<FailoverRow>(data) {
        if told.get(&*row.event_id).is_none_or(|held| held.revision < row.revision) {
            told.insert(row.event_id.to_string(), row);
        }
    }
    let way = |row: &FailoverRow| (row.kind.to_string(), row.direction.as_deref().unwrap_or("port").to_owned());
    let count = told.len();
    let by_way: BTreeMap<_, _> = told.into_values().map(|row| (way(&row), row)).collect();
    assert_eq!(by_way.len(), count, "an event of each kind and direction: {by_way:#?}");
    by_way
}

#[test]
fn the_demo_tells_what_was_simulated_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("evening.toml"), evening()).unwrap();
    let mut demo = peerscope(&["demo", "--speed", "3600", "--scenario"]);
    demo.arg(path("evening.toml")).arg("--data").arg(path("data")).arg("--output").arg(path("demo.html"));
    let printed = succeed(&mut demo);

    let told = told(&path("data"));
    let kinds: Vec<(&str, &str)> = told.keys().map(|(kind, direction)| (kind.as_str(), direction.as_str())).collect();
    let expected = [
        ("drained", "from_microsoft"),
        ("drained", "to_microsoft"),
        ("failed", "from_microsoft"),
        ("failed", "to_microsoft"),
        ("member_lost", "port"),
    ];
    assert_eq!(kinds, expected, "the surge is none; {printed}");
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

    // The same by customer and service, and what the full port costs: 7 ms and some before, 14 ms and some after.
    for group in ["customer Alpha Cable", "service Exchange"] {
        let is_it = |moved: &&model::tables::Moved| moved.group.as_deref() == Some(group) && &*moved.connection == "fra-pni-2";
        let moved = cut.moved.iter().find(is_it).unwrap_or_else(|| panic!("{group}: {cut:?}"));
        let (share, error) = (moved.share.unwrap(), moved.share_error.unwrap());
        assert!((share - 0.6).abs() <= 4.0 * error + 0.1, "{group}: {share} ± {error}");
    }
    let latency = (cut.p50_before_us.unwrap(), cut.p50_after_us.unwrap());
    assert!((7_500..9_000).contains(&latency.0) && (14_500..16_000).contains(&latency.1), "{latency:?}");

    for expected in ["raised no failover", "lost a member of its bundle", "simulated  fra-pni-1 fails", "observed", "Alpha Cable"]
    {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
    assert!(!printed.contains("not simulated as such"), "{printed}");
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
