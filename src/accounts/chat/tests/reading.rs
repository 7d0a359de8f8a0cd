//! Reading: receipts, search, and the bounds of texts.

use super::*;

#[tokio::test]
async fn receipts_move_forward_only_and_never_past_what_one_may_read() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    for n in 1..=3 {
        world.send("anna", room, &format!("m{n}")).await;
    }
    let read = async |who: &str, seq| {
        world.chat.mark_read(&user(who), room, seq, moment(5)).await.unwrap()
    };
    let unread = async || world.chat.conversations(&user("bert")).await.unwrap()[0].unread;
    assert_eq!(unread().await, 3);
    for (seq, expected) in
        [(2, Some(2)), (2, None), (1, None), (-5, None), (i64::MAX, Some(3)), (4, None)]
    {
        assert_eq!(read("bert", seq).await, expected, "{seq}");
    }
    assert_eq!(unread().await, 0);
    let receipts = world.chat.receipts(&user("anna"), room).await.unwrap();
    let at = moment(5).wall;
    assert_eq!(receipts, [Receipt { user: user("bert"), seq: 3, at }]);
    let listed = world.chat.conversations(&user("anna")).await.unwrap();
    assert_eq!((listed[0].peer.clone(), listed[0].unread), (user("bert"), 0));
    assert_eq!(listed[0].last.as_ref().unwrap().body, "m3");
}

#[tokio::test]
async fn words_are_found_whole_begun_and_without_their_accents() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    let other = world.direct("anna", "carl").await;
    for text in ["Wir sehen uns im Café", "the camera is broken", "cameras everywhere"] {
        world.try_send("anna", room, &text[..3], text).await.unwrap();
    }
    world.try_send("anna", other, "x1", "camera three").await.unwrap();
    for (room, text, expected) in [
        (None, "camera", vec!["camera three", "cameras everywhere", "the camera is broken"]),
        (Some(room), "camera", vec!["cameras everywhere", "the camera is broken"]),
        (None, "broken camera", vec!["the camera is broken"]),
        (None, "broken cameras", vec![]),
        (None, "CAFE", vec!["Wir sehen uns im Café"]),
        (None, "sehen caf", vec!["Wir sehen uns im Café"]),
        (None, "amera", vec![]),
        (None, "camera NOT broken", vec![]),
    ] {
        assert_eq!(world.search("anna", room, text).await, expected, "{room:?} {text}");
    }
    let query: Query = "camera".parse().unwrap();
    let first = world.chat.search(&user("anna"), None, query.clone(), None, 2).await.unwrap();
    assert_eq!(first.messages.len(), 2);
    let rest = world.chat.search(&user("anna"), None, query, first.before, 2).await.unwrap();
    assert_eq!(rest.messages[0].body, "the camera is broken");
    assert_eq!(rest.before, None);
}

#[test]
fn what_is_written_and_looked_for_is_bounded() {
    let (longest, too_long) = ("ä".repeat(4000), "ä".repeat(4001));
    for (text, expected) in [
        ("a\n\tb", true),
        (longest.as_str(), true),
        (too_long.as_str(), false),
        (" \n ", false),
        ("", false),
        ("a\0b", false),
        ("a\u{1b}[2J", false),
    ] {
        assert_eq!(text.parse::<Body>().is_ok(), expected, "{:.20}", text);
    }
    let word = "x".repeat(65);
    for (text, expected) in [
        ("a b c d e f g h", true),
        ("a b c d e f g h i", false),
        (word.as_str(), false),
        ("!? --", false),
        ("", false),
        ("\"*(:^", false),
    ] {
        assert_eq!(text.parse::<Query>().is_ok(), expected, "{text}");
    }
}
