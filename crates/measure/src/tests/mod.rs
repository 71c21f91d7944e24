//! The whole way: records to deltas, deltas to the owner, rows out.

mod rules;
mod series;
mod worker;

use std::sync::Arc;

use model::link::{Directory, Placement};
use model::tables::{ExporterRow, LinkRow, PortRow, PrefixRow, TrafficRow};
use model::tag::{OwnPrefix, Place, TagNames};
use model::time::SECOND_US;
use model::{
    Address, Attribution, Batch, Direction, ExporterHealth, ExporterId, Fact, Link, MatchedBy, Name, Placements, Port, Protocol,
    Publication, Record, Role, Rows, Sampling, SamplingOrigin, Side, Tag, TagId, View,
};

use crate::{Delta, Deltas, MeasureSettings};

/// 2026-11-02 00:00:00 UTC.
const START_US: i64 = 1_793_577_600 * SECOND_US;
const EXPORTER: &str = "192.0.2.1";

fn at(seconds: i64) -> i64 {
    START_US + seconds * SECOND_US
}

/// A worker, with two links on a port each.
struct Worker {
    deltas: Deltas,
    directory: Directory,
    names: Arc<TagNames>,
    batch: Batch,
    attributions: Vec<Attribution>,
    placements: Placements,
}

fn link(name: &str, port: &str) -> Arc<Link> {
    Arc::new(Link {
        name: name.into(),
        peering: None,
        kind: Some("Direct".into()),
        role: Role::Direct,
        location: Some("Frankfurt".into()),
        exchange: None,
        port: Some(port.into()),
        exporters: vec![EXPORTER.parse().unwrap()],
        is_active: true,
    })
}

fn port(name: &str) -> Arc<Port> {
    let (configured_bps, role) = (Some(10_000_000_000), Role::Direct);
    Arc::new(Port {
        name: name.into(),
        exporter: EXPORTER.parse().unwrap(),
        role,
        configured_bps,
        provisioned_bps: None,
        speed_bps: None,
        members: vec![],
    })
}

fn names() -> Arc<TagNames> {
    let tag = |service: &str| Tag {
        service: Some(service.into()),
        region: None,
        source: Name::from("service_tags"),
        version: Some("7".into()),
    };
    let own = OwnPrefix { prefix: "198.51.100.0/24".parse().unwrap(), name: Some("shop".into()), asn: Some(64_500) };
    let microsoft = |tag, prefix: &str| Place {
        tag: TagId(tag),
        microsoft_prefix: Some(prefix.parse().unwrap()),
        origin_asn: Some(8_075),
        own: None,
    };
    Arc::new(TagNames {
        tags: vec![Tag::default(), tag("AzureStorage"), tag("Exchange")],
        places: vec![
            Place::default(),
            microsoft(1, "20.38.0.0/16"),
            microsoft(2, "40.96.0.0/13"),
            Place { own: Some(own), ..Place::default() },
        ],
    })
}

impl Worker {
    fn new() -> Worker {
        let mut batch = Batch::default();
        batch.facts.push(Fact::Exporter { exporter: ExporterId(0), address: EXPORTER.parse().unwrap() });
        batch.facts.push(Fact::Exporter { exporter: ExporterId(1), address: "192.0.2.2".parse().unwrap() });
        Worker {
            deltas: Deltas::new(&MeasureSettings::default()),
            directory: Directory {
                links: vec![link("one", "port-one"), link("two", "port-two")],
                ports: vec![port("port-one"), port("port-two")],
            },
            names: names(),
            batch,
            attributions: Vec::new(),
            placements: Placements::default(),
        }
    }

