//! Signing up, signing in, and changing the password.

use std::net::IpAddr;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use super::devices::{self, DeviceName};
use super::users::{self, NewUser};
use super::{
    Accounts, DatabaseError, DisplayName, Moment, Name, Password, PasswordError, from_sqlite,
};
use crate::identity::{DeviceId, UserId};
use crate::limit::customer;

/// A new account.
#[derive(Debug, Clone)]
pub struct SignUp {
    pub name: Name,
    pub display: DisplayName,
    pub password: Password,
}

#[derive(Debug, Clone)]
pub struct SignIn {
    pub name: Name,
    pub password: Password,
    /// The device as it was called when it signed in before.
    pub device: Option<DeviceId>,
    pub device_name: DeviceName,
    /// The device was shown to be one that signed in before.
    pub known: Option<Known>,
}

/// A device, and the user who signed in on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub user: UserId,
    pub device: DeviceId,
}

/// By what attempts that fail are counted.
enum Counted {
    Name(Name),
    /// One of the user's own: strangers who guess don't lock it out.
    Device(DeviceId),
}

/// What a token is to say, which whoever has the key signs and hands to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    pub user: UserId,
    pub device: DeviceId,
    pub expires: SystemTime,
    /// Devices that had to go for this one.
    pub gone: Vec<DeviceId>,
}

#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    #[error("the name is taken")]
    NameTaken,
    #[error("too many attempts, wait {} s", wait.as_secs() + 1)]
    TooOften { wait: Duration },
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Which of them isn't told: neither by the words nor by the time it takes.
    #[error("the name or the password is wrong")]
    Wrong,
    #[error("too many attempts, wait {} s", wait.as_secs() + 1)]
    TooOften { wait: Duration },
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("the old password is wrong")]
    Wrong,
    #[error("too many attempts, wait {} s", wait.as_secs() + 1)]
    TooOften { wait: Duration },
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

from_sqlite!(SignUpError, SignInError, ChangeError);

// === impl Accounts ===

impl Accounts {
    pub async fn sign_up(
        &self,
        wish: SignUp,
        address: IpAddr,
        moment: Moment,
    ) -> Result<UserId, SignUpError> {
        self.take_address(address, moment).map_err(|wait| SignUpError::TooOften { wait })?;
        let SignUp { name, display, password } = wish;
        let password = self.hasher.hash(password).await?;
        let id = UserId::random().map_err(DatabaseError::from)?;
        self.database()
            .write(move |c| {
                let user = NewUser { id: &id, name: &name, display: &display, password: &password };
                if users::insert(c, &user, moment.unix_ms())? {
                    Ok(id)
                } else {
                    Err(SignUpError::NameTaken)
                }
            })
            .await
    }

    /// Attempts that fail count towards the limits of the address and of the name; on a device
    /// that is known, of the device in place of the name. Those that succeed count towards the
    /// user's.
    pub async fn sign_in(
        &self,
        wish: SignIn,
        address: IpAddr,
        moment: Moment,
    ) -> Result<SignedIn, SignInError> {
        let too_often = |wait| SignInError::TooOften { wait };
        // Taken before the password is looked at: guesses that are made at once count, too.
        self.take_address(address, moment).map_err(too_often)?;
        let name = wish.name.clone();
        let found = self.database().read(move |c| users::by_name(c, &name)).await?;
        let (user, stored) = found.unzip();
        let counted = match wish.known.filter(|known| user.as_ref() == Some(&known.user)) {
            Some(known) => Counted::Device(known.device),
            None => Counted::Name(wish.name),
        };
        self.take(&counted, user.as_ref(), moment).map_err(too_often)?;
        let is_right = self.hasher.verify(wish.password, stored.clone()).await?;
        if !is_right {
            self.give_back_user(user.as_ref());
        }
        let (Some(user), Some(stored), true) = (user, stored, is_right) else {
            return Err(SignInError::Wrong);
        };
        self.give_back(&counted, Some(address));
        let (owner, device, device_name) = (user.clone(), wish.device, wish.device_name);
        let (device, gone) = self
            .database()
            .write(move |c| {
                // The password may have changed while it was compared.
                let now = users::by_id(c, &owner)?;
                if now.is_none_or(|(_, password)| password != stored) {
                    return Err(SignInError::Wrong);
                }
                Ok(devices::add(c, &owner, device.as_ref(), &device_name, moment.unix_ms())?)
            })
            .await?;
        Ok(SignedIn { user, device, expires: moment.wall + self.rules.token_life, gone })
    }

