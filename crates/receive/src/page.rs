//! A page over HTTP: what a poller answers with.

use std::time::Duration;

/// Longest answer that is read: a router with thousands of interfaces answers with some megabytes.
const BYTES_MAX: u64 = 16 << 20;

/// Gets a page, within a time.
///
/// # Errors
///
/// If it cannot be had, or the server answers with an error: why.
pub fn get(address: &str, patience: Duration) -> Result<String, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(patience)).build().into();
    let mut answer = agent.get(address).call().map_err(|error| error.to_string())?;
    answer.body_mut().with_config().limit(BYTES_MAX).read_to_string().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_page_or_why_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/snmp?target=192.0.2.1", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for answer in ["200 OK\r\nContent-Length: 5\r\n\r\nhello", "400 Bad Request\r\nContent-Length: 0\r\n\r\n"] {
                let (mut connection, _) = listener.accept().unwrap();
                let _ = connection.read(&mut [0; 1_024]).unwrap();
                connection.write_all(format!("HTTP/1.1 {answer}").as_bytes()).unwrap();
            }
        });
        assert_eq!(get(&address, Duration::from_secs(10)), Ok("hello".to_owned()));
        assert!(get(&address, Duration::from_secs(10)).unwrap_err().contains("400"));
        server.join().unwrap();
        assert!(get("http://127.0.0.1:1/", Duration::from_secs(10)).is_err());
    }
}
