//! Choices as a table: machines that exist, policies that operators set.

use Backend::{Nvenc, Software, Vaapi};
use Codec::{Av1, H264, Vp8};
use Direction::{Decode, Encode};

use super::*;
use crate::probe::Limits;

fn device(backend: Backend, id: &str, entries: &[(Codec, Direction, bool)]) -> Device {
    let entry = |&(codec, direction, works): &(Codec, Direction, bool)| Entry {
        codec,
        direction,
        implementation: format!("{}_{}", codec.as_str(), backend.as_str()),
        works,
        reason: if works { String::new() } else { "no capable unit".into() },
        megapixels_per_second: works.then_some(500.0),
    };
    Device {
        backend,
        id: id.into(),
        name: format!("{} {id}", backend.as_str()),
        driver: "1".into(),
        entries: entries.iter().map(entry).collect(),
        limits: Limits::default(),
    }
}

fn cpu() -> Device {
    device(
        Software,
        "cpu",
        &[(H264, Decode, true), (H264, Encode, true), (Vp8, Decode, true), (Vp8, Encode, true)],
    )
}

fn l4(id: &str) -> Device {
    device(Nvenc, id, &[(H264, Decode, true), (H264, Encode, true), (Vp8, Decode, true)])
}

/// NVDEC, and no NVENC.
fn h200(id: &str) -> Device {
    device(Nvenc, id, &[(H264, Decode, true), (H264, Encode, false), (Vp8, Decode, true)])
}

fn arc() -> Device {
    device(
        Vaapi,
        "/dev/dri/renderD128",
        &[(H264, Decode, true), (H264, Encode, true), (Av1, Encode, true), (Vp8, Encode, false)],
    )
}

fn report(devices: Vec<Device>) -> ProbeReport {
    ProbeReport { libavcodec: "59".into(), devices }
}

fn policy(backend: Option<Backend>, require_hardware: bool, device: &str) -> HardwarePolicy {
    let device = (!device.is_empty()).then(|| device.to_owned());
    HardwarePolicy { backend, require_hardware, device }
}

#[test]
fn the_best_backend_that_works_is_chosen() {
    let none = || policy(None, false, "");
    let table = [
        // name, devices, policy, task, backend, device, where it fell back from
        ("a plain server", vec![cpu()], none(), Task::encode(H264), Software, None, vec![]),
        ("nothing probed", vec![], none(), Task::encode(H264), Software, None, vec![]),
        ("an L4", vec![l4("0"), cpu()], none(), Task::encode(H264), Nvenc, Some("0"), vec![]),
        (
            "VP8 beside an L4",
            vec![l4("0"), cpu()],
            none(),
            Task::encode(Vp8),
            Software,
            None,
            vec![Nvenc],
        ),
        (
            "an H200 decodes",
            vec![h200("0"), cpu()],
            none(),
            Task::decode(H264),
            Nvenc,
            Some("0"),
            vec![],
        ),
        (
            "an H200 can't encode",
            vec![h200("0"), cpu()],
            none(),
            Task::encode(H264),
            Software,
            None,
            vec![Nvenc],
        ),
        (
            "an H200 beside an Arc",
            vec![h200("0"), arc(), cpu()],
            none(),
            Task::encode(H264),
            Vaapi,
            Some("/dev/dri/renderD128"),
            vec![Nvenc],
        ),
        (
            "the GPU that does both first",
            vec![h200("0"), l4("1"), cpu()],
            none(),
            Task::decode(H264),
            Nvenc,
            Some("1"),
            vec![],
        ),
        (
            "the named GPU",
            vec![l4("0"), l4("1"), cpu()],
            policy(None, false, "1"),
            Task::encode(H264),
            Nvenc,
            Some("1"),
            vec![],
        ),
        (
            "a GPU that is not there",
            vec![l4("0"), cpu()],
            policy(None, false, "7"),
            Task::encode(H264),
            Software,
            None,
            vec![Nvenc],
        ),
        (
            "software on request",
            vec![l4("0"), cpu()],
            policy(Some(Software), false, ""),
            Task::encode(H264),
            Software,
            None,
            vec![],
        ),
        (
            "VAAPI on request",
            vec![l4("0"), arc(), cpu()],
            policy(Some(Vaapi), false, ""),
            Task::encode(H264),
            Vaapi,
            Some("/dev/dri/renderD128"),
            vec![],
        ),
        (
            "VAAPI on request, absent",
            vec![l4("0"), cpu()],
            policy(Some(Vaapi), false, ""),
            Task::encode(H264),
            Software,
            None,
            vec![Vaapi],
        ),
        (
            "AV1 on an Arc",
            vec![arc(), cpu()],
            none(),
            Task::encode(Av1),
            Vaapi,
            Some("/dev/dri/renderD128"),
            vec![],
        ),
        (
            "hardware required and there",
            vec![l4("0"), cpu()],
            policy(None, true, ""),
            Task::encode(H264),
            Nvenc,
            Some("0"),
            vec![],
        ),
    ];
    for (name, devices, policy, task, backend, device, fallbacks) in table {
        let choice = choose(&report(devices), &policy, &task).unwrap();
        assert_eq!((choice.backend, choice.device.as_deref()), (backend, device), "{name}");
        let from: Vec<Backend> = choice.fallbacks.iter().map(|step| step.from).collect();
        assert_eq!(from, fallbacks, "{name}");
        for step in &choice.fallbacks {
            assert_eq!(step.to, backend, "{name}");
            assert!(!step.reason.is_empty(), "{name}");
        }
    }
}