    /// Another token for a device that has one already and is signed in still.
    pub async fn renew(
        &self,
        user: &UserId,
        device: &DeviceId,
        moment: Moment,
    ) -> Result<Option<SignedIn>, DatabaseError> {
        let known = self.is_signed_in(user, device, moment).await?;
        let (user, device) = (user.clone(), device.clone());
        let expires = moment.wall + self.rules.token_life;
        Ok(known.then_some(SignedIn { user, device, expires, gone: Vec::new() }))
    }

    /// Signs out every other device, and says which.
    pub async fn change_password(
        &self,
        user: &UserId,
        device: &DeviceId,
        old: Password,
        new: Password,
        moment: Moment,
    ) -> Result<Vec<DeviceId>, ChangeError> {
        let (user, device) = (user.clone(), device.clone());
        let asked = user.clone();
        let found = self.database().read(move |c| users::by_id(c, &asked)).await?;
        let Some((_, stored)) = found else { return Err(ChangeError::Wrong) };
        let counted = Counted::Device(device.clone());
        let taken = self.take(&counted, Some(&user), moment);
        taken.map_err(|wait| ChangeError::TooOften { wait })?;
        if !self.hasher.verify(old, Some(stored.clone())).await? {
            self.give_back_user(Some(&user));
            return Err(ChangeError::Wrong);
        }
        self.give_back(&counted, None);
        let hash = self.hasher.hash(new).await?;
        self.database()
            .write(move |c| {
                if users::set_password(c, &user, &stored, &hash)? {
                    Ok(devices::keep_only(c, &user, &device)?)
                } else {
                    Err(ChangeError::Wrong)
                }
            })
            .await
    }

    fn take_address(&self, address: IpAddr, moment: Moment) -> Result<(), Duration> {
        let mut limit = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        limit.take(customer(address), 1.0, moment.now)
    }

    /// For an attempt, before it is known how it ends: what then doesn't count is given back.
    fn take(
        &self,
        counted: &Counted,
        user: Option<&UserId>,
        moment: Moment,
    ) -> Result<(), Duration> {
        if let Some(user) = user {
            let mut limit = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
            limit.take(user.clone(), 1.0, moment.now)?;
        }
        self.take_failure(counted, moment).inspect_err(|_| self.give_back_user(user))
    }

    fn take_failure(&self, counted: &Counted, moment: Moment) -> Result<(), Duration> {
        match counted {
            Counted::Name(name) => {
                let mut limit = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
                limit.take(name.as_str().to_owned(), 1.0, moment.now)
            }
            Counted::Device(device) => {
                let mut limit = self.by_device.lock().unwrap_or_else(PoisonError::into_inner);
                limit.take(device.clone(), 1.0, moment.now)
            }
        }
    }

    fn give_back_user(&self, user: Option<&UserId>) {
        let Some(user) = user else { return };
        let mut limit = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        limit.give_back(user, 1.0);
    }

    fn give_back(&self, counted: &Counted, address: Option<IpAddr>) {
        match counted {
            Counted::Name(name) => {
                let mut limit = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
                limit.give_back(name.as_str(), 1.0);
            }
            Counted::Device(device) => {
                let mut limit = self.by_device.lock().unwrap_or_else(PoisonError::into_inner);
                limit.give_back(device, 1.0);
            }
        }
        if let Some(address) = address {
            let mut limit = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            limit.give_back(&customer(address), 1.0);
        }
    }
}

#[cfg(test)]
mod tests;
