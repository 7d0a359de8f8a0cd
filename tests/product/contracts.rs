//! What is promised to machines: the OpenAPI document, Prometheus' text format.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::machine::succeed;
use crate::support::network::Namespace;
use crate::support::scene::SOON;
use crate::support::wait::check;
use crate::support::{Daemon, Peer, Scene, program, python_tool, until};

#[tokio::test]
async fn promtool_finds_no_fault_in_the_metrics() {
    let scene = Scene::demo().await;
    let mut viewer = scene.aiortc_viewer("demo", &[]);
    viewer.expect("frame", SOON).await;
    let metrics = scene.daemon.metrics().await;
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    // No name of a session or a viewer is a label.
    assert!(!metrics.contains("session="), "{metrics}");
}

/// Labels of metrics: each has few values, save `channel`, whose series go with the channel.
const LABELS: &[&str] = &[
    "backend",
    "cause",
    "channel",
    "code",
    "codec",
    "direction",
    "from",
    "gpu",
    "kind",
    "le",
    "method",
    "outcome",
    "profile",
    "queue",
    "reason",
    "rendition",
    "resource",
    "route",
    "side",
    "state",
    "to",
    "type",
    "unit",
    "version",
    "way",
];

#[tokio::test]
async fn every_promised_metric_moves_while_somebody_watches() {
    let scene = Scene::demo().await;
    let mut passed = scene.aiortc_viewer("demo", &["--codec", "h264"]);
    let mut encoded = scene.aiortc_viewer("demo", &["--codec", "vp8"]);
    passed.expect("frame", SOON).await;
    encoded.expect("frame", SOON).await;
    let offer = include_str!("../corpus/sdp/chromium-recvonly.sdp").replace("H264", "H263");
    let refused = scene.daemon.http.post(scene.daemon.whep("demo"));
    let offer = offer.replace("VP8", "VP7");
    let refused = refused.header("content-type", "application/sdp").body(offer).send().await;
    assert_eq!(refused.unwrap().status(), 406);

    let name = |series: &str| series.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let moving = [
        ("viewers", "stentor_fanout_viewers"),
        ("joins", "stentor_fanout_joins_total"),
        ("their failures by reason", "stentor_fanout_join_failures_total"),
        ("time to first frame", "stentor_fanout_first_frame_seconds_count"),
        ("bytes out", "stentor_fanout_sent_bytes_total"),
        ("packets out", "stentor_fanout_sent_packets_total"),
        ("bandwidth estimates", "stentor_fanout_estimate_bytes_per_second_count"),
        ("rung starts", "stentor_rung_starts_total"),
        ("encode time per frame", "stentor_encode_seconds_total"),
        ("encode time per frame", "stentor_encoded_frames_total"),
        ("decode time per frame", "stentor_decode_seconds_total"),
        ("decode time per frame", "stentor_decoded_frames_total"),
        ("encoder use", "stentor_budget_used"),
        ("camera state", "stentor_source_state"),
        ("end-to-end latency", "stentor_fanout_latency_seconds_count"),
    ];
    until("every promised metric moves", SOON, async || {
        let text = scene.daemon.metrics().await;
        let value = |metric: &str| -> f64 {
            let series = text.lines().filter(|line| name(line) == metric);
            series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        let still: Vec<_> = moving.iter().filter(|(_, metric)| value(metric) <= 0.0).collect();
        check(still.is_empty(), format!("{still:?}"))
    })
    .await;

    let text = scene.daemon.metrics().await;
    for (what, metric) in [
        ("NACKs", "stentor_fanout_nacked_packets_total"),
        ("retransmissions", "stentor_fanout_retransmitted_packets_total"),
        ("drops by queue", "stentor_fanout_dropped_total"),
        ("drops by queue", "stentor_worker_dropped_total"),
        ("worker restarts", "stentor_worker_restarts_total"),
    ] {
        assert!(text.lines().any(|line| name(line) == metric), "{what}: {metric} is missing");
    }
    // What can't be measured is absent, not zero.
    let has_gpu = std::path::Path::new("/dev/nvidiactl").exists();
    assert_eq!(text.contains("stentor_gpu_busy_ratio"), has_gpu, "GPU use");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
        for label in labels.into_iter().flat_map(|(labels, _)| labels.split("\",")) {
            let label = label.split('=').next().unwrap_or_default();
            assert!(LABELS.contains(&label), "{label} of {line}");
        }
    }
}

