//! A store that answers a few at once, and nobody alone.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

use super::super::shared::AT_ONCE;
use super::*;

/// Has news of nothing that is there.
struct Store {
    list: String,
    /// Whoever asks for what isn't there waits for the others.
    barrier: Barrier,
    waiting: AtomicUsize,
    most: AtomicUsize,
}

const NEWS: usize = 3 * AT_ONCE;

// === impl Store ===

impl Store {
    async fn start() -> (Arc<Self>, String) {
        let contents: String = (0..NEWS)
            .map(|number| {
                let recording = format!("r{number:024}").parse().unwrap();
                let key = News { at_ms: now_ms(), recording }.name();
                format!(
                    "<Contents><Key>{key}</Key><LastModified>2026-11-28T08:00:00.000Z\
                     </LastModified><ETag>\"1\"</ETag><Size>0</Size></Contents>"
                )
            })
            .collect();
        let list = format!(
            "<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        );
        let (waiting, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let store = Arc::new(Self { list, barrier: Barrier::new(AT_ONCE), waiting, most });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = store.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let store = serving.clone();
                tokio::spawn(async move { store.answer(stream).await });
            }
        });
        (store, format!("http://{address}"))
    }

    async fn answer(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let (status, body) = if head.windows(9).any(|part| part == b"list-type") {
            ("200 OK", self.list.as_str())
        } else {
            let waiting = self.waiting.fetch_add(1, SeqCst) + 1;
            self.most.fetch_max(waiting, SeqCst);
            self.barrier.wait().await;
            self.waiting.fetch_sub(1, SeqCst);
            ("404 Not Found", "")
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

#[tokio::test]
async fn news_are_heard_a_few_at_once_and_not_one_after_the_other() {
    let (store, endpoint) = Store::start().await;
    let own = tempfile::tempdir().unwrap();
    let credentials = own.path().join("s3");
    std::fs::write(&credentials, "aws_access_key_id = a\naws_secret_access_key = b\n").unwrap();
    let config = ObjectStore {
        bucket: Some("bucket".to_owned()),
        endpoint: Some(endpoint),
        credentials_file: Some(credentials),
        ..ObjectStore::default()
    };
    let desk = desk_with(own.path(), Depot::open(&config, own.path()).unwrap());
    let mut heard = Heard::default();
    let hearing = tokio::time::timeout(Duration::from_secs(10), desk.hear(&mut heard));
    hearing.await.expect("they are heard at once").unwrap();
    assert_eq!(store.most.load(SeqCst), AT_ONCE);
    assert_eq!(heard.count(), NEWS);
}
