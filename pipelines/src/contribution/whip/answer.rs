//! Makes of webrtcbin's answer what must be set locally, and what the publisher is told.

use std::net::IpAddr;

use stentor_protocol::units::BitsPerSecond;

use super::candidate;
use super::offer::{Chosen, LEVEL, Plan, TWCC, Verdict};
use super::sdp::{Sdp, SdpError, Section};

/// Bitrate that Chromium's family starts with, in kb/s, in place of its 300.
const START_KBPS: u64 = 2500;

/// What the publisher is told besides what webrtcbin says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// `sha-256 AA:BB:…` of the certificate that is really used; None leaves webrtcbin's.
    pub fingerprint: Option<String>,
    /// Stands for local addresses of its family in candidates.
    pub public_address: Option<IpAddr>,
    /// The most that video may send; 0 sets no bound.
    pub max_bitrate: BitsPerSecond,
    /// Whether the publisher is to say how loud it is.
    pub levels: bool,
}

/// Why no answer can be made of webrtcbin's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("webrtcbin's answer can't be read: {0}")]
    Sdp(#[from] SdpError),
    #[error("webrtcbin answered {answered} media sections of {offered}")]
    Sections { answered: usize, offered: usize },
    #[error("webrtcbin refused the codec it was offered")]
    Refused,
    #[error("no port is free for a contribution leg")]
    NoCandidate,
}

/// The answer to set locally: transport-wide-cc, which webrtcbin leaves out, is back in, and the
/// format parameters are those that were offered.
pub fn local(plan: &Plan, text: &str) -> Result<Sdp, AnswerError> {
    let mut answer = Sdp::parse(text)?;
    let chosen = chosen_by_section(plan);
    if answer.sections.len() != chosen.len() {
        let (answered, offered) = (answer.sections.len(), chosen.len());
        return Err(AnswerError::Sections { answered, offered });
    }
    for (section, chosen) in answer.sections.iter_mut().zip(chosen) {
        if section.port() == "0" || !section.payloads().contains(&chosen.payload) {
            return Err(AnswerError::Refused);
        }
        let payload = chosen.payload;
        if let Some(fmtp) = &chosen.fmtp {
            set_fmtp(section, payload, fmtp);
        }
        let Some(extension) = chosen.twcc.filter(|_| chosen.twcc_feedback) else { continue };
        if !section.attributes("extmap").any(|value| value.ends_with(TWCC)) {
            section.lines.push(format!("a=extmap:{extension} {TWCC}"));
        }
        let feedback = format!("a=rtcp-fb:{payload} transport-cc");
        if !section.lines.contains(&feedback) {
            section.lines.push(feedback);
        }
    }
    Ok(answer)
}

/// The answer for the publisher, from the local description once candidates are gathered.
pub fn told(plan: &Plan, text: &str, told: &Told) -> Result<String, AnswerError> {
    let mut answer = local(plan, text)?;
    for (section, chosen) in answer.sections.iter_mut().zip(chosen_by_section(plan)) {
        let is_video = section.kind() == "video";
        if is_video {
            let start = match told.max_bitrate.0 / 1000 {
                0 => START_KBPS,
                max => START_KBPS.min(max),
            };
            append_fmtp(section, chosen.payload, &format!("x-google-start-bitrate={start}"));
            bound_bitrate(section, told.max_bitrate);
        } else if !chosen.fmtp.as_deref().is_some_and(|f| f.contains("stereo=")) {
            append_fmtp(section, chosen.payload, "stereo=1");
        }
        if let Some(extension) = chosen.level.filter(|_| told.levels && !is_video) {
            section.lines.push(format!("a=extmap:{extension} {LEVEL}"));
        }
        tell_candidates(section, told.public_address);
    }
    if let Some(fingerprint) = &told.fingerprint {
        let lines = answer.sections.iter_mut().flat_map(|s| s.lines.iter_mut());
        for line in answer.session.iter_mut().chain(lines) {
            if line.starts_with("a=fingerprint:") {
                *line = format!("a=fingerprint:{fingerprint}");
            }
        }
    }
    if !answer.sections.iter().any(|s| s.has("candidate")) {
        return Err(AnswerError::NoCandidate);
    }
    Ok(with_rejected(plan, answer).to_string())
}

fn chosen_by_section(plan: &Plan) -> Vec<&Chosen> {
    let of = |section: &Section| match section.kind() {
        "video" => plan.video.as_ref(),
        _ => plan.audio.as_ref(),
    };
    plan.offer.sections.iter().filter_map(of).collect()
}

fn set_fmtp(section: &mut Section, payload: u8, parameters: &str) {
    let prefix = format!("a=fmtp:{payload} ");
    let line = format!("{prefix}{parameters}");
    match section.lines.iter_mut().find(|l| l.starts_with(&prefix)) {
        Some(old) => *old = line,
        None => section.lines.push(line),
    }
}

fn append_fmtp(section: &mut Section, payload: u8, parameter: &str) {
    let known = section.of_payload("fmtp", payload).next().map(str::to_owned);
    let all = known.map_or_else(|| parameter.to_owned(), |f| format!("{f};{parameter}"));
    set_fmtp(section, payload, &all);
}

/// `b=` lines stand right behind the `c=` line (RFC 8866, 5).
fn bound_bitrate(section: &mut Section, max: BitsPerSecond) {
    if max.0 == 0 {
        return;
    }
    section.lines.retain(|l| !l.starts_with("b="));
    let at = section.lines.iter().position(|l| l.starts_with("c=")).map_or(1, |at| at + 1);
    section.lines.insert(at, format!("b=AS:{}", max.0.div_ceil(1000)));
    section.lines.insert(at + 1, format!("b=TIAS:{}", max.0));
}

fn tell_candidates(section: &mut Section, public: Option<IpAddr>) {
    let mut seen: Vec<String> = Vec::new();
    section.lines.retain_mut(|line| {
        let Some(value) = line.strip_prefix("a=candidate:") else { return true };
        let Some(told) = candidate::told(value, public) else { return false };
        *line = format!("a=candidate:{told}");
        let new = !seen.contains(line);
        seen.push(line.clone());
        new
    });
}

/// Puts the sections that webrtcbin never saw back in their places, refused.
fn with_rejected(plan: &Plan, answer: Sdp) -> Sdp {
    let mut taken = answer.sections.into_iter();
    let sections = plan
        .sections
        .iter()
        .filter_map(|verdict| match verdict {
            Verdict::Taken => taken.next(),
            Verdict::Rejected { kind, rest, mid } => {
                let mut lines = vec![format!("m={kind} 0 {rest}"), "c=IN IP4 0.0.0.0".to_owned()];
                lines.extend(mid.iter().map(|mid| format!("a=mid:{mid}")));
                lines.push("a=inactive".to_owned());
                Some(Section { lines })
            }
        })
        .collect();
    Sdp { session: answer.session, sections }
}

#[cfg(test)]
mod tests;
