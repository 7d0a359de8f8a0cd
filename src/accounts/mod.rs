//! Users, their devices and contacts, who may ring whom, and chat: one SQLite file.
//!
//! `schema` has the tables, `database` the connections. `contacts`, `ringing`, `password` and
//! `profile` hold the rules; `chat/` is what users write to each other. An operator with a user
//! service of its own configures `hook/` instead, which is asked who may ring whom. `line` is how
//! another node asks the one that has all this.

mod around;
pub mod chat;
mod contacts;
mod database;
mod desk;
mod devices;
pub mod hook;
mod line;
mod password;
mod profile;
mod ringing;
mod schema;
mod sign_in;
mod users;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use around::{Around, Profile};
pub use contacts::{Changed, Contact, ContactError, Person, Requested, Requests};
pub use database::{Database, DatabaseError};
pub use desk::{Accounts, OpenError, Rules};
pub use devices::{Device, DeviceName};
pub use line::{Lane, Line, LineError};
pub use password::{Cost, Password, PasswordError};
pub use profile::{DisplayName, Misfit, Name};
pub use ringing::{RingRefusal, Standing, may_ring};
pub use schema::Step;
pub use sign_in::{ChangeError, Known, SignIn, SignInError, SignUp, SignUpError, SignedIn};

/// Now, on the clock that never jumps and on the one that people read.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub now: Instant,
    pub wall: SystemTime,
}

// === impl Moment ===

impl Moment {
    pub fn now() -> Self {
        Self { now: Instant::now(), wall: SystemTime::now() }
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(self) -> i64 {
        unix_ms(self.wall)
    }
}

/// Milliseconds since 1970, as the database has them. Earlier times count as 1970.
fn unix_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The other way.
fn from_unix_ms(ms: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

/// Lets `?` turn what SQLite says into an operation's own error.
macro_rules! from_sqlite {
    ($($error:ty),+) => {$(
        impl From<rusqlite::Error> for $error {
            fn from(error: rusqlite::Error) -> Self {
                Self::Database(error.into())
            }
        }
    )+};
}
use from_sqlite;
