//! An operator's own user service, asked over HTTP whether one user may ring another.
//!
//! A request is a POST of JSON ([`Question`]). Its header `Stentor-Timestamp` holds seconds since
//! 1970, and `Stentor-Signature` holds `v1=` and the hexadecimal HMAC-SHA256, by the shared
//! secret, of the timestamp, a full stop and the body. The service refuses a timestamp that is more
//! than five minutes off, and a signature that isn't this one.
//!
//! It answers 200 with `{"allow": true}`, or `{"allow": false, "reason": "…"}` with a sentence for
//! the caller. Everything else (another status, another body, no answer in time) is a no, which
//! says that there was no answer.

mod ask;
mod desk;
mod line;
mod place;
mod remembered;
mod sign;
mod verdict;

pub use ask::{Service, post};
pub use desk::UserService;
pub(super) use line::client;
pub use line::{Line, ServiceError};
pub use place::{NotAPlace, Place};
pub use sign::{SIGNATURE, Signer, TIMESTAMP, Unsigned};
pub use verdict::{Heard, MAX_ANSWER, Question, verdict};
