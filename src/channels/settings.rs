//! What an operator says about a channel, and what is wrong with it.

use serde::{Deserialize, Serialize};
use stentor_protocol::spec::SourceSpec;

/// Renditions below the source that one channel may have.
pub const MAX_RUNGS: usize = 8;
/// Names that can't be a rung's: they mean something to viewers.
const TAKEN: [&str; 3] = ["auto", "source", "none"];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelSettings {
    pub source: SourceSpec,
    /// None: the server's ladder. Empty: the source only.
    #[serde(default)]
    pub ladder: Option<Vec<Rung>>,
}

/// A rendition below the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// What viewers ask for. Default: the height and `p`.
    #[serde(default)]
    pub name: Option<String>,
    /// Picture height in pixels, 16 to 4320; the width follows from the source.
    pub height: u32,
    /// Target in bits per second, 10 000 to 100 000 000. Default: by size and frame rate.
    #[serde(default)]
    pub bitrate: Option<u64>,
}

/// What is wrong, and where: a JSON pointer (RFC 6901) into the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invalid {
    pub pointer: String,
    pub detail: String,
}

/// Letters, digits, `_` and `-`, 63 at most, a letter or digit first.
pub fn is_channel_name(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(is_word)
}

/// What the names of calls' own channels begin with.
const CALL: &str = "call-";

/// Whether a name is that of a participant's way through the server in a call: the channel is no
/// operator's, is neither listed nor kept, and is open to nobody but those let into the call.
pub fn is_call_channel(name: &str) -> bool {
    name.strip_prefix(CALL).is_some_and(|rest| {
        rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'))
    })
}

/// The name for this number.
pub fn call_channel(number: u128) -> String {
    format!("{CALL}{number:032x}")
}

fn is_rung_name(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(is_word)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

// === impl Rung ===

impl Rung {
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}p", self.height))
    }
}

// === impl ChannelSettings ===

impl ChannelSettings {
    /// Everything that is wrong with these settings; empty where they are fine.
    pub fn check(&self) -> Vec<Invalid> {
        let mut faults = Faults::default();
        check_source(&self.source, &mut faults);
        if let Some(rungs) = &self.ladder {
            check_ladder(rungs, &mut faults);
        }
        faults.0
    }

    /// The same without secrets, for anyone's eyes.
    #[must_use]
    pub fn redacted(&self) -> Self {
        let mut settings = self.clone();
        match &mut settings.source {
            SourceSpec::Rtsp { url, password, .. } => {
                *password = None;
                *url = without_user_info(url);
            }
            SourceSpec::Srt { passphrase, .. } => *passphrase = None,
            _ => {}
        }
        settings
    }

    /// Takes over the secrets of `old` that these settings leave out, where the source is the
    /// same otherwise: they are never given back, so a client can't repeat them. An empty
    /// secret removes it.
    pub fn keep_secrets_of(&mut self, old: &Self) {
        match (&mut self.source, &old.source) {
            (
                SourceSpec::Rtsp { url, password: new, user, .. },
                SourceSpec::Rtsp { url: old_url, password, user: old_user, .. },
            ) if new.is_none() && *url == without_user_info(old_url) && user == old_user => {
                new.clone_from(password);
                url.clone_from(old_url);
            }
            (
                SourceSpec::Srt { mode, address, passphrase: new, .. },
                SourceSpec::Srt { mode: old_mode, address: old_address, passphrase, .. },
            ) if mode == old_mode && address == old_address && new.is_none() => {
                new.clone_from(passphrase);
            }
            _ => {}
        }
        match &mut self.source {
            SourceSpec::Rtsp { password: secret, .. }
            | SourceSpec::Srt { passphrase: secret, .. }
                if secret.as_ref().is_some_and(|s| s.0.is_empty()) =>
            {
                *secret = None;
            }
            _ => {}
        }
    }
}

