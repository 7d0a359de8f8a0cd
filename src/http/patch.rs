//! What a PATCH to a WHIP or WHEP session asks for (RFC 9725, 4.3): candidates to be added, or an
//! ICE restart.

use warp::http::StatusCode;

use super::problem::{Kind, Problem};
use super::sdp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patch {
    Candidates,
    IceRestart,
}

/// Checks a trickle fragment. `ice_ufrag` is the client's of the present ICE session.
pub fn check(
    if_match: Option<&str>,
    etag: &str,
    fragment: &str,
    ice_ufrag: &str,
) -> Result<Patch, Problem> {
    let Some(if_match) = if_match else {
        let detail = "expected If-Match with the session's ETag";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, Kind::Precondition, detail));
    };
    if !fragment.lines().any(|line| line.starts_with("a=") || line.starts_with("m=")) {
        return Err(Problem::bad_request(Kind::BadFragment, "expected a trickle ICE fragment"));
    }
    if if_match != "*" && !if_match.split(',').any(|tag| tag.trim() == etag) {
        let detail = "If-Match names another ICE session";
        return Err(Problem::new(StatusCode::PRECONDITION_FAILED, Kind::Precondition, detail));
    }
    let restart = sdp::ice_ufrag(fragment).is_some_and(|ufrag| ufrag != ice_ufrag);
    Ok(if restart { Patch::IceRestart } else { Patch::Candidates })
}

/// Names an ICE session of a session: its first, or that after so many restarts.
pub fn etag(session: &str, restarts: u32) -> String {
    format!("\"{}-{restarts}\"", session.get(..8).unwrap_or(session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_taken_and_everything_else_has_its_status() {
        let own = "a=ice-ufrag:abc\r\na=ice-pwd:x\r\nm=audio 9 x\r\na=candidate:1\r\n";
        let restart = "a=ice-ufrag:new\r\na=ice-pwd:x\r\n";
        for (if_match, fragment, status) in [
            (Some("\"tag\""), own, 200),
            (Some("\"old\", \"tag\""), own, 200),
            (Some("*"), own, 200),
            (Some("\"tag\""), "m=audio 9 x\r\na=candidate:1\r\n", 200),
            (None, own, 428),
            (Some("\"old\""), own, 412),
            (Some("tag"), own, 412),
            (Some("*"), restart, 0),
            (Some("\"tag\""), restart, 0),
            (Some("\"old\""), restart, 412),
            (Some("\"tag\""), "", 400),
            (Some("\"tag\""), "hello", 400),
        ] {
            let result = check(if_match, "\"tag\"", fragment, "abc");
            let found = match result {
                Ok(Patch::Candidates) => 200,
                Ok(Patch::IceRestart) => 0,
                Err(problem) => problem.status.as_u16(),
            };
            assert_eq!(found, status, "{if_match:?} {fragment:?}");
        }
    }
}
