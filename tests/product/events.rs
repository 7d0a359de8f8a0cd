//! A session's events and its layer extension (draft-ietf-wish-whep), used by a browser.

use serde_json::Value;

use crate::support::scene::SOON;
use crate::support::{Peer, Scene};

async fn told(viewer: &mut Peer, name: &str, accept: impl Fn(&Value) -> bool) -> Value {
    let fits = |told: &Value| told["name"] == name && accept(&told["data"]);
    viewer.expect_where("told", SOON, fits).await["data"].clone()
}

#[tokio::test]
async fn an_event_source_is_told_of_layers_and_of_the_layer_that_was_asked_for() {
    let scene = Scene::demo().await;
    let mut viewer = scene.browser_viewer("chromium", "demo", &["--events", "--layer", "180p"]);
    told(&mut viewer, "active", |_| true).await;
    let rids = |layers: &Value| -> Vec<String> {
        let layers = layers["0"].as_array().into_iter().flatten();
        layers.filter_map(|layer| Some(layer["rid"].as_str()?.to_owned())).collect()
    };
    // The first list may come before the camera's format is known, and be empty.
    let layers = told(&mut viewer, "layers", |layers| {
        let rids = rids(layers);
        ["source", "180p"].iter().all(|rid| rids.iter().any(|found| found == rid))
    })
    .await;
    let layers = layers["0"].as_array().unwrap();
    assert!(layers.iter().all(|l| l["width"].is_u64() && l["height"].is_u64()), "{layers:?}");
    told(&mut viewer, "layer", |layer| layer["auto"] == true).await;
    told(&mut viewer, "layer", |layer| layer["rid"] == "180p" && layer["auto"] == false).await;
    viewer.expect_where("seen", SOON, |seen| seen["height"] == 180).await;
}
