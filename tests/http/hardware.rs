//! What the hardware can't do is said, with workers that only talk.

use serde_json::json;

use crate::support::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_fall_back_is_in_the_api_and_in_a_metric() {
    let server = Server::start().await;
    server.make("falling", json!({"kind": "synthetic"})).await;
    let fallen = |c: &serde_json::Value| !c["fallbacks"].as_array().unwrap().is_empty();
    let channel = server.wait_for("falling", "fallen back", fallen).await;
    let step = &channel["fallbacks"][0];
    assert_eq!((&step["from"], &step["to"]), (&json!("nvenc"), &json!("software")));
    assert_eq!(step["reason"], "as asked for");
    let series = "stentor_fallbacks_total{channel=\"falling\",from=\"nvenc\",to=\"software\"}";
    assert_eq!(server.metric(series).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_hardware_is_required_nothing_is_encoded_without_it() {
    let server = Server::with(|config| config.hardware.require_hardware = true).await;
    server.make("strict", json!({"kind": "synthetic"})).await;
    let channel = server.wait_for("strict", "live", |c| c["source_state"] == "live").await;
    let renditions = channel["renditions"].as_array().unwrap();
    assert!(renditions.iter().all(|r| r["pass_through"] == true), "{renditions:?}");
    assert!(!renditions.is_empty());
    let hardware = server.json("/api/v1/hardware").await;
    let encoders =
        hardware["choices"].as_array().unwrap().iter().filter(|c| c["direction"] == "encode");
    for choice in encoders {
        let reason = choice["error"].as_str().unwrap();
        assert!(reason.contains("the policy requires hardware"), "{reason}");
    }
}
