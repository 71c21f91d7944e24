use model::Role;

use super::*;
use crate::config::PeeringConfig;
use crate::interface_table::TableInterface;
use crate::peerings::Peering;

fn listed() -> Vec<Peering> {
    let list = r#"[{"name": "fra", "kind": "Direct", "peeringLocation": "Frankfurt", "direct": {"connections": [
        {"connectionIdentifier": "c1", "microsoftTrackingId": "FRA-1", "provisionedBandwidthInMbps": 200000, "connectionState": "Active",
         "peeringDBFacilityId": 58, "bgpSession": {"sessionPrefixV4": "192.0.2.0/31", "sessionStateV4": "Established"}},
        {"connectionIdentifier": "c2", "provisionedBandwidthInMbps": 100000, "connectionState": "ProvisioningStarted"}]}}]"#;
    crate::azure::parse(list).unwrap().peerings
}

fn build(config: &str, table: &[TableInterface]) -> Result<Inventory, Vec<String>> {
    let config: PeeringConfig = toml::from_str(config).unwrap();
    Inventory::build(&config, &listed(), table)
}

fn row(exporter: &str, index: u32, name: &str, speed_bps: u64) -> TableInterface {
    TableInterface { exporter: exporter.parse().unwrap(), index, name: name.into(), speed_bps: Some(speed_bps) }
}

const PORT: &str = "[[port]]\nname = \"p\"\nexporter = \"10.0.0.1\"\ninterfaces = [1]\n";

#[test]
fn capacity_leaves_out_what_is_not_active() {
    let config = format!(
        "{PORT}[[connection]]\nname = \"a\"\nazure = \"c1\"\nport = \"p\"\n[[connection]]\nazure = \"C2\"\nport = \"p\"\n"
    );
    let inventory = build(&config, &[]).unwrap();
    assert_eq!(inventory.directory().ports[0].provisioned_bps, Some(200_000_000_000));
    assert_eq!(inventory.directory().ports[0].role, Role::Direct);
    let rows = inventory.connection_rows(7);
    let shown: Vec<_> = rows.iter().map(|row| (&*row.connection, row.capacity_bps, row.capacity_source.as_deref())).collect();
    assert_eq!(shown, [("a", Some(200_000_000_000), Some("provisioned")), ("fra/c2", None, None), ("p/unresolved", None, None)]);
    assert_eq!(rows[0].facility.as_deref(), Some("peeringdb:fac:58"));
    assert_eq!(rows[0].session_v4.as_deref(), Some("192.0.2.1"));
    assert_eq!(rows[0].session_state_v4.as_deref(), Some("Established"));
    assert_eq!(rows[0].exporters, [name("10.0.0.1")]);
    assert_eq!(rows[2].peering.as_deref(), Some("fra"));
}

#[test]
fn capacity_is_configured_else_provisioned_else_speed() {
    #[track_caller]
    fn check(config: &str, expected: (i64, &str)) {
        let inventory = build(config, &[row("10.0.0.1", 1, "ae1", 400_000_000_000)]).unwrap();
        let row = inventory.connection_rows(0).into_iter().find(|row| &*row.connection == "a").unwrap();
        assert_eq!((row.capacity_bps.unwrap(), &*row.capacity_source.unwrap()), expected);
    }
    let azure = "[[connection]]\nname = \"a\"\nazure = \"FRA-1\"\nport = \"p\"\n";
    check(&format!("{PORT}capacity_bps = 50\n{azure}"), (50, "configured"));
    check(&format!("{PORT}{azure}"), (200_000_000_000, "provisioned"));
    check(&format!("{PORT}[[connection]]\nname = \"a\"\nrole = \"direct\"\nport = \"p\"\n"), (400_000_000_000, "speed"));
}

#[test]
fn a_bundle_is_as_fast_as_its_members() {
    let config = "[[port]]\nname = \"p\"\nexporter = \"10.0.0.1\"\ninterfaces = [\"ae1.0\"]\nmembers = [\"et-0\", \"et-1\"]\n";
    let table = [row("10.0.0.1", 501, "et-0", 100), row("10.0.0.1", 502, "et-1", 100)];
    let inventory = build(config, &table).unwrap();
    assert_eq!(inventory.directory().ports[0].speed_bps, Some(200));
    let members: Vec<_> =
        inventory.directory().ports[0].members.iter().map(|member| (member.interface, member.name.as_deref())).collect();
    assert_eq!(members, [(501, Some("et-0")), (502, Some("et-1"))]);
    assert!(inventory.notes()[0].contains("has no \"ae1.0\""));
}

/// A configuration with a mistake of every kind.
const WRONG: &str = r#"
        [peering]
        twins_searched = 1
        [[exporter]]
        name = "r1"
        address = "10.0.0.1"
        is_sampling_override = true
        [[exporter]]
        name = "r1"
        address = "10.0.0.2"
        addresses = ["10.0.0.1"]
        [[port]]
        name = "p"
        exporter = "nobody"
        interfaces = [1]
        [[port]]
        name = "q"
        exporter = "10.0.0.2"
        interfaces = [5, 0]
        capacity_bps = 0
        [[port]]
        name = "s"
        exporter = "10.0.0.2"
        interfaces = [5]
        [[port]]
        name = "t"
        exporter = "10.0.0.2"
        interfaces = []
        sampling = 100
        [[port]]
        name = "u"
        exporter = "10.0.0.2"
        interfaces = ["unheard"]
        sampling = 100
        [[connection]]
        port = "q"
        [[connection]]
        azure = "c9"
        [[connection]]
        name = "x"
        azure = "c1"
        port = "missing"
        [[connection]]
        name = "y"
        azure = "c1"
        [[connection]]
        name = "z"
        port = "q"
        vlan = 5000
        [[transit]]
        name = "x"
        port = "q"
        price = -1.0
    "#;

