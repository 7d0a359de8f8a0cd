//! Chat as devices meet it.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::*;
use crate::accounts::Moment;
use crate::identity::{DeviceId, UserId};

mod places;
mod reading;

struct World {
    folder: tempfile::TempDir,
    chat: Chat,
}

impl World {
    /// Everyone may write to everyone.
    fn new() -> Self {
        Self::reaching(Reach::Anyone)
    }

    fn reaching(reach: Reach) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(&folder.path().join("accounts.db")).unwrap();
        Self { folder, chat: Chat::new(database, reach) }
    }

    async fn direct(&self, one: &str, other: &str) -> ConversationId {
        self.chat.open_direct(&user(one), &user(other)).await.unwrap()
    }

    /// From the user's first device.
    async fn send(&self, who: &str, room: ConversationId, text: &str) -> Sent {
        self.try_send(who, room, text, text).await.unwrap()
    }

    async fn try_send(
        &self,
        who: &str,
        room: ConversationId,
        client_id: &str,
        text: &str,
    ) -> Result<Sent, ChatError> {
        let (user, device) = (user(who), device(who, 1));
        let (client_id, body) = (client_id.parse()?, text.parse()?);
        self.chat.send((&user, &device), room, client_id, body, moment(0)).await
    }

    async fn search(&self, who: &str, room: Option<ConversationId>, text: &str) -> Vec<String> {
        let query = text.parse().unwrap();
        let found = self.chat.search(&user(who), room, query, None, 100).await.unwrap();
        found.messages.into_iter().map(|message| message.body).collect()
    }

    async fn history(&self, who: &str, room: ConversationId) -> Vec<String> {
        let page = self.chat.history(&user(who), room, None, 100).await.unwrap();
        page.messages.into_iter().map(|message| message.body).rev().collect()
    }
}

/// A device whose socket drops now and then.
struct Phone<'a> {
    world: &'a World,
    user: UserId,
    device: DeviceId,
    got: Vec<String>,
    last: MessageId,
}

impl<'a> Phone<'a> {
    async fn new(world: &'a World, who: &str, n: u32) -> Self {
        let (user, device) = (user(who), device(who, n));
        let last = world.chat.cursor(&user, &device).await.unwrap();
        Self { world, user, device, got: Vec::new(), last }
    }

    /// Connects, takes so many messages and is gone; says that it has them or doesn't get to it.
    async fn connect(&mut self, most: u32, acknowledges: bool) -> usize {
        let chat = &self.world.chat;
        let cursor = chat.cursor(&self.user, &self.device).await.unwrap();
        let next = chat.undelivered(&self.user, &self.device, cursor, most).await.unwrap();
        let taken = next.messages.len();
        for message in next.messages {
            // What a client does with what it has already.
            if message.id > self.last {
                self.last = message.id;
                self.got.push(message.body);
            }
        }
        if acknowledges {
            chat.delivered(&self.user, &self.device, self.last).await.unwrap();
        }
        taken
    }
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn device(name: &str, n: u32) -> DeviceId {
    format!("{name}-{n}").parse().unwrap()
}

fn moment(seconds: u64) -> Moment {
    Moment { now: Instant::now(), wall: UNIX_EPOCH + Duration::from_secs(1000 + seconds) }
}

fn call(name: &str) -> CallName {
    name.parse().unwrap()
}

fn is_kept_out<T: std::fmt::Debug>(outcome: Result<T, ChatError>) {
    assert!(matches!(outcome, Err(ChatError::NotAMember)), "{outcome:?}");
}

#[tokio::test]
async fn each_device_gets_each_message_once_and_in_order_however_often_sockets_drop() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    world.send("anna", room, "before").await;
    let mut phone = Phone::new(&world, "bert", 1).await;
    let mut tablet = Phone::new(&world, "bert", 2).await;
    let mut own = Phone::new(&world, "anna", 1).await;
    let mut others = Phone::new(&world, "anna", 2).await;
    let mut sent = Vec::new();
    for n in 0..30 {
        let text = format!("m{n}");
        world.send("anna", room, &text).await;
        sent.push(text);
        // A pattern of drops: before anything came, after it came and before it was acknowledged.
        phone.connect(n % 4, n % 3 == 0).await;
        tablet.connect(2, n % 2 == 0).await;
    }
    while phone.connect(7, true).await > 0 {}
    while tablet.connect(100, true).await > 0 {}
    while others.connect(100, true).await > 0 {}
    assert_eq!(phone.got, sent);
    assert_eq!(tablet.got, sent);
    assert_eq!(others.got, sent, "the sender's other devices get it, too");
    assert_eq!(own.connect(100, true).await, 0, "the device that sent it has it");
}

