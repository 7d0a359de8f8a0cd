//! Tests of `access`.

use super::*;

struct Keys {
    _folder: tempfile::TempDir,
    private: String,
    access: Access,
}

fn keys() -> Keys {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let pair = generate_keys().unwrap();
    std::fs::write(&path, &pair.public).unwrap();
    let access = Access::load(&[path], Duration::from_secs(5)).unwrap();
    Keys { _folder: folder, private: pair.private.0, access }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn roles_and_channels_bound_what_a_token_allows() {
    let keys = keys();
    let status = |channel: &str, role: Role, need: Need<'_>| {
        let token = mint(&keys.private, channel, role, HOUR).unwrap();
        let answer = keys.access.check(Some(&format!("Bearer {token}")), need);
        answer.map_or_else(|p| p.status.as_u16(), |_| 200)
    };
    use Need::{Analyse, Any, Call, Manage, Publish, Read, Server, View};
    use Role::Admin;
    for (channel, role, need, expected) in [
        ("a", Role::View, View("a"), 200),
        ("a", Role::View, View("b"), 403),
        ("a", Role::View, Publish("a"), 403),
        ("a", Role::View, Read("a"), 200),
        ("a", Role::View, Read("b"), 403),
        ("*", Role::View, View("b"), 200),
        ("*", Role::View, Manage("b"), 403),
        ("a", Role::Publish, Publish("a"), 200),
        ("a", Role::Publish, View("a"), 403),
        ("a", Admin, Manage("a"), 200),
        ("a", Admin, Publish("a"), 200),
        ("a", Admin, Manage("b"), 403),
        ("a", Admin, Server, 403),
        ("*", Admin, Server, 200),
        ("*", Role::Publish, Server, 403),
        ("a", Role::Publish, Any, 200),
        ("*", Admin, Call, 403),
        ("*", Admin, Analyse, 200),
        ("*", Role::Analytics, Analyse, 200),
        ("a", Role::Analytics, Analyse, 403),
        ("a", Admin, Analyse, 403),
        ("*", Role::View, Analyse, 403),
        ("*", Role::Analytics, Read("a"), 403),
        ("*", Role::Analytics, Server, 403),
    ] {
        assert_eq!(status(channel, role, need), expected, "{channel} {role:?} {need:?}");
    }
}

#[test]
fn what_is_not_a_good_token_is_refused_with_the_reason() {
    let keys = keys();
    let stranger = generate_keys().unwrap().private.0;
    let good = mint(&keys.private, "a", Role::View, HOUR).unwrap();
    let foreign = mint(&stranger, "a", Role::View, HOUR).unwrap();
    let cut = &good[..good.len() - 4];
    let none =
        "eyJhbGciOiJub25lIn0.eyJjaGFubmVsIjoiKiIsInJvbGUiOiJhZG1pbiIsImV4cCI6OTk5OTk5OTk5OX0.";
    let expired = {
        let key = EncodingKey::from_ed_pem(keys.private.as_bytes()).unwrap();
        let claims = Claims::of_channel("a", Role::View, 1000);
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap()
    };
    let without_role = {
        let key = EncodingKey::from_ed_pem(keys.private.as_bytes()).unwrap();
        let claims = serde_json::json!({"channel": "a", "exp": 99_999_999_999_u64});
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap()
    };
    let refusals = [
        (None, "expected a bearer token"),
        (Some(good.clone()), "expected `Authorization: Bearer`"),
        (Some(format!("Basic {good}")), "expected `Authorization: Bearer`"),
        (Some(format!("Bearer {foreign}")), "signed by another key"),
        (Some(format!("Bearer {cut}")), "the token "),
        (Some(format!("Bearer {none}")), "the token "),
        (Some(format!("Bearer {expired}")), "has expired"),
        (Some(format!("Bearer {without_role}")), "lacks one of the claims"),
        (Some("Bearer ".into()), "the token can't be read"),
        (Some("Bearer \u{e9}".into()), "the token can't be read"),
    ];
    for (header, expected) in refusals {
        let problem = keys.access.check(header.as_deref(), Need::Any).unwrap_err();
        assert_eq!(problem.status, 401, "{header:?}");
        assert!(problem.detail.contains(expected), "{header:?}: {}", problem.detail);
        let response = problem.into_response();
        assert!(response.headers().contains_key("www-authenticate"));
    }
    assert!(keys.access.check(Some(&format!("bearer {good}")), Need::Any).is_ok());
}

#[test]
fn a_users_token_is_for_calls_and_nothing_else() {
    let keys = keys();
    let user = || UserId::new("alice").unwrap();
    let device = DeviceId::new("phone").unwrap();
    let token = mint_user(&keys.private, user(), Some(device.clone()), HOUR).unwrap();
    let check = |need| keys.access.check(Some(&format!("Bearer {token}")), need);
    let claims = check(Need::Call).unwrap().claims.unwrap();
    assert_eq!((claims.user, claims.device), (Some(user()), Some(device)));
    assert!(check(Need::Any).is_ok());
    for need in [Need::View(""), Need::Read("a"), Need::Publish("*"), Need::Server] {
        assert_eq!(check(need).unwrap_err().status, 403, "{need:?}");
    }
    let key = EncodingKey::from_ed_pem(keys.private.as_bytes()).unwrap();
    for claims in [
        serde_json::json!({"role": "user", "exp": 99_999_999_999_u64}),
        serde_json::json!({"role": "user", "exp": 99_999_999_999_u64, "user": "a b"}),
        serde_json::json!({"role": "user", "exp": 99_999_999_999_u64, "channel": "*"}),
        serde_json::json!({"role": "user", "exp": 99_999_999_999_u64, "user": "a", "channel": "*"}),
        serde_json::json!({"role": "admin", "exp": 99_999_999_999_u64, "user": "a"}),
        serde_json::json!({"role": "admin", "exp": 99_999_999_999_u64, "user": "a", "channel": "*"}),
    ] {
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap();
        let refused = keys.access.check(Some(&format!("Bearer {token}")), Need::Any);
        assert_eq!(refused.unwrap_err().status, 401, "{claims}");
    }
}

#[test]
fn keys_made_by_openssl_work_too() {
    // openssl genpkey -algorithm ed25519
    let private = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
        -----END PUBLIC KEY-----\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::fs::write(&path, public).unwrap();
    let access = Access::load(&[path], Duration::ZERO).unwrap();
    let token = mint(private, "a", Role::View, HOUR).unwrap();
    assert!(access.check(Some(&format!("Bearer {token}")), Need::View("a")).is_ok());
}

#[test]
fn a_file_that_is_no_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    for text in ["", "nonsense", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
        std::fs::write(&path, text).unwrap();
        let error = Access::load(std::slice::from_ref(&path), Duration::ZERO).err().unwrap();
        assert!(error.to_string().contains("key.pem"), "{error}");
    }
}

#[test]
fn without_keys_everyone_may_do_everything() {
    let access = Access::load(&[], Duration::ZERO).unwrap();
    assert_eq!(access.check(None, Need::Server), Ok(Grant { claims: None }));
}
