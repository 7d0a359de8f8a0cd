//! Tests of `config`.

use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("stentor.toml")).map_err(|e| e.to_string())
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::default().check().unwrap(), Config::default());
}

#[test]
fn each_refusal_says_file_line_and_what_was_expected() {
    let cases = [
        ("listn = 1", "stentor.toml:1:1: unknown field `listn`, expected one of"),
        ("[http]\n\nlistn = []", "stentor.toml:3:1: unknown field `listn`, expected one of"),
        ("[http]\nlisten = \"::\"", "stentor.toml:2:10: invalid type: string"),
        ("[http]\nlisten = [\n \"nowhere\"]", "stentor.toml:3:2: invalid socket address syntax"),
        (
            "[http]\nheader_timeout = 10",
            "stentor.toml:2:18: invalid type: integer `10`, expected a duration with its unit, such as",
        ),
        (
            "[http]\nheader_timeout = \"10\"",
            "stentor.toml:2:18: `10` is not a duration with its unit, such as \"500ms\"",
        ),
        (
            "[http]\nheader_timeout = \"1h\"",
            "stentor.toml:2:1: `header_timeout`: expected 100ms to 5m, found 1h",
        ),
        (
            "[events.kafka]\nsecurity = \"ssl\"",
            "stentor.toml:2:1: `security`: this server speaks to Kafka without TLS: reach brokers",
        ),
        (
            "[events.kafka]\nbrokers = [\"a:1,b:2\"]",
            "stentor.toml:2:12: `0`: expected a host and a port such as",
        ),
        (
            "[events.kafka]\nsecurity = \"sasl_plaintext\"\nusername = \"u\"",
            "stentor.toml:2:1: expected `username` and `password` with it",
        ),
        (
            "[whip]\nmax_bitrate = \"8Mbps\"",
            "stentor.toml:2:15: `8Mbps` is not a bit rate with its unit, such as \"800kb/s\"",
        ),
        (
            "[worker]\nmemory_max = \"4G\"",
            "stentor.toml:2:14: `4G` is not a size with its unit, such as \"512MiB\"",
        ),
        (
            "[worker]\nmemory_max = \"1MiB\"",
            "stentor.toml:2:1: `memory_max`: expected 128MiB or more",
        ),
        ("[whip]\nports = \"9-1\"", "stentor.toml:2:9: `9-1` is not a port range"),
        (
            "[http]\nlisten = [\"0.0.0.0:80\"]",
            "stentor.toml:2:11: 0.0.0.0:80 is not on loopback: expected a public key in `access.keys`",
        ),
        (
            "[http]\nlisten = [\"127.0.0.1:80\",\n\"127.0.0.1:80\"]",
            "stentor.toml:3:1: 127.0.0.1:80 clashes with 127.0.0.1:80",
        ),
        (
            "[access]\nkeys = [\"/k\"]\n[http]\nlisten = [\"[::]:80\",\n\"127.0.0.1:80\"]",
            "stentor.toml:5:1: 127.0.0.1:80 clashes with [::]:80",
        ),
        (
            "[fanout]\nshards = 4\nfirst_port = 50998\n[whip]\nports = \"51000-51100\"",
            "stentor.toml:5:1: UDP ports 51000-51100 clash with 50998-51001 of `fanout.first_port`",
        ),
        (
            "[http]\ntls_key = \"/k\"",
            "stentor.toml:2:1: expected `tls_certificate` and `tls_key` together",
        ),
        (
            "[hardware]\nbackend = \"gpu\"",
            "stentor.toml:2:11: unknown variant `gpu`, expected one of `auto`, `nvenc`, `vaapi`, `software`",
        ),
        (
            "[directory]\nredis_url = \"http://secret@host\"",
            "stentor.toml:2:1: `redis_url`: expected an address such as \"redis://:password@10.0.0.5:6379/0\"",
        ),
        (
            "[directory]\npublic_url = \"https://a.example/base\"",
            "stentor.toml:2:1: `public_url`: expected a URL without a path",
        ),
        (
            "[directory]\npublic_url = \"https://[2001:db8::1]\"",
            "stentor.toml:2:1: `public_url`: expected a URL without a path",
        ),
        ("[directory]\nprefix = \"a:b\"", "stentor.toml:2:1: `prefix`: expected 1 to 64 letters"),
        ("[log]\nlevel = \"a=b=c\"", "stentor.toml:2:1: `level`: expected error, warn"),
        (
            "[ladder]\nrungs = [{height = 1}]",
            "stentor.toml:2:11: `height`: expected 16 to 4320 pixels",
        ),
        (
            "[[channels]]\nname = \"a b\"\nsource = { kind = \"whip\" }",
            "stentor.toml:2:1: `name`: expected 1 to 63 letters",
        ),
        (
            "[[channels]]\nname = \"a\"\n[channels.source]\nkind = \"rtsp\"\nurl = \"http://x\"",
            "stentor.toml:5:1: `url`: expected an rtsp:// or rtsps:// URL",
        ),
        (
            "[[channels]]\nname = \"a\"\n[channels.source]\nkind = \"rtsp\"\nurl = \"rtsp://x\"\nurll = \"\"",
            "stentor.toml:6:1: unknown field `urll`",
        ),
        (
            "[[channels]]\nname = \"a\"\n[channels.source]\nkind = \"synthetic\"\n\
             resolution = { width = 640, height = 360, depth = 8 }",
            "unknown field `depth`, expected `width` or `height`",
        ),
        (
            "[[channels]]\nname = \"a\"\nsource = { kind = \"film\" }",
            "unknown variant `film`, expected one of `whip`",
        ),
        (
            "[accounts.hook]\nurl = \"http://users.example/may\"",
            "stentor.toml:2:1: `url`: expected a URL such as \"https://",
        ),
        (
            "[accounts.hook]\nsecret_file = \"/s\"",
            "stentor.toml:1:1: expected `url` and `secret_file` together",
        ),
        (
            "[accounts.at]\nurl = \"http://a.example\"",
            "stentor.toml:2:1: `url`: expected a URL such as",
        ),
        ("[accounts.at]\nsecret_file = \"/s\"", "expected `url` and `secret_file` together"),
        (
            "[accounts]\nsign_up = \"all\"",
            "stentor.toml:2:11: unknown variant `all`, expected `open` or `operator`",
        ),
        (
            "[accounts]\ntoken_life = \"1s\"",
            "stentor.toml:2:1: `token_life`: expected 1m to 90d, found 1s",
        ),
        (
            "[accounts]\nenabled = true\n[calls]\nenabled = false",
            "stentor.toml:2:1: expected `calls.enabled` with it",
        ),
        ("[http", "stentor.toml:1:6: "),
    ];
    for (text, expected) in cases {
        let error = parse(text).expect_err(text);
        assert!(error.contains(expected), "{text}\n  gave     {error}\n  expected {expected}");
    }
}