#[tokio::test]
async fn a_cursor_moves_forward_only_and_not_past_what_there_is() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    let (bert, phone) = (user("bert"), device("bert", 1));
    let cursor = async || world.chat.cursor(&bert, &phone).await.unwrap();
    let start = cursor().await;
    let first = world.send("anna", room, "m1").await.message.id;
    let second = world.send("anna", room, "m2").await.message.id;
    for (told, expected) in
        [(first, first), (start, first), (MessageId(i64::MAX), second), (first, second)]
    {
        world.chat.delivered(&bert, &phone, told).await.unwrap();
        assert_eq!(cursor().await, expected, "{told:?}");
    }
    world.send("anna", room, "m3").await;
    let next = world.chat.undelivered(&bert, &phone, second, 10).await.unwrap();
    assert_eq!(next.messages.len(), 1);
}

#[tokio::test]
async fn what_a_device_sent_itself_is_looked_at_once() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    let (anna, phone) = (user("anna"), device("anna", 1));
    let start = world.chat.cursor(&anna, &phone).await.unwrap();
    let mut last = start;
    for n in 0..25 {
        last = world.send("anna", room, &format!("m{n}")).await.message.id;
    }
    let look = async |after| world.chat.undelivered(&anna, &phone, after, 10).await.unwrap();
    let (mut at, mut looks) = (start, 0);
    loop {
        let Undelivered { messages, up_to, more } = look(at).await;
        assert!(messages.is_empty(), "{messages:?}");
        (at, looks) = (up_to, looks + 1);
        if !more {
            break;
        }
    }
    assert_eq!((looks, at), (3, last));
    assert_eq!(look(at).await.up_to, last, "nothing is looked at again");
    let his = world.try_send("bert", room, "x1", "hello").await.unwrap().message;
    assert_eq!(look(at).await.messages, [his]);
}

