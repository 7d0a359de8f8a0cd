//! Someone with an account: signs up, signs in on devices, finds contacts.

use reqwest::header::AUTHORIZATION;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stentor::config::{Config, SignUp};

use crate::device::{Device, hello};
use crate::support::Server;

pub const PASSWORD: &str = "correct horse battery";

pub struct Person {
    pub name: String,
    pub id: String,
    pub token: String,
    pub device: String,
    /// By which the device is known at the next sign-in.
    pub device_key: String,
}

/// Anybody may make an account.
pub fn open(config: &mut Config) {
    config.accounts.enabled = true;
    config.accounts.sign_up = SignUp::Open;
}

// === impl Person ===

impl Person {
    pub async fn new(server: &Server, name: &str) -> Self {
        let wish = json!({"name": name, "display_name": name, "password": PASSWORD});
        let made = server.post("/api/v1/users", &wish).await;
        assert_eq!(made.status(), 201, "{}", made.text().await.unwrap());
        Self::on_another_device(server, name).await
    }

    /// The same person, signed in once more.
    pub async fn on_another_device(server: &Server, name: &str) -> Self {
        let wish = json!({"name": name, "password": PASSWORD, "device_name": "Test"});
        let signed_in = server.post("/api/v1/sign-ins", &wish).await;
        assert_eq!(signed_in.status(), 201);
        let answer: Value = signed_in.json().await.unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Self {
            name: name.to_owned(),
            id: text(&answer["user"]["id"]),
            token: text(&answer["token"]),
            device: text(&answer["device"]),
            device_key: text(&answer["device_key"]),
        }
    }

    pub async fn ask(
        &self,
        server: &Server,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        let request = server.client.request(method, server.url(&format!("/api/v1/account{path}")));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        let request = if let Some(body) = body { request.json(&body) } else { request };
        request.send().await.unwrap()
    }

    pub async fn get(&self, server: &Server, path: &str) -> Value {
        let answer = self.ask(server, Method::GET, path, None).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    pub async fn put(&self, server: &Server, path: &str, body: Option<Value>) -> Response {
        self.ask(server, Method::PUT, path, body).await
    }

    pub async fn delete(&self, server: &Server, path: &str) -> Response {
        self.ask(server, Method::DELETE, path, None).await
    }

    /// Asks, and the other accepts.
    pub async fn befriend(&self, server: &Server, other: &Self) {
        let asked = Some(json!({"name": other.name}));
        let asked = self.ask(server, Method::POST, "/contacts", asked).await;
        assert_eq!(asked.status(), 201);
        let accepted = other.put(server, &format!("/contacts/{}", self.id), None).await;
        assert_eq!(accepted.status(), 204);
    }

    /// What a device says first.
    pub fn hello(&self) -> Value {
        let mut hello = hello("x", &self.device);
        hello.as_object_mut().unwrap().remove("user");
        hello["token"] = self.token.clone().into();
        hello
    }

    /// The device's web socket.
    pub async fn connect(&self, server: &Server) -> Device {
        let mut device = Device::connect(server).await;
        device.say(self.hello()).await;
        let welcome = device.expect("welcome").await;
        assert_eq!(welcome["user"], self.id);
        device.session = welcome["session"].as_str().unwrap().to_owned();
        device
    }
}
