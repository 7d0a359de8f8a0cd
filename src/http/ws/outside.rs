//! What the board has to do with other nodes: the directory, and messages both ways.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tracing::{debug, warn};

use super::board::Board;
use super::untold::Untold;
use crate::calls::hub::{Card, Fault, Invitation, Invitee, Refused, Whereabouts, Wire};
use crate::calls::ids::{Address, NodeId, UserId};
use crate::calls::messages::{ClientMessage, ErrorCode};
use crate::directory::{Directory, Entry, Health, Incoming, Registration, SendError};
use crate::telemetry::directory::DirectoryMetrics;

/// The directory, and who of ours stands in it.
pub struct Outside {
    directory: Arc<dyn Directory>,
    devices: Mutex<HashMap<Address, Registration>>,
    metrics: DirectoryMetrics,
    undelivered: mpsc::Sender<Undelivered>,
    untold: Untold,
    /// Messages of which nothing is known yet.
    under_way: Arc<AtomicUsize>,
    /// Users here whose contacts or devices aren't what they were. Locked for itself, and never
    /// across an await.
    looks: Mutex<BTreeSet<UserId>>,
    /// There are some.
    look: Notify,
}

/// What comes from outside: for [`Board::listen`].
pub struct Ears {
    incoming: mpsc::Receiver<Incoming>,
    undelivered: mpsc::Receiver<Undelivered>,
    /// Nodes that are to be told anew who is here.
    untold: mpsc::Receiver<NodeId>,
}

/// What a device said, and why it didn't arrive.
struct Undelivered {
    address: Address,
    request: Option<u32>,
    refused: Refused,
    /// It said that it goes.
    leaves: bool,
}

/// Devices of one user that are rung elsewhere.
const MOST_DEVICES: usize = 32;
/// Messages that didn't arrive, until the board hears of them.
const UNDELIVERED: usize = 256;

// === impl Outside ===

impl Outside {
    /// `incoming` is the queue that the directory was made with.
    pub fn new(
        directory: Arc<dyn Directory>,
        incoming: mpsc::Receiver<Incoming>,
        metrics: DirectoryMetrics,
    ) -> (Self, Ears) {
        let (sender, undelivered) = mpsc::channel(UNDELIVERED);
        let (untold, to_tell) = Untold::new();
        let outside = Self {
            directory,
            devices: Mutex::default(),
            metrics,
            undelivered: sender,
            untold,
            under_way: Arc::default(),
            looks: Mutex::default(),
            look: Notify::new(),
        };
        (outside, Ears { incoming, undelivered, untold: to_tell })
    }

    pub fn node(&self) -> &NodeId {
        self.directory.node()
    }

    pub(super) fn directory(&self) -> &dyn Directory {
        &*self.directory
    }

    /// Other nodes can't be reached at present.
    pub fn is_cut_off(&self) -> bool {
        *self.directory.health().borrow() == Health::Down
    }

    /// Puts a message on its way; what becomes of it is found out by and by.
    pub fn send(&self, to: &NodeId, wire: Wire) {
        let sent = self.directory.send(to, wire.written());
        let (undelivered, untold) = (self.undelivered.clone(), self.untold.clone());
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let under_way = self.under_way.clone();
        let to = to.clone();
        tokio::spawn(async move {
            let sent = sent.await;
            under_way.fetch_sub(1, Ordering::Relaxed);
            if let Err(error) = sent {
                debug!(node = %to, %error, "a message didn't reach another node");
                if is_to_be_told_anew(&wire, error) {
                    return untold.missed(to).await;
                }
                if let Some(said) = said(wire, error) {
                    // A device that isn't answered gives up by itself.
                    let _ = undelivered.try_send(said);
                }
            }
        });
    }

    pub fn register(&self, address: Address, card: &Card) {
        let (user, device) = (address.user.clone(), address.device.clone());
        let registered =
            self.directory.register(Entry { user, device, capabilities: card.written() });
        match registered {
            // The one before ends after that, and counts for nothing any more.
            Ok(registration) => drop(self.devices().insert(address, registration)),
            Err(error) => warn!(%error, "a device can't be reached from other nodes"),
        }
    }

