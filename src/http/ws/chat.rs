//! Chat over a socket. What it means is decided where chat is kept (`people/chat`); here what
//! follows is done, for devices here and on other nodes.

use std::time::Duration;

use super::socket::Connection;
use crate::calls::hub::{Hub, Origin, Refused, hello_first};
use crate::calls::messages::{ClientMessage, Conversation, ErrorCode};
use crate::http::people::{Outcome, Said, Told, Trouble};

/// What a receipt, a notice or a look back costs of what a user may write.
const ASIDE: f64 = 0.2;
/// What a search costs of it.
const SEARCH: f64 = 2.0;
/// After the database, or a question to whoever has it, failed.
const RETRY: Duration = Duration::from_secs(5);

// === impl Connection ===

impl Connection {
    /// A message whose name begins with `chat_`.
    pub(super) async fn chat(&self, origin: Origin, message: ClientMessage) {
        if let Err(refused) = self.take_chat(origin, message).await {
            self.state.people.metrics.chat_refusals.inc();
            self.refuse(origin.request, refused);
        }
    }

    async fn take_chat(&self, origin: Origin, message: ClientMessage) -> Result<(), Refused> {
        let people = &self.state.people;
        let Some(from) = self.board.with(|hub, _| hub.address_of(self.id)) else {
            return Err(hello_first());
        };
        if !people.keeps_chat() {
            return Err(Refused::new(ErrorCode::Unavailable, "this server keeps no chat"));
        }
        let cost = match message {
            ClientMessage::ChatSend { .. } => 1.0,
            ClientMessage::ChatSearch { .. } => SEARCH,
            _ => ASIDE,
        };
        people.take_writing(&from.user, cost)?;
        let in_call = match message.conversation() {
            Some(Conversation::Call(call)) => {
                self.board.with(|hub, _| hub.people_in(call, &from.user))
            }
            _ => None,
        };
        let user = from.user.clone();
        let outcome = people.chat(Said { from, people: in_call, message }).await?;
        let Outcome { replies, told, nudged } = outcome;
        self.board.with(|hub, now| {
            let mut origin = origin;
            for reply in replies {
                hub.reply(origin, reply, now);
                origin.request = None;
            }
            for Told { users, but, message } in &told {
                users.iter().for_each(|user| hub.tell(user, but.as_ref(), message));
            }
            nudged.iter().for_each(|user| hub.nudge_chat(user));
        });
        self.board.outside.nudge(nudged).await;
        for Told { users, message, .. } in told {
            self.board.outside.notice(&user, users, message).await;
        }
        Ok(())
    }

    /// Hands the device what there is for it and wasn't handed over before.
    pub(super) async fn deliver_chat(&self) {
        if !self.state.people.keeps_chat() {
            return;
        }
        match self.hand_over().await {
            Ok(()) => {}
            // Once those who keep it are back, everybody looks.
            Err(Trouble::Away(_)) if !self.state.people.can_ask() => {}
            Err(error) => {
                // A question that wasn't answered was counted where it was asked.
                if !matches!(error, Trouble::Away(_)) {
                    self.state.people.count(&error);
                }
                let bell = self.board.bell(self.id);
                tokio::spawn(async move {
                    tokio::time::sleep(RETRY).await;
                    bell.chat.notify_one();
                });
            }
        }
    }

    async fn hand_over(&self) -> Result<(), Trouble> {
        while let Some(turn) = self.board.with(|hub, _| hub.chat_turn(self.id)) {
            let page = self.state.people.undelivered(&turn.address, turn.after).await?;
            let count = page.messages.len();
            let push =
                |hub: &mut Hub, now| hub.push_chat(self.id, &turn, page.messages, page.upto, now);
            if !self.board.with(push) {
                return Ok(());
            }
            self.state.people.metrics.chat_delivered.inc_by(count as u64);
            if !page.full {
                return Ok(());
            }
        }
        Ok(())
    }
}
