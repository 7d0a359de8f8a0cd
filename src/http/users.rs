//! `/api/v1/users` and `/api/v1/sign-ins`: accounts are made here, and devices sign in.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};
use stentor_protocol::units::Secret;
use warp::http::StatusCode;
use warp::http::header::LOCATION;

use super::access::{KeyError, Need};
use super::people::UserDesk;
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::state::State;
use crate::accounts::{
    Misfit, Moment, Password, PasswordError, Person, SignIn, SignInError, SignUp, SignUpError,
    SignedIn,
};
use crate::calls::ids::{DeviceId, UserId};
use crate::channels::settings::Invalid;
use crate::rfc3339;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
    /// By default the name.
    #[serde(default)]
    display_name: Option<String>,
    password: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewSignIn {
    name: String,
    password: Secret,
    /// As it was called at the last sign-in.
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    device_name: Option<String>,
    /// What the last sign-in gave, by which the device is known.
    #[serde(default)]
    device_key: Option<Secret>,
}

/// What a device is called that has no name.
const DEVICE: &str = "Device";

pub async fn sign_up(state: &State, request: &mut Request) -> Answer {
    if !state.people.desk().is_some_and(|desk| desk.is_open) {
        state.authorize(request, Need::Server)?;
    }
    let desk = state.desk()?;
    let NewUser { name, display_name, password } = request.json().await?;
    let wish = SignUp {
        display: field("/display_name", display_name.as_ref().unwrap_or(&name).parse())?,
        name: field("/name", name.parse())?,
        password: field("/password", Password::new(password))?,
    };
    let person = (wish.name.clone(), wish.display.clone());
    let client = state.client(request);
    let made = desk.accounts.sign_up(wish, client, Moment::now()).await;
    let outcome = match &made {
        Ok(_) => "made",
        Err(SignUpError::NameTaken) => "name_taken",
        Err(SignUpError::TooOften { .. }) => "too_often",
        Err(SignUpError::Password(_) | SignUpError::Database(_)) => "failed",
    };
    state.people.metrics.sign_ups.with_label_values(&[outcome]).inc();
    let user = made.map_err(|error| match error {
        SignUpError::NameTaken => {
            Problem::new(StatusCode::CONFLICT, Kind::NameTaken, error.to_string())
        }
        SignUpError::TooOften { wait } => Problem::too_often(wait, error.to_string()),
        SignUpError::Password(error) => password_problem(error),
        SignUpError::Database(error) => state.database_problem(&error),
    })?;
    let (name, display_name) = (person.0.as_str(), person.1.as_str());
    let made = json!({"id": user, "name": name, "display_name": display_name});
    let mut response = reply::json(StatusCode::CREATED, &made);
    reply::add(&mut response, LOCATION, format!("/api/v1/users/{user}"));
    Ok(response)
}

pub async fn sign_in(state: &State, request: &mut Request) -> Answer {
    let desk = state.desk()?;
    let NewSignIn { name, password, device, device_name, device_key } = request.json().await?;
    let device = device.map(|id| id.parse::<DeviceId>());
    let device = device.transpose().map_err(|error| invalid("/device", error.to_string()))?;
    let wish = SignIn {
        name: field("/name", name.parse())?,
        password: field("/password", Password::new(password))?,
        device,
        device_name: field("/device_name", device_name.as_deref().unwrap_or(DEVICE).parse())?,
        known: device_key.and_then(|key| desk.key.known(&key.0)),
    };
    let client = state.client(request);
    let signed_in = desk.accounts.sign_in(wish, client, Moment::now()).await;
    let outcome = match &signed_in {
        Ok(_) => "signed_in",
        Err(SignInError::Wrong) => "wrong",
        Err(SignInError::TooOften { .. }) => "too_often",
        Err(SignInError::Password(_) | SignInError::Database(_)) => "failed",
    };
    state.people.metrics.sign_ins.with_label_values(&[outcome]).inc();
    let signed_in = signed_in.map_err(|error| match error {
        SignInError::Wrong => wrong_password(error.to_string()),
        SignInError::TooOften { wait } => Problem::too_often(wait, error.to_string()),
        SignInError::Password(error) => password_problem(error),
        SignInError::Database(error) => state.database_problem(&error),
    })?;
    state.put_out(&signed_in.user, &signed_in.gone).await;
    token(state, desk, signed_in, StatusCode::CREATED).await
}

/// Whoever is signed in may learn the name that goes with an id: ids aren't to be guessed.
pub async fn person(state: &State, request: &Request, user: &str) -> Answer {
    let (desk, _) = state.caller(request)?;
    let found = desk.accounts.person(&user_id(user)?).await;
    let found = found.map_err(|error| state.database_problem(&error))?.ok_or_else(no_user)?;
    Ok(reply::json(StatusCode::OK, &shown(&found)))
}

/// What a device is handed that signed in, or renews.
pub async fn token(
    state: &State,
    desk: &UserDesk,
    signed_in: SignedIn,
    status: StatusCode,
) -> Answer {
    let SignedIn { user, device, expires, .. } = signed_in;
    let person = desk.accounts.person(&user).await;
    let person = person.map_err(|error| state.database_problem(&error))?.ok_or_else(no_user)?;
    let failed = |error: KeyError| {
        tracing::error!(%error, "tokens");
        let detail = "the token can't be signed";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Blank, detail)
    };
    let key = desk.key.sign_known(user.clone(), device.clone(), SystemTime::now());
    let key = key.map_err(failed)?;
    let token = desk.key.sign(user, device.clone(), expires).map_err(failed)?;
    let answer = json!({
        "token": token,
        "expires_at": rfc3339::format(expires),
        "device": device,
        "device_key": key,
        "user": shown(&person),
    });
    Ok(reply::json(status, &answer))
}

pub fn shown(person: &Person) -> Value {
    json!({"id": person.id, "name": person.name, "display_name": person.display})
}

/// A part of the body, or what is wrong with it.
pub fn field<T>(pointer: &str, parsed: Result<T, Misfit>) -> Result<T, Problem> {
    parsed.map_err(|misfit| invalid(pointer, misfit.to_string()))
}

fn invalid(pointer: &str, detail: String) -> Problem {
    Problem::invalid_settings(vec![Invalid { pointer: pointer.to_owned(), detail }])
}

/// What is no id is nobody's.
pub fn user_id(text: &str) -> Result<UserId, Problem> {
    text.parse().map_err(|_| no_user())
}

pub fn no_user() -> Problem {
    Problem::not_found(Kind::NoUser, "no such user")
}

pub fn wrong_password(detail: String) -> Problem {
    let challenge = "Bearer realm=\"stentor\"".to_owned();
    Problem::unauthorized(Kind::WrongPassword, challenge, detail)
}

pub fn password_problem(error: PasswordError) -> Problem {
    match error {
        PasswordError::Busy => Problem::unavailable(Kind::Busy, error.to_string()),
        PasswordError::Hash => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, Kind::Blank, error.to_string())
        }
    }
}
