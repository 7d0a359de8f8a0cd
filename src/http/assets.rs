//! The web client's files, compiled in.

use std::sync::LazyLock;

use aws_lc_rs::digest;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG};
use warp::reply::Response;

use super::reply;

struct Asset {
    path: &'static str,
    content: &'static [u8],
    etag: String,
}

/// Scripts and styles are files of ours, never text within a page; pictures may be made in the
/// page (thumbnails come with a token); streams play from memory. Calls may live on other nodes,
/// which come and go while a page is open: where this one has a public URL, so have they, if there
/// are any.
fn policy(public_url: Option<&str>) -> String {
    let nodes = match public_url {
        None => "",
        Some(url) if url.starts_with("https:") => " https:",
        Some(_) => " http:",
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; \
         img-src 'self' blob: data:; media-src 'self' blob: mediastream:; font-src 'self'; \
         connect-src 'self'{nodes}; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'self'"
    )
}

/// Made by `embed.rs`: path and content of every file below `web`.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files: &[(&'static str, &'static [u8])] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));
    files.iter().map(|&(path, content)| Asset { path, content, etag: etag(content) }).collect()
});

fn etag(content: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, content);
    let hex: String = hash.as_ref().iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("\"{hex}\"")
}

/// The file of a path; None where there is none. `public_url` is this node's, among several.
pub fn serve(
    path: &str,
    if_none_match: Option<&str>,
    public_url: Option<&str>,
) -> Option<Response> {
    let path = path.strip_prefix('/').filter(|p| !p.is_empty()).unwrap_or("index.html");
    let asset = ASSETS.iter().find(|a| a.path == path)?;
    let mut response = if matches(if_none_match, &asset.etag) {
        reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        reply::bytes(StatusCode::OK, content_type(path), asset.content)
    };
    reply::add(&mut response, ETAG, &asset.etag);
    // Asked for each time, and answered 304: a new version is seen at once.
    reply::add(&mut response, CACHE_CONTROL, "no-cache");
    reply::add(&mut response, CONTENT_SECURITY_POLICY, policy(public_url));
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
    fn a_page_reaches_other_nodes_where_there_are_any() {
        for (url, connects) in [
            (None, "connect-src 'self'; "),
            (Some("https://a.example"), "connect-src 'self' https:; "),
            (Some("http://localhost:8080"), "connect-src 'self' http:; "),
        ] {
            assert!(policy(url).contains(connects), "{}", policy(url));
        }
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
