//! Who may ask: the peer, the name it asks by, the token; and what browsers are told to hold to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::answer::{Refusal, refusal};
use crate::service::Service;
use crate::settings::Access;

/// Who connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Paths that ask for no token: they say no more than whether the program works.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// What every answer carries: nothing from elsewhere, no framing, no guessing of types.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Lets a request through, or says why not.
pub(crate) async fn guard(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip().to_canonical());
    let checked = check(&service.access, peer, request.method(), request.uri().path(), request.headers());
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if response.status() == StatusCode::UNAUTHORIZED {
        // A browser asks its user for it: any name, the token as the password.
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"peerscope\""));
    }
    response
}

fn check(access: &Access, peer: Option<IpAddr>, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let is_proxied = access.proxies.is_empty() || peer.is_none_or(|peer| peer.is_loopback() || access.proxies.contains(&peer));
    if !is_proxied {
        return Err(refusal(StatusCode::FORBIDDEN, "only the reverse proxies of [web] proxies may ask here"));
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_known_host(access, host) {
        // A name that somebody else's server gave to this address must not open it to that server's pages.
        let sentence = "the page is not known by this name: ask by address, or add the name to [web] hosts";
        return Err(refusal(StatusCode::MISDIRECTED_REQUEST, sentence));
    }
    let is_foreign = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    if is_foreign && !(path == "/" && *method == Method::GET) {
        return Err(refusal(StatusCode::FORBIDDEN, "other sites' pages may not ask here"));
    }
    let Some(token) = &access.token else { return Ok(()) };
    let is_let_in = OPEN.contains(&path) || shown(headers).is_some_and(|shown| is_same(&shown, token.as_bytes()));
    if is_let_in {
        return Ok(());
    }
    Err(refusal(StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer TOKEN, or as the password in a browser"))
}

/// Whether a request shows the token as programs do: browsers never send it of themselves.
pub(crate) fn is_bearer(access: &Access, headers: &HeaderMap) -> bool {
    let value = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let shown = value.strip_prefix(b"Bearer ");
    access.token.as_ref().zip(shown).is_some_and(|(token, shown)| is_same(shown, token.as_bytes()))
}

/// Addresses, `localhost` and configured names.
fn is_known_host(access: &Access, host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let name = name.trim_end_matches('.');
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || access.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// The token that a request shows.
fn shown(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    if let Some(token) = value.strip_prefix(b"Bearer ") {
        return Some(token.to_vec());
    }
    let pair = base64(value.strip_prefix(b"Basic ")?)?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Takes the same time wherever they differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// Base 64 (RFC 4648, section 4), padded or not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.iter().take_while(|byte| **byte != b'=') {
        bits = bits << 6 | u32::from(digit(*byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(access: &Access, peer: &str, path: &str, headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match check(access, Some(peer.parse().unwrap()), &Method::GET, path, &map) {
            Ok(()) => 200,
            Err(refused) => refused.into_response().status().as_u16(),
        }
    }

    #[test]
    fn names_that_others_give_to_this_address_are_refused() {
        let access = Access { hosts: vec!["peerscope.example.net".into()], ..Access::default() };
        for (host, status) in [
            ("127.0.0.1:8075", 200),
            ("localhost:8075", 200),
            ("LOCALHOST", 200),
            ("[::1]:8075", 200),
            ("192.0.2.1", 200),
            ("peerscope.example.net", 200),
            ("Peerscope.Example.net.:443", 200),
            ("rebound.example.org:8075", 421),
            ("localhost.example.org", 421),
            ("127.0.0.1.nip.example", 421),
            ("", 421),
        ] {
            assert_eq!(asked(&access, "127.0.0.1", "/api/v1/connections", &[("host", host)]), status, "{host}");
        }
        let none = HeaderMap::new();
        assert!(check(&access, None, &Method::GET, "/", &none).is_err());
    }

    #[test]
    fn the_token_is_asked_for_wherever_it_is_set() {
        let access = Access { token: Some("0123456789abcdef".into()), ..Access::default() };
        let ask = |path: &str, shown: &str| asked(&access, "192.0.2.9", path, &[("host", "192.0.2.1"), ("authorization", shown)]);
        for (path, shown, status) in [
            ("/", "", 401),
            ("/metrics", "", 401),
            ("/healthz", "", 200),
            ("/", "Bearer 0123456789abcdef", 200),
            ("/", "Bearer 0123456789abcdeF", 401),
            ("/", "Bearer 0123456789abcdef0", 401),
            // anyone:0123456789abcdef
            ("/", "Basic YW55b25lOjAxMjM0NTY3ODlhYmNkZWY=", 200),
            ("/", "Basic YW55b25lOndyb25n", 401),
            ("/", "Basic ????", 401),
        ] {
            assert_eq!(ask(path, shown), status, "{path} {shown}");
        }
    }

    #[test]
    fn other_sites_and_other_machines_are_kept_out() {
        let host = ("host", "127.0.0.1");
        let open = Access::default();
        assert_eq!(asked(&open, "127.0.0.1", "/api/v1/connections", &[host, ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(asked(&open, "127.0.0.1", "/", &[host, ("sec-fetch-site", "cross-site")]), 200, "a link");
        let proxied = Access { proxies: vec!["192.0.2.1".parse().unwrap()], ..Access::default() };
        for (peer, status) in [("192.0.2.1", 200), ("127.0.0.1", 200), ("192.0.2.2", 403)] {
            assert_eq!(asked(&proxied, peer, "/", &[host]), status, "{peer}");
        }
    }
}