    /// A record to Microsoft on a link, seen by a view.
    fn record(&mut self, link: u32, view: View, record: Record) {
        let index = self.batch.records.len() as u32;
        let tag = 1 + u32::from(record.destination_port == 443);
        let customer = Side { tag: TagId::NONE, place: 3, asn: 64_500 };
        self.attributions.push(Attribution { source: customer, destination: Side { tag: TagId(tag), place: tag, asn: 8_075 } });
        let (direction, matched_by) = (Direction::ToMicrosoft, MatchedBy::Interface);
        let port = if view == View::OwnPort { link } else { Placement::NOWHERE };
        self.placements.records.push(Placement { record: index, link, port, direction, view, matched_by, is_through: false });
        self.batch.records.push(record);
    }

    /// Hands over what it counted, with a report on its exporters.
    fn take(&mut self) -> Delta {
        self.deltas.add(&self.batch, &self.attributions, &self.placements);
        let mut heard: Vec<ExporterHealth> = Vec::new();
        for exporter in [0, 1] {
            let records = self.batch.records.iter().filter(|record| record.exporter.0 == exporter).count() as u64;
            heard.push(health(exporter, records));
        }
        self.batch.clear();
        self.attributions.clear();
        self.placements.clear();
        self.deltas.take(&self.directory, &self.names, heard, 0)
    }
}

fn health(exporter: u32, records: u64) -> ExporterHealth {
    let address: Address = [EXPORTER, "192.0.2.2"][exporter as usize].parse().unwrap();
    ExporterHealth {
        exporter: ExporterId(exporter),
        address,
        protocol: Protocol::Ipfix,
        domain: 0,
        datagrams: 1,
        records,
        bytes_exported: 0,
        packets_exported: 0,
        lost_datagrams: None,
        lost_records: Some(0),
        reordered: 0,
        duplicates: 0,
        restarts: 0,
        undecodable: 0,
        refused: Default::default(),
        templates: 1,
        active_timeout_s: Some(60),
        clock_offset_us: Some(0),
        is_clock_refused: false,
        output_unknown_records: 0,
        sampling_origins: [0; 7],
    }
}

fn flow(from_s: i64, to_s: i64, bytes: u64, packets: u64, population: u32) -> Record {
    let sampling = match population {
        0 => Sampling::default(),
        1 => Sampling::one_in(1, SamplingOrigin::Unsampled),
        population => Sampling::one_in(population, SamplingOrigin::Options),
    };
    Record {
        source: "198.51.100.7".parse().unwrap(),
        destination: "20.38.1.1".parse().unwrap(),
        start_us: at(from_s),
        end_us: at(to_s),
        bytes,
        packets,
        sampling,
        ..Record::default()
    }
}

/// Rows as a reader of the files finds them: the last publication of a window stands.
#[derive(Default, Debug, PartialEq)]
struct Published {
    windows: std::collections::BTreeMap<(i64, u8), Rows>,
}

impl Published {
    fn take(&mut self, due: Vec<Publication>) {
        for publication in due {
            let window = (publication.window_start_us, publication.rows.number());
            self.windows.remove(&window);
            if !publication.rows.is_empty() {
                self.windows.insert(window, publication.rows);
            }
        }
    }

    fn links(&self) -> Vec<&LinkRow> {
        self.windows.values().filter_map(|rows| if let Rows::Links(rows) = rows { Some(rows) } else { None }).flatten().collect()
    }

    fn ports(&self) -> Vec<&PortRow> {
        self.windows.values().filter_map(|rows| if let Rows::Ports(rows) = rows { Some(rows) } else { None }).flatten().collect()
    }

    fn traffic(&self) -> Vec<&TrafficRow> {
        self.windows
            .values()
            .filter_map(|rows| if let Rows::Traffic(rows) = rows { Some(rows) } else { None })
            .flatten()
            .collect()
    }

    fn prefixes(&self) -> Vec<&PrefixRow> {
        self.windows
            .values()
            .filter_map(|rows| if let Rows::Prefixes(rows) = rows { Some(rows) } else { None })
            .flatten()
            .collect()
    }

    fn exporters(&self) -> Vec<&ExporterRow> {
        self.windows
            .values()
            .filter_map(|rows| if let Rows::Exporters(rows) = rows { Some(rows) } else { None })
            .flatten()
            .collect()
    }
}
