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
        let Some((_, body)) = text.split_once("\r\n\r\n") else { continue };
        if body.matches('{').count() != body.matches('}').count() || body.is_empty() {
            continue;
        }
        let answer = match body.contains("greet") {
            true => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{GREETING}", GREETING.len())
            }
            false => match answer {
                Some(answer) => answer.to_owned(),
                None => String::new(),
            },
        };
        got.clear();
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
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
