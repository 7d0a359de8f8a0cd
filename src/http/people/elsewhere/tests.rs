//! The accounts of another node, by a pretended one.

use std::path::Path;

use prometheus::Registry;
use stentor_protocol::units::Secret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const GREETING: &str = r#"{"key":null,"features":[]}"#;

fn user() -> Question {
    Question::Around { user: "anna".parse().unwrap() }
}

fn body(status: &str, body: &str) -> &'static str {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).leak()
}

/// Answers greetings, and what else is asked by this; None: not at all.
async fn node(answer: Option<&'static str>) -> AccountsElsewhere {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answer));
        }
    });
    let (secret, timeout) =
        (Secret("sixteen bytes or more".to_owned()), Duration::from_millis(500));
    let line = Line::new(&url, "/ask", &secret, Path::new("/none"), timeout).unwrap();
    let metrics = AccountMetrics::register(&Registry::new()).unwrap();
    let node = AccountsElsewhere::new(line, Arc::default(), None, metrics);
    node.greet().await;
    assert!(node.is_up());
    node
}

async fn serve(mut stream: TcpStream, answer: Option<&'static str>) {
    let mut got = Vec::new();
    // Questions end as JSON does; what comes before has no brace.
    while stream.read_buf(&mut got).await.is_ok_and(|count| count > 0) {
        let text = String::from_utf8(got.clone()).unwrap();
        let Some((_, asked)) = text.split_once("\r\n\r\n") else { continue };
        if asked.matches('{').count() != asked.matches('}').count() || asked.is_empty() {
            continue;
        }
        let greeting = body("200 OK", GREETING);
        let answer = if asked.contains("greet") { greeting } else { answer.unwrap_or_default() };
        got.clear();
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_device_is_let_in_unasked_where_nobody_is_there_to_be_asked() {
    for (answer, known) in [
        (Some(body("200 OK", "true")), Ok(true)),
        (Some(body("200 OK", "false")), Ok(false)),
        (Some(body("200 OK", "perhaps")), Err(Away::Refusing)),
        (Some(body("429 Too Many Requests", "")), Err(Away::Refusing)),
        (Some(body("500 Internal Server Error", "")), Err(Away::Refusing)),
        (None, Ok(true)),
    ] {
        let node = node(answer).await;
        let address = Address { user: "anna".parse().unwrap(), device: "d".parse().unwrap() };
        assert_eq!(node.knows_device(address.clone(), true).await, known, "{answer:?}");
        node.set_up(false);
        assert_eq!(node.knows_device(address, true).await, Ok(true));
    }
}

#[tokio::test]
async fn a_node_that_refuses_greetings_is_not_taken_for_one_that_is_away() {
    let node = node(Some(body("200 OK", "true"))).await;
    let address = Address { user: "anna".parse().unwrap(), device: "d".parse().unwrap() };
    for (error, refuses) in [
        (LineError::Refused(401), true),
        (LineError::Refused(404), true),
        (LineError::Refused(429), true),
        (LineError::Refused(503), false),
        (LineError::Refused(429), false),
        (LineError::Timeout, false),
    ] {
        node.miss(&error);
        assert!(!node.is_up());
        assert_eq!((node.refuses(), node.metrics.refused.get()), (refuses, i64::from(refuses)));
        let known = if refuses { Err(Away::Refusing) } else { Ok(true) };
        assert_eq!(node.knows_device(address.clone(), true).await, known, "{error}");
    }
    node.miss(&LineError::Refused(401));
    node.greet().await;
    assert!(node.is_up() && !node.refuses());
}

#[tokio::test]
async fn a_slow_answer_is_not_the_end_of_the_node_and_its_absence_is() {
    let slow = node(None).await;
    assert!(slow.ask::<()>(&user()).await.is_err());
    assert!(slow.is_up(), "others are asked");
    // It is greeted at once, and not when the next greeting is due.
    tokio::time::timeout(GREET / 2, slow.doubt.notified()).await.unwrap();
    let broken = node(Some("HTTP/1.1 200 OK\r\nContent-Length: none\r\n\r\n")).await;
    assert!(broken.ask::<()>(&user()).await.is_err());
    assert!(!broken.is_up());
}
