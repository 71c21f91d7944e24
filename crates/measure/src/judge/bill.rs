//! What a transit port costs, with Microsoft's traffic and without it.

use super::percentile;

/// Which of the two directions is billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charged {
    /// The larger of the two directions' percentiles.
    #[default]
    Larger,
    /// What we send.
    Sent,
    /// What we receive.
    Received,
    /// Both percentiles together.
    Sum,
}

/// How a provider bills a port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BillRule {
    /// Price of a Mbit/s and month.
    pub price: f64,
    /// Mbit/s that are paid for anyway.
    pub commit_mbps: f64,
    /// The share of the percentile, usually 0.95.
    pub share: f64,
    /// Which direction counts.
    pub charged: Charged,
}

/// A month's bill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bill {
    /// Percentile of five-minute means that is billed, Mbit/s.
    pub billed_mbps: f64,
    /// What is to be paid, in the currency of the price.
    pub amount: f64,
    /// Five-minute means that there were; of a month of 30 days there are 8,640.
    pub steps: usize,
}

/// The bill of five-minute means, sent and received, bit/s; `None` where nothing is known.
///
/// A mean that is not a number is missing, not zero.
pub fn bill(sent_bps: &[f64], received_bps: &[f64], rule: &BillRule) -> Option<Bill> {
    let of = |values: &[f64]| percentile(&mut values.to_vec(), rule.share).map(|bps| bps / 1e6);
    let billed_mbps = match rule.charged {
        Charged::Sent => of(sent_bps)?,
        Charged::Received => of(received_bps)?,
        Charged::Sum => of(sent_bps)? + of(received_bps)?,
        Charged::Larger => match (of(sent_bps), of(received_bps)) {
            (Some(sent), Some(received)) => sent.max(received),
            (sent, received) => sent.or(received)?,
        },
    };
    let known = |values: &[f64]| values.iter().filter(|value| !value.is_nan()).count();
    let steps = known(sent_bps).max(known(received_bps));
    Some(Bill { billed_mbps, amount: billed_mbps.max(rule.commit_mbps) * rule.price, steps })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bills_by_direction_and_commit() {
        let sent: Vec<f64> = (1..=100).map(|step| f64::from(step) * 1e6).collect();
        let received: Vec<f64> = sent.iter().map(|bps| bps * 2.0).collect();
        for (charged, commit_mbps, billed, amount) in [
            (Charged::Larger, 0.0, 190.0, 380.0),
            (Charged::Sent, 0.0, 95.0, 190.0),
            (Charged::Received, 0.0, 190.0, 380.0),
            (Charged::Sum, 0.0, 285.0, 570.0),
            (Charged::Sent, 120.0, 95.0, 240.0),
        ] {
            let rule = BillRule { price: 2.0, commit_mbps, share: 0.95, charged };
            assert_eq!(bill(&sent, &received, &rule), Some(Bill { billed_mbps: billed, amount, steps: 100 }), "{charged:?}");
        }
        assert_eq!(
            bill(&[], &[f64::NAN], &BillRule { price: 1.0, commit_mbps: 0.0, share: 0.95, charged: Charged::Larger }),
            None
        );
    }
}
