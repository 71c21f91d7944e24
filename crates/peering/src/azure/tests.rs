use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::peerings;

const ACTIVE: &str = r#"{"name": "one", "kind": "Direct", "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Peering/peerings/one",
    "properties": {"peeringLocation": "Berlin", "direct": {"peerAsn": {"id": "65000"}, "connections": [
        {"connectionIdentifier": "c1", "provisionedBandwidthInMbps": 400000, "connectionState": "Active",
         "bgpSession": {"sessionPrefixV4": "192.0.2.0/31", "md5AuthenticationKey": "hunter2", "sessionStateV4": "Established"}}]}}}"#;

/// The shared real-shaped lists, where they are there to be read.
fn shared(file: &str) -> Option<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/azure").join(file)).ok();
    if text.is_none() {
        println!("skipped: the shared file {file} is not here");
    }
    text
}

#[test]
fn rest_and_command_line_lists_say_the_same() {
    let (Some(rest), Some(lifted)) = (shared("peerings-list.json"), shared("az-peering-list.json")) else { return };
    let (rest, lifted) = (parse(&rest).unwrap(), parse(&lifted).unwrap());
    assert_eq!(rest, lifted);
    assert_eq!(rest.warnings, Vec::<String>::new());
    let [frankfurt, amsterdam] = rest.peerings.as_slice() else { panic!("two peerings") };
    assert_eq!((frankfurt.kind.as_str(), frankfurt.location.as_deref()), ("Direct", Some("Frankfurt")));
    assert_eq!((amsterdam.kind.as_str(), amsterdam.location.as_deref()), ("Exchange", Some("Amsterdam")));
    assert_eq!(frankfurt.peer_asn_name.as_deref(), Some("ExampleNet_64500"));
    assert!(!frankfurt.is_legacy);
    let provisioned: Vec<_> = frankfurt.connections.iter().map(|connection| connection.provisioned_bps).collect();
    assert_eq!(provisioned, [Some(200_000_000_000), Some(100_000_000_000)]);
    assert!(frankfurt.connections.iter().all(PeeringConnection::is_active));
    let sessions: Vec<String> = rest
        .peerings
        .iter()
        .flat_map(|peering| &peering.connections)
        .flat_map(|one| one.microsoft_addresses())
        .map(|address| address.to_string())
        .collect();
    assert_eq!(sessions, ["192.0.2.1", "2001:db8:8075:1::1", "192.0.2.3", "198.51.100.8", "2001:db8:26::8075:1"]);
    let written = peerings::write(&rest.peerings);
    let mut sorted = rest.peerings;
    sorted.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(peerings::read(&written).unwrap(), sorted);
}

#[test]
fn a_peering_in_every_shape() {
    let one = parse(ACTIVE).unwrap();
    assert_eq!(parse(&format!("[{ACTIVE}]")).unwrap(), one);
    assert_eq!(parse(&format!("\u{feff}{{\"value\": [{ACTIVE}], \"nextLink\": null}}")).unwrap(), one);
    let peering = &one.peerings[0];
    assert_eq!(peering.peer_asn, Some(65_000));
    assert_eq!(peering.connections[0].v4.as_ref().unwrap().microsoft, "192.0.2.1".parse().ok());
    assert_eq!(peering.connections[0].v4.as_ref().unwrap().ours, "192.0.2.0".parse().ok());
    assert!(one.warnings.is_empty());
}

#[test]
fn keys_are_never_kept() {
    let import = parse(ACTIVE).unwrap();
    assert!(!format!("{import:?}{}", peerings::write(&import.peerings)).contains("hunter2"));
}

