//! Ways that hang.

use prometheus::Registry;
use stentor_protocol::units::Secret;
use tokio::net::TcpListener;

use super::*;
use crate::config::{Mail, MailSecurity};
use crate::recording::catalogue::{NewRecording, Telling};
use crate::recording::ids::RecordingId;
use crate::recording::papers::Subject;

#[tokio::test]
async fn a_webhook_that_hangs_keeps_no_mail_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::open(&folder.path().join("recordings.db")).unwrap();
    let id = RecordingId::random().unwrap();
    let new = NewRecording::of(id.clone(), Subject::Call("c1".to_owned()), 0);
    assert!(catalogue.begin(new).await.unwrap());
    let to = vec![(Way::Webhook, String::new()), (Way::Mail, "ann".to_owned())];
    let telling = Telling { to, from_ms: 0 };
    catalogue.set_failed(&id, "as asked for".to_owned(), telling).await.unwrap();

    let [hook, smtp] = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0")];
    let (hook, smtp) = (hook.await.unwrap(), smtp.await.unwrap());
    let url = format!("http://{}/", hook.local_addr().unwrap());
    let secret = Secret("sixteen bytes or more".to_owned());
    let mail = Mail {
        server: Some(smtp.local_addr().unwrap().to_string()),
        security: MailSecurity::None,
        from: Some("stentor@example.net".to_owned()),
        to: Some("{user}@example.net".to_owned()),
        ..Mail::default()
    };
    let notifier = Notifier {
        catalogue,
        bell: None,
        webhook: Some(Line::new(&url, &secret, folder.path(), Duration::from_secs(60)).unwrap()),
        mail: Post::open(&mail).unwrap(),
        metrics: RecordingMetrics::register(&Registry::new()).unwrap(),
        arrivals: Arrivals::default(),
    };
    let telling = tokio::spawn(notifier.run());
    // It is held, and nothing is answered.
    let _hanging = hook.accept().await.unwrap();
    let mailing = tokio::time::timeout(Duration::from_secs(10), smtp.accept()).await;
    assert!(mailing.is_ok(), "no mail is sent");
    telling.abort();
}
