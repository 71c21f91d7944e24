//! Wrong inputs: one sentence that says what, where and how to mend it, and the right exit code.

use crate::{checkout, peerscope, succeed};

#[track_caller]
fn check(arguments: &[&str], code: i32, parts: &[&str]) {
    let output = peerscope(arguments).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    for part in parts {
        assert!(told.contains(part), "{arguments:?} does not say {part:?}: {told}");
    }
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn files_that_are_not_there_or_not_what_they_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let data = folder.path().join("data").to_str().unwrap().to_string();
    let text = path("text.pcap", "this is no capture");
    let nothing = path("empty.pcap", "");
    let here = folder.path().to_str().unwrap();
    check(&["inspect", "/nowhere.pcap"], 1, &["/nowhere.pcap", "no such file"]);
    check(&["inspect", here], 1, &["this is a folder"]);
    check(&["inspect", &nothing], 1, &["empty.pcap", "this file is empty"]);
    check(&["replay", here, "--data", &data], 1, &["this is a folder"]);
    check(&["check", here], 2, &["this is a folder"]);
    check(&["check", "/nowhere.toml"], 2, &["/nowhere.toml", "no such file"]);
    check(&["inspect", "--summary", &text], 1, &["text.pcap", "capture"]);
    check(&["replay", "/nowhere.pcap", "--data", &data], 1, &["/nowhere.pcap"]);
    check(&["replay", &text, "--data", &data], 1, &["text.pcap"]);
    check(&["prefixes", "lookup", "1.2.3.4", "--service-tags", "/nowhere.json"], 2, &["/nowhere.json", "no such file"]);
    check(&["prefixes", "lookup", "1.2.3.4", "--service-tags", &text], 2, &["text.pcap", "ServiceTags_Public_"]);
    check(&["prefixes", "lookup", "1.2.3.444"], 2, &["1.2.3.444"]);
    check(&["peerings", "import", &text, "--output", &data], 2, &["text.pcap"]);
    check(&["peerings", "check", "--data", &data], 1, &["nothing was seen yet"]);
    check(&["simulate", "capture", &text, "--output", &data], 2, &["text.pcap"]);
    check(&["collect"], 2, &["--data"]);
    check(&["collect", "--data", &data, "--listen", "nonsense"], 2, &["nonsense", "such as 0.0.0.0:2055"]);
}

#[test]
fn every_error_of_a_configuration_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let check_text = |text: &str, parts: &[&str]| {
        let path = folder.path().join("peerscope.toml");
        std::fs::write(&path, text).unwrap();
        check(&["check", path.to_str().unwrap()], 2, parts);
    };
    check_text("[[prot]]\n", &["peerscope.toml:1", "prot"]);
    check_text("\n\nport = 3", &["peerscope.toml:3"]);
    check_text("[decode]\nhold_seconds = -5\n", &["peerscope.toml:"]);
    check_text("[measure]\ntags_kept = 0\n", &["[measure] tags_kept = 0", "1 to"]);
    let two =
        "[[connection]]\nname = \"a\"\nport = \"nowhere\"\nrole = \"direct\"\n[[transit]]\nname = \"b\"\nport = \"elsewhere\"\n";
    check_text(two, &["nowhere", "elsewhere"]);
    check_text("[lists]\nservice_tags = [\"absent.json\"]\n", &["absent.json", "no such file"]);
}

#[test]
fn the_sample_configuration_has_no_errors() {
    let printed = succeed(peerscope(&["check"]).arg(checkout("samples/peerscope.toml")));
    assert!(printed.contains("no errors"), "{printed}");
    let listed = succeed(peerscope(&["peerings", "list", "--format", "csv", "--config"]).arg(checkout("samples/peerscope.toml")));
    let names: Vec<&str> = listed.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(names, ["fra-1", "fra-2", "ams-ix-1", "transit-a", "ams-r1-ix/unidentified"]);
}

