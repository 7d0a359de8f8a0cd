//! Tells everybody who was in a call that its recording is there, or that there will be none: on
//! their devices, by a signed request to the operator's own, and by mail. Whoever can't be told now
//! is told later; what is to be told is in the catalogue, so that a restart forgets nobody.

mod mail;
mod news;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tracing::{info, warn};

pub use mail::{MailError, Post};
pub use news::{News, time};

use super::catalogue::{Catalogue, Notice, Way};
use super::desk::now_ms;
use super::pauses::{Pauses, chance};
use crate::accounts::DatabaseError;
use crate::accounts::hook::{Heard, Line};
use crate::identity::UserId;
use crate::telemetry::recording::RecordingMetrics;

/// Whoever knows users, and can reach their devices.
pub trait Bell: Send + Sync {
    /// What a user signs in by; their id where nobody here knows.
    fn name_of(&self, user: UserId) -> BoxFuture<'_, String>;
    /// False: none of theirs is here.
    fn tell(&self, user: &UserId, news: &News) -> bool;
}

/// Users who connected: what waits for them is to be told. Clones are the same.
#[derive(Clone, Default)]
pub struct Arrivals {
    users: Arc<Mutex<BTreeSet<UserId>>>,
    notices: Arc<Notify>,
}

pub struct Notifier {
    pub catalogue: Catalogue,
    pub bell: Option<Arc<dyn Bell>>,
    pub webhook: Option<Line>,
    pub mail: Option<Post>,
    pub metrics: RecordingMetrics,
    pub arrivals: Arrivals,
}

/// Users who wait to be looked after; one more is told at their next connection.
const ARRIVALS: usize = 10_000;
/// How often it is looked for who is to be told again.
const LOOK: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Milliseconds after which nobody cares: of those who don't connect, and of services.
const STALE_MS: i64 = 90 * 86_400_000;
const GIVE_UP_MS: i64 = 3 * 86_400_000;
/// One who isn't there is told when they come.
const ABSENT_MS: i64 = 86_400_000;

// === impl Arrivals ===

impl Arrivals {
    /// `notices` wakes whoever tells.
    pub fn new(notices: Arc<Notify>) -> Self {
        Self { users: Arc::default(), notices }
    }

    pub fn add(&self, user: &UserId) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if users.len() < ARRIVALS {
            users.insert(user.clone());
        }
        drop(users);
        self.notices.notify_one();
    }

    fn take(&self) -> BTreeSet<UserId> {
        std::mem::take(&mut *self.users.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// === impl Notifier ===

impl Notifier {
    /// Never ends. Each way goes on by itself: one that hangs keeps no other waiting.
    pub async fn run(self) {
        let (webhook, mail) = (Notify::new(), Notify::new());
        let others = [&webhook, &mail];
        tokio::join!(self.devices(others), self.webhooks(&webhook), self.mails(&mail));
    }

    /// Wakes the others when there is news.
    async fn devices(&self, others: [&Notify; 2]) {
        loop {
            for user in self.arrivals.take() {
                self.log(self.greet(&user).await);
            }
            self.log(self.sockets().await);
            others.iter().for_each(|other| other.notify_one());
            tokio::select! {
                () = self.arrivals.notices.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn webhooks(&self, soon: &Notify) {
        loop {
            soon.notified().await;
            self.log(self.webhook().await);
        }
    }

    async fn mails(&self, soon: &Notify) {
        loop {
            soon.notified().await;
            self.log(self.mail().await);
        }
    }

    /// One who came.
    async fn greet(&self, user: &UserId) -> Result<(), DatabaseError> {
        for notice in self.catalogue.waiting_for(user.as_str()).await? {
            self.ring(&notice).await?;
        }
        Ok(())
    }

    /// Those who are there.
    async fn sockets(&self) -> Result<(), DatabaseError> {
        for notice in self.catalogue.due(Way::Socket, now_ms()).await? {
            self.ring(&notice).await?;
        }
        Ok(())
    }

    async fn ring(&self, notice: &Notice) -> Result<(), DatabaseError> {
        let news = News::of(&self.catalogue, &notice.recording).await?;
        let told = match (&self.bell, UserId::new(&notice.target), &news) {
            (Some(bell), Ok(user), Some(news)) => bell.tell(&user, news),
            _ => false,
        };
        if told || news.is_none() || now_ms().saturating_sub(notice.made_ms) > STALE_MS {
            self.count(Way::Socket, if told { "told" } else { "given_up" });
            return self.catalogue.remove_notice(notice.id).await;
        }
        self.catalogue.retry_notice(notice.id, now_ms().saturating_add(ABSENT_MS)).await
    }

    async fn webhook(&self) -> Result<(), DatabaseError> {
        let Some(line) = &self.webhook else { return Ok(()) };
        for notice in self.catalogue.due(Way::Webhook, now_ms()).await? {
            let Some(news) = News::of(&self.catalogue, &notice.recording).await? else {
                self.catalogue.remove_notice(notice.id).await?;
                continue;
            };
            let heard = line.post(news.to_json(), SystemTime::now()).await;
            let failed = match heard {
                Heard::Answer { status, .. } if (200..300).contains(&status) => None,
                Heard::Answer { status, .. } => Some(format!("status {status}")),
                other => Some(format!("{other:?}")),
            };
            self.settle(Way::Webhook, &notice, failed).await?;
        }
        Ok(())
    }

    async fn mail(&self) -> Result<(), DatabaseError> {
        let Some(post) = &self.mail else { return Ok(()) };
        for notice in self.catalogue.due(Way::Mail, now_ms()).await? {
            let Some(news) = News::of(&self.catalogue, &notice.recording).await? else {
                self.catalogue.remove_notice(notice.id).await?;
                continue;
            };
            let sent = post.send(&self.name_of(&notice.target).await, &news).await;
            self.settle(Way::Mail, &notice, sent.err().map(|error| error.to_string())).await?;
        }
        Ok(())
    }

    async fn name_of(&self, user: &str) -> String {
        match (&self.bell, UserId::new(user)) {
            (Some(bell), Ok(id)) => bell.name_of(id).await,
            _ => user.to_owned(),
        }
    }

    /// Told, or to be tried again, or given up.
    async fn settle(
        &self,
        way: Way,
        notice: &Notice,
        failed: Option<String>,
    ) -> Result<(), DatabaseError> {
        let recording = &notice.recording;
        let Some(reason) = failed else {
            info!(%recording, way = way.name(), "told of a recording");
            self.count(way, "told");
            return self.catalogue.remove_notice(notice.id).await;
        };
        if now_ms().saturating_sub(notice.made_ms) > GIVE_UP_MS {
            warn!(%recording, way = way.name(), reason, "nobody is told of a recording");
            self.count(way, "given_up");
            return self.catalogue.remove_notice(notice.id).await;
        }
        let mut pauses = Pauses::new(FIRST_PAUSE, LONGEST_PAUSE).after(notice.attempts);
        let pause = pauses.next(chance());
        warn!(%recording, way = way.name(), reason, ?pause, "telling failed, and is tried again");
        self.count(way, "failed");
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        self.catalogue.retry_notice(notice.id, now_ms().saturating_add(pause)).await
    }

    fn count(&self, way: Way, outcome: &str) {
        self.metrics.notices.with_label_values(&[way.name(), outcome]).inc();
    }

    fn log(&self, done: Result<(), DatabaseError>) {
        if let Err(error) = done {
            self.metrics.database_errors.inc();
            warn!(%error, "who is to be told of recordings can't be looked up");
        }
    }
}
