//! Posting JSON: within a time, without following redirects, without reading what is answered.

use std::time::Duration;

use ureq::Agent;

use super::target::Target;
use super::tls;

/// Longest reason that is repeated of the TLS library, characters: names in certificates are anybody's.
const REASON_MOST: usize = 160;

/// Why a target did not take something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// In a few words, without its address, and without anything that it answered.
    pub(crate) reason: String,
    /// It will never take this: trying again is of no use.
    pub(crate) is_final: bool,
}

/// An agent for a target.
pub(crate) fn agent(target: &Target, patience: Duration) -> Agent {
    let builder = Agent::config_builder()
        .timeout_global(Some(patience))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_response_header_size(16 << 10)
        .user_agent(concat!("peerscope/", env!("CARGO_PKG_VERSION")));
    tls::trust(builder, target.certificates.as_deref()).build().into()
}

/// Posts a body; what is answered besides the status is not looked at.
pub(crate) fn post(agent: &Agent, target: &Target, body: &[u8]) -> Result<(), Refusal> {
    let mut request = agent.post(&target.url).header("Content-Type", "application/json");
    if let Some(token) = &target.token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    match request.send(body) {
        Ok(answer) => judge(answer.status().as_u16()),
        Err(error) => Err(Refusal { reason: worded(&error), is_final: false }),
    }
}

fn judge(status: u16) -> Result<(), Refusal> {
    let again = |reason: String| Err(Refusal { reason, is_final: false });
    match status {
        200..=299 => Ok(()),
        300..=399 => again(format!("it answered {status}: redirects are not followed, give the address that it means")),
        408 | 425 | 429 => again(format!("it answered {status}")),
        400..=499 => Err(Refusal { reason: format!("it answered {status}"), is_final: true }),
        _ => again(format!("it answered {status}")),
    }
}

fn worded(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "it did not answer in time".to_owned(),
        ureq::Error::HostNotFound => "its name is not known".to_owned(),
        ureq::Error::ConnectionFailed => "it cannot be reached".to_owned(),
        // So the TLS library wraps what it finds wrong with a certificate.
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let reason: String = error.to_string().chars().filter(|letter| !letter.is_control()).take(REASON_MOST).collect();
            format!("no secure connection: {reason}")
        }
        ureq::Error::Io(error) => format!("it cannot be reached: {}", error.kind()),
        #[cfg(feature = "https")]
        ureq::Error::Rustls(error) => format!("no secure connection: {error}"),
        ureq::Error::Tls(reason) => format!("no secure connection: {reason}"),
        _ => "it does not speak HTTP as it should".to_owned(),
    }
}
