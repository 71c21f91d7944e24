//! Where the page is served, who may ask, and what asking may cost.

use std::net::{IpAddr, SocketAddr};

model::settings! {
    /// What asking the page may cost.
    pub struct WebLimits in "web.limits" {
        /// Connections of browsers and programs that are held at once.
        connections: usize = 256, "connections", 4..=65_536;
        /// Pages that are told of each second's changes at once.
        listeners: usize = 64, "pages", 1..=4_096;
        /// Queries of the tables that run at once; others wait, and are refused when it takes too long.
        queries: usize = 2, "queries", 1..=64;
        /// Rows that a query reads at most; then it answers what it has, and says so.
        query_rows: usize = 4_000_000, "rows", 1_000..=1_000_000_000;
        /// Time that a query takes at most; then it answers what it has, and says so.
        query_seconds: u64 = 20, "s", 1..=300;
        /// Longest range of a query.
        range_days: i64 = 1_100, "days", 1..=36_500;
        /// Largest batch of counters that is taken in at once.
        push_bytes: usize = 4_194_304, "bytes", 1_024..=268_435_456;
    }
}

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What must be shown, where it is set.
    pub token: Option<String>,
    /// Names that the page may be asked for by, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Reverse proxies: where they are named, only they and this machine may connect.
    pub proxies: Vec<IpAddr>,
}

/// Characters of a token at least: fewer can be guessed.
const TOKEN_LEAST: usize = 16;

impl Access {
    /// Refuses what would let anybody in.
    ///
    /// # Errors
    ///
    /// One sentence that says what to set.
    pub fn check(&self, listen: SocketAddr) -> Result<(), String> {
        if let Some(token) = &self.token
            && (token.len() < TOKEN_LEAST || !token.chars().all(|c| c.is_ascii_graphic()))
        {
            return Err(format!("[web] token_file: a token has {TOKEN_LEAST} or more printable characters without spaces"));
        }
        let is_open = self.token.is_none() && self.proxies.is_empty();
        if !listen.ip().to_canonical().is_loopback() && is_open {
            return Err(format!(
                "[web] the page would be open to everybody at {listen}: set token_file, or proxies to the reverse proxy that \
                 asks who it is, or listen on 127.0.0.1"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_let_in_unasked() {
        let check = |listen: &str, access: Access| access.check(listen.parse().unwrap()).is_ok();
        let with_token = |token: &str| Access { token: Some(token.into()), ..Access::default() };
        let with_proxy = || Access { proxies: vec!["192.0.2.1".parse().unwrap()], ..Access::default() };
        for (listen, access, is_fine) in [
            ("127.0.0.1:8075", Access::default(), true),
            ("[::1]:8075", Access::default(), true),
            ("[::ffff:127.0.0.1]:8075", Access::default(), true),
            ("0.0.0.0:8075", Access::default(), false),
            ("[::]:8075", Access::default(), false),
            ("192.0.2.7:8075", Access::default(), false),
            ("192.0.2.7:8075", with_token("0123456789abcdef"), true),
            ("192.0.2.7:8075", with_token("short"), false),
            ("192.0.2.7:8075", with_token("0123456789 abcdef"), false),
            ("192.0.2.7:8075", with_proxy(), true),
        ] {
            assert_eq!(check(listen, access.clone()), is_fine, "{listen} {access:?}");
        }
    }
}