#[test]
fn required_hardware_is_never_replaced_by_software() {
    let table = [
        ("no device at all", vec![cpu()], Task::encode(H264), "no nvenc device was found"),
        ("an H200", vec![h200("0"), cpu()], Task::encode(H264), "no capable unit"),
        ("VP8 on an L4", vec![l4("0"), cpu()], Task::encode(Vp8), "nvenc has no vp8 encoder"),
        ("nothing probed", vec![], Task::decode(H264), "no vaapi device was found"),
    ];
    for (name, devices, task, part) in table {
        let refusal = choose(&report(devices), &policy(None, true, ""), &task).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains(part), "{name}: {text}");
        assert!(text.contains("software: the policy requires hardware"), "{name}: {text}");
    }
}

#[test]
fn what_nothing_can_do_is_refused() {
    let refusal =
        choose(&report(vec![cpu()]), &policy(None, false, ""), &Task::encode(Av1)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "no av1 encoder may be used: software: software has no av1 encoder"
    );
}

#[test]
fn an_encoder_goes_where_the_decoder_is() {
    let report = report(vec![l4("0"), l4("1"), cpu()]);
    let decoder = Choice { device: Some("1".into()), backend: Nvenc, fallbacks: vec![] };
    let task = Task { near: Some(&decoder), ..Task::encode(H264) };
    let choice = choose(&report, &policy(None, false, ""), &task).unwrap();
    assert_eq!(choice.device.as_deref(), Some("1"));
}

#[test]
fn what_failed_is_not_tried_again() {
    let report = report(vec![l4("0"), l4("1"), cpu()]);
    let failure = |backend, device: Option<&str>| Failed {
        backend,
        device: device.map(str::to_owned),
        reason: "out of sessions".into(),
    };
    let mut failed = vec![failure(Nvenc, Some("0"))];
    let choose_again = |failed: &[Failed]| {
        choose(&report, &policy(None, false, ""), &Task { failed, ..Task::encode(H264) })
    };
    assert_eq!(choose_again(&failed).unwrap().device.as_deref(), Some("1"));
    failed.push(failure(Nvenc, Some("1")));
    let choice = choose_again(&failed).unwrap();
    assert_eq!(choice.backend, Software);
    assert!(choice.fallbacks[0].reason.contains("out of sessions"));
    failed.push(failure(Software, None));
    assert!(choose_again(&failed).is_err());
}