#[test]
fn every_error_at_once() {
    let errors = build(WRONG, &[]).unwrap_err();
    for expected in [
        "[peering] twins_searched = 1 is out of range",
        "[[exporter]] \"r1\" is there twice",
        "both have 10.0.0.1",
        "is_sampling_override needs sampling = N",
        "\"nobody\" is neither the name of an [[exporter]] nor an address",
        "interface 0 means unknown",
        "capacity_bps = 0 is no capacity",
        "interface 5 of exporter \"r1\" is bound twice",
        "the counters of interface 5",
        "[[port]] \"t\" has no interfaces",
        "sampling needs the index of interface \"unheard\"",
        "has neither name nor azure",
        "\"c9\" is in no imported list",
        "port \"missing\" is not configured",
        "\"c1\" is bound twice",
        "role must be \"direct\" or \"exchange\"",
        "vlan is out of range: give 1 to 4094",
        "another link has this name",
        "price is not a positive number",
    ] {
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}\n{errors:#?}");
    }
    assert_eq!(errors.len(), 19, "{errors:#?}");
}

#[test]
fn unknown_keys_and_odd_values_are_errors() {
    for (config, expected) in [
        ("[[port]]\nnam = \"p\"\n", "unknown field `nam`"),
        ("[peering]\nfoo = 1\n", "unknown field `foo`"),
        ("[[exporter]]\nname = \"a\"\naddress = \"10.0.0.1\"\nsampling = \"often\"\n", "sampling = \"often\" is not known"),
        ("[[exporter]]\nname = \"a\"\naddress = \"10.0.0.1\"\nsampling = 0\n", "sampling = 0 means nothing"),
        ("[[exporter]]\nname = \"a\"\naddress = \"10.0.0\"\n", "is not an IP address"),
        ("[[port]]\nname = \"p\"\nexporter = \"a\"\ninterfaces = [1.5]\n", "expected an interface"),
        ("[[connection]]\nmicrosoft_macs = [\"02:00\"]\n", "not an Ethernet address"),
    ] {
        let error = toml::from_str::<PeeringConfig>(config).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn sampling_by_interface_and_exporter() {
    let config = r#"
        [[exporter]]
        name = "r1"
        address = "10.0.0.1"
        sampling = 1000
        is_sampling_override = true
        [[port]]
        name = "p"
        exporter = "r1"
        interfaces = ["ae1", 8]
        sampling = 2000
    "#;
    let inventory = build(config, &[row("10.0.0.1", 7, "ae1", 1)]).unwrap();
    let shown: Vec<_> = inventory
        .sampling()
        .iter()
        .map(|entry| (entry.exporter.to_string(), entry.interface, entry.population, entry.is_override))
        .collect();
    let host = || "10.0.0.1/32".to_owned();
    assert_eq!(shown, [(host(), Some(7), 2_000, false), (host(), Some(8), 2_000, false), (host(), None, 1_000, true)]);
}

#[test]
fn changes_are_rows_with_an_end_and_rows_with_a_beginning() {
    let before = build(PORT, &[]).unwrap().connection_rows(1);
    let after =
        build(&format!("{PORT}[[connection]]\nname = \"a\"\nazure = \"c1\"\nport = \"p\"\n"), &[]).unwrap().connection_rows(2);
    assert_eq!(rows::connection_changes(&before, &before, 2), []);
    let changes = rows::connection_changes(&before, &after, 2);
    let shown: Vec<_> = changes.iter().map(|row| (&*row.connection, row.valid_to.map(|end| end.0))).collect();
    assert_eq!(shown, [("fra/FRA-1", Some(2)), ("p", Some(2)), ("a", None)]);
}

#[test]
fn risk_groups_are_written_to_their_connections() {
    let config = format!(
        "{PORT}[[connection]]\nname = \"a\"\nazure = \"c1\"\nport = \"p\"\n\
         [[risk_group]]\nname = \"power\"\nconnections = [\"a\"]\n\
         [[risk_group]]\nname = \"duct\"\nconnections = [\"a\", \"fra/c2\"]\n"
    );
    let rows = build(&config, &[]).unwrap().connection_rows(0);
    let groups: Vec<Option<Vec<Name>>> = rows.into_iter().map(|row| row.risk_groups).collect();
    assert_eq!(groups, [Some(vec![name("duct"), name("power")]), Some(vec![name("duct")])]);
    for (wrong, expected) in [
        ("name = \"duct\"\nconnections = [\"fra/c2\", \"b\"]", "\"b\" is neither a connection nor a transit link"),
        ("name = \"duct\"\nconnections = []", "has no connections"),
        ("name = \"\"\nconnections = [\"fra/c2\"]", "give it a plain name"),
        ("name = \"d\"\nconnections = [\"fra/c2\"]\n[[risk_group]]\nname = \"d\"\nconnections = [\"fra/c2\"]", "is there twice"),
    ] {
        let errors = build(&format!("[[risk_group]]\n{wrong}\n"), &[]).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(expected), "{errors:?}");
    }
}
