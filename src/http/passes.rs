//! Who may publish to calls' own channels and watch them: whoever shows the pass that the call gave
//! them, for as long as the call says so.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::access::{self, Need};
use super::problem::Problem;
use crate::calls::ids::CallId;

/// By pass: 128 random bits as text, which travel as bearer tokens.
#[derive(Default)]
pub struct Passes(Mutex<HashMap<String, Pass>>);

/// What one is good for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// A channel's name.
    pub publish: Option<String>,
    pub watch: BTreeSet<String>,
    /// Whose it is.
    pub call: Option<CallId>,
}

// === impl Passes ===

impl Passes {
    /// In place of what it was good for before.
    pub fn set(&self, token: &str, pass: Pass) {
        self.lock().insert(token.to_owned(), pass);
    }

    pub fn remove(&self, token: &str) {
        self.lock().remove(token);
    }

    /// The call that a pass is of, and the pass.
    pub fn call_of(&self, authorization: Option<&str>) -> Option<(CallId, String)> {
        let token = access::bearer(authorization)?;
        let call = self.lock().get(token)?.call.clone()?;
        Some((call, token.to_owned()))
    }

    /// Says of a channel that isn't there what it says of another's.
    pub fn check(&self, authorization: Option<&str>, need: Need<'_>) -> Result<(), Problem> {
        if authorization.is_none() {
            return Err(access::no_token());
        }
        let token = access::bearer(authorization).unwrap_or_default();
        let passes = self.lock();
        let may = passes.get(token).is_some_and(|pass| match need {
            Need::Publish(channel) => pass.publish.as_deref() == Some(channel),
            Need::View(channel) => pass.watch.contains(channel),
            _ => false,
        });
        drop(passes);
        if may {
            Ok(())
        } else {
            Err(access::bad_token("the token is for no such channel of a call"))
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pass>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_good_for_what_it_names_until_it_is_taken_back() {
        let passes = Passes::default();
        let watch = BTreeSet::from(["call-b".to_owned()]);
        passes.set("secret", Pass { publish: Some("call-a".to_owned()), watch, call: None });
        let check = |token: Option<&str>, need| {
            let header = token.map(|token| format!("Bearer {token}"));
            passes.check(header.as_deref(), need).map_err(|problem| problem.status.as_u16())
        };
        let mine = Some("secret");
        for (token, need, expected) in [
            (mine, Need::Publish("call-a"), Ok(())),
            (mine, Need::View("call-b"), Ok(())),
            (mine, Need::View("call-a"), Err(401)),
            (mine, Need::Publish("call-b"), Err(401)),
            (mine, Need::Read("call-a"), Err(401)),
            (mine, Need::Manage("call-a"), Err(401)),
            (Some("other"), Need::View("call-b"), Err(401)),
            (Some(""), Need::View("call-b"), Err(401)),
            (None, Need::View("call-b"), Err(401)),
        ] {
            assert_eq!(check(token, need), expected, "{token:?} {need:?}");
        }
        passes.set("secret", Pass::default());
        assert_eq!(check(mine, Need::View("call-b")), Err(401));
        passes.remove("secret");
        assert_eq!(check(mine, Need::Publish("call-a")), Err(401));
    }
}