#[test]
fn what_is_odd_is_a_warning() {
    #[track_caller]
    fn check(list: &str, expected: &str) -> Import {
        let import = parse(list).unwrap();
        assert!(import.warnings.iter().any(|warning| warning.contains(expected)), "{:?}", import.warnings);
        import
    }
    check(&format!(r#"{{"value": [{ACTIVE}], "nextLink": "https://management.azure.com/next"}}"#), "the list is incomplete");
    check("[7]", "entry 1 of the list is not an object");
    check(r#"[{"kind": "Direct", "properties": {"direct": {"connections": []}}}]"#, "no name");
    check(r#"[{"name": "a", "kind": "Direct"}]"#, "neither direct nor exchange");
    check(r#"[{"name": "a", "exchange": {}}]"#, "no list of connections");
    let import = check(
        r#"[{"name": "a", "kind": "Satellite", "direct": {"connections": [{"connectionState": "Novel"}]}}]"#,
        "\"Satellite\" is not known",
    );
    assert_eq!(import.peerings[0].connections[0].state.as_deref(), Some("Novel"));
    assert!(!import.peerings[0].connections[0].is_active());
    check(
        r#"[{"name": "a", "kind": "Direct", "direct": {"connections": [{"connectionState": "PendingApproval"}]}}]"#,
        "no session yet",
    );
    let wrong = |session: &str| {
        format!(
            r#"[{{"name": "a", "kind": "Exchange", "exchange": {{"connections": [{{"bandwidthInMbps": -1, "bgpSession": {session}}}]}}}}]"#
        )
    };
    check(&wrong("{}"), "bandwidthInMbps is not a whole number");
    check(&wrong(r#"{"microsoftSessionIPv4Address": "2001:db8::1"}"#), "no address of its family");
    check(&wrong(r#"{"sessionPrefixV4": "192.0.2.0/30"}"#), "does not tell which address is Microsoft's");
    check(&wrong(r#"{"sessionStateV4": {}, "peerSessionIPv4Address": "192.0.2.1"}"#), "not a text");
}

#[test]
fn the_far_end_of_a_session_prefix() {
    #[track_caller]
    fn check(session: &str, expected: Option<&str>) {
        let list = format!(r#"[{{"name": "a", "kind": "Direct", "direct": {{"connections": [{{"bgpSession": {session}}}]}}}}]"#);
        let connection = parse(&list).unwrap().peerings[0].connections[0].clone();
        let found = connection.microsoft_addresses().next().map(|address| address.to_string());
        assert_eq!(found.as_deref(), expected);
    }
    check(r#"{"sessionPrefixV4": "192.0.2.2/31"}"#, Some("192.0.2.3"));
    check(r#"{"sessionPrefixV6": "2001:db8::/127"}"#, Some("2001:db8::1"));
    check(r#"{"sessionPrefixV4": "192.0.2.0/30", "peerSessionIPv4Address": "192.0.2.1"}"#, Some("192.0.2.2"));
    check(r#"{"sessionPrefixV4": "192.0.2.0/30", "peerSessionIPv4Address": "192.0.2.0"}"#, Some("192.0.2.1"));
    check(r#"{"sessionPrefixV4": "192.0.2.0/31", "microsoftSessionIPv4Address": "192.0.2.0"}"#, Some("192.0.2.0"));
    check(r#"{"sessionPrefixV4": "192.0.2.0/29"}"#, None);
    check("{}", None);
}

#[test]
fn the_forms_of_our_as() {
    #[track_caller]
    fn check(asn: &str, expected: (Option<u32>, Option<&str>)) {
        let list = format!(r#"[{{"name": "a", "kind": "Direct", "direct": {{"peerAsn": {asn}, "connections": []}}}}]"#);
        let peering = parse(&list).unwrap().peerings.remove(0);
        assert_eq!((peering.peer_asn, peering.peer_asn_name.as_deref()), expected);
    }
    check(r#"{"id": "65000"}"#, (Some(65_000), None));
    check(r#"{"id": "/subscriptions/s/providers/Microsoft.Peering/peerAsns/Example_64500"}"#, (None, Some("Example_64500")));
    check(r#"{"id": "/subscriptions/s/providers/Microsoft.Peering/peerAsns/AS64500"}"#, (Some(64_500), None));
    check("64500", (Some(64_500), None));
    check("null", (None, None));
    check("99999999999", (None, None));
}

#[test]
fn legacy_peerings_have_no_resource_group() {
    let legacy = ACTIVE.replace("/resourceGroups/g", "");
    assert!(parse(&legacy).unwrap().peerings[0].is_legacy);
    assert!(!parse(ACTIVE).unwrap().peerings[0].is_legacy);
}

#[test]
fn what_is_no_list_says_so() {
    for (text, expected) in [
        ("", "is not JSON"),
        ("{\"value\": [", "is not JSON"),
        ("7", "no list of peerings"),
        ("{}", "no list of peerings"),
        (r#"{"value": {}}"#, "no list of peerings"),
        (r#"{"error": {"code": "AuthorizationFailed", "message": "no\u001b[31m right"}}"#, "AuthorizationFailed: no[31m right"),
    ] {
        assert!(parse(text).unwrap_err().to_string().contains(expected), "{text}");
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
}

#[test]
fn texts_lose_what_disturbs_a_screen() {
    assert_eq!(clean(" a\u{1b}]0;x\u{7}\u{202e}b "), "a]0;xb");
    assert_eq!(clean(&"x".repeat(5_000)).len(), 200);
}

#[test]
fn lists_are_joined_by_identity() {
    let first = parse(ACTIVE).unwrap();
    let second = parse(&ACTIVE.replace("Berlin", "Leipzig")).unwrap();
    let joined = join([first, second]);
    assert_eq!(joined.peerings.len(), 1);
    assert_eq!(joined.peerings[0].location.as_deref(), Some("Leipzig"));
    assert!(joined.warnings[0].contains("listed twice"));
}

proptest! {
    /// Any value anywhere in the tree: never a panic, and what is read is written and read back.
    #[test]
    fn hostile_lists(key in "(name|id|kind|properties|direct|connections|peerAsn|bgpSession|sessionPrefixV4|connectivityProbes|provisionedBandwidthInMbps)",
                     value in "(null|true|-1|1e300|18446744073709551615|\"\"|\"\\\\u0000\"|\"192.0.2.0/31\"|\\[\\]|\\[\\[\\]\\]|\\{\\}|\\[\\{\\}\\]|\\{\"id\":\\{\\}\\})") {
        let hostile = ACTIVE.replace(&format!("\"{key}\":"), &format!("\"{key}\": {value}, \"was\":"));
        if let Ok(import) = parse(&hostile) {
            prop_assert_eq!(peerings::read(&peerings::write(&import.peerings)).unwrap(), import.peerings);
        }
    }

    #[test]
    fn any_text(text in ".{0,200}") {
        let _ = parse(&text);
    }
}
