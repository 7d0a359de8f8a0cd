//! `/api/v1/account`: what belongs to the user whose token it is.

use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
use stentor_protocol::units::Secret;
use warp::http::StatusCode;

use super::people::{Caller, UserDesk};
use super::problem::{Kind, Problem};
use super::reply::{self, Answer};
use super::request::Request;
use super::route::Own;
use super::state::State;
use super::users::{field, no_user, password_problem, shown, token, user_id, wrong_password};
use crate::accounts::{
    ChangeError, Changed, Contact, ContactError, DatabaseError, Device, Moment, Name, Password,
    Requested,
};
use crate::calls::ids::{DeviceId, UserId};
use crate::rfc3339;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    old: Secret,
    new: Secret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDisplayName {
    display_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Undisturbed {
    /// From now on. None: until it is taken back.
    #[serde(default)]
    seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewContact {
    name: String,
}

/// One caller's request.
struct Desk<'a> {
    state: &'a State,
    users: &'a UserDesk,
    caller: Caller,
}

/// Until it is taken back, as far as anybody is concerned.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 86_400);

pub async fn handle(state: &State, request: &mut Request, own: Own<'_>) -> Answer {
    let (users, caller) = state.caller(request)?;
    let desk = Desk { state, users, caller };
    match (own, request.method.as_str()) {
        (Own::Profile, _) => desk.profile().await,
        (Own::Token, "DELETE") => desk.sign_out(&desk.caller.device).await,
        (Own::Token, _) => desk.renew().await,
        (Own::Password, _) => desk.change_password(request.json().await?).await,
        (Own::DisplayName, _) => desk.change_display_name(request.json().await?).await,
        (Own::DoNotDisturb, "DELETE") => desk.disturb(None).await,
        (Own::DoNotDisturb, _) => {
            let wish: Option<Undisturbed> = request.optional_json().await?;
            let seconds = wish.and_then(|wish| wish.seconds);
            let time = seconds.map_or(FOR_GOOD, |s| Duration::from_secs(s.into()));
            desk.disturb(Some(Moment::now().wall + time)).await
        }
        (Own::Devices, _) => desk.devices().await,
        (Own::Device(device), _) => desk.sign_out(&device.parse().map_err(|_| no_device())?).await,
        (Own::Contacts, "POST") => desk.ask(request.json().await?).await,
        (Own::Contacts, _) => desk.contacts().await,
        (Own::Contact(user), "DELETE") => desk.part(&user_id(user)?).await,
        (Own::Contact(user), _) => desk.accept(&user_id(user)?).await,
        (Own::Blocks, _) => desk.blocks().await,
        (Own::Block(user), "DELETE") => desk.unblock(&user_id(user)?).await,
        (Own::Block(user), _) => desk.block(&user_id(user)?).await,
    }
}

// === impl Desk ===

impl Desk<'_> {
    async fn profile(&self) -> Answer {
        let found = self.read(self.users.accounts.profile(&self.caller.user).await)?;
        let profile = found.ok_or_else(no_user)?;
        let now = SystemTime::now();
        let until = profile.undisturbed_until.filter(|until| *until > now);
        let mut answer = shown(&profile.person);
        answer["device"] = json!(self.caller.device);
        answer["undisturbed_until"] = json!(until.map(rfc3339::format));
        Ok(reply::json(StatusCode::OK, &answer))
    }

    async fn renew(&self) -> Answer {
        let Caller { user, device } = &self.caller;
        let renewed = self.read(self.users.accounts.renew(user, device, Moment::now()).await)?;
        let renewed = renewed.ok_or_else(no_device)?;
        token(self.state, self.users, renewed, StatusCode::OK).await
    }

    async fn sign_out(&self, device: &DeviceId) -> Answer {
        let user = &self.caller.user;
        let was_known = self.read(self.users.accounts.sign_out(user, device).await)?;
        // In any case: the request that took it away may have been given up before this.
        self.state.put_out(user, std::slice::from_ref(device)).await;
        if was_known { Ok(done()) } else { Err(no_device()) }
    }

    async fn devices(&self) -> Answer {
        let devices = self.read(self.users.accounts.devices(&self.caller.user).await)?;
        let shown = |device: &Device| {
            json!({
                "id": device.id,
                "name": device.name,
                "created_at": rfc3339::format(device.created),
                "seen_at": rfc3339::format(device.seen),
                "is_this": device.id == self.caller.device,
            })
        };
        let devices: Vec<Value> = devices.iter().map(shown).collect();
        Ok(reply::json(StatusCode::OK, &json!({"devices": devices})))
    }

    async fn change_password(&self, wish: NewPassword) -> Answer {
        let old = field("/old", Password::new(wish.old))?;
        let new = field("/new", Password::new(wish.new))?;
        let Caller { user, device } = &self.caller;
        let accounts = &self.users.accounts;
        let changed = accounts.change_password(user, device, old, new, Moment::now()).await;
        let gone = changed.map_err(|error| match error {
            ChangeError::Wrong => wrong_password(error.to_string()),
            ChangeError::TooOften { wait } => Problem::too_often(wait, error.to_string()),
            ChangeError::Password(error) => password_problem(error),
            ChangeError::Database(error) => self.state.database_problem(&error),
        })?;
        self.state.put_out(user, &gone).await;
        Ok(done())
    }

    async fn change_display_name(&self, wish: NewDisplayName) -> Answer {
        let display = field("/display_name", wish.display_name.parse())?;
        let user = &self.caller.user;
        self.read(self.users.accounts.set_display_name(user, display).await)?;
        Ok(done())
    }

    async fn disturb(&self, until: Option<SystemTime>) -> Answer {
        let user = &self.caller.user;
        let accounts = &self.users.accounts;
        self.read(accounts.set_undisturbed(user, until, Moment::now()).await)?;
        if let Some(board) = &self.state.calls {
            self.state.people.refresh(board, user).await;
            board.outside.look(vec![user.clone()]).await;
        }
        Ok(done())
    }

    async fn contacts(&self) -> Answer {
        let (accounts, user) = (&self.users.accounts, &self.caller.user);
        let contacts = self.read(accounts.contacts(user).await)?;
        let requests = self.read(accounts.contact_requests(user).await)?;
        let answer = json!({
            "contacts": list(&contacts),
            "sent": list(&requests.sent),
            "received": list(&requests.received),
        });
        Ok(reply::json(StatusCode::OK, &answer))
    }

    async fn ask(&self, wish: NewContact) -> Answer {
        self.take_change()?;
        let name: Name = field("/name", wish.name.parse())?;
        let accounts = &self.users.accounts;
        let person = self.read(accounts.find(&name).await)?.ok_or_else(no_user)?;
        let user = &self.caller.user;
        let asked = accounts.request_contact(user, &person.id, Moment::now()).await;
        let state = match asked.map_err(|error| self.contact_problem(error))? {
            Requested::Waiting => "waiting",
            Requested::Accepted => "accepted",
        };
        self.changed(Changed::Both, &person.id).await;
        let answer = json!({"state": state, "user": shown(&person)});
        Ok(reply::json(StatusCode::CREATED, &answer))
    }

    async fn accept(&self, peer: &UserId) -> Answer {
        let user = &self.caller.user;
        self.take_change()?;
        let accepted = self.users.accounts.accept_contact(user, peer, Moment::now()).await;
        self.settle(accepted.map(|()| Changed::Both), peer).await
    }

    /// Ends what there is between the two: a contact, a request of one's own, or the other's.
    async fn part(&self, peer: &UserId) -> Answer {
        self.take_change()?;
        let (accounts, user) = (&self.users.accounts, &self.caller.user);
        let parted = match accounts.remove_contact(user, peer).await {
            // To the other it is as if it waited still.
            Err(ContactError::NotContacts) => {
                let declined = accounts.decline_contact(user, peer, Moment::now()).await;
                declined.map(|()| Changed::Oneself)
            }
            parted => parted.map(|()| Changed::Both),
        };
        self.settle(parted, peer).await
    }

    async fn blocks(&self) -> Answer {
        let blocked = self.read(self.users.accounts.blocked(&self.caller.user).await)?;
        Ok(reply::json(StatusCode::OK, &json!({"blocks": list(&blocked)})))
    }

    async fn block(&self, peer: &UserId) -> Answer {
        self.take_change()?;
        let user = &self.caller.user;
        let blocked = self.users.accounts.block(user, peer, Moment::now()).await;
        self.settle(blocked, peer).await
    }

    async fn unblock(&self, peer: &UserId) -> Answer {
        self.take_change()?;
        let user = &self.caller.user;
        if !self.read(self.users.accounts.unblock(user, peer).await)? {
            return Err(no_user());
        }
        self.changed(Changed::Oneself, peer).await;
        Ok(done())
    }

    async fn settle(&self, outcome: Result<Changed, ContactError>, peer: &UserId) -> Answer {
        let changed = outcome.map_err(|error| self.contact_problem(error))?;
        self.changed(changed, peer).await;
        Ok(done())
    }

    /// Every change makes devices look again, so it isn't only the database's to bound.
    fn take_change(&self) -> Result<(), Problem> {
        let taken = self.users.accounts.take_change(&self.caller.user, Moment::now());
        taken.map_err(|wait| Problem::too_often(wait, "too many changes at once".to_owned()))
    }

    async fn changed(&self, changed: Changed, peer: &UserId) {
        let user = &self.caller.user;
        let users: &[&UserId] = match changed {
            Changed::Nobody => &[],
            Changed::Oneself => &[user],
            Changed::Both => &[user, peer],
        };
        self.state.people.contacts_changed(self.state.calls.as_deref(), users).await;
    }

    fn read<T>(&self, found: Result<T, DatabaseError>) -> Result<T, Problem> {
        found.map_err(|error| self.state.database_problem(&error))
    }

    fn contact_problem(&self, error: ContactError) -> Problem {
        let detail = error.to_string();
        let missing = |kind| Problem::not_found(kind, detail.clone());
        let conflict = |kind| Problem::new(StatusCode::CONFLICT, kind, detail.clone());
        match error {
            ContactError::NoSuchUser => no_user(),
            ContactError::NoRequest => missing(Kind::NoRequest),
            ContactError::NotContacts => missing(Kind::NotContacts),
            ContactError::Yourself => conflict(Kind::Yourself),
            ContactError::AlreadyContacts => conflict(Kind::AlreadyContacts),
            ContactError::AlreadyAsked => conflict(Kind::AlreadyAsked),
            ContactError::Declined => conflict(Kind::Declined),
            ContactError::BlockedByThem => conflict(Kind::BlockedByThem),
            ContactError::BlockedByYou => conflict(Kind::BlockedByYou),
            ContactError::TooMany { .. } => conflict(Kind::TooManyContacts),
            ContactError::Database(error) => self.state.database_problem(&error),
        }
    }
}

fn list(contacts: &[Contact]) -> Vec<Value> {
    let entry = |contact: &Contact| {
        let mut entry = shown(&contact.person);
        entry["since"] = json!(rfc3339::format(contact.since));
        entry
    };
    contacts.iter().map(entry).collect()
}

fn done() -> warp::reply::Response {
    reply::empty(StatusCode::NO_CONTENT)
}

fn no_device() -> Problem {
    Problem::not_found(Kind::NoDevice, "no such device of yours")
}
