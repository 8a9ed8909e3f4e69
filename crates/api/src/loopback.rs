//! Safety without keys: a browser that shows a foreign page must not reach Skein through its user's machine
//! (DESIGN.md §8).
//!
//! Host must be an address of this machine, which stops DNS rebinding; Origin, when there is one, must be
//! this server itself, which stops foreign pages; and no CORS header is ever sent. What posts telemetry or
//! questions must also use a content type that a form cannot send (see the routes).

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

/// Chooses the environment that is read: `default` without it. `Skein-Environment: skein` reads Skein's own
/// events.
pub const ENVIRONMENT_HEADER: &str = "skein-environment";

/// What is wrong with a request's Host or Origin; `None` when nothing is.
pub(crate) fn foreign(headers: &HeaderMap, authority: Option<&str>) -> Option<&'static str> {
    // HTTP/2 has the host in its pseudo-header.
    let host = headers.get(HOST).map(|value| value.to_str().unwrap_or_default()).or(authority);
    let Some(host) = host else { return Some("the request has no Host") };
    if !is_loopback_host(host) {
        return Some("the Host is not an address of this machine");
    }
    let origin = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or_default())?;
    let same = origin.strip_prefix("http://").is_some_and(|origin| origin.eq_ignore_ascii_case(host));
    (!same).then_some("the Origin is another site")
}

fn is_loopback_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    match address {
        Ok(address) => address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_served() {
        let check = |host: Option<&str>, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            host.map(|host| headers.insert(HOST, host.parse().unwrap()));
            origin.map(|origin| headers.insert(ORIGIN, origin.parse().unwrap()));
            foreign(&headers, None).is_none()
        };
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"] {
            assert!(check(Some(host), None), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "192.168.0.1:8080", "", "127.0.0.1.evil.example"]
        {
            assert!(!check(Some(host), None), "{host}");
        }
        assert!(!check(None, None));
        assert!(check(Some("localhost:8080"), Some("http://localhost:8080")));
        for origin in ["http://localhost:9090", "https://evil.example", "null", "http://localhost:8080.evil"]
        {
            assert!(!check(Some("localhost:8080"), Some(origin)), "{origin}");
        }
        assert!(foreign(&HeaderMap::new(), Some("localhost:1")).is_none(), "HTTP/2 names it elsewhere");
    }
}