#[tokio::test]
async fn cursors_are_bounded_and_the_furthest_behind_goes() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    for n in 1..=MAX_CURSORS {
        world.chat.cursor(&user("bert"), &device("bert", n)).await.unwrap();
        world.send("anna", room, &format!("m{n}")).await;
    }
    let new = world.chat.cursor(&user("bert"), &device("bert", 99)).await.unwrap();
    let first = world.chat.cursor(&user("bert"), &device("bert", 2)).await.unwrap();
    assert!(first < new);
    let gone = world.chat.cursor(&user("bert"), &device("bert", 1)).await.unwrap();
    assert_eq!(gone, new, "it begins anew");
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_the_same_one() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    let other_room = world.direct("anna", "carl").await;
    let first = world.try_send("anna", room, "x1", "hello").await.unwrap();
    assert_eq!(first.tell, [user("anna"), user("bert")]);
    let again = world.try_send("anna", room, "x1", "hello").await.unwrap();
    assert_eq!(again.message, first.message);
    assert!(again.tell.is_empty());
    for (room, text) in [(room, "hullo"), (other_room, "hello")] {
        let used = world.try_send("anna", room, "x1", text).await;
        assert!(matches!(used, Err(ChatError::ClientIdUsed)), "{used:?}");
    }
    let his = world.try_send("bert", room, "x1", "hello").await.unwrap();
    assert_ne!(his.message.id, first.message.id, "ids are each device's own");
    assert_eq!(world.history("bert", room).await, ["hello", "hello"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_write_at_once_get_places_in_one_order_without_gaps() {
    let world = Arc::new(World::new());
    let room = world.direct("anna", "bert").await;
    // A second process with the same file.
    let database = Database::open(&world.folder.path().join("accounts.db")).unwrap();
    let elsewhere = Chat::new(database, Reach::Anyone);
    let mut tasks = Vec::new();
    for n in 0..100 {
        let chat = if n % 2 == 0 { world.chat.clone() } else { elsewhere.clone() };
        tasks.push(tokio::spawn(async move {
            let who = if n % 3 == 0 { "anna" } else { "bert" };
            let (user, device) = (user(who), device(who, 1));
            let (id, body) = (format!("x{n}").parse().unwrap(), format!("m{n}").parse().unwrap());
            chat.send((&user, &device), room, id, body, moment(0)).await.unwrap().message
        }));
    }
    let mut sent = Vec::new();
    for task in tasks {
        sent.push(task.await.unwrap());
    }
    sent.sort_by_key(|message| message.seq);
    let places: Vec<i64> = sent.iter().map(|message| message.seq).collect();
    assert_eq!(places, (1..=100).collect::<Vec<_>>());
    assert!(sent.is_sorted_by_key(|message| message.id), "both orders agree");
    let bodies: Vec<String> = sent.into_iter().map(|message| message.body).collect();
    assert_eq!(world.history("anna", room).await, bodies);
    assert_eq!(world.history("bert", room).await, bodies);
}

#[tokio::test]
async fn history_comes_in_pages_that_neither_repeat_nor_miss() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    for n in 1..=25 {
        world.send("anna", room, &format!("m{n}")).await;
    }
    let (mut before, mut pages, mut seen) = (None, Vec::new(), Vec::new());
    loop {
        let page = world.chat.history(&user("bert"), room, before, 10).await.unwrap();
        pages.push(page.messages.len());
        seen.extend(page.messages.into_iter().map(|message| message.seq));
        // What is written meanwhile doesn't shift the pages.
        world.send("anna", room, &format!("late{}", pages.len())).await;
        let Some(next) = page.before else { break };
        before = Some(next);
    }
    assert_eq!(pages, [10, 10, 5]);
    assert_eq!(seen, (1..=25).rev().collect::<Vec<_>>());
    let page = world.chat.history(&user("bert"), room, None, u32::MAX).await.unwrap();
    assert!(page.messages.len() <= MAX_PAGE as usize);
}

#[tokio::test]
async fn nobody_outside_reads_searches_writes_or_is_told_anything() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    world.send("anna", room, "secret").await;
    let mallory = user("mallory");
    let phone = device("mallory", 1);
    for room in [room, ConversationId(room.0 + 1000)] {
        is_kept_out(world.chat.history(&mallory, room, None, 10).await);
        is_kept_out(world.chat.members(&mallory, room).await);
        is_kept_out(world.chat.receipts(&mallory, room).await);
        is_kept_out(world.chat.mark_read(&mallory, room, 1, moment(0)).await);
        is_kept_out(world.try_send("mallory", room, "x1", "hello").await);
        let query = "secret".parse().unwrap();
        is_kept_out(world.chat.search(&mallory, Some(room), query, None, 10).await);
    }
    let nothing = world.chat.undelivered(&mallory, &phone, MessageId(0), 100).await.unwrap();
    assert!(nothing.messages.is_empty());
    assert!(world.search("mallory", None, "secret").await.is_empty());
    // Not even with a conversation of their own to stand in, nor by the index's own words.
    let own = world.direct("mallory", "carl").await;
    world.send("mallory", own, "mine").await;
    for text in
        ["secret", "room", "room1", "body secret", "secret) OR body : (secret", "\"secret\""]
    {
        assert!(world.search("mallory", None, text).await.is_empty(), "{text}");
    }
    assert_eq!(world.search("mallory", None, "mine").await, ["mine"]);
    assert!(world.chat.conversations(&mallory).await.unwrap().len() == 1);
}

