//! The error that is shown is the error that is made: z-scores over 10,000 sampled windows.

use std::collections::HashMap;
use std::fmt::Write;

use crate::simulated::Replayed;

/// Windows of 60 s with fewer samples are left out.
const SAMPLES_LEAST: i64 = 300;

/// A router that samples 1 packet in 10, and its connections.
///
/// A score needs samples, and samples cost packets: a low rate makes the same proof with fewer.
fn scenario(protocol: &str, connections: usize, minutes: usize) -> String {
    let mut text = format!(
        "seed = 7\nstart = \"2026-03-02T10:00:00Z\"\nduration_seconds = {}\n[[metros]]\nname = \"Frankfurt\"\n\
         [traffic]\npackets_per_train = 1\nflow_lengths = [{{ packets = 8.0, seconds = 0.05, weight = 1.0 }}]\n\
         [[routers]]\nname = \"edge\"\nmetro = \"Frankfurt\"\naddress = \"192.0.2.1\"\nprotocol = \"{protocol}\"\n\
         sampling = {{ one_in = 10 }}\nactive_timeout_seconds = 10\ninactive_timeout_seconds = 2\n\
         [[ports]]\nname = \"access\"\nrouter = \"edge\"\ninterface = 900\ninterface_name = \"ae90\"\nspeed_bps = 100_000_000_000\n\
         [[customers]]\nname = \"Customer\"\nasn = 64500\nprefixes = [\"203.0.113.0/24\"]\nport = \"access\"\nweight = 1.0\n",
        minutes * 60
    );
    for number in 1..=connections {
        _ = writeln!(
            text,
            "[[ports]]\nname = \"pni{number}\"\nrouter = \"edge\"\ninterface = {number}\ninterface_name = \"et-{number}\"\nspeed_bps = 10_000_000_000\n\
             [[connections]]\nname = \"direct-{number}\"\nkind = \"direct\"\nport = \"pni{number}\"\nour_v4 = \"198.51.100.{}\"\nmicrosoft_v4 = \"198.51.100.{}\"\n\
             to_microsoft_bps = 500_000.0\nfrom_microsoft_bps = 600_000.0",
            2 * number,
            2 * number + 1
        );
    }
    text.push_str("[[services]]\nname = \"Exchange\"\nprefixes = [\"40.96.0.0/13\"]\nweight = 1.0\n");
    text
}

/// Scores of the windows with enough samples: what was estimated less what was, in standard errors.
fn scores(protocol: &str) -> Vec<f64> {
    let replayed = Replayed::scenario(&scenario(protocol, 20, 150));
    let mut truth: HashMap<(&str, &str, i64), f64> = HashMap::new();
    for link in &replayed.truth.links {
        for window in &link.windows_60_s {
            truth.insert((&link.link, &link.direction, window.start_us), window.sum.l2_bytes as f64);
        }
    }
    let links = replayed.links();
    let windows = links.iter().filter(|row| row.samples >= SAMPLES_LEAST);
    let score = |row: &model::tables::LinkRow| {
        let expected = truth.get(&(&*row.connection, &*row.direction, row.window_start.0)).copied().unwrap_or(0.0);
        let (mean, error) = (row.mean_bps.unwrap() * 60.0 / 8.0, row.standard_error_bps.unwrap() * 60.0 / 8.0);
        (mean - expected) / error
    };
    windows.map(score).collect()
}

#[test]
fn scores_of_ten_thousand_windows() {
    let mut windows = 0;
    for protocol in ["ipfix", "sflow"] {
        let scores = scores(protocol);
        windows += scores.len();
        let count = scores.len() as f64;
        let within = scores.iter().filter(|score| score.abs() <= 3.0).count() as f64 / count;
        let mean = scores.iter().sum::<f64>() / count;
        let spread = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
        let found = format!(
            "{protocol}: {count} windows, {:.2} % within three standard errors, mean {mean:.3}, spread {spread:.3}",
            within * 100.0
        );
        println!("{found}");
        assert!(within >= 0.985 && (0.9..=1.1).contains(&spread) && mean.abs() < 0.05, "{found}");
    }
    assert!(windows >= 10_000, "{windows} windows");
}
