//! Interface counters from where operators have them, against flows.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use model::table::{Kind, Row, Value};
use model::tables::PortRow;
use model::{Publication, Rows};

use crate::softflowd::{collector_with, stop};
use crate::{peerscope, refuse, succeed};

const CONFIGURATION: &str = "
[[exporter]]
name = \"r1\"
address = \"192.0.2.1\"
[[exporter]]
name = \"r2\"
address = \"192.0.2.2\"
[[port]]
name = \"bundle\"
exporter = \"r1\"
interfaces = [\"ae1\"]
members = [\"et-0/0/0\", \"et-0/0/1\"]
[[port]]
name = \"single\"
exporter = \"r2\"
interfaces = [7]
";

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Waits until a port's counters are in the table, written with the configuration; gives the row with the largest load.
fn busiest(data: &Path, port: &str, direction: &str) -> Option<PortRow> {
    let rows = store::read::<PortRow>(data, i64::MIN, i64::MAX).unwrap().rows;
    let of_port = rows.into_iter().filter(|row| &*row.port == port && &*row.direction == direction);
    of_port.max_by(|a, b| a.counter_bps.unwrap_or(-1.0).total_cmp(&b.counter_bps.unwrap_or(-1.0)))
}

#[test]
fn counters_of_files_and_of_snmp_exporter_fill_ports() {
    let folder = tempfile::tempdir().unwrap();
    let (data, lines) = (folder.path().join("data"), folder.path().join("counters.jsonl"));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let configuration = format!(
        "{CONFIGURATION}[[counters]]\nfile = \"counters.jsonl\"\n[[counters]]\nsnmp_exporter = \"http://{}/snmp?target=r2\"\n\
         exporter = \"r2\"\nevery_seconds = 1\n",
        server.local_addr().unwrap()
    );
    std::fs::write(folder.path().join("peerscope.toml"), configuration).unwrap();
    // gnmic's events for one member, Telegraf's metrics for the other: 2.4 Gbit and 1.2 Gbit in three minutes.
    let mut text = String::new();
    let first = now_s() - 180;
    for minute in 0..4 {
        let at = first + minute * 60;
        text.push_str(&format!(
            "[{{\"name\":\"p\",\"timestamp\":{at}000000000,\"tags\":{{\"interface_name\":\"et-0/0/0\",\"source\":\"192.0.2.1:57400\"}},\
             \"values\":{{\"/state/counters/in-octets\":\"{}\",\"/state/counters/out-octets\":0,\"/state/oper-status\":\"UP\"}}}}]\n",
            minute * 100_000_000
        ));
        text.push_str(&format!(
            "{{\"fields\":{{\"ifHCInOctets\":{},\"ifHCOutOctets\":0,\"ifOperStatus\":2}},\"name\":\"interface\",\
             \"tags\":{{\"agent_host\":\"192.0.2.1\",\"ifName\":\"et-0/0/1\",\"ifIndex\":\"512\"}},\"timestamp\":{at}}}\n",
            minute * 50_000_000
        ));
    }
    std::fs::write(&lines, format!("not JSON\n{text}")).unwrap();
    let answering = std::thread::spawn(move || {
        for answer in 0..3_u64 {
            let (mut connection, _) = server.accept().unwrap();
            let _ = connection.read(&mut [0; 1_024]).unwrap();
            let page = format!("ifHCInOctets{{ifIndex=\"7\",ifName=\"xe-7\"}} {}\n", answer * 1_000_000);
            write!(connection, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len()).unwrap();
        }
    });
    let config = folder.path().join("peerscope.toml");
    let (child, _) = collector_with(&data, &["--config", config.to_str().unwrap()]);
    // The third answer is asked for only after the second was taken in, and the file was read before.
    answering.join().unwrap();
    stop(child);
    let bundle = busiest(&data, "bundle", "from_microsoft").unwrap();
    assert!((bundle.counter_bps.unwrap() - 20e6).abs() < 1.0, "{bundle:?}");
    assert_eq!((bundle.members_total, bundle.members_up), (Some(2), Some(1)));
    // Whole octets: where a window cuts a difference in two, one may be on either side.
    assert!((bundle.member_peak_ratio.unwrap() - 4.0 / 3.0).abs() < 1e-6, "{bundle:?}");
}

#[test]
fn sources_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("peerscope.toml");
    let check = |section: &str, expected: &str| {
        std::fs::write(&config, format!("{CONFIGURATION}[[counters]]\n{section}\n")).unwrap();
        let said = refuse(peerscope(&["peerings", "list", "--config"]).arg(&config), 2);
        assert!(said.contains("[[counters]] 1: ") && said.contains(expected), "{said}");
    };
    check("", "either file or snmp_exporter");
    check("file = \"a\"\nsnmp_exporter = \"http://a\"", "either file or snmp_exporter");
    check("snmp_exporter = \"http://a/snmp\"", "needs exporter");
    check("snmp_exporter = \"https://a/snmp\"\nexporter = \"r1\"", "http://");
    check("file = \"a\"\nexporter = \"r9\"", "no [[exporter]] is called so");
    check("file = \"a\"\nevery_seconds = 0", "1 to 300");
}

#[test]
fn flows_that_differ_from_counters_are_found() {
    let data = tempfile::tempdir().unwrap();
    let capture = std::fs::read_dir(crate::checkout("samples/captures")).unwrap().next().unwrap().unwrap().path();
    succeed(peerscope(&["replay"]).arg(capture).arg("--data").arg(data.path()));
    let mut store = store::Store::open(data.path(), store::StoreSettings::default()).unwrap();
    let row = |direction: &str, start_us: i64| {
        let values = PortRow::COLUMNS.iter().map(|column| match (column.name, column.kind) {
            ("port", _) => Value::Text("fra-1".into()),
            ("direction", _) => Value::Text(direction.into()),
            ("mean_bps", _) => Value::Float(1e9),
            ("counter_bps", _) => Value::Float(4e9),
            ("window_start", _) => Value::Timestamp(start_us),
            _ if column.is_nullable => Value::Null,
            (_, Kind::Integer) => Value::Integer(60),
            _ => Value::Text("".into()),
        });
        PortRow::from_values(values.collect()).unwrap()
    };
    for minute in (0..300).step_by(20) {
        let start_us = (now_s() / 3_600 * 3_600 + minute * 60) as i64 * 1_000_000;
        let rows = Rows::Ports(["to_microsoft", "from_microsoft"].map(|direction| row(direction, start_us)).to_vec());
        store.publish(&Publication { window_start_us: start_us, rows }).unwrap();
    }
    let check =
        |more: &[&str]| succeed(peerscope(&["peerings", "check", "--format=csv"]).args(more).arg("--data").arg(data.path()));
    let found = check(&[]);
    assert!(found.contains("flows_differ,fra-1 to_microsoft,") && found.contains("0.25 of the counters"), "{found}");
    assert!(found.contains("sampling rate is likely wrong"), "{found}");
    let hours = check(&["--counters"]);
    assert_eq!(hours.lines().filter(|line| line.starts_with("fra-1,to_microsoft,")).count(), 5, "{hours}");
    assert!(
        hours.contains("1000000000,4000000000,0.25,sampling_rate")
            || hours.contains("1000000000.0,4000000000.0,0.25,sampling_rate"),
        "{hours}"
    );
}
