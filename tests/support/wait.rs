//! Waiting on conditions, with a deadline.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// Asks again and again until `ask` gives something. Past the deadline the test fails, with the
/// last reason that `ask` gave.
pub async fn until<T, R: Display>(
    what: &str,
    deadline: Duration,
    mut ask: impl AsyncFnMut() -> Result<T, R>,
) -> T {
    let begin = Instant::now();
    loop {
        match ask().await {
            Ok(value) => return value,
            Err(reason) if begin.elapsed() > deadline => {
                panic!("{what}: not within {deadline:?}: {reason}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// A condition as a result, for [`until`].
pub fn check(holds: bool, reason: impl Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(reason.to_string()) }
}
