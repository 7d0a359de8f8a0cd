//! Who may ring whom, and why not.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _};

use super::{DatabaseError, from_unix_ms};
use crate::identity::UserId;

/// How two users stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    pub same: bool,
    pub contacts: bool,
    pub blocked_by_callee: bool,
    pub blocked_by_caller: bool,
    /// The callee's wish.
    pub undisturbed_until: Option<SystemTime>,
}

/// Why a user isn't rung. Told to the caller as it stands here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RingRefusal {
    #[error("that is you")]
    Yourself,
    /// Or no such user: who isn't a contact doesn't learn which.
    #[error("not one of your contacts")]
    NotContacts,
    #[error("takes no calls from you")]
    BlockedByCallee,
    #[error("you have blocked this user")]
    BlockedByCaller,
    #[error("doesn't want to be disturbed")]
    DoNotDisturb { until: SystemTime },
    #[error("too many calls, wait {} s", wait.as_secs() + 1)]
    TooOften { wait: Duration },
    /// The operator's user service said no.
    #[error("{reason}")]
    Denied { reason: String },
    /// The operator's user service didn't say yes: a dependency's fault, and to be tried again.
    #[error("the service that decides about calls gave no answer")]
    Undecided,
    /// This server's fault: what the database said.
    #[error("{0}")]
    Database(String),
}

/// The rules, of which the first that applies is told.
pub fn may_ring(standing: &Standing, wall: SystemTime) -> Result<(), RingRefusal> {
    if standing.same {
        return Err(RingRefusal::Yourself);
    }
    if standing.blocked_by_caller {
        return Err(RingRefusal::BlockedByCaller);
    }
    if standing.blocked_by_callee {
        return Err(RingRefusal::BlockedByCallee);
    }
    if !standing.contacts {
        return Err(RingRefusal::NotContacts);
    }
    match standing.undisturbed_until {
        Some(until) if until > wall => Err(RingRefusal::DoNotDisturb { until }),
        _ => Ok(()),
    }
}

/// What the database knows about the two.
pub(super) fn standing(
    connection: &Connection,
    caller: &UserId,
    callee: &UserId,
) -> Result<Standing, DatabaseError> {
    let sql = "SELECT
        EXISTS (SELECT 1 FROM contacts WHERE user = ?1 AND peer = ?2),
        EXISTS (SELECT 1 FROM blocks WHERE user = ?2 AND peer = ?1),
        EXISTS (SELECT 1 FROM blocks WHERE user = ?1 AND peer = ?2),
        (SELECT undisturbed_until_ms FROM users WHERE id = ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row([caller.as_str(), callee.as_str()], |row| {
        let until: Option<i64> = row.get(3)?;
        Ok(Standing {
            same: caller == callee,
            contacts: row.get(0)?,
            blocked_by_callee: row.get(1)?,
            blocked_by_caller: row.get(2)?,
            undisturbed_until: until.map(from_unix_ms),
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

// === impl RingRefusal ===

impl RingRefusal {
    /// The stable name: for clients, and as a metric's label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Yourself => "yourself",
            Self::NotContacts => "not_contacts",
            Self::BlockedByCallee => "blocked_by_callee",
            Self::BlockedByCaller => "blocked_by_caller",
            Self::DoNotDisturb { .. } => "do_not_disturb",
            Self::TooOften { .. } => "too_often",
            Self::Denied { .. } => "denied",
            Self::Undecided => "undecided",
            Self::Database(_) => "database",
        }
    }
}

impl From<DatabaseError> for RingRefusal {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn contacts_may_ring_each_other_and_every_refusal_has_its_reason() {
        let wall = UNIX_EPOCH + Duration::from_secs(1000);
        let until = wall + Duration::from_secs(1);
        let contacts = Standing { contacts: true, ..Standing::default() };
        for (standing, expected) in [
            (contacts, Ok(())),
            (Standing::default(), Err(RingRefusal::NotContacts)),
            (Standing { same: true, ..contacts }, Err(RingRefusal::Yourself)),
            (Standing { blocked_by_callee: true, ..contacts }, Err(RingRefusal::BlockedByCallee)),
            (Standing { blocked_by_caller: true, ..contacts }, Err(RingRefusal::BlockedByCaller)),
            (
                Standing { blocked_by_callee: true, ..Standing::default() },
                Err(RingRefusal::BlockedByCallee),
            ),
            (
                Standing { undisturbed_until: Some(until), ..contacts },
                Err(RingRefusal::DoNotDisturb { until }),
            ),
            // Over.
            (Standing { undisturbed_until: Some(wall), ..contacts }, Ok(())),
            // A stranger doesn't learn whether the callee is to be disturbed.
            (
                Standing { undisturbed_until: Some(until), ..Standing::default() },
                Err(RingRefusal::NotContacts),
            ),
        ] {
            assert_eq!(may_ring(&standing, wall), expected, "{standing:?}");
        }
    }
}
