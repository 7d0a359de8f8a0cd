//! What one client may hold, over sockets of loopback.

use prometheus::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use warp::Filter as _;
use warp::reply::Reply as _;

use super::*;

const SOON: Duration = Duration::from_secs(10);

async fn asks(address: SocketAddr) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be closed already.
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut answer = vec![0; 4096];
    let read = timeout(SOON, stream.read(&mut answer)).await.expect("an answer, or none");
    let answer = String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned();
    (stream, answer)
}

/// A server of this text with the places, and what ends it.
async fn serve(
    text: &'static str,
    places: Arc<Places>,
) -> (SocketAddr, HttpMetrics, watch::Sender<Life>) {
    let mut listeners = Listeners::bind(&[([127, 0, 0, 1], 0).into()]).await.unwrap();
    listeners.unread = Duration::from_secs(1);
    let address = listeners.addresses()[0];
    let (life, told) = watch::channel(Life::Running);
    let metrics = HttpMetrics::register(&Registry::new()).unwrap();
    let filter = warp::any().map(move || text.into_response()).boxed();
    let service = Service { filter, metrics: metrics.clone(), life: told };
    tokio::spawn(listeners.serve(service, None, places, SOON));
    (address, metrics, life)
}

#[tokio::test]
async fn who_has_as_many_connections_as_one_may_have_gets_no_more_until_one_ends() {
    let places = Places::with(10, 2, Vec::new());
    let (address, metrics, _life) = serve("here", places).await;
    let failed = metrics.connections_failed.with_label_values(&["address_full"]);
    let (one, answer) = asks(address).await;
    assert!(answer.ends_with("here"), "{answer}");
    let (_two, answer) = asks(address).await;
    assert!(answer.ends_with("here"), "{answer}");
    assert_eq!((asks(address).await.1.as_str(), failed.get()), ("", 1));
    drop(one);
    let again = async {
        while asks(address).await.1.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("the place of one that ended");
}

#[tokio::test]
async fn who_does_not_read_what_it_asked_for_holds_no_place() {
    let text: &str = String::leak("x".repeat(16 << 20));
    let (address, _, _life) = serve(text, Places::with(1, 1, Vec::new())).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut lazy = socket.connect(address).await.unwrap();
    lazy.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(lazy.read_u8().await.unwrap(), b'H');
    let (_other, answer) = asks(address).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
