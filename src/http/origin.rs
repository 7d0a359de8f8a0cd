//! Which pages may use this server (CORS), and what protects a server that asks for no tokens.
//!
//! Any page that the operator opens could talk to a server on loopback. So an open server takes
//! requests only from its own pages, from origins that are listed by name, and from programs
//! (which send no Origin); and only under a name that means loopback, against DNS rebinding.

use warp::http::HeaderMap;
use warp::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use warp::http::{HeaderValue, StatusCode};
use warp::reply::Response;

use super::problem::{Kind, Problem};
use super::reply;

pub struct Origins {
    listed: Vec<String>,
    any: bool,
    open_server: bool,
}

const EXPOSED: &str =
    "Location, ETag, Link, Allow, Accept-Post, Accept-Patch, Retry-After, WWW-Authenticate";
const TAKEN: &str = "Authorization, Content-Type, If-Match, If-None-Match";

// === impl Origins ===

impl Origins {
    pub fn new(configured: &[String], open_server: bool) -> Self {
        let any = configured.iter().any(|o| o == "*") && !open_server;
        let listed = configured.iter().filter(|o| *o != "*").cloned().collect();
        Self { listed, any, open_server }
    }

    /// Refuses what could be a foreign page's request to an open server. `host` is the request's
    /// authority.
    pub fn check(&self, headers: &HeaderMap, host: Option<&str>) -> Result<(), Problem> {
        if !self.open_server {
            return Ok(());
        }
        let host = host.unwrap_or("localhost");
        if !is_loopback(host) {
            return Err(foreign(format!(
                "{host} is not a name of loopback: a server without tokens is for this machine"
            )));
        }
        match headers.get(ORIGIN).map(|o| o.to_str().unwrap_or("")) {
            Some(origin) if !self.is_own(origin, host) && !self.is_listed(origin) => {
                Err(foreign(format!(
                    "a server without tokens is not for pages of {origin}: \
                     expected it in `http.cors_origins`"
                )))
            }
            _ => Ok(()),
        }
    }

    /// The same for a web socket, which browsers open to any server: a page that may not read
    /// other answers may not speak here either.
    pub fn check_socket(&self, headers: &HeaderMap, host: Option<&str>) -> Result<(), Problem> {
        self.check(headers, host)?;
        match headers.get(ORIGIN).map(|o| o.to_str().unwrap_or("")) {
            Some(origin)
                if !self.any
                    && !self.is_own(origin, host.unwrap_or_default())
                    && !self.is_listed(origin) =>
            {
                Err(foreign(format!(
                    "this server is not for pages of {origin}: expected it in `http.cors_origins`"
                )))
            }
            _ => Ok(()),
        }
    }

    /// Tells the browser whether a page may see the response.
    pub fn decorate(&self, request: &HeaderMap, response: &mut Response) {
        let Some(origin) = text(request, ORIGIN) else {
            return;
        };
        let allowed = if self.any {
            "*"
        } else if self.is_listed(origin) {
            origin
        } else {
            return;
        };
        reply::add(response, ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        if !self.any {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// Lets every page see the response: what it takes to get it is no page's by itself.
    pub fn decorate_for_all(response: &mut Response) {
        reply::add(response, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }

    fn is_listed(&self, origin: &str) -> bool {
        self.listed.iter().any(|o| o.eq_ignore_ascii_case(origin))
    }

    fn is_own(&self, origin: &str, host: &str) -> bool {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|a| a.eq_ignore_ascii_case(host))
    }
}

/// The answer to OPTIONS. `allow` as the header has it.
pub fn preflight(allow: &str) -> Response {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    reply::add(&mut response, ACCESS_CONTROL_ALLOW_METHODS, allow);
    reply::add(&mut response, ACCESS_CONTROL_ALLOW_HEADERS, TAKEN);
    reply::add(&mut response, ACCESS_CONTROL_MAX_AGE, "86400");
    reply::add(&mut response, warp::http::header::ALLOW, allow);
    response
}

fn foreign(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, Kind::ForeignOrigin, detail)
}

fn text(headers: &HeaderMap, name: warp::http::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    let host = host.trim_end_matches('.');
    host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    #[test]
    fn an_open_server_is_for_its_own_pages_and_for_programs_on_this_machine() {
        let listed = ["*".to_owned(), "http://tools.test".to_owned()];
        let origins = Origins::new(&listed, true);
        for (host, origin, allowed) in [
            ("127.0.0.1:8080", None, true),
            ("localhost:8080", Some("http://localhost:8080"), true),
            ("[::1]:8080", Some("http://[::1]:8080"), true),
            ("localhost:8080", Some("http://localhost:3000"), false),
            ("localhost:8080", Some("https://evil.example"), false),
            ("localhost:8080", Some("null"), false),
            ("localhost:8080", Some("http://tools.test"), true),
            ("evil.example:8080", Some("http://evil.example:8080"), false),
            ("evil.example", None, false),
            ("127.0.0.1.evil.example", None, false),
        ] {
            let result = origins.check(&headers(origin), Some(host));
            assert_eq!(result.is_ok(), allowed, "{host} {origin:?}");
        }
    }

    #[test]
    fn a_server_with_tokens_is_for_the_origins_that_are_configured() {
        let allowed = |configured: &[&str], origin: &str| {
            let configured: Vec<String> = configured.iter().map(ToString::to_string).collect();
            let origins = Origins::new(&configured, false);
            let request = headers(Some(origin));
            origins.check(&request, Some("tv.example")).unwrap();
            let mut response = reply::empty(StatusCode::OK);
            origins.decorate(&request, &mut response);
            text(response.headers(), ACCESS_CONTROL_ALLOW_ORIGIN).map(str::to_owned)
        };
        assert_eq!(allowed(&["*"], "https://a.example").as_deref(), Some("*"));
        let one = "https://a.example";
        assert_eq!(allowed(&[one], one).as_deref(), Some(one));
        assert_eq!(allowed(&[one], "https://b.example"), None);
        assert_eq!(allowed(&[], one), None);
    }

    #[test]
    fn a_web_socket_is_for_own_pages_listed_ones_and_programs() {
        for (listed, origin, allowed) in [
            ("*", Some("https://a.example"), true),
            ("https://a.example", Some("https://a.example"), true),
            ("https://a.example", Some("https://b.example"), false),
            ("https://a.example", Some("https://tv.example"), true),
            ("https://a.example", None, true),
        ] {
            let origins = Origins::new(&[listed.to_owned()], false);
            let result = origins.check_socket(&headers(origin), Some("tv.example"));
            assert_eq!(result.is_ok(), allowed, "{listed} {origin:?}");
        }
    }
}