/// `rtsp://user:password@host/` as `rtsp://host/`.
fn without_user_info(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[derive(Default)]
struct Faults(Vec<Invalid>);

// === impl Faults ===

impl Faults {
    fn require(&mut self, holds: bool, pointer: &str, expected: &str) {
        if !holds {
            self.0.push(Invalid {
                pointer: pointer.to_owned(),
                detail: format!("expected {expected}"),
            });
        }
    }
}

fn check_source(source: &SourceSpec, faults: &mut Faults) {
    let short = |text: &Option<String>, most: usize| {
        text.as_ref().is_none_or(|t| t.chars().count() <= most && !t.contains('\0'))
    };
    match source {
        SourceSpec::Whip { .. } => {}
        SourceSpec::Rtsp { url, user, password, .. } => {
            faults.require(
                is_rtsp_url(url),
                "/source/url",
                "an rtsp:// or rtsps:// URL of at most 2000 printable characters",
            );
            faults.require(short(user, 256), "/source/user", "at most 256 characters");
            let password = password.as_ref().map(|p| p.0.clone());
            faults.require(short(&password, 256), "/source/password", "at most 256 characters");
        }
        SourceSpec::Srt { address, passphrase, stream_id, latency_ms, .. } => {
            faults.require(
                is_host_and_port(address),
                "/source/address",
                "`host:port`, an IPv6 address in brackets, a port from 1 to 65535",
            );
            let length = passphrase.as_ref().map_or(0, |p| p.0.chars().count());
            faults.require(
                length == 0 || (10..=79).contains(&length),
                "/source/passphrase",
                "10 to 79 characters",
            );
            faults.require(short(stream_id, 512), "/source/stream_id", "at most 512 characters");
            faults.require(*latency_ms <= 10_000, "/source/latency_ms", "at most 10000");
        }
        SourceSpec::File { path, .. } => faults.require(
            path.starts_with('/')
                && (2..=1001).contains(&path.chars().count())
                && !path.contains('\0')
                && !path.split('/').any(|part| part == ".."),
            "/source/path",
            "an absolute path without `..`",
        ),
        SourceSpec::Synthetic { resolution, frame_rate } => {
            let side = 16..=8192;
            faults.require(
                side.contains(&resolution.width) && side.contains(&resolution.height),
                "/source/resolution",
                "sides from 16 to 8192 pixels",
            );
            faults.require(
                (1..=1_000_000).contains(&frame_rate.numerator)
                    && (1..=100_000).contains(&frame_rate.denominator)
                    && (1.0..=240.0).contains(&frame_rate.as_f64()),
                "/source/frame_rate",
                "1 to 240 frames per second",
            );
        }
    }
}

fn check_ladder(rungs: &[Rung], faults: &mut Faults) {
    faults.require(rungs.len() <= MAX_RUNGS, "/ladder", "at most 8 rungs");
    for (index, rung) in rungs.iter().enumerate() {
        let at = |member: &str| format!("/ladder/{index}/{member}");
        faults.require((16..=4320).contains(&rung.height), &at("height"), "16 to 4320 pixels");
        faults.require(
            rung.bitrate.is_none_or(|b| (10_000..=100_000_000).contains(&b)),
            &at("bitrate"),
            "10000 to 100000000 bits per second",
        );
        let name = rung.name();
        faults.require(
            is_rung_name(&name) && !TAKEN.contains(&name.as_str()),
            &at("name"),
            "1 to 32 letters, digits, `_` or `-`, and none of `auto`, `source` and `none`",
        );
        faults.require(
            !rungs[..index].iter().any(|other| other.name() == name),
            &at("name"),
            "a name that no other rung has",
        );
    }
}

fn is_rtsp_url(url: &str) -> bool {
    let rest = url.strip_prefix("rtsp://").or_else(|| url.strip_prefix("rtsps://"));
    rest.is_some_and(|r| (1..=2000).contains(&r.len()) && r.bytes().all(|b| b.is_ascii_graphic()))
}

fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host_is_fine = match inner {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            (1..=253).contains(&host.len())
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
        }
    };
    host_is_fine && !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stentor_protocol::units::Secret;

    use super::*;

    fn settings(value: serde_json::Value) -> ChannelSettings {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn names_are_words() {
        for name in ["demo", "a", "0-_A", &"x".repeat(63)] {
            assert!(is_channel_name(name), "{name}");
        }
        for name in ["", "-a", "_a", "a b", "a/b", "a.b", "é", &"x".repeat(64)] {
            assert!(!is_channel_name(name), "{name}");
        }
    }

    #[test]
    fn the_channels_of_calls_are_known_by_their_names() {
        let name = call_channel(7);
        assert!(is_channel_name(&name) && is_call_channel(&name), "{name}");
        for name in ["call-", "call-1", "call-hall", "call-0000000000000000000000000000000G", "x"] {
            assert!(!is_call_channel(name), "{name}");
        }
    }

    #[test]
    fn each_fault_is_named_by_its_place() {
        let rtsp = |url: &str| json!({"kind": "rtsp", "url": url});
        let srt = |address: &str| json!({"kind": "srt", "mode": "caller", "address": address});
        let file = |path: &str| json!({"kind": "file", "path": path});
        let whip = json!({"kind": "whip"});
        let cases = [
            (json!({"source": rtsp("rtsp://camera.example/1")}), ""),
            (json!({"source": rtsp("http://camera.example/1")}), "/source/url"),
            (json!({"source": rtsp("rtsp://a b")}), "/source/url"),
            (json!({"source": srt("[::1]:9000")}), ""),
            (json!({"source": srt("host:0")}), "/source/address"),
            (json!({"source": srt("host:70000")}), "/source/address"),
            (json!({"source": srt("[nonsense]:9000")}), "/source/address"),
            (json!({"source": file("/media/a.mp4")}), ""),
            (json!({"source": file("a.mp4")}), "/source/path"),
            (json!({"source": file("/media/../etc/passwd")}), "/source/path"),
            (json!({"source": whip, "ladder": []}), ""),
            (json!({"source": whip, "ladder": [{"height": 8}]}), "/ladder/0/height"),
            (
                json!({"source": whip, "ladder": [{"height": 360, "bitrate": 1}]}),
                "/ladder/0/bitrate",
            ),
            (
                json!({"source": whip, "ladder": [{"height": 360, "name": "auto"}]}),
                "/ladder/0/name",
            ),
            (
                json!({"source": whip, "ladder": [{"height": 360}, {"height": 360}]}),
                "/ladder/1/name",
            ),
        ];
        for (value, pointer) in cases {
            let faults = settings(value.clone()).check();
            let found = faults.first().map_or("", |f| f.pointer.as_str());
            assert_eq!(found, pointer, "{value}");
        }
    }

    #[test]
    fn secrets_are_not_shown_and_survive_a_change_that_cannot_repeat_them() {
        let stored = settings(json!({"source": {
            "kind": "rtsp", "url": "rtsp://u:hidden@camera/1", "user": "u", "password": "hidden"
        }}));
        let shown = stored.redacted();
        assert!(!serde_json::to_string(&shown).unwrap().contains("hidden"));

        let mut again = shown.clone();
        again.keep_secrets_of(&stored);
        assert_eq!(again, stored);

        let mut elsewhere = settings(json!({"source": {
            "kind": "rtsp", "url": "rtsp://thief/1", "user": "u"
        }}));
        elsewhere.keep_secrets_of(&stored);
        assert!(matches!(elsewhere.source, SourceSpec::Rtsp { password: None, .. }));

        let mut cleared = shown;
        if let SourceSpec::Rtsp { password, .. } = &mut cleared.source {
            *password = Some(Secret(String::new()));
        }
        cleared.keep_secrets_of(&stored);
        assert!(matches!(cleared.source, SourceSpec::Rtsp { password: None, .. }));
    }
}