    pub fn amend(&self, address: &Address, card: &Card) {
        let amended = self.devices().get(address).map(|known| known.amend(card.written()));
        if let Some(Err(error)) = amended {
            warn!(%error, "what a device can do isn't told to other nodes");
        }
    }

    /// The device's socket is gone.
    pub fn detach(&self, address: &Address) {
        if let Some(registration) = self.devices().get(address) {
            registration.lose();
        }
    }

    pub fn unregister(&self, address: &Address) {
        let registration = self.devices().remove(address);
        drop(registration);
    }

    /// Tells the nodes on which the user has other devices.
    pub fn arrived(&self, address: Address) {
        let directory = self.directory.clone();
        tokio::spawn(async move {
            let me = directory.node().clone();
            let found = directory.find(&address.user).await;
            let others = found.devices.into_iter().map(|device| device.node);
            let others: BTreeSet<NodeId> = others.filter(|node| *node != me).collect();
            let written = Wire::Arrived { address, at: me }.written();
            for node in others.iter().take(MOST_DEVICES) {
                // Where it doesn't arrive, that device alone doesn't ring.
                let _ = directory.send(node, written.clone()).await;
            }
        });
    }

    pub fn not_followed(&self, reason: &str) {
        self.metrics.refused.with_label_values(&[reason]).inc();
    }

    /// Finds out where else those are who are to be rung.
    pub async fn find(&self, invitees: &mut [Invitee]) {
        let mut incomplete = false;
        for invitee in invitees {
            // Where one couldn't be asked for, the others aren't waited for.
            if !incomplete {
                invitee.elsewhere = self.whereabouts(&invitee.user).await;
            }
            incomplete |= invitee.elsewhere.incomplete;
            invitee.elsewhere.incomplete = incomplete;
        }
    }

    /// Whether the user is in a call on another node, by another device.
    pub async fn is_engaged(&self, caller: Option<Address>) -> bool {
        match caller {
            Some(Address { user, .. }) => self.whereabouts(&user).await.busy,
            None => false,
        }
    }

    async fn whereabouts(&self, user: &UserId) -> Whereabouts {
        let found = self.directory.find(user).await;
        let others = found.devices.into_iter().filter(|device| device.node != *self.node());
        let cards = others.filter_map(|located| {
            Some((located.entry.device, located.node, Card::read(&located.entry.capabilities)?))
        });
        let elsewhere = Whereabouts::of(cards, MOST_DEVICES);
        Whereabouts { incomplete: !found.complete, ..elsewhere }
    }

    /// Leaves, once what is under way has arrived.
    pub async fn leave(&self, at_most: Duration) {
        let deadline = Instant::now() + at_most;
        while self.under_way.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.directory.leave().await;
    }

    /// A user who is here whose contacts or devices aren't what they were.
    pub async fn next_look(&self) -> UserId {
        loop {
            let notified = self.look.notified();
            if let Some(user) = self.looks().pop_first() {
                return user;
            }
            notified.await;
        }
    }

    fn looks(&self) -> MutexGuard<'_, BTreeSet<UserId>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn card(&self, node: &NodeId, address: &Address) -> Option<Card> {
        let found = self.directory.find(&address.user).await;
        let mut devices = found.devices.into_iter();
        let located = devices.find(|d| d.node == *node && d.entry.device == address.device)?;
        Card::read(&located.entry.capabilities)
    }

    fn devices(&self) -> MutexGuard<'_, HashMap<Address, Registration>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever is named by another node's device was looked at there.
fn may(user: UserId) -> Invitee {
    Invitee { user, allowed: Ok(()), elsewhere: Whereabouts::default() }
}

/// Who is there is said once: what of it is lost is said again. A node that comes back is told in
/// any case.
fn is_to_be_told_anew(wire: &Wire, error: SendError) -> bool {
    let is_lost = matches!(error, SendError::Full | SendError::Timeout);
    is_lost && matches!(wire, Wire::Presence { .. })
}

