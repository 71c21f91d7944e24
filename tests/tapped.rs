//! Telemetry of another collector, seen on an interface.

use std::net::UdpSocket;
use std::process::Stdio;

use model::tables::ExporterRow;

use crate::resuming::datagram;
use crate::softflowd::{collector_at, stop};
use crate::{peerscope, refuse};

#[test]
fn what_goes_to_another_collector_is_counted() {
    let data = tempfile::tempdir().unwrap();
    // The other collector.
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (port, address) = (other.local_addr().unwrap().port().to_string(), other.local_addr().unwrap());
    let may = peerscope(&["collect", "--interface", "lo", "--interface-ports", &port, "--data"])
        .arg(data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let Some((child, name)) = collector_at(may) else {
        eprintln!("passed over: may not listen on lo");
        return;
    };
    assert_eq!(name, "lo");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for flow in 0..5 {
        socket.send_to(&datagram(flow * 30, 30, 1_000), address).unwrap();
    }
    stop(child);
    let rows = store::read::<ExporterRow>(data.path(), i64::MIN, i64::MAX).unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.bytes_exported).sum::<i64>(), 150_000);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let data = tempfile::tempdir().unwrap();
    let said = refuse(peerscope(&["collect", "--interface", "nothing0", "--data"]).arg(data.path()), 1);
    assert!(said.contains("nothing0") && said.contains("no such interface"), "{said}");
}