#[test]
fn two_srt_listeners_on_one_port_are_refused() {
    let srt = |name: &str| {
        format!(
            "[[channels]]\nname = \"{name}\"\n[channels.source]\nkind = \"srt\"\n\
             mode = \"listener\"\naddress = \"0.0.0.0:9000\"\n"
        )
    };
    let error = parse(&(srt("a") + &srt("b"))).unwrap_err();
    assert!(error.starts_with("stentor.toml:12:1: UDP ports 9000 clash"), "{error}");
}

const REFERENCE: &str = include_str!("../../systemd/stentor.toml");

#[test]
fn the_reference_file_parses_to_the_defaults() {
    assert_eq!(parse(REFERENCE).unwrap(), Config::default());
}

/// The reference with its examples in force. Prose has a blank after the `#`.
fn with_examples() -> String {
    let example = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let lines = REFERENCE.lines().map(example);
    // An example of a list of tables stands in for the empty list.
    lines.filter(|line| line != "servers = []").collect::<Vec<_>>().join("\n")
}

#[test]
fn every_key_is_in_the_reference_file_and_its_examples_parse() {
    let text = with_examples();
    let config = parse(&text).unwrap();
    let written: toml::Table = toml::from_str(&text).unwrap();
    let known = serde_json::to_value(&config).unwrap();
    let missing = missing_keys(&known, &toml::Value::Table(written), "");
    assert_eq!(missing, Vec::<String>::new());
}

/// Keys of the configuration as the code has it that the file leaves out.
fn missing_keys(known: &serde_json::Value, written: &toml::Value, path: &str) -> Vec<String> {
    match (known, written) {
        (serde_json::Value::Object(known), toml::Value::Table(written)) => known
            .iter()
            .flat_map(|(key, value)| {
                let path = format!("{path}.{key}");
                match written.get(key) {
                    Some(written) => missing_keys(value, written, &path),
                    None => vec![path],
                }
            })
            .collect(),
        (serde_json::Value::Array(known), toml::Value::Array(written))
            if path != ".ladder.rungs" =>
        {
            let pairs = known.iter().zip(written);
            pairs.flat_map(|(k, w)| missing_keys(k, w, &format!("{path}[]"))).collect()
        }
        _ => Vec::new(),
    }
}
