//! A bucket that counts what it is asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config;

/// Requests as they came: their first lines, and their bodies.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// That one went is enough: what went wrong stands there, too.
const DELETED: &str = "<DeleteResult><Deleted><Key>one</Key></Deleted></DeleteResult>";

/// Has these objects whatever is deleted.
async fn serve(listener: TcpListener, keys: Vec<String>, asked: Asked) {
    let contents: String = keys
        .iter()
        .map(|key| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-28T08:00:00.000Z</LastModified>\
                 <ETag>\"1\"</ETag><Size>1</Size></Contents>"
            )
        })
        .collect();
    let list =
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>");
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(answer(stream, list.clone(), asked.clone()));
    }
}

async fn answer(mut stream: TcpStream, list: String, asked: Asked) {
    let (mut bytes, mut part) = (Vec::new(), [0; 65_536]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = text.split_once("\r\n\r\n").filter(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            body.len() >= length.map_or(0, |length| length.parse().unwrap())
        });
        if let Some((head, body)) = whole {
            let first = head.lines().next().unwrap().to_owned();
            let answer = if first.starts_with("GET") { list.as_str() } else { DELETED };
            asked.lock().unwrap().push((first, body.to_owned()));
            let length = answer.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            return;
        }
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&part[..count]),
        }
    }
}

#[tokio::test]
async fn what_goes_goes_by_the_thousand() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Asked::default();
    let keys: Vec<String> = (0..1500).map(|n| format!("one/chunks/r1/p1/{n:08}.mkv")).collect();
    tokio::spawn(serve(listener, keys.clone(), asked.clone()));
    let folder = tempfile::tempdir().unwrap();
    let credentials = folder.path().join("s3");
    let text = "aws_access_key_id = a\naws_secret_access_key = b\n";
    std::fs::write(&credentials, text).unwrap();
    let store = config::ObjectStore {
        bucket: Some("bucket".to_owned()),
        endpoint: Some(format!("http://{address}")),
        prefix: "one".to_owned(),
        credentials_file: Some(credentials),
        ..config::ObjectStore::default()
    };
    let depot = Depot::open(&store, folder.path()).unwrap();
    depot.delete_all("chunks/r1").await.unwrap();
    let asked = asked.lock().unwrap();
    let methods: Vec<&str> =
        asked.iter().map(|(head, _)| head.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["GET", "POST", "POST"], "{methods:?}");
    let named = |key: &String| asked.iter().any(|(_, body)| body.contains(&format!("<Key>{key}<")));
    assert!(keys.iter().all(named));
}

#[tokio::test]
async fn what_is_gone_already_keeps_nothing_else_from_going() {
    let folder = tempfile::tempdir().unwrap();
    let depot = Depot::open(&config::ObjectStore::default(), folder.path()).unwrap();
    for name in ["r1/a", "r1/b"] {
        depot.put(name, "x").await.unwrap();
    }
    let names = ["r1/a", "r1/none", "r1/b"].map(str::to_owned);
    depot.delete_these(names).await.unwrap();
    assert_eq!(depot.list("r1").await.unwrap(), Vec::<String>::new());
}
