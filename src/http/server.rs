//! The server itself: what it is, what it can do, how it does.

use prometheus::TextEncoder;
use serde_json::json;
use stentor_protocol::choice::{Task, choose};
use stentor_protocol::probe::{Direction, ProbeReport};
use stentor_protocol::spec::{Backend, Codec, HardwarePolicy};
use warp::http::StatusCode;

use super::access::{Need, Role};
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::state::{RelayUser, State};
use crate::calls::hub::RecordBy;
use crate::rfc3339;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub fn me(state: &State, request: &Request) -> Answer {
    let grant = state.authorize(request, Need::Any)?;
    let expiry = |exp| {
        let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(exp));
        // A time beyond what the calendar can say is as good as never.
        time.filter(|_| exp < 253_402_300_800).map(rfc3339::format)
    };
    let me = match grant.claims {
        None => json!({
            "open": true,
            "role": Role::Admin,
            "channel": "*",
            "user": null,
            "expires_at": null,
        }),
        Some(claims) => json!({
            "open": false,
            "role": claims.role,
            "channel": claims.channel,
            "user": claims.user,
            "expires_at": expiry(claims.exp),
        }),
    };
    Ok(reply::json(StatusCode::OK, &me))
}

pub fn server(state: &State, request: &Request) -> Answer {
    let grant = state.authorize(request, Need::Any)?;
    let relay_user = RelayUser::of(grant.claims.as_ref(), state.client(request));
    let server = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": state.started.elapsed().as_secs_f64(),
        "draining": state.is_draining(),
        "viewers": state.sessions.total(),
        "max_viewers": state.settings.max_viewers,
        "channels": state.channels.count(),
        "features": features(state),
        "ice_servers": state.ice_servers(&relay_user),
    });
    Ok(reply::json(StatusCode::OK, &server))
}

/// What there is here, for clients that show what they can do.
fn features(state: &State) -> Vec<String> {
    let mut features = vec!["whip", "whep", "whep-events", "whep-layers"];
    if !state.access.is_open() {
        features.push("tokens");
    }
    if state.settings.tls {
        features.push("tls");
    }
    if state.calls.is_some() {
        features.push("calls");
    }
    if state.archive.is_some() {
        features.push("recordings");
    }
    match state.calls.as_ref().map(|board| board.config.limits.record) {
        Some(RecordBy::Anyone) => features.extend(["record", "record-by-anyone"]),
        Some(RecordBy::Inviter) => features.push("record"),
        Some(RecordBy::Nobody) | None => {}
    }
    if state.issue_relay.is_some() {
        features.push("turn");
    }
    if state.analytics.is_some() {
        features.push("analytics");
    }
    let features = features.into_iter().map(str::to_owned);
    features.chain(state.people.features()).collect()
}

pub fn hardware(state: &State, request: &Request) -> Answer {
    state.authorize(request, Need::Server)?;
    let findings = state.findings.borrow().clone();
    let report = findings.as_ref().filter(|f| f.error.is_none()).map(|f| f.report.clone());
    let choices = report.as_deref().map_or_else(Vec::new, |r| choices(r, &state.settings.policy));
    let hardware = json!({
        "probe": report.as_deref(),
        "error": findings.as_ref().and_then(|f| f.error.clone()),
        "choices": choices,
        "require_hardware": state.settings.policy.require_hardware,
        "budget": state.admission.usage(),
        "gpus": state.machine.gpus(),
    });
    Ok(reply::json(StatusCode::OK, &hardware))
}

/// What decodes and what encodes each codec, and what was passed over for which reason.
fn choices(report: &ProbeReport, policy: &HardwarePolicy) -> Vec<serde_json::Value> {
    let decode = [Codec::H264, Codec::H265, Codec::Vp8, Codec::Av1];
    let encode = [Codec::H264, Codec::Vp8, Codec::Av1];
    let tasks = decode
        .map(|codec| (Direction::Decode, Task::decode(codec)))
        .into_iter()
        .chain(encode.map(|codec| (Direction::Encode, Task::encode(codec))));
    tasks.map(|(direction, task)| choice(report, policy, direction, &task)).collect()
}