#[tokio::test]
async fn in_a_call_one_reads_what_was_written_while_one_was_there() {
    let world = World::new();
    let enter = async |who: &str| world.chat.enter_call(&call("c1"), &user(who)).await.unwrap();
    let leave = async |who: &str| world.chat.leave_call(&call("c1"), &user(who)).await.unwrap();
    let room = enter("anna").await;
    assert_eq!(enter("bert").await, room);
    let mut phone = Phone::new(&world, "carl", 1).await;
    world.send("anna", room, "without").await;
    enter("carl").await;
    enter("carl").await;
    world.send("anna", room, "first").await;
    leave("carl").await;
    world.send("anna", room, "behind").await;
    is_kept_out(world.try_send("carl", room, "x1", "hello").await);
    assert_eq!(world.history("carl", room).await, ["first"]);
    enter("carl").await;
    // Out and in again with nothing written between is no new stay.
    leave("carl").await;
    enter("carl").await;
    world.send("bert", room, "second").await;
    assert_eq!(world.history("carl", room).await, ["first", "second"]);
    assert_eq!(world.history("bert", room).await.len(), 4);
    for (text, expected) in [("without", 0), ("behind", 0), ("first", 1), ("second", 1)] {
        assert_eq!(world.search("carl", None, text).await.len(), expected, "{text}");
        assert_eq!(world.search("carl", Some(room), text).await.len(), expected, "{text}");
    }
    while phone.connect(10, true).await > 0 {}
    assert_eq!(phone.got, ["first", "second"]);
    world.chat.end_call(&call("c1")).await.unwrap();
    is_kept_out(world.try_send("anna", room, "x1", "after").await);
    assert_eq!(world.history("anna", room).await.len(), 4, "what was read stays");
    let stays = "SELECT count(*) FROM stays WHERE user = 'carl'";
    let count: Result<i64, DatabaseError> =
        world.chat.database.read(move |c| Ok(c.query_row(stays, (), |row| row.get(0))?)).await;
    assert_eq!(count.unwrap(), 2);
}

#[tokio::test]
async fn what_was_written_before_one_left_is_delivered_afterwards() {
    let world = World::new();
    let room = world.chat.enter_call(&call("c1"), &user("anna")).await.unwrap();
    world.chat.enter_call(&call("c1"), &user("bert")).await.unwrap();
    let mut phone = Phone::new(&world, "bert", 1).await;
    world.send("anna", room, "bye").await;
    world.chat.end_call(&call("c1")).await.unwrap();
    while phone.connect(10, true).await > 0 {}
    assert_eq!(phone.got, ["bye"]);
}

#[tokio::test]
async fn without_being_contacts_users_do_not_write_to_each_other() {
    let world = World::reaching(Reach::Contacts);
    let ids = |sql: &'static str| {
        world.chat.database.write(move |c| Ok::<_, DatabaseError>(c.execute_batch(sql)?))
    };
    ids("INSERT INTO users VALUES ('anna', 'anna', '', '', 0, NULL), ('bert', 'bert', '', '', 0, NULL)")
        .await
        .unwrap();
    let open = async || world.chat.open_direct(&user("anna"), &user("bert")).await;
    let refused = open().await;
    assert!(matches!(refused, Err(ChatError::MayNotWrite(ContactError::NotContacts))));
    ids("INSERT INTO contacts VALUES ('anna', 'bert', 0), ('bert', 'anna', 0)").await.unwrap();
    let room = open().await.unwrap();
    world.send("anna", room, "hello").await;
    ids("INSERT INTO blocks VALUES ('bert', 'anna', 0)").await.unwrap();
    let refused = world.try_send("anna", room, "x1", "hello?").await;
    assert!(matches!(refused, Err(ChatError::MayNotWrite(ContactError::BlockedByThem))));
    assert_eq!(world.history("anna", room).await, ["hello"]);
    let me = world.chat.open_direct(&user("anna"), &user("anna")).await;
    assert!(matches!(me, Err(ChatError::Yourself)));
}
