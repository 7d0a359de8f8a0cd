//! What the service said of who may write to whom, for a while: nobody is asked about each key that
//! somebody presses.
//!
//! Pure: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::accounts::RingRefusal;
use crate::identity::UserId;

type Verdict = Result<(), RingRefusal>;

/// By sender and recipient.
#[derive(Debug, Default)]
pub struct Remembered(HashMap<(UserId, UserId), (Verdict, Instant)>);

/// Pairs, about 300 bytes each.
const MOST: usize = 10_000;
const FOR: Duration = Duration::from_secs(60);
/// A service that didn't say is asked again sooner.
const UNDECIDED_FOR: Duration = Duration::from_secs(5);

// === impl Remembered ===

impl Remembered {
    pub fn note(&mut self, sender: &UserId, recipient: &UserId, verdict: &Verdict, now: Instant) {
        let life = match verdict {
            Ok(()) | Err(RingRefusal::Denied { .. }) => FOR,
            Err(RingRefusal::Undecided) => UNDECIDED_FOR,
            // It says nothing about the two.
            Err(_) => return,
        };
        if self.0.len() >= MOST {
            self.0.retain(|_, (_, until)| *until > now);
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert((sender.clone(), recipient.clone()), (verdict.clone(), now + life));
    }

    pub fn get(&self, sender: &UserId, recipient: &UserId, now: Instant) -> Option<Verdict> {
        let found = self.0.get(&(sender.clone(), recipient.clone()));
        found.filter(|(_, until)| *until > now).map(|(verdict, _)| verdict.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_a_while_in_its_own_direction_and_the_table_is_bounded() {
        let now = Instant::now();
        let user = |name: &str| name.parse::<UserId>().unwrap();
        let (anna, bert) = (user("anna"), user("bert"));
        let denied = Err(RingRefusal::Denied { reason: "no".to_owned() });
        let too_often = Err(RingRefusal::TooOften { wait: FOR });
        for (verdict, life) in [
            (Ok(()), FOR),
            (denied, FOR),
            (Err(RingRefusal::Undecided), UNDECIDED_FOR),
            (too_often, Duration::ZERO),
        ] {
            let mut remembered = Remembered::default();
            remembered.note(&anna, &bert, &verdict, now);
            let get = |after| remembered.get(&anna, &bert, now + after);
            let expected = Some(verdict).filter(|_| !life.is_zero());
            assert_eq!(get(life.saturating_sub(Duration::from_millis(1))), expected);
            assert_eq!(get(life), None);
            assert_eq!(remembered.get(&bert, &anna, now), None);
        }
        let mut remembered = Remembered::default();
        for n in 0..=MOST {
            remembered.note(&anna, &user(&format!("u{n}")), &Ok(()), now);
        }
        assert!(remembered.0.len() <= MOST);
        assert_eq!(remembered.get(&anna, &user(&format!("u{MOST}")), now), Some(Ok(())));
    }
}
