//! The web client's files, compiled in.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG};
use warp::reply::Response;

use super::reply;
use crate::directory::Origin;
use crate::hex::hex;

struct Asset {
    path: &'static str,
    content: &'static [u8],
    etag: String,
}

/// The worker by which a page speaks to another node.
const OUTPOST: &str = "js/rtc/outpost.js";

/// Scripts and styles are files of ours, never text within a page; pictures may be made in the
/// page (thumbnails come with a token); streams play from memory. A page speaks to its own server.
/// Calls may live on other nodes, which come and go while a page is open: it has a worker for each,
/// whose own policy names `node` and nothing else.
fn policy(path: &str, node: Option<&Origin>) -> String {
    if path == OUTPOST {
        let node = node.map_or("'none'", Origin::as_str);
        return format!("default-src 'none'; connect-src {node}");
    }
    "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' blob: data:; media-src 'self' blob: mediastream:; font-src 'self'; \
     connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'"
        .to_owned()
}

/// Made by `embed.rs`: path and content of every file below `web`.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files: &[(&'static str, &'static [u8])] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));
    files.iter().map(|&(path, content)| Asset { path, content, etag: etag(content) }).collect()
});

fn etag(content: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, content);
    format!("\"{}\"", hex(&hash.as_ref()[..8]))
}

/// The file of a path; None where there is none. `node`: another one, that the page may speak to.
pub fn serve(path: &str, if_none_match: Option<&str>, node: Option<&Origin>) -> Option<Response> {
    let path = path.strip_prefix('/').filter(|p| !p.is_empty()).unwrap_or("index.html");
    let asset = ASSETS.iter().find(|a| a.path == path)?;
    let policy = policy(path, node);
    // A worker that had another policy is another worker.
    let own = (path == OUTPOST).then(|| etag(&[asset.content, policy.as_bytes()].concat()));
    let etag = own.as_ref().unwrap_or(&asset.etag);
    let mut response = if matches(if_none_match, etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        reply::bytes(StatusCode::OK, content_type(path), asset.content)
    };
    reply::add(&mut response, ETAG, etag);
    // Asked for each time, and answered 304: a new version is seen at once.
    reply::add(&mut response, CACHE_CONTROL, "no-cache");
    reply::add(&mut response, CONTENT_SECURITY_POLICY, policy);
    Some(response)
}

/// Whether If-None-Match names this entity (RFC 9110, 13.1.2).
pub fn matches(if_none_match: Option<&str>, etag: &str) -> bool {
    if_none_match.is_some_and(|header| {
        header.split(',').map(str::trim).any(|t| t == "*" || t.trim_start_matches("W/") == etag)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_web_client_has_a_type() {
        assert!(ASSETS.iter().any(|a| a.path == "index.html"));
        for asset in ASSETS.iter() {
            assert_ne!(content_type(asset.path), "application/octet-stream", "{}", asset.path);
        }
    }

    #[test]
    fn a_page_speaks_to_its_own_server_and_its_worker_to_one_other_node() {
        let node: Origin = "https://b.example:8443".parse().unwrap();
        for (path, node, connects) in [
            ("/", None, "connect-src 'self'; "),
            ("/", Some(&node), "connect-src 'self'; "),
            ("/js/app.js", Some(&node), "connect-src 'self'; "),
            ("/js/rtc/outpost.js", None, "default-src 'none'; connect-src 'none'"),
            (
                "/js/rtc/outpost.js",
                Some(&node),
                "default-src 'none'; connect-src https://b.example:8443",
            ),
        ] {
            let response = serve(path, None, node).unwrap();
            let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains(connects), "{path} {node:?}: {policy}");
        }
        // What a browser has of a time when the node wasn't known is no good.
        let before = serve("/js/rtc/outpost.js", None, None).unwrap();
        let etag = before.headers()[ETAG].to_str().unwrap();
        let again = |node| serve("/js/rtc/outpost.js", Some(etag), node).unwrap().status();
        assert_eq!((again(None).as_u16(), again(Some(&node)).as_u16()), (304, 200));
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let first = serve("/", None, None).unwrap();
        assert_eq!(first.status(), 200);
        let etag = first.headers()[ETAG].to_str().unwrap().to_owned();
        assert_eq!(serve("/index.html", Some(&etag), None).unwrap().status(), 304);
        assert_eq!(serve("/", Some("\"other\""), None).unwrap().status(), 200);
        assert!(serve("/../Cargo.toml", None, None).is_none());
    }
}
