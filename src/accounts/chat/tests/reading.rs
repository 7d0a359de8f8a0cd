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

#[tokio::test]
async fn what_others_write_are_other_words_to_the_index_whatever_they_are_made_of() {
    let world = World::new();
    let hers = world.direct("anna", "bert").await;
    let theirs = world.direct("carl", "dora").await;
    // Marks part words to an index that is left to itself, and what is after one stood alone.
    for (n, text) in
        ["camera r", "हिन्दी a\u{93f}r ⓐb 1\u{200d}c", "re\u{301}sume\u{301}"].iter().enumerate()
    {
        world.try_send("anna", hers, &format!("a{n}"), text).await.unwrap();
        world.try_send("carl", theirs, &format!("c{n}"), text).await.unwrap();
    }
    let read = move |c: &rusqlite::Connection| {
        c.execute_batch(
            "CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, messages_text, row)",
        )?;
        let mut terms = c.prepare("SELECT term FROM temp.terms")?;
        let terms = terms.query_map((), |row| row.get::<_, String>(0))?;
        Ok::<_, DatabaseError>(terms.collect::<Result<Vec<_>, _>>()?)
    };
    let database = &world.chat.database;
    let terms = database.write(read).await.unwrap();
    assert!(terms.len() > 12, "{terms:?}");
    for term in &terms {
        let of = |room: ConversationId| term.starts_with(&format!("r{}x", room.0));
        assert!(of(hers) || of(theirs), "{term} is in everybody's way");
    }
    for text in ["camera", "हिन्दी", "resume", "c"] {
        let found = world.search("anna", None, text).await.len();
        let is_begun = ["camera", "c"].contains(&text);
        assert!(found == 1 || is_begun && found == 2, "{text}: {found}");
    }
}

#[tokio::test]
async fn with_many_conversations_those_with_users_are_searched_before_old_calls() {
    let world = World::new();
    let direct = world.direct("anna", "bert").await;
    world.send("anna", direct, "needle").await;
    let first = world.chat.enter_call(&call("c0"), &user("anna")).await.unwrap();
    world.try_send("anna", first, "x1", "needle old").await.unwrap();
    for n in 1..510 {
        world.chat.enter_call(&call(&format!("c{n}")), &user("anna")).await.unwrap();
    }
    assert_eq!(world.search("anna", None, "needle").await, ["needle"]);
    assert_eq!(world.search("anna", Some(first), "needle").await, ["needle old"]);
    let words = "needle needle needle needle needle needle needle needle";
    assert_eq!(world.search("anna", None, words).await, ["needle"]);
}

#[tokio::test]
async fn searches_wait_for_each_other_and_nobody_else_does() {
    let world = World::new();
    let room = world.direct("anna", "bert").await;
    let under_way = world.chat.searches.clone().acquire_many_owned(2).await.unwrap();
    let (chat, query) = (world.chat.clone(), "camera".parse().unwrap());
    let search =
        tokio::spawn(async move { chat.search(&user("anna"), None, query, None, 1).await });
    for _ in 0..10 {
        assert!(world.chat.history(&user("anna"), room, None, 1).await.is_ok());
    }
    assert!(!search.is_finished());
    drop(under_way);
    assert!(search.await.unwrap().is_ok());
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
