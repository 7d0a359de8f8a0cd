//! Who gets in.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use stentor::http::access::Role;

use crate::support::{Keys, OFFER, Server, assert_problem};

#[tokio::test(flavor = "multi_thread")]
async fn tokens_open_what_they_name() {
    let keys = Keys::new();
    let mut server = Server::with(|config| config.access.keys = vec![keys.public()]).await;
    let refused = server.get("/api/v1/channels").await;
    assert_eq!(refused.headers()["www-authenticate"], "Bearer realm=\"stentor\"");
    assert_problem(refused, 401, "/problems/no-token").await;

    server.use_token(keys.token(Role::Admin, "*"));
    server.make("a", json!({"kind": "whip"})).await;
    server.make("b", json!({"kind": "whip"})).await;
    assert_eq!(server.json("/api/v1/me").await["role"], "admin");

    server.use_token(keys.token(Role::View, "a"));
    let me = server.json("/api/v1/me").await;
    assert_eq!((&me["open"], &me["channel"]), (&json!(false), &json!("a")));
    let list = server.json("/api/v1/channels").await;
    assert_eq!(list["channels"].as_array().unwrap().len(), 1);
    for (method, path, status) in [
        (Method::GET, "/api/v1/channels/a", 200),
        (Method::GET, "/api/v1/channels/b", 403),
        (Method::GET, "/api/v1/channels/a/viewers", 403),
        (Method::GET, "/api/v1/hardware", 403),
        (Method::GET, "/api/v1/server", 200),
        (Method::DELETE, "/api/v1/channels/a", 403),
        (Method::GET, "/healthz", 200),
        (Method::GET, "/metrics", 200),
        (Method::GET, "/", 200),
        (Method::GET, "/api/v1/openapi.json", 200),
    ] {
        let response = server.request(method, path).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
    }
    assert_problem(server.post_sdp("/whip/a", OFFER).await, 403, "/problems/forbidden").await;
    assert_problem(server.post_sdp("/whep/b", OFFER).await, 403, "/problems/forbidden").await;

    server.use_token("not.a.token".to_owned());
    let garbage = server.get("/api/v1/me").await;
    let challenge = garbage.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert_problem(garbage, 401, "/problems/invalid-token").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_good_token_is_refused_with_the_reason() {
    let keys = Keys::new();
    let mut server = Server::with(|config| config.access.keys = vec![keys.public()]).await;
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let claims = json!({"channel": "*", "role": "admin", "exp": hour});
    let sign = |claims: &Value| {
        let key = EncodingKey::from_ed_pem(keys.private().as_bytes()).unwrap();
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), claims, &key).unwrap()
    };
    // The public key is no secret: as one of HMAC it would let anybody in.
    let confused = {
        let key = EncodingKey::from_secret(&std::fs::read(keys.public()).unwrap());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
    };
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
    let good = sign(&claims);
    let (_, signature) = good.rsplit_once('.').unwrap();
    let header = part(&json!({"alg": "none"}));
    let relabelled = format!("{header}.{}.{signature}", part(&claims));
    let other = part(&json!({"channel": "*", "role": "admin", "exp": hour + 1}));
    let altered = format!("{}.{other}.{signature}", good.split_once('.').unwrap().0);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        sign(&claims)
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().remove(name);
        sign(&claims)
    };
    for (what, token, reason) in [
        ("another key", Keys::new().token(Role::Admin, "*"), "the token is signed by another key"),
        ("altered", altered, "the token is signed by another key"),
        ("HS256", confused, "the token is not an EdDSA one"),
        ("none", unsigned, "the token can't be read"),
        ("none, signed", relabelled, "the token can't be read"),
        ("expired", with("exp", json!(1000)), "the token has expired"),
        ("not yet", with("nbf", json!(hour)), "the token is not valid yet"),
        ("no expiry", without("exp"), "the token lacks one of the claims channel, role and exp"),
        ("no channel", without("channel"), "the token lacks one of the claims"),
        ("unknown role", with("role", json!("root")), "the token lacks one of the claims"),
    ] {
        server.use_token(token);
        let refused = server.get("/api/v1/channels").await;
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert!(
            challenge.starts_with("Bearer realm=\"stentor\", error=\"invalid_token\""),
            "{what}"
        );
        assert!(challenge.contains(reason), "{what}: {challenge}");
        assert_problem(refused, 401, "/problems/invalid-token").await;
    }
    server.use_token(sign(&claims));
    assert_eq!(server.get("/api/v1/channels").await.status(), 200);
    // A good token for something else is refused otherwise.
    for token in [keys.token(Role::Publish, "a"), keys.token(Role::View, "b")] {
        server.use_token(token);
        let refused = server.post_sdp("/whep/a", OFFER).await;
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
        assert_eq!(challenge, "Bearer realm=\"stentor\", error=\"insufficient_scope\"");
        assert_problem(refused, 403, "/problems/forbidden").await;
    }
    server.stop().await;
}
