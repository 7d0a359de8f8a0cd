//! The web socket's parser, for [`crate::doors`].

use super::messages::{ServerMessage, read};

/// One text frame of a device.
pub fn call_message(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match read(text) {
        // What was taken is written as something that is taken again, for the same.
        Ok(received) => {
            let written = serde_json::to_string(&received.message).unwrap_or_default();
            let again = read(&written).map(|again| again.message);
            assert_eq!(again.as_ref(), Ok(&received.message));
        }
        // Whatever was sent, what is said of it is short.
        Err(error) => {
            let ServerMessage::Error { detail, .. } = error.answer() else { panic!("{error}") };
            assert!(detail.as_str().chars().count() <= 300);
        }
    }
}