#[tokio::test]
async fn without_a_configuration_it_listens_on_loopback_only() {
    // It has an address of its own beside loopback's.
    let network = Namespace::new();
    let state = tempfile::tempdir().unwrap();
    let mut command = network.command(&program("stentor"));
    command.args(["serve", "--demo"]).env("STATE_DIRECTORY", state.path());
    let _daemon = Peer::start(command);
    let sockets = |kind: &str| {
        let text = succeed(network.command("ss".as_ref()).args(["-H", "-l", "-n", kind]));
        let local = |line: &str| Some(line.split_whitespace().nth(3)?.to_owned());
        text.lines().filter_map(local).collect::<Vec<_>>()
    };
    let on_loopback =
        |socket: &String| socket.starts_with("127.0.0.1:") || socket.starts_with("[::1]:");
    until("it listens, and its worker runs", SOON, async || {
        let (tcp, udp) = (sockets("-t"), sockets("-u"));
        let listens = tcp.iter().any(|socket| socket == "127.0.0.1:8080");
        let media = udp.iter().any(|socket| socket == "127.0.0.1:50000");
        check(listens && media, format!("{tcp:?} {udp:?}"))
    })
    .await;
    assert!(sockets("-t").iter().all(on_loopback), "{:?}", sockets("-t"));
    // Firefox's way in (see `fanout::own_machine`): media alone, from this machine alone.
    let own: Vec<_> = sockets("-u").into_iter().filter(|socket| !on_loopback(socket)).collect();
    let media = |socket: &String| {
        let port = socket.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
        socket.starts_with(&network.far)
            && port.is_some_and(|port| (50_000..50_064).contains(&port))
    };
    assert!(!own.is_empty() && own.iter().all(media), "{own:?}");
    for socket in &own {
        let dropped = || dropped_at(&network, socket);
        let outside = std::net::UdpSocket::bind((network.near.as_str(), 0)).unwrap();
        for _ in 0..5 {
            outside.send_to(b"from another machine", socket.as_str()).unwrap();
        }
        until("the kernel drops them all", SOON, async || check(dropped() == 5, dropped())).await;
        let refused = refused_datagrams(&network);
        let port = socket.rsplit(':').next().unwrap();
        let send = format!("echo from this machine > /dev/udp/{}/{port}", network.far);
        succeed(network.command("bash".as_ref()).args(["-c", &send]));
        until("what this machine sends is looked at", SOON, async || {
            let now = refused_datagrams(&network);
            check(now == refused + 1, format!("{refused} {now}"))
        })
        .await;
        assert_eq!(dropped(), 5);
    }
}

/// Datagrams that the kernel dropped at a socket of the namespace's.
fn dropped_at(network: &Namespace, socket: &str) -> u64 {
    let text = succeed(network.command("ss".as_ref()).args(["-H", "-l", "-n", "-u", "-m", "-O"]));
    let line = text.lines().find(|line| line.contains(socket)).unwrap_or_default().to_owned();
    // skmem:(r0,rb8388608,…,d5)
    let drops = line.rsplit(",d").next().and_then(|rest| rest.split(')').next()?.parse().ok());
    drops.unwrap_or_else(|| panic!("no count of drops in {line}"))
}

/// Datagrams of no use that the server in the namespace has looked at.
fn refused_datagrams(network: &Namespace) -> u64 {
    let url = "http://127.0.0.1:8080/metrics";
    let text = succeed(network.command("curl".as_ref()).args(["-sf", url]));
    text.lines()
        .filter(|line| line.starts_with("stentor_fanout_refused_datagrams_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

#[tokio::test]
async fn the_openapi_document_is_kept() {
    let daemon = Daemon::demo().await;
    daemon.source_state("demo", "live", SOON).await;
    schemathesis(&daemon, &[]);
}

#[tokio::test]
async fn the_openapi_document_is_kept_by_a_server_that_asks_for_tokens() {
    let scene = Scene::demo().await;
    let header = format!("Authorization: Bearer {}", scene.token());
    schemathesis(&scene.daemon, &["--header", &header]);
}

#[test]
fn the_examples_of_the_calls_messages_are_what_their_schema_says() {
    let script = crate::support::root().join("tests/calls/schema/check.py");
    succeed(Command::new(python_tool("python")).arg(script));
}

#[test]
fn the_examples_of_events_are_what_their_schemas_say() {
    let script = crate::support::root().join("tests/events/check.py");
    succeed(Command::new(python_tool("python")).arg(script));
}

/// Every check that it has, in every phase: statuses, headers and bodies are as documented, what
/// the schema forbids is refused and what it allows is taken, 405 comes with Allow, nobody does
/// without a token what needs one, what was deleted is gone.
fn schemathesis(daemon: &Daemon, more: &[&str]) {
    let url = format!("{}/api/v1/openapi.json", daemon.url);
    let peers = crate::support::root().join("tests/peers");
    let examples = if crate::support::soak_is_long() { "60" } else { "15" };
    succeed(
        Command::new(python_tool("schemathesis"))
            .arg("--config-file")
            .arg(peers.join("schemathesis.toml"))
            .args(["run", &url, "--max-examples", examples, "--workers", "1"])
            .args(["--phases", "examples,coverage,fuzzing,stateful", "--no-color", "--seed", "1"])
            // All checks are on; named here, they would be where the file turns them off, too.
            .args(["--request-timeout", "20"])
            .args(more)
            .env("SCHEMATHESIS_HOOKS", peers.join("schemathesis_hooks.py"))
            .current_dir(daemon.folder()),
    );
    assert!(!daemon.log().contains("panicked"));
}
