//! Chat over real web sockets: in order and once on every device, and for nobody else.

use serde_json::{Value, json};

use crate::device::{Device, media};
use crate::person::{Person, open};
use crate::support::Server;

fn with(person: &Person) -> Value {
    json!({"user": person.id})
}

fn send(conversation: &Value, id: &str, text: &str) -> Value {
    json!({"type": "chat_send", "conversation": conversation, "id": id, "text": text})
}

/// The next message: what was written, and its place.
async fn written(device: &mut Device) -> (String, u64) {
    let heard = device.expect("chat_message").await;
    let message = &heard["message"];
    (message["text"].as_str().unwrap().to_owned(), message["order"].as_u64().unwrap())
}

fn texts(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["message"]["text"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_contacts_write_reaches_all_devices_of_both_in_order_and_once() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let annas_phone = Person::on_another_device(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    anna.befriend(&server, &bert).await;
    let mut a = anna.connect(&server).await;
    let mut phone = annas_phone.connect(&server).await;
    let mut b = bert.connect(&server).await;
    // Both write at once, so that their order is what the server says.
    for at in 0..10 {
        a.say(send(&with(&bert), &format!("a{at}"), &format!("from anna {at}"))).await;
        b.say(send(&with(&anna), &format!("b{at}"), &format!("from bert {at}"))).await;
    }
    let mut of_phone = Vec::new();
    for _ in 0..20 {
        of_phone.push(written(&mut phone).await);
    }
    let orders: Vec<u64> = of_phone.iter().map(|(_, order)| *order).collect();
    assert_eq!(orders, (1..=20).collect::<Vec<u64>>());
    for (device, other) in [(&mut a, "bert"), (&mut b, "anna")] {
        let mut last = 0;
        for at in 0..10 {
            let (text, order) = written(device).await;
            assert_eq!(text, format!("from {other} {at}"));
            assert!(order > last, "{order} after {last}");
            last = order;
        }
    }
    // Sent again, it is the same message, and nobody hears of it twice.
    let mut again = send(&with(&bert), "a9", "from anna 9");
    again["request"] = 3.into();
    a.say(again).await;
    let stored = loop {
        let stored = a.expect("chat_stored").await;
        if stored["request"] == 3 {
            break stored;
        }
    };
    let place = of_phone.iter().find(|(text, _)| text == "from anna 9").unwrap().1;
    assert_eq!(stored["order"], place);
    assert_eq!(a.refused(send(&with(&bert), "a9", "something else")).await, "id_used");
    a.say(send(&with(&bert), "a10", "the last")).await;
    assert_eq!(written(&mut b).await, ("the last".to_owned(), 21));
    let series = "stentor_chat_messages_total{kind=\"direct\"}";
    assert_eq!(server.metric(series).await, 21.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_away_gets_what_it_missed_and_receipts_come_back() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    anna.befriend(&server, &bert).await;
    let mut a = anna.connect(&server).await;
    let mut b = bert.connect(&server).await;
    a.say(send(&with(&bert), "1", "one")).await;
    assert_eq!(written(&mut b).await.0, "one");
    let delivered =
        |order| json!({"type": "chat_delivered", "conversation": with(&anna), "order": order});
    b.say(delivered(1)).await;
    let told = a.expect("chat_delivered").await;
    assert_eq!((&told["user"], &told["order"]), (&json!(bert.id), &json!(1)));
    b.leave().await;
    for at in 2..=50 {
        a.say(send(&with(&bert), &at.to_string(), &format!("number {at}"))).await;
        // The flood's bound is for people: this one waits for each.
        loop {
            let heard = a.hear().await;
            match heard["type"].as_str().unwrap() {
                "chat_stored" => break,
                "error" => {
                    assert_eq!(heard["code"], "too_many_requests");
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    let again = send(&with(&bert), &at.to_string(), &format!("number {at}"));
                    a.say(again).await;
                }
                _ => {}
            }
        }
    }
    let mut b = bert.connect(&server).await;
    for at in 2..=50 {
        assert_eq!(written(&mut b).await, (format!("number {at}"), at));
    }
    // What wasn't said to have arrived comes again in another session; what was doesn't.
    b.say(delivered(30)).await;
    while a.expect("chat_delivered").await["order"] != 30 {}
    b.leave().await;
    let mut b = bert.connect(&server).await;
    assert_eq!(written(&mut b).await.1, 31);
    let read = json!({"type": "chat_read", "conversation": with(&anna), "order": 50});
    b.say(read).await;
    let told = a.expect("chat_read").await;
    assert_eq!((&told["user"], &told["order"]), (&json!(bert.id), &json!(50)));
    assert_eq!(told["conversation"], with(&bert));
    let typing = json!({"type": "chat_typing", "conversation": with(&anna), "typing": true});
    b.say(typing).await;
    assert_eq!(a.expect("chat_typing").await["conversation"], with(&bert));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_goes_back_page_by_page_and_search_finds_words() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    anna.befriend(&server, &bert).await;
    let mut a = anna.connect(&server).await;
    for at in 1..=5 {
        a.say(send(&with(&bert), &at.to_string(), &format!("Grüße Nummer {at}"))).await;
        a.expect("chat_stored").await;
    }
    let mut b = bert.connect(&server).await;
    let mut history = json!({
        "type": "chat_history", "conversation": with(&anna), "limit": 2, "request": 1,
    });
    let mut found: Vec<String> = Vec::new();
    loop {
        b.say(history.clone()).await;
        let page = b.expect("chat_page").await;
        assert_eq!(page["request"], 1);
        found.extend(texts(&page).into_iter().map(str::to_owned));
        if page.get("next").is_none() {
            break;
        }
        history["before"] = page["next"].clone();
    }
    let expected: Vec<String> = (1..=5).rev().map(|at| format!("Grüße Nummer {at}")).collect();
    assert_eq!(found, expected);
    let search = |query: &str, before: Option<&Value>| {
        let mut search = json!({"type": "chat_search", "query": query, "limit": 3});
        if let Some(before) = before {
            search["before"] = before.clone();
        }
        search
    };
    b.say(search("grusse", None)).await;
    let page = b.expect("chat_page").await;
    assert_eq!(texts(&page), [""; 0], "ß is no s");
    b.say(search("Gruß", None)).await;
    b.expect("chat_page").await;
    b.say(search("nummer", None)).await;
    let page = b.expect("chat_page").await;
    assert_eq!(texts(&page), ["Grüße Nummer 5", "Grüße Nummer 4", "Grüße Nummer 3"]);
    assert_eq!(page["entries"][0]["conversation"], with(&anna));
    b.say(search("nummer", Some(&page["next"]))).await;
    let page = b.expect("chat_page").await;
    assert_eq!(texts(&page), ["Grüße Nummer 2", "Grüße Nummer 1"]);
    assert_eq!(b.refused(search("", None)).await, "invalid");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_or_writes_where_they_are_not() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    let mallory = Person::new(&server, "mallory").await;
    anna.befriend(&server, &bert).await;
    let mut a = anna.connect(&server).await;
    let mut b = bert.connect(&server).await;
    let mut m = mallory.connect(&server).await;
    a.say(send(&with(&bert), "1", "a secret")).await;
    a.expect("chat_stored").await;
    let invite = json!({"type": "invite", "users": [bert.id], "media": media()});
    a.say(invite).await;
    let call = json!({"call": a.expect("call").await["call"]});
    let about = |kind: &str, conversation: &Value| {
        let mut message = json!({"type": kind, "conversation": conversation});
        match kind {
            "chat_history" => message["limit"] = 10.into(),
            "chat_typing" => message["typing"] = true.into(),
            _ => message["order"] = 1.into(),
        }
        message
    };
    for conversation in [&call, &json!({"call": "c-none"})] {
        for kind in ["chat_history", "chat_typing", "chat_read", "chat_delivered"] {
            let refused = m.refused(about(kind, conversation)).await;
            assert_eq!(refused, "unknown_conversation", "{kind} {conversation}");
        }
        let refused = m.refused(send(conversation, "1", "hello?")).await;
        assert_eq!(refused, "unknown_conversation");
    }
    assert_eq!(m.refused(send(&with(&anna), "2", "hello?")).await, "not_contacts");
    assert_eq!(m.refused(about("chat_typing", &with(&anna))).await, "not_contacts");
    assert_eq!(m.refused(send(&with(&mallory), "3", "hello?")).await, "yourself");
    assert_eq!(m.refused(send(&json!({"user": "u-none"}), "4", "?")).await, "not_contacts");
    // Of her own conversation with someone, there is nothing to see.
    m.say(about("chat_history", &with(&anna))).await;
    assert_eq!(texts(&m.expect("chat_page").await), [""; 0]);
    m.say(json!({"type": "chat_search", "query": "secret", "limit": 10})).await;
    assert_eq!(texts(&m.expect("chat_page").await), [""; 0]);
    for (text, code) in [("", "invalid"), (" \n ", "invalid"), ("a\u{0}b", "invalid")] {
        assert_eq!(a.refused(send(&with(&bert), "5", text)).await, code, "{text:?}");
    }
    // Blocked, the one writes to the other no more, and what was written stays.
    assert_eq!(b.refused(send(&with(&bert), "6", "me")).await, "yourself");
    let block = format!("/blocks/{}", anna.id);
    assert_eq!(bert.put(&server, &block, None).await.status(), 204);
    assert_eq!(a.refused(send(&with(&bert), "7", "hello?")).await, "blocked_by_callee");
    assert_eq!(b.refused(send(&with(&anna), "8", "hello?")).await, "blocked_by_caller");
    b.say(about("chat_history", &with(&anna))).await;
    assert_eq!(texts(&b.expect("chat_page").await), ["a secret"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_a_call_is_for_those_in_it_while_they_are() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    let carl = Person::new(&server, "carl").await;
    anna.befriend(&server, &bert).await;
    anna.befriend(&server, &carl).await;
    let mut a = anna.connect(&server).await;
    let mut b = bert.connect(&server).await;
    let mut c = carl.connect(&server).await;
    let users = json!([bert.id, carl.id]);
    a.say(json!({"type": "invite", "users": users, "media": media()})).await;
    let id = a.expect("call").await["call"].clone();
    let call = json!({"call": id});
    b.expect("ring").await;
    c.expect("ring").await;
    // One who is rung isn't in it yet.
    assert_eq!(b.refused(send(&call, "0", "hello?")).await, "unknown_conversation");
    let accept = json!({"type": "accept", "call": id, "media": media()});
    b.say(accept.clone()).await;
    b.expect("call").await;
    a.say(send(&call, "1", "for bert")).await;
    assert_eq!(written(&mut b).await, ("for bert".to_owned(), 1));
    c.say(accept).await;
    c.expect("call").await;
    // Bert and Carl are no contacts: the call is what they have in common.
    b.say(send(&call, "2", "for both")).await;
    assert_eq!(written(&mut a).await, ("for both".to_owned(), 2));
    assert_eq!(written(&mut c).await, ("for both".to_owned(), 2));
    c.say(json!({"type": "leave", "call": id})).await;
    c.expect("left").await;
    a.say(send(&call, "3", "without carl")).await;
    assert_eq!(written(&mut b).await, ("without carl".to_owned(), 3));
    assert_eq!(c.refused(send(&call, "4", "still here?")).await, "unknown_conversation");
    c.say(json!({"type": "chat_history", "conversation": call, "limit": 10})).await;
    assert_eq!(texts(&c.expect("chat_page").await), ["for both"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_chat_is_refused_and_the_socket_stays() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let bert = Person::new(&server, "bert").await;
    anna.befriend(&server, &bert).await;
    let mut a = anna.connect(&server).await;
    for at in 0..80 {
        a.say(send(&with(&bert), &at.to_string(), "spam")).await;
    }
    assert_eq!(a.error().await, "too_many_requests");
    a.say(json!({"type": "ping", "request": 1})).await;
    a.hear_of("pong").await;
    assert!(server.metric("stentor_chat_refusals_total").await > 0.0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_searches_waits() {
    let server = Server::with(open).await;
    let anna = Person::new(&server, "anna").await;
    let mut a = anna.connect(&server).await;
    let search = json!({"type": "chat_search", "query": "hello", "limit": 10});
    let mut pages = 0;
    loop {
        a.say(search.clone()).await;
        let heard = a.hear().await;
        if heard["type"] == "error" {
            assert_eq!(heard["code"], "too_many_requests");
            break;
        }
        assert_eq!(heard["type"], "chat_page");
        pages += 1;
        assert!(pages < 100, "no end");
    }
    // Writing costs less.
    assert!((20..40).contains(&pages), "{pages}");
    server.stop().await;
}
