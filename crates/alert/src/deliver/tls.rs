//! Certificates to trust; a program built without https has none.

use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// Why https cannot be had.
#[cfg(not(feature = "https"))]
const ABSENT: &str = "this program was built without https; build it with the feature https";

/// Whether https can be had.
///
/// # Errors
///
/// Why not.
pub(super) fn check() -> Result<(), String> {
    #[cfg(not(feature = "https"))]
    return Err(ABSENT.to_owned());
    #[cfg(feature = "https")]
    Ok(())
}

/// Whether a text holds certificates (PEM).
///
/// # Errors
///
/// Why not.
pub(super) fn check_certificates(text: &str) -> Result<(), String> {
    check()?;
    #[cfg(feature = "https")]
    if certificates(text).is_empty() {
        return Err("ca_file: there is no certificate in it; it must be PEM".to_owned());
    }
    let _ = text;
    Ok(())
}

/// Has an agent trust these certificates, or those that are built in.
pub(super) fn trust(builder: ConfigBuilder<AgentScope>, text: Option<&str>) -> ConfigBuilder<AgentScope> {
    #[cfg(feature = "https")]
    if let Some(text) = text {
        let roots = ureq::tls::RootCerts::new_with_certs(&certificates(text));
        return builder.tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build());
    }
    let _ = text;
    builder
}

#[cfg(feature = "https")]
fn certificates(text: &str) -> Vec<ureq::tls::Certificate<'static>> {
    use ureq::tls::PemItem;
    let certificate = |item| if let PemItem::Certificate(certificate) = item { Some(certificate) } else { None };
    ureq::tls::parse_pem(text.as_bytes()).filter_map(Result::ok).filter_map(certificate).collect()
}