/// A list of service tags as Azure publishes them, of two tags.
fn service_tags(change: u32, storage: &str) -> String {
    let tag = |name: &str, region: &str, service: &str, prefixes: &str| {
        format!(
            r#"{{"name": "{name}", "id": "{name}", "properties": {{"changeNumber": 1, "region": "{region}", "regionId": 0,
            "platform": "Azure", "systemService": "{service}", "addressPrefixes": [{prefixes}], "networkFeatures": null}}}}"#
        )
    };
    let cloud = tag("AzureCloud.westeurope", "westeurope", "", r#""20.38.0.0/16", "2603:1020::/47""#);
    let storage = tag("Storage.WestEurope", "westeurope", "AzureStorage", storage);
    format!(r#"{{"changeNumber": {change}, "cloud": "Public", "values": [{cloud}, {storage}]}}"#)
}

#[test]
fn lists_are_looked_up_imported_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (before, after) = (path("ServiceTags_Public_1.json"), path("ServiceTags_Public_2.json"));
    std::fs::write(&before, service_tags(1, r#""20.38.1.0/24""#)).unwrap();
    std::fs::write(&after, service_tags(2, r#""20.38.2.0/24", "2603:1020::7/128""#)).unwrap();
    let lookup = |option: &str, list: &str| {
        let addresses = ["20.38.1.9", "20.38.2.9", "2603:1020::7", "2603:1020::8", "8.8.8.8"];
        let printed =
            succeed(peerscope(&["prefixes", "lookup", "--format", "json", "--no-builtin", option, list]).args(addresses));
        let objects = printed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let part = |object: &serde_json::Value, key: &str| object[key].as_str().unwrap_or("null").to_string();
        let keys = ["address", "prefix", "service", "region", "source"];
        objects.map(|object| keys.map(|key| part(&object, key)).join(" ")).collect::<Vec<_>>()
    };
    let expected = [
        "20.38.1.9 20.38.0.0/16 AzureCloud westeurope azure_cloud",
        "20.38.2.9 20.38.2.0/24 AzureStorage westeurope service_tags",
        "2603:1020::7 2603:1020::7/128 AzureStorage westeurope service_tags",
        "2603:1020::8 2603:1020::/47 AzureCloud westeurope azure_cloud",
        "8.8.8.8 null null null null",
    ];
    assert_eq!(lookup("--service-tags", &after), expected);
    let imported = path("imported.json");
    succeed(&mut peerscope(&["prefixes", "import", "--no-builtin", "--service-tags", &after, "--output", &imported]));
    assert_eq!(lookup("--imported", &imported), expected);
    let compared = succeed(&mut peerscope(&["prefixes", "compare", &before, &imported, "--format", "csv"]));
    let changed: Vec<&str> = compared.lines().skip(1).collect();
    assert_eq!(
        changed,
        [
            "20.38.1.0/24,moved,AzureStorage,westeurope,AzureCloud,westeurope",
            "20.38.2.0/24,moved,AzureCloud,westeurope,AzureStorage,westeurope",
            "2603:1020::7/128,moved,AzureCloud,westeurope,AzureStorage,westeurope",
        ]
    );
}

#[test]
fn keys_of_azures_list_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let list = std::fs::read_to_string(checkout("samples/azure-peerings.json")).unwrap();
    let with_key = list.replace("\"bgpSession\": {", "\"bgpSession\": { \"md5AuthenticationKey\": \"hunter2\",");
    assert!(with_key.contains("hunter2"));
    std::fs::write(path("list.json"), with_key).unwrap();
    let told = succeed(&mut peerscope(&["peerings", "import", &path("list.json"), "--output", &path("inventory.json")]));
    let kept = std::fs::read_to_string(path("inventory.json")).unwrap();
    std::fs::write(path("peerscope.toml"), "[inventory]\npeerings = [\"list.json\"]\n").unwrap();
    let listed = succeed(&mut peerscope(&["peerings", "list", "--format", "json", "--config", &path("peerscope.toml")]));
    assert!(listed.lines().count() > 1);
    for text in [told, kept, listed] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn the_sample_inventory_is_the_sample_of_azures_list_imported() {
    let folder = tempfile::tempdir().unwrap();
    let imported = folder.path().join("inventory.json");
    succeed(peerscope(&["peerings", "import"]).arg(checkout("samples/azure-peerings.json")).arg("--output").arg(&imported));
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    assert_eq!(read(&imported), read(&checkout("samples/inventory.json")));
}

#[test]
fn a_replay_does_not_overwrite_rows_of_another_input_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let capture = |name: &str| {
        let path = folder.path().join(format!("{name}.pcap"));
        let scenario = checkout("samples/scenarios").join(format!("{name}.toml"));
        succeed(peerscope(&["simulate", "capture"]).arg(scenario).arg("--output").arg(&path));
        path.to_str().unwrap().to_string()
    };
    let (first, second) = (capture("double_metering"), capture("next_hop_only"));
    let data = data.to_str().unwrap();
    succeed(&mut peerscope(&["replay", &first, "--data", data]));
    check(&["replay", &second, "--data", data], 2, &["--replace"]);
    succeed(&mut peerscope(&["replay", &second, "--data", data, "--replace"]));
}

#[test]
fn a_port_and_a_folder_belong_to_one_collector() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (child, address) = crate::softflowd::collector(first.path());
    let data = second.path().to_str().unwrap();
    check(&["collect", "--data", data, "--listen", &address], 1, &["cannot listen", &address]);
    check(&["collect", "--data", first.path().to_str().unwrap(), "--listen", "127.0.0.1:0"], 1, &["another peerscope"]);
    crate::softflowd::stop(child);
}

#[test]
fn the_reference_is_that_of_the_declarations() {
    for (what, file) in [("tables", "TABLES.md"), ("settings", "SETTINGS.md")] {
        let printed = succeed(&mut peerscope(&["reference", what]));
        let kept = std::fs::read_to_string(checkout(file)).unwrap();
        assert!(printed == kept, "{file} is behind: peerscope reference {what} > {file}");
    }
}
