//! Conversations by their users' names, calls' conversations, and what devices say they have.

use super::*;

fn call(name: &str) -> CallName {
    name.parse().unwrap()
}

#[tokio::test]
async fn each_user_has_a_name_of_their_own_for_a_conversation() {
    let world = World::new();
    let direct = world.direct("anna", "bert").await;
    let room = world.chat.gather(&call("c1"), vec![user("anna"), user("bert")]).await.unwrap();
    let places = world.chat.places(&user("anna"), vec![direct, room]).await.unwrap();
    assert_eq!(places[&direct], Place::Direct(user("bert")));
    assert_eq!(places[&room], Place::Call(call("c1")));
    for (who, place, expected) in [
        ("anna", Place::Direct(user("bert")), Some(direct)),
        ("bert", Place::Direct(user("anna")), Some(direct)),
        ("bert", Place::Call(call("c1")), Some(room)),
        ("carl", Place::Direct(user("bert")), None),
        ("carl", Place::Call(call("c1")), None),
        ("anna", Place::Call(call("c2")), None),
    ] {
        assert_eq!(world.chat.find(&user(who), &place).await.unwrap(), expected, "{who} {place:?}");
    }
}

#[tokio::test]
async fn a_calls_conversation_is_for_those_who_are_in_it_at_the_time() {
    let world = World::new();
    let gather = async |names: &[&str]| {
        let users = names.iter().map(|name| user(name)).collect();
        world.chat.gather(&call("c1"), users).await.unwrap()
    };
    let room = gather(&["anna", "bert"]).await;
    assert_eq!(world.send("anna", room, "one").await.tell, [user("anna"), user("bert")]);
    assert_eq!(gather(&["anna", "carl"]).await, room);
    assert_eq!(world.send("anna", room, "two").await.tell, [user("anna"), user("carl")]);
    let read = async |who: &str| {
        let page = world.chat.history(&user(who), room, None, 10).await.unwrap();
        page.messages.into_iter().map(|message| message.body).collect::<Vec<_>>()
    };
    assert_eq!(read("bert").await, ["one"]);
    assert_eq!(read("carl").await, ["two"]);
    assert_eq!(read("anna").await, ["two", "one"]);
    // After a start nobody is in a call, and direct conversations are what they were.
    let direct = world.direct("anna", "bert").await;
    world.chat.end_calls().await.unwrap();
    assert!(world.try_send("anna", room, "three", "three").await.is_err());
    world.send("anna", direct, "four").await;
}

#[tokio::test]
async fn what_a_device_has_it_says_once_and_of_its_own_conversations() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    let phone: DeviceId = "phone".parse().unwrap();
    world.chat.cursor(&user("bert"), &phone).await.unwrap();
    let sent = world.send("anna", room, "one").await;
    let has = async |who: &str, seq| {
        let delivered = world.chat.delivered_in(&user(who), &phone, room, seq).await;
        delivered.map(|news| news.map(|news| (news.seq, news.tell)))
    };
    // Not past the last that there is.
    assert_eq!(has("bert", i64::MAX).await.unwrap(), Some((1, vec![user("anna")])));
    assert_eq!(has("bert", 1).await.unwrap(), None);
    assert_eq!(has("bert", 0).await.unwrap(), None);
    assert!(matches!(has("mallory", 1).await, Err(ChatError::NotAMember)));
    let cursor = world.chat.cursor(&user("bert"), &phone).await.unwrap();
    assert_eq!(cursor, sent.message.id);
}