fn choice(
    report: &ProbeReport,
    policy: &HardwarePolicy,
    direction: Direction,
    task: &Task<'_>,
) -> serde_json::Value {
    let codec = task.codec;
    match choose(report, policy, task) {
        Ok(choice) => {
            let device = report.devices.iter().find(|d| {
                d.backend == choice.backend
                    && (d.backend == Backend::Software || choice.device.as_ref() == Some(&d.id))
            });
            let entries = device.into_iter().flat_map(|d| &d.entries);
            let mut fitting = entries.filter(|e| e.codec == codec && e.direction == direction);
            json!({
                "direction": direction,
                "codec": codec,
                "backend": choice.backend,
                "device": device.map(|d| &d.id),
                "implementation": fitting.next().map(|e| &e.implementation),
                "fallbacks": choice.fallbacks,
                "error": null,
            })
        }
        Err(refusal) => json!({
            "direction": direction,
            "codec": codec,
            "backend": null,
            "device": null,
            "implementation": null,
            "fallbacks": [],
            "error": refusal.to_string(),
        }),
    }
}

/// The interface of this server: who needs no token is said in it.
pub fn openapi(state: &State) -> Answer {
    let document = document(state.access.is_open(), state.settings.metrics_token);
    let text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    Ok(reply::bytes(StatusCode::OK, "application/json", text))
}

/// `openapi.json` is written for a server that asks for no tokens: they are one way in of two,
/// and metrics are for everybody.
fn document(is_open: bool, metrics_token: bool) -> serde_json::Value {
    let text = include_str!("openapi.json");
    // A test reads it.
    let mut document: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    if !is_open {
        document["security"] = json!([{ "token": [] }]);
        if metrics_token {
            document["paths"]["/metrics"]["get"]["security"] = json!([{ "token": [] }]);
        }
    }
    document
}

pub fn healthz() -> Answer {
    Ok(reply::bytes(StatusCode::OK, TEXT, "ok\n"))
}

const CUT_OFF: &str = "degraded: Redis is away, other nodes can't be reached\n";

const NO_ACCOUNTS: &str = "degraded: the server that has the accounts can't be reached\n";

const REFUSED: &str = "degraded: the server that has the accounts refuses this one: its secret, its \
                       address or a clock is wrong\n";

/// Workers are started once the hardware is probed: who comes before would wait for a picture, or
/// in vain for an answer.
pub fn readyz(state: &State) -> Answer {
    state.check_welcome()?;
    if state.findings.borrow().is_none() {
        let detail = "the hardware is being probed";
        return Err(Problem::unavailable(Kind::WorkerUnavailable, detail));
    }
    // Still ready: all nodes miss their Redis at once, and those who are here can call each other.
    if state.calls.as_ref().is_some_and(|calls| calls.outside.is_cut_off()) {
        return Ok(reply::bytes(StatusCode::OK, TEXT, CUT_OFF));
    }
    // So are all nodes but one, where that one is away.
    if !state.people.can_ask() {
        let trouble = if state.people.is_refused() { REFUSED } else { NO_ACCOUNTS };
        return Ok(reply::bytes(StatusCode::OK, TEXT, trouble));
    }
    Ok(reply::bytes(StatusCode::OK, TEXT, "ready\n"))
}

pub fn metrics(state: &State, request: &Request) -> Answer {
    if state.settings.metrics_token {
        state.authorize(request, Need::Server)?;
    }
    state.machine.refresh(&state.admission.usage());
    let text = TextEncoder::new().encode_to_string(&state.registry.gather());
    let text = text.map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Problem::new(status, Kind::Blank, format!("metrics can't be written: {error}"))
    })?;
    Ok(reply::bytes(StatusCode::OK, TEXT, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_where_this_server_wants_a_token() {
        let token = json!([{ "token": [] }]);
        for (open, metrics_token, everywhere, metrics) in [
            (true, true, json!([{ "token": [] }, {}]), json!([])),
            (false, false, token.clone(), json!([])),
            (false, true, token.clone(), token),
        ] {
            let document = document(open, metrics_token);
            assert_eq!(document["security"], everywhere);
            assert_eq!(document["paths"]["/metrics"]["get"]["security"], metrics);
        }
    }
}