/// What a device of ours is told that said something in vain.
fn said(wire: Wire, error: SendError) -> Option<Undelivered> {
    let Wire::Say { from, request, message } = wire else { return None };
    // What is said over and over is said again.
    if matches!(message, ClientMessage::PathReport { .. } | ClientMessage::Applied { .. }) {
        return None;
    }
    let (code, detail) = match error {
        SendError::NodeGone => (ErrorCode::UnknownCall, "the server that had the call has gone"),
        SendError::TooLong => (ErrorCode::TooLong, "the message is too long for another server"),
        SendError::Timeout | SendError::Full => {
            (ErrorCode::Unavailable, "the server that has the call can't be reached at present")
        }
    };
    let mut refused = Refused::new(code, detail);
    refused.call = message.call().cloned();
    let leaves = matches!(message, ClientMessage::Leave { .. } | ClientMessage::HangUp { .. });
    Some(Undelivered { address: from, request, refused, leaves })
}

// === impl Board ===

impl Board {
    /// Hears what comes from other nodes. Never ends.
    pub async fn listen(&self, mut ears: Ears) {
        let mut health = self.outside.directory.health();
        loop {
            tokio::select! {
                Some(incoming) = ears.incoming.recv() => self.take_in(incoming).await,
                Some(Undelivered { address, request, refused, leaves }) = ears.undelivered.recv() => {
                    self.with(|hub, now| match leaves {
                        true => hub.left_unheard(&address, request, refused, now),
                        false => hub.undelivered(&address, request, refused, now),
                    });
                }
                Some(node) = ears.untold.recv() => {
                    self.with(|hub, now| hub.tell_anew(&node, now));
                }
                Ok(()) = health.changed() => {
                    if *health.borrow_and_update() == Health::Up {
                        self.with(|hub, now| hub.reconnected(now));
                        // Word of these may be lost.
                        let here = self.with(|hub, _| hub.users_here());
                        self.outside.looks().extend(here);
                        self.outside.look.notify_one();
                    }
                }
                else => return,
            }
        }
    }

    async fn take_in(&self, incoming: Incoming) {
        match incoming {
            Incoming::NodeHere(node) => self.with(|hub, now| hub.node_here(node, now)),
            Incoming::NodeGone(node) => self.with(|hub, now| hub.node_gone(&node, now)),
            Incoming::Message { from, body } => match Wire::read(&body) {
                Some(wire) => self.take_wire(from, wire).await,
                None => self.outside.not_followed("unreadable"),
            },
        }
    }

    async fn take_wire(&self, from: NodeId, wire: Wire) {
        let wanted = self.with(|hub, _| hub.wants_proof(&from, &wire));
        if let Some((call, address)) = wanted
            && let Some(card) = self.outside.card(&from, &address).await
        {
            self.with(|hub, _| hub.prove(&from, &call, &address, card));
        }
        match wire {
            Wire::Arrived { address, at } => match self.outside.card(&at, &address).await {
                Some(card) => self.with(|hub, now| hub.arrived(&from, &at, &address, card, now)),
                None => self.outside.not_followed(Fault::NotYours.name()),
            },
            Wire::Say {
                from: address,
                request,
                message: ClientMessage::Invite { call, users, media },
            } => {
                let mut invitees: Vec<Invitee> = users.into_vec().into_iter().map(may).collect();
                self.outside.find(&mut invitees).await;
                let invitation = Invitation { call, invitees, media };
                self.with(|hub, now| hub.invite_from(&from, address, request, invitation, now));
            }
            Wire::Notice { from: user, users, message } => {
                if self.outside.nodes_of(&user).await.contains(&from) {
                    self.with(|hub, now| hub.notice(&user, users.as_slice(), &message, now));
                } else {
                    self.outside.not_followed(Fault::NotYours.name());
                }
            }
            Wire::Look { users } => {
                let here = self.with(|hub, _| {
                    let mut users = users.into_vec();
                    users.retain(|user| !hub.devices_of(user).is_empty());
                    users
                });
                self.outside.looks().extend(here);
                self.outside.look.notify_one();
            }
            wire => self.with(|hub, now| hub.handle_wire(&from, wire, now)),
        }
    }
}
